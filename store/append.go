package store

import (
	"context"
	"fmt"
	"sync"

	"sluice/gateway/message"
)

// A group is what one transaction makes durable: one block under construction, who waits for it,
// and the last sequence number of each device in it.
type group struct {
	first    message.Position
	count    uint32
	plain    []byte
	chunks   []chunk // the last one is open
	base     int64   // time of the first message
	before   int64   // time of the message before the next, or base at the start of a chunk
	waiters  []waiter
	devices  map[string]deviceMark
	nameSize int // bytes of the names in devices
}

type waiter struct {
	ack   message.Acknowledger
	token uint64
	index uint32 // of the message in its group
}

const (
	// A transaction of the tiny LSM holds at most 94 entries and 9.8 KB: see batch.
	groupDevices     = 48
	groupDeviceBytes = 4 << 10
	maxChunks        = 1 << 15
)

func (g *group) last() message.Position { return g.first + message.Position(g.count) - 1 }

// fits says whether m, of at most size bytes, may still join the group.
func (g *group) fits(m *message.Message, size int) bool {
	if len(g.plain)+size > blockPayload || len(g.chunks) >= maxChunks {
		return false
	}
	if m.Device == "" {
		return true
	}
	if _, known := g.devices[m.Device]; known {
		return true
	}
	return len(g.devices) < groupDevices && g.nameSize+len(m.Device) <= groupDeviceBytes
}

func (g *group) add(m *message.Message, size int, ack message.Acknowledger, token uint64) message.Position {
	if g.count == 0 {
		g.base, g.before = m.Time, m.Time
	}
	if open := len(g.chunks) - 1; open < 0 || len(g.plain)-g.chunkStart(open)+size > chunkPayload {
		g.chunks = append(g.chunks, chunk{end: len(g.plain)})
		g.before = g.base
	}
	g.plain = appendRecord(g.plain, m, g.before)
	g.before = m.Time
	open := &g.chunks[len(g.chunks)-1]
	open.end = len(g.plain)
	open.records++

	at := g.first + message.Position(g.count)
	if ack != nil {
		g.waiters = append(g.waiters, waiter{ack, token, g.count})
	}
	if m.Device != "" {
		if g.devices == nil {
			g.devices = make(map[string]deviceMark)
		}
		if _, known := g.devices[m.Device]; !known {
			g.nameSize += len(m.Device)
		}
		g.devices[m.Device] = deviceMark{m.Seq, at}
	}
	g.count++
	return at
}

func (g *group) chunkStart(i int) int {
	if i == 0 {
		return 0
	}
	return g.chunks[i-1].end
}

// queue holds the groups that wait for the disk. Everything that is appended joins the last one
// until the committer takes it.
type queue struct {
	bound   int           // bytes that may wait
	largest int           // bytes that one message may have
	reserve int           // bytes of urgent messages that are taken when the disk is full
	wanted  chan struct{} // capacity 1: there is something to commit

	mu      sync.Mutex // guards what follows
	groups  []*group
	next    message.Position // of the message that comes next
	bytes   int              // plain bytes in groups and in the one being committed
	room    chan struct{}    // closed when bytes shrank or something else changed; nil when nobody waits
	full    bool             // the disk is full
	drops   bool             // what is old is being dropped: producers wait, they are not refused
	spare   int              // bytes of urgent messages that are still taken while it is full
	closed  bool
	failure error
	hint    int // bytes of the last group: what the next one is likely to need
	called  bool
}

// Append takes a copy of m and returns once m has its place in the sequence; ack, unless nil, hears
// later whether it became durable. It blocks while too much waits for the disk. An error means that
// m was not taken: message.ErrFull, ErrTooLarge, ErrClosed, ErrFailed, or ctx's.
func (s *Store) Append(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	q := &s.queue
	size := recordBound(m)
	if size > q.largest {
		return fmt.Errorf("%w: %d bytes, at most %d fit", message.ErrTooLarge, size, q.largest)
	}
	if len(m.Device) > maxName {
		return fmt.Errorf("%w: the device's name has %d bytes, at most %d fit", message.ErrTooLarge, len(m.Device), maxName)
	}
	urgent := s.opts.Urgent != nil && s.opts.Urgent(m)
	q.mu.Lock()
	for {
		now, err := q.admitLocked(size, urgent)
		if err != nil {
			q.mu.Unlock()
			return err
		}
		if now {
			break
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		q.mu.Lock()
	}
	g := q.openLocked(m, size)
	before := len(g.plain)
	g.add(m, size, ack, token)
	q.bytes += len(g.plain) - before
	q.next++
	call := !q.called
	q.called = true
	q.mu.Unlock()
	if call {
		q.wake()
	}
	return nil
}

// Largest is the size of the largest message that Append takes, with all its names and a few bytes
// of framing.
func (s *Store) Largest() int { return s.queue.largest }

// admitLocked says whether size bytes may join now. Without an error they may later.
func (q *queue) admitLocked(size int, urgent bool) (now bool, err error) {
	now = q.bytes == 0 || q.bytes+size <= q.bound
	switch {
	case q.closed:
		return false, message.ErrClosed
	case q.failure != nil:
		return false, q.failure
	case !q.full:
		return now, nil
	case urgent && size <= q.spare:
		if now {
			q.spare -= size
		}
		return now, nil
	case q.drops:
		return false, nil
	}
	return false, message.ErrFull
}

// openLocked gives the group that m joins.
func (q *queue) openLocked(m *message.Message, size int) *group {
	if n := len(q.groups); n > 0 && q.groups[n-1].fits(m, size) {
		return q.groups[n-1]
	}
	g := &group{first: q.next, plain: make([]byte, 0, max(q.hint, size))}
	q.groups = append(q.groups, g)
	return g
}

// wake tells the committer that there is something to do.
func (q *queue) wake() {
	select {
	case q.wanted <- struct{}{}:
	default:
	}
}

// take gives the oldest group, or nil; its bytes count as waiting until release.
func (q *queue) take() *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.called = false
	if len(q.groups) == 0 {
		return nil
	}
	g := q.groups[0]
	q.groups[0] = nil
	q.groups = q.groups[1:]
	if len(q.groups) == 0 {
		q.groups = nil
	}
	// A little more than last time, so that a steady load seldom grows its buffer.
	q.hint = min(len(g.plain)+len(g.plain)/8+64, blockPayload)
	return g
}

func (q *queue) release(g *group) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= len(g.plain)
	q.changedLocked()
}

func (q *queue) changedLocked() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// setFull says whether there is want of space, and whether dropping will make some, so that producers
// wait for it and are not refused.
func (q *queue) setFull(full, drops bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !full || !q.full {
		q.spare = q.reserve
	}
	q.full, q.drops = full, drops
	q.changedLocked()
}

// waitsForSpace says whether producers are held back until dropping has made room.
func (q *queue) waitsForSpace() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full && q.drops
}

// close refuses everything from now on; what was accepted stays.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changedLocked()
}

// fail refuses everything from now on because the disk cannot be trusted. The first cause stays.
func (q *queue) fail(cause error) (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failure != nil {
		return false
	}
	q.failure = fmt.Errorf("%w: %v", message.ErrFailed, cause)
	q.changedLocked()
	return true
}

func (q *queue) failed() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failure
}

func (q *queue) status() (full, closed bool, failure error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full, q.closed, q.failure
}
