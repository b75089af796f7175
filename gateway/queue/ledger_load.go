package queue

import (
	"container/heap"
	"context"
	"slices"
	"time"

	"sluice/gateway/message"
)

// loadRecords is how many records are read at once.
const loadRecords = 256

// load makes the ledger known from the log, as often as it takes; false when ctx ended first.
func (l *ledger) load(ctx context.Context) bool {
	for complained := false; ; {
		err := l.loadOnce()
		if err == nil {
			close(l.ready)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if !complained {
			complained = true
			l.report.Warn("cannot read what is to come later", "topic", rocketTopic(l.topic), "err", err, "retry_in", retryAfter)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return false
		}
	}
}

// loading is what a load has found.
type loading struct {
	latest      message.Position // of a record that had the clock
	clock, wall int64            // as of then
	done        []uint64
	checks      map[uint64]int
}

func (l *ledger) loadOnce() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resetLocked()
	found := loading{checks: make(map[uint64]int)}
	_, err := l.each(l.marks, l.from(l.marks, 1), func(r *message.Record) {
		m, err := readMark(r.Payload)
		if err != nil {
			return // nothing of ours
		}
		found.saw(r, m.clock)
		found.done = append(found.done, m.done...)
		for _, c := range m.checks {
			found.checks[c.offset] = max(found.checks[c.offset], c.times)
		}
		l.written = append(l.written, span{r.QueueOffset, m.end()})
	})
	if err != nil {
		return err
	}
	slices.Sort(found.done)
	l.next, err = l.each(l.topic, l.from(l.topic, 0), func(r *message.Record) { l.foundLocked(&found, r) })
	l.clock.resume(found.clock, found.wall, time.Now())
	l.noted = l.clock.now()
	for _, e := range l.dues {
		e.due = max(e.due, l.noted+l.grace.Milliseconds())
	}
	heap.Init(&l.dues)
	return err
}

func (l *ledger) resetLocked() {
	l.entries, l.dues, l.oldest, l.newest = make(map[uint64]*entry), nil, nil, nil
	l.finished, l.written, l.bytes, l.next = nil, nil, 0, 0
}

// from is the offset that a load begins at. A log that lost its end may have lost the messages that an
// offset was about.
func (l *ledger) from(topic string, queue int) uint64 {
	low, known := l.log.Offset(lowGroup, l.topic, queue)
	_, next, err := l.log.QueueRange(topic, 0)
	if !known || err != nil || uint64(low) > next {
		return 0
	}
	return uint64(low)
}

// each visits what a topic has from an offset on, and gives that behind the last.
func (l *ledger) each(topic string, from uint64, visit func(*message.Record)) (end uint64, err error) {
	_, end, err = l.log.QueueRange(topic, 0)
	for err == nil && from < end {
		var records []message.Record
		var next uint64
		records, next, err = l.log.ReadQueue(nil, topic, 0, from, loadRecords)
		for i := range records {
			visit(&records[i])
		}
		if len(records) == 0 && next <= from {
			break
		}
		from = max(from, next)
		if n := len(records); n > 0 {
			from = max(from, records[n-1].QueueOffset+1)
		}
	}
	return end, err
}

// saw notes what the clock was at a record.
func (f *loading) saw(r *message.Record, clock int64) {
	if r.Position > f.latest {
		f.latest, f.wall = r.Position, r.Time
	}
	f.clock = max(f.clock, clock)
}

// foundLocked takes an entry up unless it is done with. Of one that was rolled the copy counts: a kill may
// have come before the mark of what it was copied from.
func (l *ledger) foundLocked(found *loading, r *message.Record) {
	text, _ := r.Property(ledgerNote)
	n, ok := readNote(text)
	if !ok {
		return // nothing of ours
	}
	found.saw(r, n.clock)
	if n.origin == 0 {
		n.order, n.origin = r.QueueOffset, r.Position
	}
	if _, done := slices.BinarySearch(found.done, r.QueueOffset); done {
		return
	}
	n.checks = max(n.checks, found.checks[r.QueueOffset])
	e := &entry{note: n, offset: r.QueueOffset, at: r.Position, key: recallKey(r), size: sizeOf(&r.Message)}
	if old, twice := l.entries[e.order]; twice {
		e.checks = max(e.checks, old.checks)
		l.moveLocked(old, e.offset, e.at)
		old.checks = e.checks
		return
	}
	l.insertLocked(e)
}
