package gateway

import (
	"context"
	"fmt"

	"sluice/gateway/broker"
	"sluice/gateway/message"
)

// commands are those for one device, as its collectors.Commander takes them. A cursor says up to
// which each has its reply. While one is being carried out there is a second cursor, which says so.
type commands struct {
	gateway  *Gateway
	topic    string
	consumer *broker.Consumer
	batch    []message.Record
	begun    message.Position // what an earlier run had begun with
	first    message.Position // the first that has no reply
}

// open is called when the device's part runs, not before: the one that it replaces moves the cursor
// until it has stopped.
func (c *commands) open() error {
	for _, cursor := range c.gateway.store.Cursors() {
		if cursor.Name == c.mark() {
			c.begun = cursor.Position + 1
		}
	}
	consumer, err := c.gateway.broker.Consumer(c.topic, []string{c.topic}, broker.Now)
	if err != nil {
		return err
	}
	c.consumer, c.first = consumer, consumer.Acked()+1
	if c.begun < c.first {
		return c.gateway.store.DropCursor(c.mark()) // its reply was the last thing that was written
	}
	return nil
}

func (c *commands) close() { c.consumer.Close() }

// mark is the name of the cursor that stands before the command that is being carried out.
func (c *commands) mark() string { return c.topic + "/begun" }

// Next gives the next command that has no reply.
func (c *commands) Next(ctx context.Context) (message.Record, bool, error) {
	if len(c.batch) == 0 {
		var err error
		if c.batch, err = c.consumer.Next(ctx, c.batch, 1); err != nil {
			return message.Record{}, false, err
		}
	}
	r := c.batch[0]
	c.batch = c.batch[:0]
	return r, r.Position == c.begun, nil
}

// Begin makes durable that the command at that position is being carried out.
func (c *commands) Begin(ctx context.Context, at message.Position) error {
	mark, err := c.gateway.store.OpenCursor(c.mark(), at)
	if err != nil {
		return err
	}
	defer mark.Close()
	return mark.Sync(ctx)
}

// Finish publishes the reply and passes the command in one transaction.
func (c *commands) Finish(ctx context.Context, at message.Position, reply *message.Message) error {
	if err := c.consumer.SetAside(ctx, at, reply); err != nil {
		return err
	}
	return c.gateway.store.DropCursor(c.mark())
}

// recentRecords is how many records are read at once to find earlier commands.
const recentRecords = 256

// Recent gives the commands that the log still has and that have their reply.
func (c *commands) Recent(ctx context.Context, give func(payload []byte)) error {
	at := c.gateway.store.Head()
	for at < c.first && ctx.Err() == nil {
		records, next, err := c.gateway.store.ReadMatching(nil, at, recentRecords, []string{c.topic})
		if err != nil {
			return fmt.Errorf("read earlier commands: %w", err)
		}
		for i := range records {
			if records[i].Position < c.first {
				give(records[i].Payload)
			}
		}
		if next == at {
			return nil
		}
		at = next
	}
	return ctx.Err()
}
