package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/gateway/message"
)

const (
	spaceRetry = 100 * time.Millisecond // between two looks at a disk that is too full to write
	spaceGrace = 2 * time.Second        // that an orderly end waits for such a disk

	spareBytes = commitBlocks * blockPayload / 2 // of memory that is used again
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
	wg.Go(func() { s.runIndexer(collecting) })
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
		case done := <-s.settling:
			s.settle()
			close(done)
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
	if due, ok := s.queue.due(); ok {
		wait = min(wait, due)
	}
	if len(s.writer.ready) > 0 {
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
		if len(s.writer.ready) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(spaceRetry)
	}
	s.answerAll(message.ErrFull)
	if s.space.admits(0) {
		s.must(s.settleSmall()) // so that the next start need not read the end of the log again
	}
	for s.queue.failed() == nil && s.space.admits(0) {
		if _, ok := s.cursors.due(); !ok {
			return
		}
		s.commit(nil)
	}
}

// sealed is a group that nothing can join any more, with its block as it will be stored.
type sealed struct {
	*group
	block []byte
}

// prepare takes one more group from the queue for the next transaction and compresses it; false
// means that there is none, or that enough is prepared.
func (s *Store) prepare(which take) bool {
	w := &s.writer
	plain := 0
	for _, g := range w.ready {
		plain += len(g.plain)
	}
	// Half of what may wait for the disk; the other half gathers meanwhile.
	if len(w.ready) == commitBlocks || plain > 0 && plain+blockPayload > s.queue.bound/2 {
		return false
	}
	g := s.queue.take(which)
	if g == nil {
		return false
	}
	w.ready = append(w.ready, sealed{g, s.seal(g)})
	return true
}

// seal compresses a group. What compressed well is copied into memory of its size; what did not keeps
// the memory that it was made in.
func (s *Store) seal(g *group) []byte {
	w := &s.writer
	block := appendBlock(w.scratch[:0], g.plain, g.chunks, g.first, g.base)
	var room []byte
	if n := len(w.spare); n > 0 {
		room, w.spare = w.spare[n-1][:0], w.spare[:n-1]
		w.spared -= cap(room)
	}
	if len(block) > blockPayload/2 {
		w.scratch = room
		return block
	}
	w.scratch = block
	block = append(room, block...)
	if cap(w.scratch) > 2*blockPayload {
		w.scratch = nil // one large message must not pin its memory
	}
	return block
}

// recycle keeps the memory of blocks that were committed, unless they were unusually large.
func (w *writer) recycle(groups []sealed) {
	for _, g := range groups {
		size := cap(g.block)
		if size <= 2*blockPayload && w.spared+size <= spareBytes && len(w.spare) < commitBlocks {
			w.spare = append(w.spare, g.block)
			w.spared += size
		}
	}
}

// commitNext commits the groups that wait, with them or alone the cursors that are due. False means
// that there is nothing to do now.
func (s *Store) commitNext() bool {
	if failure := s.queue.failed(); failure != nil {
		s.cursors.end(failure)
		return s.answerAll(failure)
	}
	if s.cursors.crowded() && s.space.admits(0) {
		s.commit(nil)
		return true
	}
	due, ok := s.cursors.due()
	cursorsDue := ok && due <= 0
	which := takeDue
	if cursorsDue {
		which = takeAny // it costs no sync of its own
	}
	for s.prepare(which) {
	}
	groups, plain := s.writer.ready, int64(0)
	for i, taken := 0, (load{}); i < len(groups); i++ {
		if !taken.take(groups[i]) {
			groups = groups[:i]
			break
		}
		plain += int64(len(groups[i].plain))
	}
	if len(groups) == 0 {
		if !cursorsDue || !s.space.admits(0) {
			return false
		}
		s.commit(nil)
		return true
	}
	// Compressing cannot make it noticeably larger than it is, and the write-ahead log has its place
	// already, but what it holds needs another in the end.
	if !s.space.admits(plain + s.young.bytes()) {
		s.queue.setFull(true, s.drops())
		return false
	}
	s.writer.ready = slices.Clone(s.writer.ready[len(groups):])
	s.commit(groups)
	return true
}

// load counts what the groups of one transaction put into it.
type load struct {
	devices map[string]bool
	names   int // bytes
	blocks  int // bytes that count, with their headers
}

// loadBlocks leaves room in a transaction for the most devices, and for some cursors.
const loadBlocks = batchBytes - groupDeviceBytes - groupDevices*64 - 1024

// take adds g unless it is too much for one transaction. The first group always fits.
func (l *load) take(g sealed) bool {
	const header = 128 // its key and value, and the block's key
	first := l.devices == nil
	if first {
		l.devices = make(map[string]bool, len(g.devices))
	}
	n, names, blocks := len(l.devices), l.names, l.blocks+header+valueCost(len(g.block))+len(g.moves)*moveCost
	for device := range g.devices {
		if !l.devices[device] {
			n, names = n+1, names+len(device)
		}
	}
	if !first && (n > groupDevices || names > groupDeviceBytes || blocks > loadBlocks) {
		return false
	}
	for device := range g.devices {
		l.devices[device] = true
	}
	l.names, l.blocks = names, blocks
	return true
}

// smallCommits is how many of the largest commits that still go to the write-ahead log fill one
// generation of it. What goes there is written twice, what does not costs a second sync: with 7 the
// commits of one fast MQTT client are written once, and those of 256 waiting producers share a sync.
const smallCommits = 7

// commit makes groups durable, with the sequence numbers of their devices and the dirty cursors: few
// messages in the write-ahead log, many in Badger. It returns after the sync and after everybody in
// the groups has been told.
func (s *Store) commit(groups []sealed) {
	plain := 0
	for _, g := range groups {
		plain += len(g.plain)
	}
	headers, clock := make([]header, len(groups)), s.clock()
	for i, g := range groups {
		headers[i] = header{first: g.first, count: g.count, bytes: uint32(len(g.block)), time: g.base, clock: clock}
	}
	small := plain <= s.young.limit/smallCommits
	var saves []saving
	var err error
	if small {
		saves, err = s.commitSmall(groups, clock)
	} else {
		saves, err = s.commitLarge(groups, headers)
	}
	if err != nil {
		s.fail(fmt.Errorf("commit: %w", err))
	}
	// A failed sync of the value log shows only here: see badgerLog.
	if failure := s.queue.failed(); failure != nil {
		s.cursors.end(failure)
		for _, g := range groups {
			s.answer(g.group, failure)
		}
		return
	}
	for i, g := range groups {
		if small {
			s.cache.hold(g.group)
		} else {
			s.space.wrote(int64(headers[i].bytes))
			s.cache.put(g.group)
		}
		s.queues.publish(g.group, func() { s.index.grow(headers[i], !small) })
		s.small.hear(g.notes, g.first, clock)
	}
	// Whoever is told of a cursor or of a message finds the messages and the cursors that went with it.
	s.cursors.saved(saves)
	for _, g := range groups {
		s.answer(g.group, nil)
	}
	s.writer.recycle(groups)
	if s.pollCheckpoint() && s.young.full() {
		s.turn()
	}
}

func (s *Store) commitSmall(groups []sealed, clock int64) ([]saving, error) {
	b := newBatch(s.db)
	saves := s.cursors.save(b)
	if int64(b.size()) > s.wal.size/8 { // messages that are carried on
		s.settle()
		if err := s.write(b); err != nil || len(groups) == 0 {
			return saves, err
		}
		b = newBatch(s.db)
	}
	moves, moving := s.cursors.move(groups)
	saves = append(saves, moving...)
	r := walRecord{clock: clock, blocks: make([][]byte, len(groups)), entries: b.entries}
	for _, m := range moves {
		r.entries = append(r.entries, m.entry)
	}
	for i, g := range groups {
		r.blocks[i] = g.block
	}
	if !s.wal.fits(r.bound()) {
		s.turn()
	}
	err := s.beside(func() error { return errors.Join(b.err, s.wal.write(r)) })
	if err == nil {
		s.young.take(s.wal.seq, groups, r.entries)
	}
	return saves, err
}

func (s *Store) commitLarge(groups []sealed, headers []header) ([]saving, error) {
	s.settle() // what came before goes first
	b := newBatch(s.db)
	s.addBlocks(b, groups, headers)
	moves, saves := s.cursors.move(groups)
	if err := s.announce(moves); err != nil {
		return saves, err
	}
	b.putMoves(moves)
	saves = append(saves, s.cursors.save(b)...)
	s.stuff(b, headers)
	return saves, s.beside(func() error { return s.write(b) })
}

func (s *Store) addBlocks(b *batch, groups []sealed, headers []header) {
	fits := true
	for i, g := range groups {
		h := headers[i]
		headerAt := headerKey(h.last())
		fits = fits && b.set(blockKey(h.last()), g.block) && b.set(headerAt, h.value(headerAt))
	}
	// The last group that has a device has its last number.
	for i := len(groups) - 1; i >= 0; i-- {
	devices:
		for device, mark := range groups[i].devices {
			for _, later := range groups[i+1:] {
				if _, written := later.devices[device]; written {
					continue devices
				}
			}
			key := deviceKey(device)
			fits = fits && b.set(key, mark.value(key))
		}
	}
	if !fits {
		b.err = errNoRoom
	}
}

var errNoRoom = errors.New("bug: a group does not fit in a transaction")

// stuff adds filler to a transaction of large blocks while the log trims what it has delivered. Large
// blocks hardly fill the memtable, and until that is flushed Badger does not see what became stale:
// so that happens at least once for every file that is written.
func (s *Store) stuff(b *batch, headers []header) {
	if s.fills.Load() <= 0 {
		return
	}
	stored := int64(0)
	for _, h := range headers {
		stored += int64(h.bytes)
	}
	filler := make([]byte, min(stored*memTableSize/s.opts.FileSize, batchBytes))
	for i := byte(0); len(filler) > 0; i++ {
		n := min(len(filler), valueThreshold-1)
		if !b.set([]byte{prefixFiller, i}, filler[:n]) {
			return
		}
		filler = filler[n:]
	}
}

// answer tells everybody in the group what became of it, in the order of positions.
func (s *Store) answer(g *group, err error) {
	s.queue.release(g)
	if err != nil {
		s.cursors.letGo(g.moves)
	}
	for _, w := range g.waiters {
		w.ack.Acknowledge(w.token, g.first+message.Position(w.index), err)
	}
}

// answerAll tells everybody who still waits; false means that nobody did.
func (s *Store) answerAll(err error) bool {
	ready := s.writer.ready
	s.writer.ready = nil
	for _, g := range ready {
		s.answer(g.group, err)
	}
	somebody := len(ready) > 0
	for g := s.queue.take(takeAny); g != nil; g = s.queue.take(takeAny) {
		s.answer(g, err)
		somebody = true
	}
	return somebody
}
