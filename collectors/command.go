package collectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"sluice/gateway/message"
)

const (
	maxCommand = 64 << 10 // bytes of a command
	maxWrites  = 100      // points of a command
	maxID      = 128      // bytes of an id
)

// command is what a message under commands/ says:
// {"id":"a1","write":{"setpoint":42},"expires":5000}, expires in milliseconds after its arrival.
type command struct {
	ID      string
	Write   []assignment // in the order of the document
	Expires time.Duration
}

type assignment struct {
	point string
	value json.RawMessage
}

// lifetime is how old the command may be.
func (c *command) lifetime(r *message.Record) time.Duration {
	limit := freshness
	if c.Expires > 0 {
		limit = min(limit, c.Expires)
	}
	if text, known := r.Property(message.Expiry); known {
		if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
			limit = min(limit, time.Duration(seconds)*time.Second)
		}
	}
	return limit
}

// parseCommand reads a command; problem says in plain words what is wrong with it. The id is given
// whenever it can be read.
func parseCommand(payload []byte) (c command, problem string) {
	if len(payload) > maxCommand {
		return c, fmt.Sprintf("the command has %d bytes; %d are possible", len(payload), maxCommand)
	}
	var parts struct {
		ID      string          `json:"id"`
		Write   json.RawMessage `json:"write"`
		Expires int64           `json:"expires"`
	}
	err := json.Unmarshal(payload, &parts)
	if len(parts.ID) <= maxID {
		c.ID = parts.ID
	}
	switch {
	case err != nil:
		return c, "the command is no JSON of the form {\"id\":\"a1\",\"write\":{\"point\":value}}: " + err.Error()
	case c.ID == "":
		return c, fmt.Sprintf("the command needs an id of up to %d bytes, by which its reply is known", maxID)
	case parts.Expires < 0 || parts.Expires > int64(freshness/time.Millisecond):
		return c, fmt.Sprintf("expires is %d; up to %d milliseconds are possible", parts.Expires, freshness/time.Millisecond)
	}
	c.Expires = time.Duration(parts.Expires) * time.Millisecond
	c.Write, err = assignments(parts.Write)
	if err != nil {
		return c, "write is no object of points and values: " + err.Error()
	}
	return c, ""
}

// assignments reads an object in the order in which it is written; encoding/json would sort it.
func assignments(object json.RawMessage) ([]assignment, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it does not begin with {"))
	}
	var list []assignment
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if len(list) == maxWrites {
			return nil, fmt.Errorf("it has more than %d points", maxWrites)
		}
		list = append(list, assignment{name.(string), value}) // a key of an object is a string
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind it")
	}
	if len(list) == 0 {
		return nil, errors.New("it is empty")
	}
	return list, nil
}

// reply is what a message under replies/ says.
type reply struct {
	ID     string
	OK     bool
	Values []message.Point // as the device gives them back
	Error  string
}

// to is the message that answers a command.
func (r *reply) to(command *message.Record, gateway, device string) *message.Message {
	m := &message.Message{Topic: "replies/" + gateway + "/" + device, Payload: r.appendJSON(nil), QoS: 1}
	if correlation, asked := command.Property(message.CorrelationData); asked {
		m.Properties = append(m.Properties, message.Property{Name: message.CorrelationData, Value: correlation})
	}
	return m
}

func (r *reply) appendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = message.Text(r.ID).AppendJSON(b)
	b = append(b, `,"ok":`...)
	b = strconv.AppendBool(b, r.OK)
	if len(r.Values) > 0 {
		b = append(b, `,"values":{`...)
		for i, p := range r.Values {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(message.Text(p.Name).AppendJSON(b), ':')
			b = p.Value.AppendJSON(b)
		}
		b = append(b, '}')
	}
	if r.Error != "" {
		b = append(b, `,"error":`...)
		b = message.Text(r.Error).AppendJSON(b)
	}
	return append(b, '}')
}
