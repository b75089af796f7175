package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

const (
	maxTopicKey = 200 // bytes of a topic that the index keeps

	// Pending entries become a run when they take this much memory or cover so many blocks. A topic
	// costs topicCost bytes and its name while it is pending, 2 bytes a block that has it, and
	// nothing afterwards.
	pendingMemory = 2 << 20
	pendingBlocks = 64
	pendingMost   = 4096
	topicCost     = 120

	rootMemory       = 512 << 10 // of the roots that are kept
	cachedCandidates = 64
)

// postings is the index over the blocks in Badger: which of them hold a topic or a message key. Runs and
// pending together cover the log from its head to some position; what is behind, and what a lost
// run leaves uncovered, is read directly until the indexer has been there.
type postings struct {
	mu         sync.RWMutex // guards what follows
	runs       []*run       // in the order of the log, replaced and never altered
	pending    *pending     // nil when there is none
	nextRun    uint64
	lost       []*run // listed but not readable: the indexer drops them
	roots      map[uint64]*root
	candidates map[candidateKey]*blockSet
	entries    queueEntries
	slots      map[uint16]bool // that hold a run
}

// pending is a run that is still in memory.
type pending struct {
	first, limit message.Position // limit: where the next run begins, 0 when there is none behind
	lasts        []message.Position
	topics       map[string]*blockList
	queues       pendingQueues
	keys         []uint64 // fingerprint << blockBits | block
	minTime      int64
	maxTime      int64
	memory       int
	stored       int64 // bytes of its blocks
	enough       int64 // of them for a run
}

type blockList struct{ blocks []uint16 }

func newPending(first, limit message.Position, enough int64) *pending {
	return &pending{first: first, limit: limit, enough: enough, topics: make(map[string]*blockList), minTime: 1<<63 - 1, maxTime: -1 << 63}
}

// last is the last position that it covers, first-1 when it covers none.
func (p *pending) last() message.Position {
	if len(p.lasts) == 0 {
		return p.first - 1
	}
	return p.lasts[len(p.lasts)-1]
}

func (p *pending) full() bool {
	return p.memory >= pendingMemory || len(p.lasts) >= pendingMost ||
		len(p.lasts) >= pendingBlocks && p.stored >= p.enough
}

// topicKey is what the index keeps of a topic: one of maxTopicKey bytes stands for all that begin
// with it.
func topicKey(topic string) string { return topic[:min(len(topic), maxTopicKey)] }

// add takes in the records of the next block. id names their queues.
func (p *pending) add(h header, b *block, names *nameTable, id func(*message.Record) (queueID, bool)) {
	number := uint16(len(p.lasts))
	p.lasts = append(p.lasts, h.last())
	p.stored += int64(h.bytes)
	p.memory += 8
	var met [nameSlots]string // topics of this block
	var before message.Record // topic and queue of the record before
	for r := b.from(uint32(h.first - b.first)); r.step(); {
		p.minTime, p.maxTime = min(p.minTime, r.time), max(p.maxTime, r.time)
		topic, slot := r.topic(names)
		if slot < 0 || met[slot] != topic || topic == "" {
			p.addTopic(topicKey(topic), number)
			if slot >= 0 {
				met[slot] = topic
			}
		}
		if queue := r.raw.queueNumber(); r.record == uint32(h.first-b.first) || topic != before.Topic || queue != before.Queue {
			before.Topic, before.Queue = topic, queue
			if queue, ok := id(&before); ok {
				p.memory += p.queues.add(queue, number, b.offsets[r.record])
			}
		}
		if r.raw.flags&flagProperties != 0 {
			eachRawKey(r.raw.properties.of(b.plain[r.start:]), func(key []byte) {
				p.keys = append(p.keys, fingerprint(key)<<blockBits|uint64(number))
				p.memory += 8
			})
		}
	}
}

func (p *pending) addTopic(key string, block uint16) {
	list, known := p.topics[key]
	if !known {
		list = new(blockList)
		p.topics[key] = list
		p.memory += topicCost + len(key)
	}
	if n := len(list.blocks); n == 0 || list.blocks[n-1] != block {
		list.blocks = append(list.blocks, block)
		p.memory += 2
	}
}

func (p *pending) block(n uint16) hole {
	if n == 0 {
		return hole{p.first, p.lasts[0]}
	}
	return hole{p.lasts[n-1] + 1, p.lasts[n]}
}

// recoverIndex loads what the index consists of. Whatever is wrong with it, it can be made again.
func (s *Store) recoverIndex() error {
	problems, err := s.loadRuns()
	if err != nil {
		return fmt.Errorf("load the index: %w", err)
	}
	for _, problem := range problems {
		s.log.Warn("part of the index is damaged and made again", "err", problem)
	}
	return nil
}

// loadRuns finds the runs that the slots list. A slot that cannot be read loses its run: the
// indexer makes it again from the blocks.
func (s *Store) loadRuns() (problems []error, err error) {
	p := &s.postings
	problems, runs, mangled, err := s.listRuns()
	if err != nil {
		return problems, err
	}
	head, tail := s.index.ends()
	p.slots = make(map[uint16]bool)
	next := message.Position(0)
	for _, r := range runs {
		// One that overlaps came from a slot whose overwriting was lost with a damaged file; one
		// beyond the tail speaks of positions that a lost tail took.
		if r.first < next || r.last > tail || r.last < head {
			mangled = append(mangled, slotKey(r.slot))
			continue
		}
		next = r.last + 1
		p.slots[r.slot] = true
		p.runs = append(p.runs, r)
	}
	for _, key := range mangled {
		b := newBatch(s.db)
		b.set(key, emptySlot(key))
		if err := s.write(b); err != nil {
			return problems, err
		}
	}
	return problems, nil
}

// listRuns gives the runs in the order of the log, and the slots whose value is damaged.
func (s *Store) listRuns() (problems []error, runs []*run, mangled [][]byte, err error) {
	p := &s.postings
	p.nextRun = max(p.nextRun, 1)
	err = s.each(prefixRun, true, func(key, value []byte) {
		if len(key) == len(numberKey) {
			if _, f, err := unseal(key, value, 1); err == nil {
				p.nextRun = max(p.nextRun, f[0])
			} else {
				problems = append(problems, err)
			}
			return
		}
		r, err := decodeSlot(key, value)
		switch {
		case err != nil:
			problems = append(problems, err)
			if len(key) == 3 {
				mangled = append(mangled, key)
			}
		case r != nil:
			p.nextRun = max(p.nextRun, r.id+1)
			runs = append(runs, r)
		}
	})
	slices.SortFunc(runs, func(a, b *run) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last), cmp.Compare(b.id, a.id))
	})
	return problems, runs, mangled, err
}

// numberRuns makes sure that no number of a run is given out twice: the pages of one that was never
// finished say that their number is taken. It looks at keys only.
func (s *Store) numberRuns() error {
	highest := uint64(0)
	err := s.each(prefixPage, false, func(key, _ []byte) {
		if id, ok := runOfPage(key); ok {
			highest = max(highest, id)
		}
	})
	if err != nil {
		return err
	}
	p := &s.postings
	p.mu.Lock()
	p.nextRun = max(p.nextRun, highest+1)
	next := p.nextRun
	p.mu.Unlock()
	if next == 1 {
		return nil
	}
	b := newBatch(s.db)
	b.set(numberKey, sealWords(numberKey, present, next))
	return s.write(b)
}

// sweepPages deletes pages that no run owns: of merges that a kill ended, and what Badger brought
// back.
func (s *Store) sweepPages() error {
	p := &s.postings
	p.mu.RLock()
	owned := make(map[uint64]bool, len(p.runs))
	for _, r := range p.runs {
		owned[r.id] = true
	}
	p.mu.RUnlock()
	var stray [][]byte
	err := s.each(prefixPage, false, func(key, _ []byte) {
		if id, ok := runOfPage(key); !ok || !owned[id] {
			stray = append(stray, key)
		}
	})
	if err != nil {
		return err
	}
	return s.removeKeys(stray)
}

// removeKeys deletes what only takes space.
func (s *Store) removeKeys(keys [][]byte) error {
	for len(keys) > 0 {
		b := newBatch(s.db)
		for len(keys) > 0 && b.remove(keys[0]) {
			keys = keys[1:]
		}
		if err := s.write(b); err != nil {
			return err
		}
		if failure := s.queue.failed(); failure != nil {
			return failure
		}
	}
	return nil
}

func (s *Store) removePages(gone []*run) error {
	for _, r := range gone {
		var keys [][]byte
		prefix := pageKey(r.id, 0, 0)[:9]
		err := s.db.View(func(txn *badger.Txn) error {
			options := badger.DefaultIteratorOptions
			options.PrefetchValues = false
			it := txn.NewIterator(options)
			defer it.Close()
			for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
				keys = append(keys, it.Item().KeyCopy(nil))
			}
			return nil
		})
		if err == nil {
			err = s.removeKeys(keys)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *postings) freeSlot() (uint16, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for slot := range maxRuns {
		if !p.slots[uint16(slot)] {
			return uint16(slot), true
		}
	}
	return 0, false
}

// replace lists made, if any, in the place of gone. Both are contiguous.
func (p *postings) replace(gone []*run, made *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaceLocked(gone, made)
}

func (p *postings) replaceLocked(gone []*run, made *run) {
	runs := make([]*run, 0, len(p.runs)+1)
	for _, r := range p.runs {
		if !slices.Contains(gone, r) {
			runs = append(runs, r)
		}
	}
	for _, r := range gone {
		delete(p.slots, r.slot)
		delete(p.roots, r.id)
	}
	if made != nil {
		at, _ := slices.BinarySearchFunc(runs, made.first, func(r *run, first message.Position) int { return cmp.Compare(r.first, first) })
		runs = slices.Insert(runs, at, made)
		p.slots[made.slot] = true
	}
	p.runs = runs
}

// drop takes runs out of the index: trimmed ones, and those that cannot be read.
func (s *Store) dropRuns(gone []*run) error {
	if len(gone) == 0 {
		return nil
	}
	for left := gone; len(left) > 0; {
		b := newBatch(s.db)
		for len(left) > 0 {
			key := slotKey(left[0].slot)
			if !b.set(key, emptySlot(key)) {
				break
			}
			left = left[1:]
		}
		if err := s.write(b); err != nil {
			return err
		}
	}
	s.postings.replace(gone, nil)
	return s.removePages(gone)
}

func (p *postings) cachedRoot(id uint64) *root {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.roots[id]
}

// cacheRoot keeps a root for the next who asks. A look-up goes through all runs, so what makes room is
// any other and not the one that was used least lately: that would be the next to be wanted.
func (p *postings) cacheRoot(id uint64, r *root) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.roots == nil {
		p.roots = make(map[uint64]*root)
	}
	size := r.memory()
	for _, kept := range p.roots {
		size += kept.memory()
	}
	for other, kept := range p.roots {
		if size <= rootMemory {
			break
		}
		delete(p.roots, other)
		size -= kept.memory()
	}
	p.roots[id] = r
}

// uncovered gives the first position from head on that neither a run nor pending covers, and where
// the next run begins.
func (p *postings) uncovered(head message.Position) (first, limit message.Position) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	first = head
	for _, r := range p.runs {
		if r.first > first {
			return first, r.first
		}
		first = max(first, r.last+1)
	}
	return first, 0
}

// unreadable says whether an error means that what is stored is lost, rather than that the disk did
// not answer.
func unreadable(err error) bool {
	return errors.Is(err, errValue) || errors.Is(err, errAbsent) || errors.Is(err, errBlock)
}
