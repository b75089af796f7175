package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// longestEvent bounds one event: a status of thousands of points.
const longestEvent = 16 << 20

// Follow hands over server-sent events of a path below /api/v1 until ctx ends or the gateway does; the
// error says which. heard is called one at a time, with the event's name, its id, and its data.
func (c *Client) Follow(ctx context.Context, path string, heard func(event, id string, data []byte)) error {
	response, err := c.send(ctx, http.MethodGet, path, nil, "Accept", "text/event-stream")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return errors.Join(problemOf(response, text), err)
	}
	if err := readEvents(response.Body, heard); err != nil {
		return err
	}
	return errors.New("the gateway closed the connection")
}

// readEvents reads a stream of events to its end.
func readEvents(from io.Reader, heard func(event, id string, data []byte)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), longestEvent)
	var event, id string
	var data []byte
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			if len(data) > 0 {
				heard(event, id, data[:len(data)-1]) // without the last line end
			}
			event, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			if len(data)+len(value) > longestEvent {
				return errors.New("an event is too long")
			}
			data = append(append(data, value...), '\n')
		}
	}
	return lines.Err()
}
