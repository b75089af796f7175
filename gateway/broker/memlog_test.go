package broker

import (
	"context"
	"maps"
	"slices"
	"sync"

	"sluice/gateway/message"
)

// memLog is the plainest log that keeps the contract of Log: a slice that is durable only up to
// where the test has synced it.
type memLog struct {
	mu      sync.Mutex
	records []message.Record
	acks    []func()
	head    message.Position
	durable message.Position
	grown   chan struct{}
	cursors map[string]*memCursor
}

func newMemLog() *memLog {
	return &memLog{head: 1, grown: make(chan struct{}), cursors: map[string]*memCursor{}}
}

func (l *memLog) Append(_ context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := message.Position(len(l.records) + 1)
	l.records = append(l.records, message.Record{Position: at, Message: *m})
	l.acks = append(l.acks, func() { ack.Acknowledge(token, at, nil) })
	return nil
}

// sync makes everything appended durable.
func (l *memLog) sync() {
	l.mu.Lock()
	acks := l.acks
	l.acks = nil
	l.durable = message.Position(len(l.records))
	close(l.grown)
	l.grown = make(chan struct{})
	l.mu.Unlock()
	for _, ack := range acks {
		ack()
	}
}

func (l *memLog) add(topics ...string) {
	for _, topic := range topics {
		l.Append(context.Background(), &message.Message{Topic: topic, Time: int64(len(l.records) + 1)}, nobody{}, 0)
	}
	l.sync()
}

// trim drops everything before head.
func (l *memLog) trim(head message.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = head
}

func (l *memLog) Read(dst []message.Record, from message.Position, limit int) ([]message.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := max(from, l.head); at <= l.durable && limit > 0; at++ {
		dst = append(dst, l.records[at-1])
		limit--
	}
	return dst, nil
}

func (l *memLog) Tail() (message.Position, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable, l.grown
}

func (l *memLog) Head() message.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

func (l *memLog) OpenCursor(name string, done message.Position) (Cursor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.cursors[name]; c != nil {
		return c, nil
	}
	c := &memCursor{log: l, position: done, durable: done}
	l.cursors[name] = c
	return c, nil
}

func (l *memLog) DropCursor(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.cursors, name)
	return nil
}

func (l *memLog) Sequence(string) (uint64, uint64, error) { return 1, 0, nil }

// memCursor becomes durable when the test says so, or when somebody syncs it.
type memCursor struct {
	log               *memLog
	mu                sync.Mutex
	position, durable message.Position
	done, found       map[message.Position]bool // beyond them
	syncs, flushes    int
}

func (c *memCursor) Position() message.Position { c.mu.Lock(); defer c.mu.Unlock(); return c.position }
func (c *memCursor) Durable() message.Position  { c.mu.Lock(); defer c.mu.Unlock(); return c.durable }

func (c *memCursor) Move(to message.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.position = max(c.position, to)
	for c.done[c.position+1] {
		c.position++
	}
}

func (c *memCursor) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushes++
}

func (c *memCursor) Sync(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.syncs++
	c.saveLocked()
	return nil
}

func (c *memCursor) saveLocked() { c.durable, c.found = c.position, maps.Clone(c.done) }

// kill forgets what is not durable.
func (c *memCursor) kill() { c.position, c.done = c.durable, maps.Clone(c.found) }

func (c *memCursor) MarkDone(first, last message.Position) error {
	tail, _ := c.log.Tail()
	if first > c.Position()+1 {
		c.mu.Lock()
		if c.done == nil {
			c.done = map[message.Position]bool{}
		}
		for ; first <= min(last, tail); first++ {
			c.done[first] = true
		}
		c.mu.Unlock()
		return nil
	}
	c.Move(min(last, tail))
	return nil
}

func (c *memCursor) NextDone(from message.Position) (first, last message.Position, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from <= c.position {
		return 0, c.position, true
	}
	for _, r := range c.rangesLocked(c.done) {
		if r[1] >= from {
			return r[0], r[1], true
		}
	}
	return 0, 0, false
}

func (c *memCursor) rangesLocked(done map[message.Position]bool) (list [][2]message.Position) {
	for _, at := range slices.Sorted(maps.Keys(done)) {
		if n := len(list); at <= c.position {
		} else if n > 0 && list[n-1][1]+1 == at {
			list[n-1][1] = at
		} else {
			list = append(list, [2]message.Position{at, at})
		}
	}
	return list
}

func (c *memCursor) Ranges() (n, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rangesLocked(c.done)), 4
}

func (c *memCursor) DurableFrom(first message.Position) message.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first <= c.durable {
		return c.durable
	}
	for c.found[first] {
		first++
	}
	return first - 1
}

func (c *memCursor) AppendDone(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64, first, last message.Position) error {
	c.log.Append(ctx, m, message.AcknowledgeFunc(func(token uint64, at message.Position, err error) {
		c.MarkDone(first, last)
		c.Sync(ctx)
		ack.Acknowledge(token, at, err)
	}), token)
	c.log.sync()
	return nil
}

func (*memCursor) Close() {}
