package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/gateway/message"
)

const (
	tendEvery = 250 * time.Millisecond
	// The indexer rests as long as it worked, so that at most half a processor is its.
	longestRest = 50 * time.Millisecond
)

// runIndexer keeps the index, out of the way of appends.
func (s *Store) runIndexer(ctx context.Context) {
	if err := s.numberRuns(); err != nil {
		s.complain(err)
	}
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	var swept time.Time
	for {
		for ctx.Err() == nil {
			began := time.Now()
			more, err := s.tend()
			s.complain(err)
			if !more || err != nil {
				break
			}
			rest(ctx, min(time.Since(began), longestRest))
		}
		if time.Since(swept) >= sweepEvery && s.mayTend() {
			swept = time.Now()
			s.complain(s.sweepPages())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// complain reports what went wrong while tending. Writes that failed make the log fail, as
// everywhere: Badger's memory and its files may disagree.
func (s *Store) complain(err error) {
	switch {
	case err == nil:
	case unreadable(err):
		s.log.Warn("part of the index cannot be read and is made again", "err", err)
	default:
		s.must(err)
	}
}

// mayTend says whether there is room for work that can wait.
func (s *Store) mayTend() bool {
	_, full := s.space.snapshot()
	return s.queue.failed() == nil && !full && s.space.admits(2*blockPayload)
}

// tend does one small piece of the work that is due; more says that there may be another.
func (s *Store) tend() (more bool, err error) {
	if !s.mayTend() {
		return false, nil
	}
	if err := s.dropTrimmed(); err != nil {
		return false, err
	}
	if s.queuesDue() {
		if err := s.saveQueues(); err != nil {
			return false, err
		}
	}
	if more, err = s.indexNext(); more || err != nil {
		return more, err
	}
	return s.mergeNext()
}

// dropTrimmed gives back the runs, and what is pending, that the head has passed.
func (s *Store) dropTrimmed() error {
	head, _ := s.index.ends()
	p := &s.postings
	p.mu.Lock()
	gone := p.lost
	p.lost = nil
	for _, r := range p.runs {
		if r.last < head && !slices.Contains(gone, r) {
			gone = append(gone, r)
		}
	}
	if p.pending != nil && len(p.pending.lasts) > 0 && p.pending.last() < head {
		p.pending = nil
	}
	p.mu.Unlock()
	return s.dropRuns(gone)
}

// indexNext takes the next block that Badger has into what is pending, and turns that into a run when it is
// large enough.
func (s *Store) indexNext() (more bool, err error) {
	p := &s.postings
	head, _ := s.index.ends()
	if p.pending == nil {
		first, limit := p.uncovered(head)
		p.mu.Lock()
		p.pending = newPending(first, limit, s.opts.FileSize/16)
		p.mu.Unlock()
	}
	open := p.pending
	next := open.last() + 1
	h, found := s.index.find(next)
	switch {
	case open.full() || open.limit != 0 && (!found || h.first >= open.limit):
		return true, s.flushPending(open)
	case !found || h.last() > s.index.storedEnd():
		return false, nil
	}
	b, err := s.indexed(h)
	if err != nil {
		return true, s.skip(h, err)
	}
	names := s.cache.borrowNames()
	defer s.cache.names.Put(names)
	p.mu.Lock()
	open.add(h, b, names, s.queues.id)
	p.mu.Unlock()
	return true, nil
}

// indexed gives a block for the index. Blocks that nobody else reads must not push those that are
// read out of the cache.
func (s *Store) indexed(h header) (*block, error) {
	if c := s.cache.peek(span{h.first, h.last()}); c != nil {
		return s.content(c, h)
	}
	return s.open(h, false)
}

// flushPending makes a run of what is pending. With a limit it closes a gap between runs: a hole at
// its end is covered too.
func (s *Store) flushPending(open *pending) error {
	p := &s.postings
	if len(open.lasts) == 0 {
		if open.limit == 0 {
			return nil
		}
		open.lasts = append(open.lasts, open.limit-1) // nothing but a hole
	} else if h, found := s.index.find(open.last() + 1); open.limit != 0 && (!found || h.first >= open.limit) {
		p.mu.Lock()
		open.lasts[len(open.lasts)-1] = open.limit - 1
		p.mu.Unlock()
	}
	w := s.newRun(open.first, open.lasts, 0)
	w.root.minTime, w.root.maxTime = open.minTime, open.maxTime
	made, err := open.write(w, s.queues)
	if err != nil {
		w.abandon()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaceLocked(nil, made)
	p.pending = nil
	return nil
}

func (p *pending) write(w *runWriter, queues *queueTable) (*run, error) {
	blocks := make([]uint32, 0, len(p.lasts))
	for _, topic := range slices.Sorted(maps.Keys(p.topics)) {
		blocks = blocks[:0]
		for _, b := range p.topics[topic].blocks {
			blocks = append(blocks, uint32(b))
		}
		if err := w.add(topicEntries, []byte(topic), blocks, nil); err != nil {
			return nil, err
		}
	}
	keys := slices.Compact(slices.Sorted(slices.Values(p.keys)))
	var key []byte
	for i := 0; i < len(keys); {
		f := keys[i] >> blockBits
		blocks = blocks[:0]
		for ; i < len(keys) && keys[i]>>blockBits == f; i++ {
			blocks = append(blocks, uint32(keys[i]&(1<<blockBits-1)))
		}
		key = fingerprintKey(key[:0], f)
		if err := w.add(fingerprintEntries, key, blocks, nil); err != nil {
			return nil, err
		}
	}
	if err := p.queues.write(w, queues); err != nil {
		return nil, err
	}
	return w.finish(nil)
}

// mergeNext makes one run of neighbours of the same level.
func (s *Store) mergeNext() (more bool, err error) {
	p := &s.postings
	p.mu.RLock()
	runs := p.runs
	p.mu.RUnlock()
	head, tail := s.index.ends()
	group := mergeable(runs, head, tail)
	if group == nil {
		return false, nil
	}
	made, err := s.merge(group)
	if damaged, ok := errors.AsType[*runError](err); ok {
		return true, errors.Join(s.dropRuns([]*run{damaged.run}), fmt.Errorf("%w: %v", errValue, damaged))
	}
	if err != nil {
		return false, err
	}
	p.replace(group, made)
	return true, s.removePages(group)
}

// runError says which run cannot be read.
type runError struct {
	run *run
	err error
}

func (e *runError) Error() string { return fmt.Sprintf("index run %d: %v", e.run.id, e.err) }

// mergeInput walks over the entries of one kind in a run.
type mergeInput struct {
	s       *Store
	run     *run
	root    *root
	base    uint32 // of its block numbers in the merged run
	kind    int
	page    int
	entries entryReader
	done    bool
}

func (in *mergeInput) next() error {
	for !in.entries.next() {
		if in.entries.err != nil {
			return &runError{in.run, in.entries.err}
		}
		if in.page == len(in.root.fences[in.kind]) {
			in.done = true
			return nil
		}
		plain, err := in.s.page(in.run.id, entryKinds[in.kind], uint32(in.page))
		if err != nil {
			return in.fault(err)
		}
		in.page++
		in.entries = entryReader{plain: plain, queues: in.kind == queueEntriesKind}
	}
	if int(in.entries.blocks[len(in.entries.blocks)-1]) >= len(in.root.lasts) {
		return &runError{in.run, errValue}
	}
	return nil
}

func (in *mergeInput) fault(err error) error {
	if unreadable(err) {
		return &runError{in.run, err}
	}
	return err
}

func (s *Store) merge(group []*run) (*run, error) {
	inputs := make([]mergeInput, len(group))
	var lasts []message.Position
	minTime, maxTime := int64(1<<63-1), int64(-1<<63)
	for i, r := range group {
		in := &inputs[i]
		*in = mergeInput{s: s, run: r, base: uint32(len(lasts))}
		var err error
		if in.root, err = s.rootOf(r); err != nil {
			return nil, in.fault(err)
		}
		lasts = append(lasts, in.root.lasts...)
		minTime, maxTime = min(minTime, in.root.minTime), max(maxTime, in.root.maxTime)
	}
	w := s.newRun(group[0].first, lasts, group[0].level+1)
	w.root.minTime, w.root.maxTime = minTime, maxTime
	for k := range entryKinds {
		if err := mergeKind(w, inputs, k); err != nil {
			w.abandon()
			return nil, err
		}
	}
	return w.finish(group)
}

func mergeKind(w *runWriter, inputs []mergeInput, k int) error {
	for i := range inputs {
		in := &inputs[i]
		in.kind, in.page, in.done, in.entries = k, 0, false, entryReader{}
		if err := in.next(); err != nil {
			return err
		}
	}
	var key []byte
	var blocks []uint32
	var offsets []uint64
	for {
		least := -1
		for i := range inputs {
			if !inputs[i].done && (least < 0 || bytes.Compare(inputs[i].entries.key, inputs[least].entries.key) < 0) {
				least = i
			}
		}
		if least < 0 {
			return nil
		}
		key, blocks, offsets = append(key[:0], inputs[least].entries.key...), blocks[:0], offsets[:0]
		for i := least; i < len(inputs); i++ { // in the order of the log
			in := &inputs[i]
			if in.done || !bytes.Equal(in.entries.key, key) {
				continue
			}
			for _, b := range in.entries.blocks {
				blocks = append(blocks, in.base+b)
			}
			offsets = append(offsets, in.entries.offsets...)
			if err := in.next(); err != nil {
				return err
			}
		}
		if err := w.add(k, key, blocks, offsets); err != nil {
			return err
		}
	}
}
