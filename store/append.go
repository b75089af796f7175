package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/message"
)

// A group is what one transaction makes durable: one block under construction, who waits for it,
// and the last sequence number of each device in it.
type group struct {
	first    message.Position
	count    uint32
	plain    []byte
	chunks   []chunk          // the last one is open
	base     int64            // time of the first message
	before   int64            // time of the message before the next, or base at the start of a chunk
	opened   message.Position // of the first message in the open chunk
	refs     *queueRefs
	touched  []touched // the queues that have a message in it
	waiters  []waiter
	notes    []note  // for the small state
	moves    []*move // of cursors, in the same transaction
	devices  map[string]groupDevice
	nameSize int // bytes of the names in devices

	// guarded by the queue's mutex
	urgent bool      // somebody waits for it, or enough has gathered
	until  time.Time // how long it may wait for company otherwise
}

// groupDevice is what a group knows of one device in it.
type groupDevice struct {
	deviceMark
	readings int
}

type waiter struct {
	ack   message.Acknowledger
	token uint64
	index uint32 // of the message in its group
}

const (
	// A transaction of the tiny LSM holds few entries and bytes: see batch.
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

// add puts m, which has this place in a queue, behind what is there. It gives the number of readings
// that the group now has of m's device, 0 when m is none.
func (g *group) add(m *message.Message, in queuePlace, size int, ack message.Acknowledger, token uint64) (readings int) {
	at := g.put(m, in, size)
	if ack != nil {
		g.waiters = append(g.waiters, waiter{ack, token, uint32(at - g.first)})
	}
	if m.Device != "" {
		if g.devices == nil {
			g.devices = make(map[string]groupDevice)
		}
		before, known := g.devices[m.Device]
		if !known {
			g.nameSize += len(m.Device)
		}
		readings = before.readings + 1
		g.devices[m.Device] = groupDevice{deviceMark{m.Seq, at}, readings}
	}
	return readings
}

// put writes m's record behind what is there, and gives its position.
func (g *group) put(m *message.Message, in queuePlace, size int) (at message.Position) {
	at = g.first + message.Position(g.count)
	if g.count == 0 {
		g.base, g.before = m.Time, m.Time
	}
	if open := len(g.chunks) - 1; open < 0 || len(g.plain)-g.chunkStart(open)+size > chunkPayload {
		g.chunks = append(g.chunks, chunk{end: len(g.plain)})
		g.before = g.base
		g.opened = at
	}
	if g.refs == nil {
		g.refs = new(queueRefs)
	}
	g.plain = appendRecord(g.plain, m, g.before, g.refs.refer(in, at, g.opened))
	g.before = m.Time
	open := &g.chunks[len(g.chunks)-1]
	open.end = len(g.plain)
	open.records++

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
	bound   int                                 // bytes that may wait
	largest int                                 // bytes that one message may have
	reserve int                                 // bytes of urgent messages that are taken when the disk is full
	urgent  func(*message.Message) bool         // says which those are; nil says none
	noteOf  func(*message.Message) (note, bool) // what a message means for the small state; nil: nothing
	queues  *queueTable
	linger  time.Duration // of what nobody waits for
	wanted  chan struct{} // capacity 1: there is something to commit, or a clock to set
	filled  chan struct{} // capacity 1: a group can be joined no more

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
	hint    hint
	refs    queueRefs
	called  bool // the committer knows that something is due
}

// hint is the size of the last group: what the next one is likely to need.
type hint struct{ plain, waiters, chunks, queues int }

func newQueue(o Options) queue {
	return queue{
		bound: o.PendingBytes, largest: o.largestMessage(), linger: o.Linger,
		reserve: int(o.FileSize / 2), urgent: o.Urgent, noteOf: o.noteOf, queues: newQueueTable(queueMemory),
		wanted: make(chan struct{}, 1), filled: make(chan struct{}, 1),
	}
}

// Append takes a copy of m and returns once m has its place in the sequence; ack, unless nil, hears
// later whether it became durable. It blocks while too much waits for the disk. An error means that
// m was not taken: message.ErrFull, ErrTooLarge, ErrClosed, ErrFailed, or ctx's.
func (s *Store) Append(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	_, err := s.queue.append(ctx, m, ack, token, false)
	return err
}

// AppendQueue is Append that gives the offset in its queue too, which counts once ack has heard that m is
// durable; ack may hear it before AppendQueue returns. Without a queue it means nothing.
func (s *Store) AppendQueue(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (offset uint64, err error) {
	return s.queue.append(ctx, m, ack, token, false)
}

// AppendUpkeep is AppendQueue for what must be written so that space can be freed: a log that refuses takes it
// too, from the reserve of urgent messages, half of which it leaves to those.
func (s *Store) AppendUpkeep(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (offset uint64, err error) {
	return s.queue.appendKept(ctx, m, ack, token, false, s.queue.reserve/2, nil)
}

// AppendLazy does the same for what nobody waits for: it may share its sync with what comes within
// Options.Linger. Whatever cannot wait, a message of Append, a cursor, a full group, producers held
// back, or 32 readings of one device, takes it along.
func (s *Store) AppendLazy(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	_, err := s.queue.append(ctx, m, ack, token, s.queue.linger > 0)
	return err
}

func (q *queue) append(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64, lazy bool) (offset uint64, err error) {
	leaves := q.reserve
	if q.urgent != nil && q.urgent(m) {
		leaves = 0
	}
	return q.appendKept(ctx, m, ack, token, lazy, leaves, nil)
}

// appendKept appends, with the move of a cursor in the same transaction unless that is nil; a full queue takes
// it if it leaves so much of the reserve.
func (q *queue) appendKept(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64, lazy bool, leaves int, with *move) (offset uint64, err error) {
	size := recordBound(m)
	if size > q.largest {
		return 0, fmt.Errorf("%w: %d bytes, at most %d fit", message.ErrTooLarge, size, q.largest)
	}
	if len(m.Device) > maxName {
		return 0, fmt.Errorf("%w: the device's name has %d bytes, at most %d fit", message.ErrTooLarge, len(m.Device), maxName)
	}
	if err := checkQueue(m); err != nil {
		return 0, err
	}
	q.mu.Lock()
	for {
		now, err := q.admitLocked(size, leaves)
		if err != nil {
			q.mu.Unlock()
			return 0, err
		}
		if now {
			break
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		call := q.callLocked() // a group that lingers must not hold anybody back
		q.mu.Unlock()
		if call {
			q.wake()
		}
		select {
		case <-room:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		q.mu.Lock()
	}
	g := q.openLocked(m, size, with)
	before := len(g.plain)
	if q.noteOf != nil {
		if n, ok := q.noteOf(m); ok {
			n.index = g.count
			g.notes = append(g.notes, n)
		}
	}
	if with != nil {
		with.index = g.count
		g.moves = append(g.moves, with)
	}
	in := q.queues.assign(m, g, q.next)
	readings := g.add(m, in, size, ack, token)
	q.bytes += len(g.plain) - before
	q.next++
	g.urgent = g.urgent || !lazy || readings >= lingerReadings
	call := false
	switch {
	case g.urgent || len(q.groups) > 1:
		call = q.callLocked()
	case g.count == 1:
		g.until = time.Now().Add(q.linger)
		call = true // for its clock
	}
	q.mu.Unlock()
	if call {
		q.wake()
	}
	return in.offset, nil
}

// Largest is the size of the largest message that Append takes, with all its names and a few bytes
// of framing.
func (s *Store) Largest() int { return s.queue.largest }

// admitLocked says whether size bytes may join now; when the disk is full, if they leave so much of the
// reserve. Without an error they may later.
func (q *queue) admitLocked(size, leaves int) (now bool, err error) {
	now = q.bytes == 0 || q.bytes+size <= q.bound
	switch {
	case q.closed:
		return false, message.ErrClosed
	case q.failure != nil:
		return false, q.failure
	case !q.full:
		return now, nil
	case size+leaves <= q.spare:
		if now {
			q.spare -= size
		}
		return now, nil
	case q.drops:
		return false, nil
	}
	return false, message.ErrFull
}

// callLocked says whether the committer must be told that something is due.
func (q *queue) callLocked() bool {
	call := !q.called
	q.called = true
	return call
}

// openLocked gives the group that m joins.
func (q *queue) openLocked(m *message.Message, size int, with *move) *group {
	if n := len(q.groups); n > 0 {
		if last := q.groups[n-1]; last.fits(m, size) && (with == nil || len(last.moves) < groupMoves) {
			return last
		}
		signal(q.filled)
	}
	g := &group{first: q.next, refs: &q.refs, plain: make([]byte, 0, max(q.hint.plain, size))}
	if q.hint.waiters > 1 {
		g.waiters = make([]waiter, 0, q.hint.waiters)
		g.chunks = make([]chunk, 0, q.hint.chunks)
	}
	if q.hint.queues > 1 {
		g.touched = make([]touched, 0, q.hint.queues)
	}
	q.groups = append(q.groups, g)
	return g
}

// wake tells the committer that there is something to do.
func (q *queue) wake() { signal(q.wanted) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take says which group the committer wants.
type take int

const (
	takeFull take = iota // one that nothing can join any more
	takeDue              // one that does not linger
	takeAny
)

// take gives the oldest group if it is what is wanted, or nil; its bytes count as waiting until
// release.
func (q *queue) take(which take) *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case which == takeFull && len(q.groups) < 2:
		return nil
	case which == takeDue && len(q.groups) > 0 && q.waitLocked() > 0:
		q.called = false
		return nil
	case len(q.groups) == 0:
		q.called = false
		return nil
	}
	g := q.groups[0]
	q.groups[0] = nil
	q.groups = q.groups[1:]
	if len(q.groups) == 0 {
		q.groups = nil
		q.called = false
	}
	// A little more than last time, so that a steady load seldom grows its buffers; large and small groups
	// often take turns.
	plain := max(len(g.plain)+len(g.plain)/8+64, q.hint.plain*7/8)
	q.hint = hint{min(plain, blockPayload), len(g.waiters) + len(g.waiters)/8 + 1, len(g.chunks), len(g.touched) + len(g.touched)/8}
	return g
}

// waitLocked is how long the oldest group may wait for company.
func (q *queue) waitLocked() time.Duration {
	if len(q.groups) > 1 || q.groups[0].urgent || q.room != nil || q.closed {
		return 0
	}
	return max(0, time.Until(q.groups[0].until))
}

// due says how long the oldest group may still wait; ok is false when there is none.
func (q *queue) due() (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.groups) == 0 {
		return 0, false
	}
	return q.waitLocked(), true
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
	if q.full == full && q.drops == drops {
		return // whoever waits would only look again, and call the committer, which comes here again
	}
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
