package broker

import (
	"context"
	"errors"
	"fmt"

	"sluice/gateway/message"
)

// Live is a second reader over a Consumer's cursor: after an outage it reads what is new, while the
// Consumer fills in what lies before. What it has delivered is a done range of the cursor, so that it is
// not delivered again after a kill; once the backfill has come there, the cursor jumps over it. Who may
// call what is as with Consumer.
type Live struct {
	c *Consumer

	// guarded by c.mu
	lane
	first  message.Position // of its range
	marked bool             // some of the range is done
}

// Live gives the live reader, which from now on has everything behind the place where it was: the last
// done range of the cursor, or without one the cursor itself. It is called while nobody reads. It fails
// when the log's cursors know no ranges.
func (c *Consumer) Live() (*Live, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live != nil {
		return c.live, nil
	}
	if c.lanes == nil {
		return nil, fmt.Errorf("read live first: %w", errors.ErrUnsupported)
	}
	c.rewind()
	l := &Live{c: c, first: c.cursor.Position() + 1}
	l.next = l.first
	for {
		first, last, found := c.lanes.NextDone(l.next)
		if !found {
			break
		}
		l.first, l.next, l.marked = first, last+1, true
	}
	l.ahead = count{to: l.next}
	c.next = min(c.next, l.first)
	c.ahead = count{to: c.next}
	c.live, c.holes, c.limit, c.moved = l, true, l.first, make(chan struct{})
	return l, nil
}

// Begin lets both readers start again behind what was acknowledged, as at a new connection. When there is
// something that the live reader would have to catch up with, it leaves that to the Consumer and starts
// behind the present tail, unless the cursor has no range left. Nobody may read meanwhile.
func (l *Live) Begin() {
	c := l.c
	c.mu.Lock()
	c.rewind()
	l.rewind()
	from := l.next
	c.mu.Unlock()

	behind, next := c.anyFrom(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !behind {
		l.passedLocked(nil, next)
		return
	}
	if n, most := c.lanes.Ranges(); n >= most {
		return
	}
	if c.ahead.to == c.limit { // it has been counted up to where the live reader's count begins
		c.ahead = count{to: l.ahead.to, n: c.ahead.n + l.ahead.n}
	}
	tail, _ := c.log.Tail()
	l.first, l.next, l.marked = tail+1, tail+1, false
	l.ahead = count{to: l.next}
	c.limit = l.first
	close(c.moved)
	c.moved = make(chan struct{})
}

// anyFrom says whether anything from a position on matches, and if not, where the next record comes. When
// that takes too long to find out there is something.
func (c *Consumer) anyFrom(from message.Position) (some bool, next message.Position) {
	for range near {
		records, next, err := scan(c.log, nil, from, scanRecords, c.filters)
		if err != nil || len(records) > 0 {
			return true, from
		}
		if next == from {
			return false, from
		}
		from = next
	}
	return true, from
}

// Next is Consumer.Next for what is new. Both together are held back by what is not durable.
func (l *Live) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	c := l.c
	for {
		if err := c.waitForCursor(ctx); err != nil {
			return dst, err
		}
		c.mu.Lock()
		from := l.next
		c.mu.Unlock()
		start := len(dst)
		dst, next, err := readNext(ctx, c.log, from, dst, max, c.filters)
		if err != nil {
			return dst, err
		}
		c.mu.Lock()
		l.passedLocked(dst[start:], next)
		c.mu.Unlock()
		if len(dst) > start {
			return dst, nil
		}
	}
}

func (l *Live) passedLocked(records []message.Record, next message.Position) {
	l.pass(records, next)
	// What does not match is worth no range of its own.
	if l.out.inFlight() == 0 && (l.marked || l.first <= l.c.cursor.Position()+1) {
		l.markLocked(next - 1)
	}
}

// markLocked notes that everything up to upTo is done. It fails only when somebody else has taken the
// range that Begin saw free: then a kill repeats it.
func (l *Live) markLocked(upTo message.Position) {
	if upTo >= l.first && l.c.lanes.MarkDone(l.first, upTo) == nil {
		l.marked = true
	}
}

// Ack says that everything that Next returned up to and including upTo is safe with the receiver.
func (l *Live) Ack(upTo message.Position) {
	c := l.c
	c.mu.Lock()
	l.out.ack(upTo)
	if l.out.inFlight() == 0 {
		upTo = max(upTo, l.next-1)
	}
	l.markLocked(upTo)
	hurry := c.unsyncedLocked() >= MaxUnsynced/2
	c.mu.Unlock()
	if hurry {
		c.cursor.Flush()
	}
}

// Rewind makes Next start again behind the last acknowledged record.
func (l *Live) Rewind() {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.rewind()
}

// SetAside is Consumer.SetAside for what the live reader has returned.
func (l *Live) SetAside(ctx context.Context, at message.Position, m *message.Message) error {
	return l.c.setAside(ctx, &l.lane, at, m, l.Ack)
}

// unsyncedLocked counts the acknowledgements of both lanes that a power cut would forget.
func (c *Consumer) unsyncedLocked() int {
	if c.live == nil {
		return c.out.acked()
	}
	out := &c.live.out
	for out.first < out.open {
		at := out.entries[out.first].position
		end := c.lanes.DurableFrom(at)
		if end < at {
			break
		}
		out.forget(end)
	}
	return c.out.acked() + out.acked()
}

// begin says where the consumer reads on, and which position it must not reach: 0 is none. It waits while
// there is nothing before the live reader.
func (c *Consumer) begin(ctx context.Context) (from, stop message.Position, err error) {
	for {
		c.mu.Lock()
		from, stop = c.spanLocked(&c.lane, c.next)
		if from != c.next {
			c.passedLocked(nil, from)
		}
		if stop == 0 && c.live == nil {
			c.holes = false // from here on everything is new
		}
		moved := c.moved
		c.mu.Unlock()
		if from != stop {
			return from, stop, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return from, stop, ctx.Err()
		}
	}
}

// spanLocked passes over what is done at from, and gives the position at which the lane must stop, or 0.
func (c *Consumer) spanLocked(l *lane, from message.Position) (at, stop message.Position) {
	if !c.holes || l != &c.lane {
		return from, 0
	}
	for {
		first, last, found := c.lanes.NextDone(from)
		if c.live != nil && (from >= c.limit || !found || first >= c.limit) {
			return min(from, c.limit), c.limit
		}
		if !found {
			return from, 0
		}
		if first > from {
			return from, first
		}
		from = last + 1
	}
}

// cut takes away what a scan found from stop on, unless that is 0.
func cut(records []message.Record, start int, next, stop message.Position) ([]message.Record, message.Position) {
	if stop == 0 || next <= stop {
		return records, next
	}
	end := len(records)
	for end > start && records[end-1].Position >= stop {
		end--
	}
	clear(records[end:])
	return records[:end], stop
}
