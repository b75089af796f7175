package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/web"
)

// fieldDevices tries devices out and writes to them.
type fieldDevices struct{ *Gateway }

// commandLife is how long a command from the page may wait for the device to be done with others: less
// than whoever sent it waits.
const commandLife = 10 * time.Second

// Write publishes a command, as any client may, and waits for its reply.
func (d fieldDevices) Write(ctx context.Context, device, user string, values json.RawMessage) (web.Written, error) {
	c := d.Config()
	if _, err := deviceOf(c, device); err != nil {
		return web.Written{}, err
	}
	before := d.lastValues(device)
	id := "page-" + rand.Text()
	payload, err := json.Marshal(map[string]any{"id": id, "write": values, "expires": commandLife.Milliseconds()})
	if err != nil {
		return web.Written{}, fmt.Errorf("write the command: %w", err)
	}
	replies := d.broker.Subscribe(broker.FromNow)
	defer replies.Close()
	replies.Add("replies/" + c.Gateway.Name + "/" + device)
	command := message.Message{Topic: "commands/" + c.Gateway.Name + "/" + device, Payload: payload, QoS: 1, Client: "page/" + user}
	if err := d.broker.Publish(ctx, &command, nil, 0); err != nil {
		return web.Written{}, fmt.Errorf("publish the command: %w", err)
	}
	for {
		batch, err := replies.Next(ctx, nil, 1)
		if errors.Is(err, context.DeadlineExceeded) {
			return web.Written{Values: noValues, Error: "outcome unknown: there was no reply in time"}, nil
		}
		if err != nil {
			return web.Written{}, fmt.Errorf("wait for the reply: %w", err)
		}
		for i := range batch {
			reply := struct {
				ID string `json:"id"`
				web.Written
			}{Written: web.Written{Values: noValues}}
			if json.Unmarshal(batch[i].Payload, &reply) == nil && reply.ID == id {
				reply.Before = before
				return reply.Written, nil
			}
		}
	}
}

// lastValues are those of the points that the device's last readings had a value for.
func (d fieldDevices) lastValues(name string) map[string]any {
	polled, err := fieldPoints(d).device(name)
	if err != nil {
		return nil // it is about to start
	}
	values := map[string]any{}
	for _, p := range polled.poller.State().Points {
		if value := p.Value.Any(); value != nil && p.Error == "" {
			values[p.Name] = value
		}
	}
	return values
}

var noValues = json.RawMessage("{}")
