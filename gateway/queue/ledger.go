package queue

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"sluice/gateway/message"
)

// A ledger keeps messages of which something is still to come: delayed ones until they are due, half
// messages until their producer has decided. An entry is a message in a hidden topic of the log; a mark,
// in a second one, lists entries that are done with. Nothing is written per entry but the entry. Memory
// has a small struct for each that is not done, made again from the log when the ledger is loaded.
//
// The log is durable in its order. So an entry is done with as soon as what became of it has a place in
// the log: the mark comes behind it, and no kill leaves the mark without it. A kill between the two makes
// it happen again.
//
// What is not done pins the log. An entry that stands far behind the tail is therefore rolled: appended
// once more at the tail, and the old one marked.
type ledger struct {
	log       Log
	topic     string // of the entries, as the log has it
	marks     string // of the marks
	most      int    // entries
	rollBytes int64
	grace     time.Duration // that nothing is due after a load
	report    *slog.Logger
	ready     chan struct{} // closed once the ledger is loaded
	wake      chan struct{} // capacity 1: there is something to do

	mu       sync.Mutex // guards what follows
	clock    clock
	entries  map[uint64]*entry // by order
	dues     dues
	oldest   *entry // by offset, linked
	newest   *entry
	bytes    int64 // of the entries
	adding   map[*addition]struct{}
	next     uint64 // the offset behind the last entry that is known
	finished []finish
	checked  []*entry            // whose count of checks is not in the log
	marking  bool                // a mark is on its way
	written  []span              // the marks that still say something
	noted    int64               // when the clock was written last
	held     time.Time           // nothing is due before
	low      [2]int64            // offsets that the log was told: all before is done with; of entries, of marks
	absent   map[uint64]struct{} // producer groups that could not be asked
	lost     uint64
	closed   bool // nobody writes marks any more
}

// addition is an entry on its way into the log. Its position, which is not known yet, is behind floor.
type addition struct{ floor message.Position }

// finish is an offset that the next mark will list, of an entry unless it was only a copy.
type finish struct {
	offset uint64
	entry  *entry
	heard  func(error) // unless nil: told when the mark is durable
}

// errTaken says that somebody else is at the entry.
var errTaken = fmt.Errorf("%w: it is being dealt with", ErrNoMessage)

func newLedger(log Log, topic, marks string, options Options) *ledger {
	return &ledger{
		log: log, topic: logTopic(topic), marks: logTopic(marks), most: options.Waiting, rollBytes: options.RollBytes,
		report: options.Log, ready: make(chan struct{}), wake: make(chan struct{}, 1),
		entries: make(map[uint64]*entry), absent: make(map[uint64]struct{}), adding: make(map[*addition]struct{}), low: [2]int64{-1, -1},
	}
}

// known waits until the ledger is loaded.
func (l *ledger) known(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add puts m, which is of this ledger's topic, behind the others; the entry counts when done hears that it
// is durable. due tells when it is, in the ledger's clock.
func (l *ledger) add(ctx context.Context, m *Message, key uint64, due func(*clock, time.Time) int64, done func(Sent, error)) error {
	if err := l.known(ctx); err != nil {
		return err
	}
	tail, _ := l.log.Tail()
	now := time.Now()
	a := &addition{floor: tail}
	l.mu.Lock()
	if len(l.entries)+len(l.adding) >= l.most {
		l.mu.Unlock()
		return fmt.Errorf("%w: %d messages wait already", message.ErrFull, l.most)
	}
	l.adding[a] = struct{}{}
	n := note{due: max(due(&l.clock, now), 0), clock: l.clock.at(now), since: l.clock.at(now)}
	l.mu.Unlock()

	into := m.logged()
	into.Properties = append(into.Properties, message.Property{Name: ledgerNote, Value: n.String()})
	into.Time = now.UnixMilli()
	size := sizeOf(into)
	err := publish(ctx, l.log.Publish, into, func(sent Sent, err error) {
		l.mu.Lock()
		delete(l.adding, a)
		if err == nil {
			n.order, n.origin = sent.Offset, sent.Position
			l.insertLocked(&entry{note: n, offset: sent.Offset, at: sent.Position, key: key, size: size})
		}
		first := err == nil && l.dues[0].order == n.order
		l.mu.Unlock()
		if first {
			l.stir()
		}
		done(sent, err)
	})
	if err != nil {
		l.mu.Lock()
		delete(l.adding, a)
		l.mu.Unlock()
	}
	return err
}

// sizeOf is about what a message takes in the log.
func sizeOf(m *message.Message) int {
	size := len(m.Topic) + len(m.Payload) + 32
	for _, p := range m.Properties {
		size += len(p.Name) + len(p.Value) + 4
	}
	return size
}

// stir lets run look what there is to do.
func (l *ledger) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// insertLocked makes an entry known.
func (l *ledger) insertLocked(e *entry) {
	l.entries[e.order] = e
	l.linkLocked(e)
	heap.Push(&l.dues, e)
	l.bytes += int64(e.size)
}

// linkLocked puts e in its place by offset, which is near the end.
func (l *ledger) linkLocked(e *entry) {
	l.next = max(l.next, e.offset+1)
	before := l.newest
	for before != nil && before.offset > e.offset {
		before = before.older
	}
	e.older = before
	if before == nil {
		e.newer, l.oldest = l.oldest, e
	} else {
		e.newer, before.newer = before.newer, e
	}
	if e.newer == nil {
		l.newest = e
	} else {
		e.newer.older = e
	}
}

func (l *ledger) unlinkLocked(e *entry) {
	if e.older == nil {
		l.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		l.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
}

// take gives an entry to the caller alone, who must finish it or putBack it. errTaken when somebody else
// has it, ErrNoMessage when it is not there.
func (l *ledger) take(order uint64, of message.Position) (*entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, there := l.entries[order]
	switch {
	case !there || e.origin != of:
		return nil, fmt.Errorf("%w: at %d, offset %d", ErrNoMessage, of, order)
	case e.index == untimed:
		return nil, errTaken
	}
	heap.Remove(&l.dues, e.index)
	return e, nil
}

// takeDue gives those whose time has come, oldest first, to the caller alone.
func (l *ledger) takeDue(most int) (due []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.held) {
		return nil
	}
	for now := l.clock.now(); len(due) < most && len(l.dues) > 0 && l.dues[0].due <= now; {
		due = append(due, heap.Pop(&l.dues).(*entry))
	}
	return due
}

// postponeDue gives those whose time has come, and lets it come again after a while: they stay everybody's.
func (l *ledger) postponeDue(most int, after time.Duration) (due []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.now()
	for len(due) < most && len(l.dues) > 0 && l.dues[0].due <= now {
		e := l.dues[0]
		e.due = now + max(after.Milliseconds(), 1)
		heap.Fix(&l.dues, 0)
		due = append(due, e)
	}
	return due
}

// putBack returns an entry that was taken.
func (l *ledger) putBack(e *entry) {
	l.mu.Lock()
	heap.Push(&l.dues, e)
	l.mu.Unlock()
	l.stir()
}

// finish says that an entry that was taken is done with. heard, unless nil, is told when no kill brings it
// back, or that the log does not take that: then the entry is as it was. Until then it pins the log.
func (l *ledger) finish(e *entry, heard func(error)) {
	l.mu.Lock()
	if l.closed && heard != nil {
		heap.Push(&l.dues, e)
		l.mu.Unlock()
		heard(message.ErrClosed)
		return
	}
	e.done = true
	l.finished = append(l.finished, finish{e.offset, e, heard})
	marking := l.marking
	l.mu.Unlock()
	if !marking { // else it is looked when that mark is durable
		l.stir()
	}
}

// counted notes that the producer of an entry was asked once more.
func (l *ledger) counted(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.checks++
	e.missed = false
	l.checked = append(l.checked, e)
}

// read gives the record of an entry; ErrNoMessage when the log has it no more.
func (l *ledger) read(e *entry) (*message.Record, error) {
	l.mu.Lock()
	at := e.at
	l.mu.Unlock()
	found, err := l.log.Read(nil, at, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].Position != at {
		return nil, fmt.Errorf("%w: at %d", ErrNoMessage, at)
	}
	return &found[0], nil
}

// forgo gives an entry up that cannot be had any more: the disk's limit took it, or damage did.
func (l *ledger) forgo(e *entry, cause error) {
	l.mu.Lock()
	l.lost++
	first := l.lost == 1
	l.mu.Unlock()
	if first { // the rest is counted
		l.report.Error("a message that was to come later is lost", "topic", rocketTopic(l.topic), "position", e.at, "err", cause)
	}
	l.finish(e, nil)
}

// passed is the position up to which the ledger wants nothing any more, 0 before it is loaded.
func (l *ledger) passed() message.Position {
	select {
	case <-l.ready:
	default:
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	passed := l.floorLocked()
	if l.oldest != nil {
		passed = min(passed, l.oldest.at-1)
	}
	return passed
}

// floorLocked is a position that whatever is on its way into the log is behind.
func (l *ledger) floorLocked() message.Position {
	floor := message.Position(math.MaxUint64)
	for a := range l.adding {
		floor = min(floor, a.floor)
	}
	return floor
}

// count gives how many entries there are, and how many were lost.
func (l *ledger) count() (entries int, lost uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries), l.lost
}
