package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/message"
)

// MaxUnsynced is how many acknowledgements may wait to become durable: with the receiver's window
// it bounds what a crash repeats.
const MaxUnsynced = 1000

// Start says where a new consumer begins.
type Start int

// A new consumer begins with the oldest message that is still there, or with what comes next.
const (
	Oldest Start = iota
	Now
)

// Consumer is a named durable cursor with a filter. One goroutine at a time calls Next and Rewind;
// every other method may be called from any. Once Live was called it is the backfill: it reads what lies
// before the live reader.
type Consumer struct {
	log     Log
	cursor  Cursor
	filters filters
	clock   func() time.Time

	mu    sync.Mutex       // guards what follows
	lane                   // with a live reader, the one before it
	lanes laneCursor       // nil when the cursor knows no ranges
	holes bool             // some of what lies ahead is done, or live is not nil
	live  *Live            // nil: there is one lane
	limit message.Position // with live, where it began
	moved chan struct{}    // with live, closed when limit has moved

	durable *durable
	closing sync.Once

	counting chan struct{} // capacity 1: held by the one who counts, who may use scratch
	scratch  []message.Record
}

// lane is one reader's place in the log.
type lane struct {
	next  message.Position
	out   queue // records returned by Next, until their acknowledgement is durable
	ahead count // matching records from next on
}

// Consumer opens the consumer of that name, or makes it. While one is open nobody else may open it.
func (b *Broker) Consumer(name string, filter []string, start Start) (*Consumer, error) {
	for _, f := range filter {
		if err := message.CheckFilter(f); err != nil {
			return nil, fmt.Errorf("consumer %s: %w", name, err)
		}
	}
	var done message.Position
	if start == Now {
		done, _ = b.log.Tail()
	}
	cursor, err := b.log.OpenCursor(name, done)
	if err != nil {
		return nil, fmt.Errorf("open the cursor of consumer %s: %w", name, err)
	}
	for _, f := range filter {
		b.durable.add(f)
	}
	at := cursor.Position() + 1
	c := &Consumer{
		clock: b.clock,
		log:   b.log, durable: &b.durable, cursor: cursor, filters: filter, lane: lane{next: at, ahead: count{to: at}},
		counting: make(chan struct{}, 1),
	}
	if lanes, can := cursor.(laneCursor); can {
		c.lanes = lanes
		_, _, c.holes = lanes.NextDone(at)
	}
	return c, nil
}

// Next waits for at least one matching record behind those already returned and appends up to max
// of them to dst. It holds the caller back while MaxUnsynced acknowledgements are not durable.
func (c *Consumer) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		if err := c.waitForCursor(ctx); err != nil {
			return dst, err
		}
		from, stop, err := c.begin(ctx)
		if err != nil {
			return dst, err
		}
		start := len(dst)
		dst, next, err := readNext(ctx, c.log, from, dst, max, c.filters)
		if err != nil {
			return dst, err
		}
		dst, next = cut(dst, start, next, stop)
		c.passed(dst[start:], next)
		if len(dst) > start {
			return dst, nil
		}
	}
}

// passed notes that the log was read up to next and that records matched.
func (c *Consumer) passed(records []message.Record, next message.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passedLocked(records, next)
}

func (c *Consumer) passedLocked(records []message.Record, next message.Position) {
	c.pass(records, next)
	if c.out.inFlight() == 0 {
		// Nobody waits for what was passed over, so it pins the log no longer.
		c.cursor.Move(next - 1)
	}
}

func (l *lane) pass(records []message.Record, next message.Position) {
	for i := range records {
		l.out.push(records[i].Position, records[i].Time)
	}
	l.next = next
	l.ahead.pass(uint64(len(records)), next)
}

// waitForCursor waits while too many acknowledgements would be forgotten by a crash.
func (c *Consumer) waitForCursor(ctx context.Context) error {
	c.mu.Lock()
	c.out.forget(c.cursor.Durable())
	enough, waits := c.out.excess(MaxUnsynced)
	both := c.live != nil
	if both {
		waits = c.unsyncedLocked() >= MaxUnsynced
	}
	c.mu.Unlock()
	switch {
	case !waits:
		return nil
	case both:
		return c.cursor.Sync(ctx)
	}
	// Waiting for no more than must be lets the next sync begin while its records are delivered.
	if steps, can := c.cursor.(stepCursor); can {
		return steps.SyncTo(ctx, enough)
	}
	return c.cursor.Sync(ctx)
}

// Ack says that everything up to and including upTo is safe with the receiver. It becomes durable
// within 200 ms or MaxUnsynced acknowledgements.
func (c *Consumer) Ack(upTo message.Position) {
	c.mu.Lock()
	c.out.ack(upTo)
	to := upTo
	if c.out.inFlight() == 0 {
		to = max(to, c.next-1)
	}
	c.out.forget(c.cursor.Durable())
	hurry := c.unsyncedLocked() >= MaxUnsynced/2
	c.mu.Unlock()
	c.cursor.Move(to)
	if hurry {
		c.cursor.Flush() // before the sender has to wait for it
	}
}

// Sync waits until everything acknowledged so far would survive a power cut.
func (c *Consumer) Sync(ctx context.Context) error { return c.cursor.Sync(ctx) }

// Close tells the log that nobody uses the consumer's cursor any more. It keeps its place.
func (c *Consumer) Close() {
	c.closing.Do(func() {
		for _, f := range c.filters {
			c.durable.remove(f)
		}
		c.cursor.Close()
	})
}

// Rewind makes Next start again behind the last acknowledged record.
func (c *Consumer) Rewind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rewind()
}

func (l *lane) rewind() {
	first, unacked := l.out.rewind()
	if unacked == 0 {
		return
	}
	l.next = first
	l.ahead.n += uint64(unacked)
}

func (l *lane) backlog() uint64 { return uint64(l.out.inFlight()) + l.ahead.n }

// Backlog is what a consumer's receiver has not acknowledged.
type Backlog struct {
	Messages uint64
	Backfill uint64    // of them, those that are not the live reader's
	Oldest   time.Time // zero when there is none
}

// Backlog counts what waits, exactly up to the tail of the log at the call. The first call after a
// start reads the whole backlog, later ones only what is new; one that ctx ends leaves what it has
// counted to the next.
func (c *Consumer) Backlog(ctx context.Context) (Backlog, error) {
	select {
	case c.counting <- struct{}{}:
		defer func() { <-c.counting }()
	case <-ctx.Done():
		return Backlog{}, ctx.Err()
	}
	c.mu.Lock()
	live := c.live
	c.mu.Unlock()
	err := c.countAhead(ctx, &c.lane)
	if err == nil && live != nil {
		err = c.countAhead(ctx, &live.lane)
	}
	if err != nil {
		return Backlog{}, err
	}
	c.mu.Lock()
	backlog, in := Backlog{Messages: c.backlog()}, &c.lane
	if live != nil {
		backlog.Backfill = backlog.Messages
		backlog.Messages += live.backlog()
		if backlog.Backfill == 0 {
			in = &live.lane
		}
	}
	oldest, found := in.out.oldest()
	from := in.next
	c.mu.Unlock()
	if backlog.Messages == 0 {
		return backlog, nil
	}
	if !found {
		oldest = c.firstMatch(ctx, in, from)
	}
	if oldest != 0 {
		backlog.Oldest = time.UnixMilli(oldest)
	}
	return backlog, nil
}

// countAhead brings a lane's count up to its end, in small steps so that Next is never kept waiting.
func (c *Consumer) countAhead(ctx context.Context, l *lane) error {
	for ctx.Err() == nil {
		head := c.log.Head()
		c.mu.Lock()
		if l.next < head && l.ahead.to < head {
			l.ahead = count{to: head} // what was counted has been dropped
		}
		counted := l.ahead.to
		from, stop := c.spanLocked(l, counted)
		c.mu.Unlock()

		records, to := c.scratch[:0], from
		if from != stop {
			var err error
			if records, to, err = scan(c.log, records, from, scanRecords, c.filters); err != nil {
				return err
			}
			records, to = cut(records, 0, to, stop)
		}
		n := uint64(len(records))
		clear(records)
		c.mu.Lock()
		if l.ahead.to == counted {
			l.ahead.n += n
			l.ahead.to = to
		}
		c.mu.Unlock()
		c.scratch = records[:0]
		if to == from {
			return nil
		}
	}
	return ctx.Err()
}

// near is how many scans a search may take.
const near = 64

// firstMatch gives the time of the first matching record of a lane at or behind from, 0 when it is not
// near.
func (c *Consumer) firstMatch(ctx context.Context, l *lane, from message.Position) int64 {
	for range near {
		c.mu.Lock()
		at, stop := c.spanLocked(l, from)
		c.mu.Unlock()
		if at == stop {
			return 0
		}
		records, next, err := scan(c.log, c.scratch[:0], at, scanRecords, c.filters)
		if err != nil || next == at || ctx.Err() != nil {
			return 0
		}
		records, next = cut(records, 0, next, stop)
		if len(records) > 0 {
			return records[0].Time
		}
		from = next
	}
	return 0
}

// count is how many matching records lie between the consumer's next position and to.
type count struct {
	to message.Position // everything before it has been counted
	n  uint64
}

// pass notes that n of them were returned and that the consumer now stands at next.
func (c *count) pass(n uint64, next message.Position) {
	if next > c.to {
		*c = count{to: next}
		return
	}
	c.n -= min(n, c.n)
}

// Acked is the position up to which everything is acknowledged.
func (c *Consumer) Acked() message.Position { return c.cursor.Position() }
