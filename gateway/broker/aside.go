package broker

import (
	"context"
	"errors"
	"fmt"

	"sluice/gateway/message"
)

// SetAside publishes m in the place of the record at that position, which must be the first that Next has
// returned and nobody has acknowledged: m is in the log and the consumer behind the record, or neither. It
// returns when that is durable. When ctx ends before, it may yet become so.
func (c *Consumer) SetAside(ctx context.Context, at message.Position, m *message.Message) error {
	return c.setAside(ctx, &c.lane, at, m, c.Ack)
}

func (c *Consumer) setAside(ctx context.Context, l *lane, at message.Position, m *message.Message, done func(upTo message.Position)) error {
	moving, can := c.cursor.(movingCursor)
	if !can {
		return fmt.Errorf("set the record at %d aside: %w", at, errors.ErrUnsupported)
	}
	if err := complete(m, c.clock); err != nil {
		return fmt.Errorf("set the record at %d aside: %w", at, err)
	}
	c.mu.Lock()
	first, upTo := message.Position(0), at
	if l != &c.lane {
		first = c.live.first
	}
	right := l.out.inFlight() > 0 && l.out.entries[l.out.open].position == at
	if l.out.inFlight() == 1 {
		upTo = l.next - 1
	}
	c.mu.Unlock()
	if !right {
		return fmt.Errorf("set the record at %d aside: %w", at, errNotFirst)
	}
	durable := make(chan error, 1)
	// Also when nobody waits any more: the cursor has moved then.
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) {
		if err == nil {
			done(at)
		}
		durable <- err
	})
	err := moving.AppendDone(ctx, m, ack, 0, first, upTo)
	if err == nil {
		select {
		case err = <-durable:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("set the record at %d aside: %w", at, err)
	}
	return nil
}

var errNotFirst = errors.New("it is not the first that is not acknowledged")
