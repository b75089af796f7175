package store

import (
	"bytes"
	"fmt"
	"sort"
	"sync"

	"sluice/gateway/message"
)

// queueFirsts remember which offset of a queue is the first in the log: of queues that were asked for, and
// of those beside them in the index, which are likely to be asked for next.
type queueFirsts struct {
	mu    sync.Mutex // guards what follows
	known map[queueID]queueFirst
	seen  map[indexPage]keySpan // pages that known has all of, in these spans, as of head
	head  message.Position
	round int // how often everything was forgotten
}

type queueFirst struct {
	offset uint64
	last   message.Position // it holds as long as this position is not trimmed
}

type indexPage struct {
	run  uint64
	page int
}

// keySpan are the keys from low to before high, which is nil when there is no end.
type keySpan struct{ low, high []byte }

func (k keySpan) holds(key []byte) bool {
	return bytes.Compare(key, k.low) >= 0 && (k.high == nil || bytes.Compare(key, k.high) < 0)
}

// within gives what a span has in common with that from low to high.
func (k keySpan) within(low, high []byte) keySpan {
	if bytes.Compare(low, k.low) > 0 {
		k.low = low
	}
	if k.high == nil || high != nil && bytes.Compare(high, k.high) < 0 {
		k.high = high
	}
	return k
}

const queueFirstsMost = 16 << 10 // of about 50 bytes

func (q *queueFirsts) of(queue queueID, head message.Position) (offset uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, known := q.known[queue]
	return first.offset, known && first.last >= head
}

func (q *queueFirsts) set(queue queueID, first queueFirst) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roomLocked(1)
	if first.last > q.known[queue].last { // who looked before the head moved may come late
		q.known[queue] = first
	}
}

// roomLocked forgets everything when there is no room for n more.
func (q *queueFirsts) roomLocked(n int) {
	if q.known == nil || len(q.known)+n > queueFirstsMost {
		q.known, q.seen = make(map[queueID]queueFirst), make(map[indexPage]keySpan)
		q.round++
	}
}

// begin tells which round it is. What was seen with another head counts no more.
func (q *queueFirsts) begin(head message.Position) (round int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roomLocked(0)
	if q.head != head {
		q.head = head
		clear(q.seen)
	}
	return q.round
}

// has says whether everything on a page about a key has been noted.
func (q *queueFirsts) has(round int, head message.Position, page indexPage, key []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	span, seen := q.seen[page]
	return seen && q.round == round && q.head == head && span.holds(key)
}

// note takes in what a page says about the queues in a span, of which earlier runs have been looked at in
// this round. It refuses when they may have been forgotten.
func (q *queueFirsts) note(round int, head message.Position, page indexPage, span keySpan, found map[queueID]queueFirst) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.roomLocked(len(found)); q.round != round || q.head != head {
		return false
	}
	for queue, first := range found {
		if known, ok := q.known[queue]; !ok || known.last < head {
			q.known[queue] = first
		}
	}
	q.seen[page] = span
	return true
}

// QueueRange gives the offset of the first message of a queue that is still in the log, and that of
// the message that comes next: so many durable ones the queue has had. They are equal when all are
// trimmed, and both 0 for a queue that never had any.
func (s *Store) QueueRange(topic string, queue int) (min, next uint64, err error) {
	w, err := s.openQueue(topic, queue)
	if err != nil {
		return 0, 0, err
	}
	if w == nil {
		return 0, 0, nil
	}
	defer s.use.RUnlock()
	next = w.durable
	head, _ := s.index.ends()
	if w.at < head {
		return next, next, nil
	}
	firsts := &s.queues.firsts
	if min, ok := firsts.of(w.id, head); ok {
		return min, next, nil
	}
	from, err := s.noteFirsts(w.id, head)
	if min, ok := firsts.of(w.id, head); ok {
		return min, next, nil
	}
	if err == nil || unreadable(err) { // the walk tells what is wrong with the index, and does without
		min, err = w.first(from)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("range of queue %d of %q: %w", queue, topic, err)
	}
	return min, next, nil
}

// first looks for the queue's first message from a position on.
func (w *queueWalk) first(from message.Position) (min uint64, err error) {
	min = w.durable
	note := func(offset uint64, h header) bool {
		min = offset
		w.s.queues.firsts.set(w.id, queueFirst{offset, h.last()})
		return false
	}
	err = w.walk(from, func(b queuedBlock, h header) bool {
		return !b.sure || note(b.offset, h) // without reading it
	}, func(r *blockReader, h header) bool { return note(r.queueOffset(), h) })
	return min, err
}

// noteFirsts looks the queue up in the runs from the head on, until one has it, and notes the first offsets
// of all queues on the same pages: to read a page for each of them would take as long again. Before the
// position that it gives there is nothing of the queue, unless its first offset is known now.
func (s *Store) noteFirsts(queue queueID, head message.Position) (from message.Position, err error) {
	key := []byte(s.queues.key(queue))
	firsts := &s.queues.firsts
	round := firsts.begin(head)
	span := keySpan{}
	for from = head; ; {
		r := s.postings.runAt(from)
		if r == nil {
			return from, nil
		}
		at, err := s.rootOf(r)
		if err != nil {
			return from, err
		}
		fences := at.fences[queueEntriesKind]
		n := sort.Search(len(fences), func(i int) bool { return bytes.Compare(fences[i], key) > 0 }) - 1
		low, high := []byte(nil), []byte(nil)
		if n >= 0 {
			low = fences[n]
		}
		if n+1 < len(fences) {
			high = fences[n+1]
		}
		span = span.within(low, high)
		page := indexPage{r.id, n}
		if n >= 0 && !firsts.has(round, head, page, key) {
			found, err := s.firstsOn(page, at, from, span)
			if err != nil {
				return from, err
			}
			if !firsts.note(round, head, page, span, found) {
				if first, ok := found[queue]; ok {
					firsts.set(queue, first)
				}
				return from, nil
			}
			if _, ok := found[queue]; ok {
				return from, nil
			}
		}
		from = r.last + 1
	}
}

// runAt gives the run that covers a position, nil when there is none.
func (p *postings) runAt(at message.Position) *run {
	p.mu.RLock()
	defer p.mu.RUnlock()
	i := sort.Search(len(p.runs), func(i int) bool { return p.runs[i].last >= at })
	if i == len(p.runs) || p.runs[i].first > at {
		return nil
	}
	return p.runs[i]
}

// firstsOn gives what a page says about the first offsets from a position on.
func (s *Store) firstsOn(page indexPage, at *root, from message.Position, span keySpan) (map[queueID]queueFirst, error) {
	plain, err := s.page(page.run, kindQueue, uint32(page.page))
	if err != nil {
		return nil, err
	}
	found := make(map[queueID]queueFirst)
	entries := entryReader{plain: plain, queues: true}
	for entries.next() {
		if int(entries.blocks[len(entries.blocks)-1]) >= len(at.lasts) {
			return nil, fmt.Errorf("%w: index run %d speaks of a block that it has not", errValue, page.run)
		}
		if !span.holds(entries.key) {
			continue
		}
		if queue, ok := s.queues.idOf(entries.key); ok {
			if first, ok := s.firstOf(at, &entries, from); ok {
				found[queue] = first
			}
		}
	}
	return found, entries.err
}

// firstOf gives what the present entry says about its queue.
func (s *Store) firstOf(at *root, e *entryReader, from message.Position) (queueFirst, bool) {
	n := sort.Search(len(e.blocks), func(i int) bool { return at.lasts[e.blocks[i]] >= from })
	for ; n < len(e.blocks); n++ {
		block := at.block(e.blocks[n])
		if h, ok := s.index.find(max(block.first, from)); ok && h.first <= block.last { // else it is gone
			return queueFirst{e.offsets[n], h.last()}, true
		}
	}
	return queueFirst{}, false
}

// idOf is the reverse of key.
func (q *queueTable) idOf(key []byte) (queueID, bool) {
	end := len(key) - 2 // the zero byte and the number
	if end <= 0 || key[end] != 0 || key[end+1] >= message.MaxQueues {
		return 0, false
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	t := q.topics[string(key[:end])]
	if t == nil {
		return 0, false
	}
	return t.queue(key[end+1]), true
}
