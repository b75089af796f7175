package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/message"
)

const (
	spaceRetry = 100 * time.Millisecond // between two looks at a disk that is too full to write
	spaceGrace = 2 * time.Second        // that an orderly end waits for such a disk
)

// Run commits what is appended, trims what is done with and collects what that frees, until ctx
// ends. Then everything accepted is made durable and acknowledged, the cursors are saved, and Run
// returns. It runs once.
func (s *Store) Run(ctx context.Context) error {
	s.lifeMu.Lock()
	if s.stopped {
		s.lifeMu.Unlock()
		return nil // closed before it began: Close has done everything
	}
	if s.ran != nil {
		s.lifeMu.Unlock()
		panic("bug: a store runs only once")
	}
	ran := make(chan struct{})
	s.ran = ran
	s.lifeMu.Unlock()
	defer close(ran)

	collecting, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.runCollector(collecting) })
	defer wg.Wait()
	defer stop()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.drain()
			return nil
		case <-s.stop:
			s.drain()
			return nil
		case <-s.queue.wanted:
		case <-timer.C:
		}
		for s.commitNext() {
			s.maintain()
		}
		s.maintain()
		timer.Reset(s.pause())
	}
}

// pause is how long the committer may sleep when nobody calls it.
func (s *Store) pause() time.Duration {
	wait := maintainEvery
	if due, ok := s.cursors.due(); ok {
		wait = min(wait, due)
	}
	if s.writer.held != nil {
		wait = min(wait, spaceRetry)
	}
	if s.queue.waitsForSpace() {
		wait = min(wait, spaceRetry)
	}
	if s.queue.failed() != nil || !s.space.admits(0) {
		wait = max(wait, spaceRetry) // cursors cannot be written: do not spin
	}
	return wait
}

// drain refuses everything new and brings what was accepted to an end.
func (s *Store) drain() {
	s.queue.close()
	deadline := time.Now().Add(spaceGrace)
	for {
		for s.commitNext() {
		}
		if s.writer.held == nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(spaceRetry)
	}
	for g := s.nextGroup(); g != nil; g = s.nextGroup() {
		s.writer.held = nil
		s.answer(g, message.ErrFull)
	}
	for s.queue.failed() == nil && s.space.admits(0) {
		if _, ok := s.cursors.due(); !ok {
			return
		}
		s.commit(nil)
	}
}

func (s *Store) nextGroup() *group {
	if s.writer.held == nil {
		s.writer.held = s.queue.take()
	}
	return s.writer.held
}

// commitNext commits the oldest group, with it or alone the cursors that are due. False means that
// there is nothing to do now.
func (s *Store) commitNext() bool {
	g := s.nextGroup()
	if failure := s.queue.failed(); failure != nil {
		s.cursors.end(failure)
		s.writer.held = nil
		if g != nil {
			s.answer(g, failure)
		}
		return g != nil
	}
	if g == nil {
		if due, ok := s.cursors.due(); !ok || due > 0 || !s.space.admits(0) {
			return false
		}
		s.commit(nil)
		return true
	}
	// Compressing cannot make it noticeably larger than it is.
	if !s.space.admits(int64(len(g.plain))) {
		s.queue.setFull(true, s.drops())
		return false
	}
	s.writer.held = nil
	s.commit(g)
	return true
}

// commit writes one transaction: the block of g with its header and the sequence numbers of its
// devices, unless g is nil, and the dirty cursors. It returns after the sync and after everybody in
// g has been told.
func (s *Store) commit(g *group) {
	b := newBatch(s.db)
	var h header
	if g != nil {
		h = s.addBlock(b, g)
	}
	saves := s.cursors.save(b)
	s.flushDeletions(b, int64(h.bytes))
	err := s.write(b)
	if err != nil {
		s.fail(fmt.Errorf("commit: %w", err))
	}
	// A failed sync of the value log shows only here: see badgerLog.
	if failure := s.queue.failed(); failure != nil {
		s.cursors.end(failure)
		if g != nil {
			s.answer(g, failure)
		}
		return
	}
	s.cursors.saved(saves)
	if g == nil {
		return
	}
	s.space.wrote(int64(h.bytes))
	s.cache.put(g)
	s.index.grow(h)
	s.answer(g, nil)
}

func (s *Store) addBlock(b *batch, g *group) header {
	s.writer.scratch = appendBlock(s.writer.scratch[:0], g.plain, g.chunks, g.first, g.base)
	h := header{first: g.first, count: g.count, bytes: uint32(len(s.writer.scratch)), time: g.base, clock: s.clock()}
	headerAt := headerKey(h.last())
	fits := b.set(blockKey(h.last()), s.writer.scratch) && b.set(headerAt, h.value(headerAt))
	for device, mark := range g.devices {
		key := deviceKey(device)
		fits = fits && b.set(key, mark.value(key))
	}
	if !fits {
		b.err = errors.New("bug: a group does not fit in a transaction")
	}
	if cap(s.writer.scratch) > 2*blockPayload {
		s.writer.scratch = nil // one large message must not pin its memory
	}
	return h
}

// answer tells everybody in the group what became of it, in the order of positions.
func (s *Store) answer(g *group, err error) {
	s.queue.release(g)
	for _, w := range g.waiters {
		w.ack.Acknowledge(w.token, g.first+message.Position(w.index), err)
	}
}
