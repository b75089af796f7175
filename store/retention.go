package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

const (
	maintainEvery = time.Second
	sweepEvery    = time.Minute
	ghostsEvery   = time.Second      // between sweeps while files are collected
	clockEvery    = 10 * time.Minute // how much of the log clock a kill may take back
	collectEvery  = 2 * time.Second
	patience      = 10 * time.Second // that freed space may take to come back before more is dropped

	// After a removal the memtable is flushed a few times at most: each flush writes 160 KB, and a
	// log that stays full must not wear out its flash.
	fillsPerRemoval = 3
	fillEvery       = time.Second

	trimBlocks = 20 // with two entries each they leave room for cursors in the transaction
)

// maintain does what is due beside committing. It is cheap when nothing is.
func (s *Store) maintain() {
	if s.queue.failed() != nil {
		return
	}
	full, pressing, err := s.space.weigh()
	if err != nil {
		s.log.Warn("cannot measure the disk", "err", err)
	}
	if was, closed, _ := s.queue.status(); !closed && (was || full) {
		drops := s.drops()
		s.queue.setFull(full, drops) // also when it stays full: dropping may have come to its end
		switch {
		case was == full:
		case !full:
			s.log.Info("the log has space again")
		case drops:
			s.log.Warn("the log is full, the oldest messages are dropped", "limit", s.opts.Limit)
		default:
			s.log.Error("the log is full, producers are refused", "limit", s.opts.Limit)
		}
	}
	if !s.space.admits(0) {
		return
	}
	s.pollCheckpoint() // a quiet log lets go of what Badger has by now
	w := &s.writer
	now := time.Now()
	s.tendSmall(now)
	if now.Sub(w.trimmedAt) >= measureEvery {
		w.trimmedAt = now
		s.must(s.trim(pressing))
		s.must(s.recordHoles())
	}
	if s.filler.CompareAndSwap(true, false) {
		s.must(s.fill())
	}
	if since := now.Sub(w.sweptAt); since >= sweepEvery || since >= ghostsEvery && s.ghosts.Load() {
		w.sweptAt = now
		s.ghosts.Store(false)
		s.must(s.sweep())
	}
	if now.Sub(w.tailedAt) >= sweepEvery {
		w.tailedAt = now
		s.expireCursors()
		s.expireSmall()
		s.keepBallast()
		if err := s.markTail(); err != nil {
			s.log.Warn("cannot mark the tail", "err", err)
		}
	}
	if s.opts.RetentionAge > 0 && now.Sub(w.clockedAt) >= clockEvery {
		w.clockedAt = now
		s.must(s.saveState(w.state))
	}
}

// must turns a failed transaction into the failed state: after it Badger's memory and its files
// may disagree.
func (s *Store) must(err error) {
	if err != nil {
		s.fail(err)
		s.cursors.end(s.queue.failed())
	}
}

// drops says whether want of space is answered by dropping, and there is something to drop
// and room to say so.
func (s *Store) drops() bool {
	return s.opts.DropOldest && len(s.index.oldest(1)) > 0 && s.space.admits(0)
}

// trim removes whole blocks from the head.
func (s *Store) trim(pressing bool) error {
	_, tail := s.index.ends()
	passed := min(s.cursors.slowest(tail), s.passedByOthers())
	if !pressing {
		return s.trimPassed(passed, new(int64))
	}
	s.wantCollection()
	if !s.worthDropping() {
		return s.trimPassed(passed, new(int64))
	}
	s.writer.pressedAt = time.Now()
	budget := s.opts.FileSize
	err := s.trimPassed(passed, &budget)
	if err == nil && s.opts.DropOldest {
		err = s.dropWanted(passed, &budget)
	}
	if err == nil && budget < s.opts.FileSize {
		err = s.fill() // so that the space comes back now
	}
	return err
}

// passedByOthers is the position up to which nobody but cursors wants anything any more.
func (s *Store) passedByOthers() message.Position {
	if s.opts.Passed == nil {
		return 1 << 62
	}
	return s.opts.Passed()
}

// trimPassed removes what every cursor has passed, as far as it has expired or want of space still
// allows budget bytes.
func (s *Store) trimPassed(passed message.Position, budget *int64) error {
	for s.queue.failed() == nil {
		live, _ := s.index.size()
		var gone []header
		for _, h := range s.index.oldest(trimBlocks) {
			if h.last() > passed || !s.expired(h, live) && *budget <= 0 {
				break
			}
			live -= int64(h.bytes)
			*budget -= int64(h.bytes)
			gone = append(gone, h)
		}
		if len(gone) == 0 {
			s.turnExpired(passed, live)
			return nil
		}
		if err := s.remove(gone, passed); errors.Is(err, errWanted) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// turnExpired makes blocks removable that have outlived the retention in the write-ahead log.
func (s *Store) turnExpired(passed message.Position, live int64) {
	if h, ok := s.index.firstYoung(); ok && h.last() <= passed && s.expired(h, live) && s.pollCheckpoint() {
		s.turn()
	}
}

// dropWanted removes the oldest blocks although a cursor still wants them.
func (s *Store) dropWanted(passed message.Position, budget *int64) error {
	for *budget > 0 && s.queue.failed() == nil {
		gone := s.index.oldest(trimBlocks)
		for i, h := range gone {
			if *budget <= 0 {
				gone = gone[:i]
				break
			}
			*budget -= int64(h.bytes)
		}
		if len(gone) == 0 {
			return nil
		}
		if err := s.remove(gone, passed); errors.Is(err, errWanted) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// expired says whether a block has outlived the retention. Its age is time that the log was open:
// a wall clock that jumps from 1970 to today expires nothing, and hours without power only delay.
func (s *Store) expired(h header, live int64) bool {
	return s.opts.RetentionAge > 0 && s.clock()-h.clock > s.opts.RetentionAge.Milliseconds() ||
		s.opts.RetentionSize > 0 && live > s.opts.RetentionSize
}

// worthDropping says whether dropping more blocks can help. What was removed comes back file by
// file and a little later; dropping on until the disk shows it would empty the log.
func (s *Store) worthDropping() bool {
	m, _ := s.space.snapshot()
	live, _ := s.index.size()
	// All files, since small blocks are not in the value log.
	return m.used-live-2*s.wal.size < 2*s.opts.FileSize || time.Since(s.writer.pressedAt) >= patience
}

func (s *Store) wantCollection() {
	select {
	case s.collect <- struct{}{}:
	default:
	}
}

// errWanted says that a cursor was made meanwhile that still wants what should go.
var errWanted = errors.New("a new cursor wants it")

// remove deletes blocks at the head and moves the head, and the cursors that stood in front of it,
// in one transaction. A kill leaves either all of it or nothing.
func (s *Store) remove(gone []header, passed message.Position) error {
	if err := s.carry(gone[len(gone)-1].last()); err != nil {
		return err
	}
	s.reshape.Lock()
	defer s.reshape.Unlock()
	if !s.index.has(gone) {
		return nil // damaged, as a reader found meanwhile
	}
	head := gone[len(gone)-1].last() + 1
	if err := s.saveQueuesBefore(head); err != nil {
		return err
	}
	if !s.cursors.leave(head, passed) {
		return errWanted
	}
	gap := s.gap(gone, passed)
	next := s.writer.state
	next.head = head
	next.dropped += gap.Messages
	_, next.tail = s.index.ends()
	next.clock = s.clock()

	b := newBatch(s.db)
	b.set(stateKey, next.value())
	for _, h := range gone {
		b.remove(blockKey(h.last()))
		b.remove(headerKey(h.last()))
	}
	// A cursor that does not fit follows later: open lifts any that it finds below the head.
	behind, fit := s.cursors.behind(head-1), 0
	for fit < len(behind) {
		key := cursorKey(behind[fit].name)
		if !b.set(key, s.cursors.valueAt(behind[fit], key, head-1)) {
			break
		}
		fit++
	}
	s.leaving.Store(uint64(head))
	if err := s.write(b); err != nil {
		return fmt.Errorf("trim the log up to %d: %w", head, err)
	}
	for _, e := range b.entries {
		s.young.override(e.key, e.value)
	}
	if failure := s.queue.failed(); failure != nil {
		return failure
	}
	s.writer.state = next
	s.writer.clockedAt = time.Now()
	s.dropped.Store(next.dropped)
	s.fills.Store(fillsPerRemoval)
	for _, h := range gone {
		s.writer.removed += int64(h.bytes)
	}
	if s.writer.removed >= s.opts.FileSize {
		s.writer.removed = 0
		s.wantCollection()
	}
	s.index.trim(head)
	s.cursors.lift(behind, fit, head-1)
	if gap.Messages > 0 {
		s.log.Debug("messages dropped for want of space", "first", gap.From, "last", gap.To, "messages", gap.Messages)
		if s.opts.OnGap != nil {
			s.opts.OnGap(gap)
		}
	}
	return nil
}

// gap counts what of these blocks somebody still wanted.
func (s *Store) gap(gone []header, passed message.Position) Gap {
	done := s.cursors.passedByAll(s.passedByOthers())
	gap := Gap{From: max(passed+1, gone[0].first), To: gone[len(gone)-1].last()}
	if gap.From > gap.To {
		return Gap{}
	}
	at := make(map[string]int)
	for _, h := range gone {
		if h.last() < gap.From {
			continue
		}
		records, err := s.records(h)
		if err != nil { // it cannot say what it held, only how much
			gap.Messages += uint64(h.last() - max(h.first, gap.From) + 1)
			continue
		}
		for i := range records {
			r := &records[i]
			for len(done) > 0 && done[0].Last < r.Position {
				done = done[1:]
			}
			if r.Position < gap.From || len(done) > 0 && done[0].First <= r.Position {
				continue
			}
			gap.Messages++
			if r.Device == "" {
				continue
			}
			if j, known := at[r.Device]; known {
				gap.Devices[j].To = r.Seq
				continue
			}
			at[r.Device] = len(gap.Devices)
			gap.Devices = append(gap.Devices, DeviceGap{r.Device, r.Seq, r.Seq})
		}
	}
	return gap
}

// saveState makes the log clock durable now and then when nothing else does.
func (s *Store) saveState(next state) error {
	_, next.tail = s.index.ends()
	next.clock = s.clock()
	b := newBatch(s.db)
	b.set(stateKey, next.value())
	if err := s.write(b); err != nil {
		return fmt.Errorf("save the log's state: %w", err)
	}
	s.writer.state = next
	return nil
}

// sweep deletes blocks below the head, and in holes, that Badger brought back: its collector may
// write a value again whose deletion it has already forgotten. Each such value keeps a whole file,
// so after a collection it is not put off.
func (s *Store) sweep() error {
	head, _ := s.index.ends()
	spans := []hole{{0, head - 1}}
	found, _ := s.damage.list()
	for _, d := range found {
		spans = append(spans, hole{d.First, d.Last})
	}
	for _, prefix := range []byte{prefixBlock, prefixHeader} {
		for _, span := range spans {
			if err := s.sweepSpan(prefix, span); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) sweepSpan(prefix byte, span hole) error {
	for {
		b := newBatch(s.db)
		options := badger.DefaultIteratorOptions
		options.PrefetchValues = false
		more := false
		err := s.db.View(func(txn *badger.Txn) error {
			it := txn.NewIterator(options)
			defer it.Close()
			for it.Seek(positionKey(prefix, span.first)); it.ValidForPrefix([]byte{prefix}); it.Next() {
				key := it.Item().KeyCopy(nil)
				if last, ok := positionOf(key); !ok || last > span.last {
					return nil
				}
				if !b.remove(key) {
					more = true
					return nil
				}
			}
			return nil
		})
		if err == nil && len(b.entries) > 0 {
			s.fills.CompareAndSwap(0, 1) // until these deletions are flushed their files stay
			err = s.write(b)
		}
		if err != nil {
			return fmt.Errorf("sweep the log below %d: %w", span.last+1, err)
		}
		if !more {
			return nil
		}
	}
}

// fill overwrites scratch keys until the memtable is flushed. Without it the deletions of a log
// that has become quiet stay in memory, Badger does not see what they made stale, and a full disk
// stays full.
func (s *Store) fill() error {
	s.fills.Add(-1)
	value := make([]byte, 80)
	for range 11 { // of about 15 KiB each: one memtable
		b := newBatch(s.db)
		for i := byte(0); b.set([]byte{prefixFiller, i}, value); i++ {
		}
		if err := s.write(b); err != nil {
			return fmt.Errorf("flush deletions: %w", err)
		}
	}
	return nil
}

// runCollector gives back the value-log files whose blocks are gone, out of the way of appends.
func (s *Store) runCollector(ctx context.Context) {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	var filled time.Time
	for {
		m, full := s.space.snapshot()
		if s.queue.failed() == nil && m.free >= s.space.floor() {
			ratio := 0.9 // what is rewritten costs space first, and a file of a queue is soon stale altogether
			live, _ := s.index.size()
			if full && m.free > s.space.reserve(m.total) || m.vlogs > live+live/2+2*s.opts.FileSize {
				ratio = 0.5 // the disk has more than it should, and files that are never stale altogether
			}
			collected := 0
			for ctx.Err() == nil && s.collectOne(ratio) == nil {
				collected++
			}
			if collected > 0 {
				s.ghosts.Store(true)
				s.queue.wake() // producers may wait for what was given back
			}
			garbage := m.vlogs - live
			if collected == 0 && s.fills.Load() > 0 &&
				(full && garbage > s.opts.FileSize || garbage > 3*s.opts.FileSize) && time.Since(filled) >= fillEvery {
				filled = time.Now()
				s.filler.Store(true)
				s.queue.wake()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.collect:
		}
	}
}
