package store

import (
	"maps"
	"slices"
	"sort"

	"sluice/gateway/message"
)

// pendingQueues says which of the blocks that are pending hold a queue, and the offset of its first
// message in each. Few queues are asked for, so entries lie in the order of the log, and those of one
// queue are chained back from the last.
type pendingQueues struct {
	last    map[queueID]uint32 // index of a queue's last entry
	entries []pendingQueue
}

type pendingQueue struct {
	first  uint64
	queue  queueID
	before uint32 // the entry before of the same queue; its own index: there is none
	block  uint16
}

const pendingQueueCost = 24 + 16 // an entry, and about its queue's share of the map

// add notes a message, and gives the memory that it took.
func (p *pendingQueues) add(queue queueID, block uint16, offset uint64) int {
	if p.last == nil {
		p.last = make(map[queueID]uint32)
	}
	at := uint32(len(p.entries))
	before, known := p.last[queue]
	if !known {
		before = at
	} else if p.entries[before].block == block {
		return 0
	}
	p.last[queue] = at
	p.entries = append(p.entries, pendingQueue{offset, queue, before, block})
	return pendingQueueCost
}

// each visits a queue's entries from the last to the first until visit returns false.
func (p *pendingQueues) each(queue queueID, visit func(*pendingQueue) bool) {
	at, known := p.last[queue]
	for known && visit(&p.entries[at]) {
		before := p.entries[at].before
		known = before != at
		at = before
	}
}

// write adds the entries to a run in the order of their keys.
func (p *pendingQueues) write(w *runWriter, queues *queueTable) error {
	list := queues.inOrder(slices.Sorted(maps.Keys(p.last)))
	var blocks []uint32
	var offsets []uint64
	for _, k := range list {
		blocks, offsets = blocks[:0], offsets[:0]
		p.each(k.queue, func(e *pendingQueue) bool {
			blocks, offsets = append(blocks, uint32(e.block)), append(offsets, e.first)
			return true
		})
		slices.Reverse(blocks)
		slices.Reverse(offsets)
		if err := w.add(queueEntriesKind, []byte(k.key), blocks, offsets); err != nil {
			return err
		}
	}
	return nil
}

// queueEntry is what a run knows of a queue: the blocks that hold it, each with the offset of its
// first message there.
type queueEntry struct {
	blocks  []hole
	offsets []uint64
}

// queueEntries keeps those that were asked for last.
type queueEntries struct {
	known map[queueEntryKey]*queueEntry
	size  int // blocks in them
}

type queueEntryKey struct {
	run   uint64
	queue queueID
}

const cachedQueueBlocks = 32 << 10 // of 24 bytes

func (q *queueEntries) put(key queueEntryKey, e *queueEntry) {
	if n := 4 + len(e.blocks); q.known == nil || q.size+n > cachedQueueBlocks {
		q.known, q.size = make(map[queueEntryKey]*queueEntry), n
	} else {
		q.size += n
	}
	q.known[key] = e
}

// queueEntry reads what a run knows of a queue, an empty entry when that is nothing.
func (s *Store) queueEntry(r *run, queue queueID) (*queueEntry, error) {
	p := &s.postings
	at := queueEntryKey{r.id, queue}
	p.mu.RLock()
	known := p.entries.known[at]
	p.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	root, err := s.rootOf(r)
	if err != nil {
		return nil, s.lostRun(r, err)
	}
	key := s.queues.key(queue)
	found := &queueEntry{}
	err = s.scan(r, root, queueEntriesKind, []byte(key), func(k []byte, blocks []uint32, offsets []uint64) {
		if string(k) != key {
			return
		}
		for i, b := range blocks {
			found.blocks = append(found.blocks, root.block(b))
			found.offsets = append(found.offsets, offsets[i])
		}
	})
	if err != nil {
		return nil, s.lostRun(r, err)
	}
	p.mu.Lock()
	p.entries.put(at, found)
	p.mu.Unlock()
	return found, nil
}

// queuedBlock is a block that holds a queue, or a position of which nobody knows more. A hole beside a
// block may be counted to it.
type queuedBlock struct {
	hole
	offset uint64 // of the queue's first message in it
	sure   bool   // it holds the queue, unless it is gone
}

func unsure(from message.Position) queuedBlock { return queuedBlock{hole: hole{from, from}} }

// nextQueued gives the first block that ends at or behind from and may hold the queue.
func (s *Store) nextQueued(queue queueID, from message.Position) (queuedBlock, error) {
	p := &s.postings
	for {
		p.mu.RLock()
		b, covered := p.pending.queued(queue, from)
		i := sort.Search(len(p.runs), func(i int) bool { return p.runs[i].last >= from })
		var r *run
		if i < len(p.runs) && p.runs[i].first <= from {
			r = p.runs[i]
		}
		end := p.pending.end()
		p.mu.RUnlock()
		switch {
		case covered && b.sure:
			return b, nil
		case covered:
			from = end + 1
			continue
		case r == nil:
			return unsure(from), nil
		}
		e, err := s.queueEntry(r, queue)
		if err != nil && !unreadable(err) {
			return b, err
		}
		if err != nil {
			return unsure(from), nil // merged away just now, or damaged: read the log itself
		}
		n := sort.Search(len(e.blocks), func(i int) bool { return e.blocks[i].last >= from })
		if n < len(e.blocks) {
			return queuedBlock{e.blocks[n], e.offsets[n], true}, nil
		}
		from = r.last + 1
	}
}

// end is the last position that is pending, 0 when there is none.
func (p *pending) end() message.Position {
	if p == nil {
		return 0
	}
	return p.last()
}

// queued is nextQueued within pending; covered says whether pending knows about from.
func (p *pending) queued(queue queueID, from message.Position) (b queuedBlock, covered bool) {
	if p == nil || from < p.first || from > p.last() {
		return b, false
	}
	start := uint16(sort.Search(len(p.lasts), func(i int) bool { return p.lasts[i] >= from }))
	p.queues.each(queue, func(e *pendingQueue) bool {
		if e.block < start {
			return false
		}
		b = queuedBlock{p.block(e.block), e.first, true}
		return true
	})
	return b, true
}

// findQueued gives a position from which on every message of the queue with this offset or a later
// one can be found: that of the last block known to begin with no later one, or the log's head.
func (s *Store) findQueued(queue queueID, offset uint64) (message.Position, error) {
	p := &s.postings
	p.mu.RLock()
	runs := p.runs
	at := message.Position(0)
	if p.pending != nil {
		p.pending.queues.each(queue, func(e *pendingQueue) bool {
			if e.first > offset {
				return true
			}
			at = p.pending.block(e.block).first
			return false
		})
	}
	p.mu.RUnlock()
	if at != 0 { // pending may close a gap between runs: those behind it know better
		runs = runs[sort.Search(len(runs), func(i int) bool { return runs[i].first > at }):]
	}
	best, err := s.lastQueued(runs, queue, offset)
	if err != nil {
		return 0, err
	}
	return max(at, best, s.Head()), nil
}

// lastQueued gives the position of the last block in these runs that begins with no later offset of the
// queue, 0 when there is none. Offsets grow from run to run, so few of them are asked. What cannot be
// read is taken for a run without the queue: whoever walks on from an earlier block comes through it.
func (s *Store) lastQueued(runs []*run, queue queueID, offset uint64) (best message.Position, err error) {
	for len(runs) > 0 {
		middle := len(runs) / 2
		at, e := middle, (*queueEntry)(nil)
		for ; at >= 0; at-- {
			if e, err = s.queueEntry(runs[at], queue); err != nil && !unreadable(err) {
				return 0, err
			}
			if err == nil && len(e.offsets) > 0 {
				break
			}
		}
		switch {
		case at < 0:
			runs = runs[middle+1:]
		case e.offsets[0] > offset:
			runs = runs[:at]
		default:
			n, exact := slices.BinarySearch(e.offsets, offset)
			if !exact {
				n--
			}
			best, runs = e.blocks[n].first, runs[middle+1:]
		}
	}
	return best, nil
}
