package queue

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"sluice/gateway/message"
)

// mark is what one message of a ledger's second topic says.
type mark struct {
	clock  int64
	done   []uint64 // offsets of entries that are done with, growing
	checks []checks // growing
}

// checks is how often the producer of an entry was asked.
type checks struct {
	offset uint64
	times  int
}

// span is where a mark is, and the offset behind the last that it speaks of.
type span struct{ offset, end uint64 }

const (
	markOffsets = 4096 // in one mark, of each kind
	markVersion = 1
	retryAfter  = time.Second // when the log takes nothing
	noteEvery   = time.Minute // that the clock is written when the wall clock could not tell the time between runs
)

// lowGroup is the group whose offsets tell from where on a ledger is to be read. No consumer can have this
// name.
const lowGroup = "$ledger"

// write appends a mark with what is finished and checked, unless one is on its way: what comes meanwhile
// shares the next.
func (l *ledger) write(ctx context.Context) {
	l.mu.Lock()
	now := time.Now()
	l.clock.set(now)
	m := mark{clock: l.clock.at(now)}
	clockDue := len(l.entries) > 0 && now.UnixMilli() < knownWall && m.clock-l.noted >= noteEvery.Milliseconds()
	if l.marking || len(l.finished)+len(l.checked) == 0 && !clockDue {
		l.mu.Unlock()
		return
	}
	finished := slices.Clone(l.finished[:min(len(l.finished), markOffsets)])
	l.finished = slices.Delete(l.finished, 0, len(finished))
	checked := slices.Clone(l.checked[:min(len(l.checked), markOffsets)])
	l.checked = slices.Delete(l.checked, 0, len(checked))
	for _, f := range finished {
		m.done = append(m.done, f.offset)
	}
	for _, e := range checked {
		m.checks = append(m.checks, checks{e.offset, e.checks})
	}
	l.marking, l.noted = true, m.clock
	l.mu.Unlock()

	m.sort()
	into := &message.Message{Topic: l.marks, Time: now.UnixMilli(), QoS: 1, Payload: m.append(nil)}
	written := func(sent Sent, err error) {
		l.marked(finished, span{sent.Offset, m.end()}, err)
	}
	if err := publish(ctx, l.log.PublishUpkeep, into, written); err != nil {
		l.refused(finished, checked, err)
	}
}

// refused returns what the log did not take. Who waits for it hears so, and has to come again.
func (l *ledger) refused(finished []finish, checked []*entry, err error) {
	l.mu.Lock()
	l.marking = false
	l.checked = append(checked, l.checked...)
	kept := make([]finish, 0, len(finished)+len(l.finished))
	for _, f := range finished {
		if f.heard == nil {
			kept = append(kept, f)
			continue
		}
		f.entry.done = false
		heap.Push(&l.dues, f.entry)
	}
	l.finished = append(kept, l.finished...)
	l.mu.Unlock()
	for _, f := range finished {
		if f.heard != nil {
			f.heard(err)
		}
	}
}

// marked forgets what is durably done with. A failed log takes nothing any more: what was not marked is
// found again when it is opened.
func (l *ledger) marked(finished []finish, at span, err error) {
	l.mu.Lock()
	l.marking = false
	if err == nil {
		l.written = append(l.written, at)
		for _, f := range finished {
			if f.entry != nil {
				l.unlinkLocked(f.entry)
				l.bytes -= int64(f.entry.size)
				delete(l.entries, f.entry.order)
			}
		}
	}
	l.mu.Unlock()
	for _, f := range finished {
		if f.heard != nil {
			f.heard(err)
		}
	}
	l.stir()
}

// settle tells the log from where on the ledger would have to be read. Both offsets are in one value of the
// log, and that of the marks follows: a kill between them leaves marks too many, never too few.
func (l *ledger) settle() {
	l.mu.Lock()
	low := l.low
	switch floor := l.floorLocked(); {
	case l.oldest == nil && len(l.adding) == 0:
		low[0] = int64(l.next)
	case l.oldest != nil && l.oldest.at <= floor:
		low[0] = int64(l.oldest.offset)
	}
	for len(l.written) > 1 && int64(l.written[0].end) <= low[0] { // the last says what the clock was
		l.written = l.written[1:]
	}
	if len(l.written) > 0 {
		low[1] = int64(l.written[0].offset)
	}
	changed := low != l.low
	l.low = low
	l.mu.Unlock()
	if !changed {
		return
	}
	for queue, next := range low {
		if next < 0 {
			continue
		}
		if err := l.log.CommitOffset(lowGroup, l.topic, queue, next); err != nil {
			l.report.Debug("cannot note how far a ledger is done", "topic", rocketTopic(l.topic), "err", err)
			return
		}
	}
}

// end is the offset behind the last that m speaks of.
func (m *mark) end() (end uint64) {
	if n := len(m.done); n > 0 {
		end = m.done[n-1] + 1
	}
	if n := len(m.checks); n > 0 {
		end = max(end, m.checks[n-1].offset+1)
	}
	return end
}

func (m *mark) sort() {
	slices.Sort(m.done)
	m.done = slices.Compact(m.done)
	slices.SortStableFunc(m.checks, func(a, b checks) int {
		switch {
		case a.offset < b.offset:
			return -1
		case a.offset > b.offset:
			return 1
		}
		return b.times - a.times // the highest is kept
	})
	m.checks = slices.CompactFunc(m.checks, func(a, b checks) bool { return a.offset == b.offset })
}

// append writes m: version, clock, the done offsets as differences, the checks as difference and count.
func (m *mark) append(b []byte) []byte {
	b = append(b, markVersion)
	b = binary.AppendUvarint(b, uint64(m.clock))
	b = binary.AppendUvarint(b, uint64(len(m.done)))
	before := uint64(0)
	for _, offset := range m.done {
		b = binary.AppendUvarint(b, offset-before)
		before = offset
	}
	b = binary.AppendUvarint(b, uint64(len(m.checks)))
	before = 0
	for _, c := range m.checks {
		b = binary.AppendUvarint(b, c.offset-before)
		b = binary.AppendUvarint(b, uint64(c.times))
		before = c.offset
	}
	return b
}

var errMark = errors.New("not a mark of a ledger")

// readMark reads what append wrote.
func readMark(b []byte) (m mark, err error) {
	if len(b) == 0 || b[0] != markVersion {
		return m, errMark
	}
	in := uvarints{rest: b[1:]}
	m.clock = int64(in.next())
	offset := uint64(0)
	for range in.count() {
		step := in.next()
		if len(m.done) > 0 && step == 0 || offset+step < offset {
			return mark{}, errMark
		}
		offset += step
		m.done = append(m.done, offset)
	}
	offset = 0
	for range in.count() {
		step, times := in.next(), in.next()
		if len(m.checks) > 0 && step == 0 || offset+step < offset || times > 1<<30 {
			return mark{}, errMark
		}
		offset += step
		m.checks = append(m.checks, checks{offset, int(times)})
	}
	if in.bad || len(in.rest) > 0 || m.clock < 0 {
		return mark{}, errMark
	}
	return m, nil
}

// uvarints reads numbers one after the other.
type uvarints struct {
	rest []byte
	bad  bool
}

func (in *uvarints) next() uint64 {
	value, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.rest, in.bad = nil, true
		return 0
	}
	in.rest = in.rest[n:]
	return value
}

// count reads how many numbers follow; each takes a byte at least.
func (in *uvarints) count() int {
	n := in.next()
	if n > uint64(len(in.rest)) {
		in.rest, in.bad = nil, true
		return 0
	}
	return int(n)
}
