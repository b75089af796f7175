package store

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// found is what the database holds, as far as it can be believed.
type found struct {
	state    state
	fresh    bool             // there is no state
	lost     error            // why the end of the log cannot be trusted; nil when it can
	claimed  message.Position // the last position that anything speaks of
	holes    []hole
	headers  []header
	cursors  map[string]cursorMark
	queues   []queueMark     // the newest first
	mangled  map[string]bool // cursors and devices, by key, whose value is damaged
	problems []error

	small       []smallValue // in the order of keys
	smallBroken []brokenValue
}

func newFound() found {
	return found{cursors: make(map[string]cursorMark), mangled: make(map[string]bool)}
}

func (f *found) claim(p message.Position) { f.claimed = max(f.claimed, p) }

// recover loads headers, cursors and state, and puts right what is wrong at the log's end; lost says
// what the write-ahead log could not give back.
func (s *Store) recover(care *care, lost error) error {
	f := newFound()
	if err := f.load(s.db); err != nil {
		return err
	}
	epoch, tail := s.readTail()
	f.claim(tail)
	if err := s.adopt(&f, care.newest); err != nil {
		return err
	}
	if f.lost = cmp.Or(f.lost, lost); care.salvaged {
		f.lost = errSalvaged
	} else if err := f.gaps(); err != nil {
		return err
	}
	for _, problem := range f.problems {
		s.log.Error("part of the log's state is damaged", "err", problem)
	}

	s.writer.state = f.state
	s.index.head = max(f.state.head, 1)
	s.recoverBlocks(&f)
	s.recoverEnd(&f, epoch)
	w := &s.writer
	s.epoch = w.state.epoch
	s.dropped.Store(w.state.dropped)
	s.recoverClock(&f)
	s.queue.next = s.index.tail + 1
	if err := s.recoverMoves(&f); err != nil {
		return err
	}
	for name, at := range f.cursors {
		// A cursor below the head was passed over; one beyond the tail saw a tail that is gone.
		s.cursors.restore(name, at, s.index.head, s.index.tail, f.mangled[string(cursorKey(name))])
	}
	if w.state != f.state || f.fresh {
		b := newBatch(s.db)
		b.set(stateKey, w.state.value())
		if err := s.write(b); err != nil {
			return fmt.Errorf("write the log's state: %w", err)
		}
	}
	if err := s.recordHoles(); err != nil {
		return err
	}
	if err := s.recoverDevices(&f); err != nil {
		return err
	}
	if err := s.recoverSmall(&f); err != nil {
		return err
	}
	if err := s.recoverQueues(&f); err != nil {
		return err
	}
	if err := s.recoverIndex(); err != nil {
		return err
	}
	w.sweptAt, w.clockedAt = time.Now(), time.Now()
	w.pressedAt = time.Now() // what was removed before the restart may still come back
	return s.sweep()
}

// recoverBlocks takes the headers that make a sequence. Positions that nothing accounts for become
// holes.
func (s *Store) recoverBlocks(f *found) {
	known := make(map[message.Position]hole)
	for _, h := range f.holes {
		if h.last >= s.index.head {
			known[h.first] = h
			s.damage.know(h)
		}
	}
	next := s.index.head
	skipHoles := func() {
		for h, ok := known[next]; ok; h, ok = known[next] {
			next = h.last + 1
		}
	}
	for _, h := range f.headers {
		skipHoles()
		if h.first < next {
			continue // a block that came back after another took its place
		}
		if h.first > next {
			s.damage.add(hole{next, h.first - 1}, errors.New("blocks are missing"), nil)
		}
		s.index.blocks = append(s.index.blocks, h)
		s.index.bytes += int64(h.bytes)
		s.index.messages += uint64(h.count)
		next = h.last() + 1
	}
	skipHoles()
	s.index.tail, s.index.stored = next-1, next-1
}

// recoverEnd reads back the end of the log. What cannot be read there, or was claimed and is not
// there, was promised to somebody: its positions are never given out again, and a new epoch tells
// everybody that sequence numbers may repeat. epoch is what the tail file remembers.
func (s *Store) recoverEnd(f *found, epoch uint64) {
	for n := len(s.index.blocks); n > 0; n = len(s.index.blocks) {
		h := s.index.blocks[n-1]
		_, err := s.records(h)
		if err == nil {
			break
		}
		f.lost = err
		s.index.remove(h)
		value, err := s.value(blockKey(h.last()))
		if err != nil {
			value = nil
		}
		s.damage.add(hole{h.first, h.last()}, f.lost, value)
	}
	if f.claimed > s.index.tail {
		f.lost = fmt.Errorf("the log ends at %d but has been at %d", s.index.tail, f.claimed)
		s.damage.add(hole{s.index.tail + 1, f.claimed}, f.lost, nil)
		s.index.tail, s.index.stored = f.claimed, f.claimed
	}
	st := &s.writer.state
	switch now := time.Now(); {
	case f.fresh && len(f.headers) == 0 && f.claimed == 0:
		*st = state{epoch: newEpoch(now), head: 1}
	case f.fresh:
		s.log.Error("the log's state is gone, a new epoch begins", "err", errNoState)
		*st = state{epoch: nextEpoch(epoch, now), head: s.index.head}
	case f.lost != nil:
		st.epoch = nextEpoch(st.epoch, now)
	}
	if f.lost != nil {
		s.log.Error("the end of the log was lost, a new epoch begins", "err", f.lost, "epoch", st.epoch, "next", s.index.tail+1)
	}
}

// recoverClock goes on with the latest log clock that anything was stamped with.
func (s *Store) recoverClock(f *found) {
	w := &s.writer
	w.clockBase = w.state.clock
	if n := len(s.index.blocks); n > 0 {
		w.clockBase = max(w.clockBase, s.index.blocks[n-1].clock)
	}
	for _, c := range f.cursors {
		w.clockBase = max(w.clockBase, c.used)
	}
	w.clockBase = max(w.clockBase, f.latestSmall())
}

// recoverDevices finds the last reading of devices whose sequence number is damaged, back from the
// end of the log. One that has none there starts again: the epoch is new.
func (s *Store) recoverDevices(f *found) error {
	missing := make(map[string]deviceMark)
	for key := range f.mangled {
		if key[0] == prefixDevice {
			missing[key[1:]] = deviceMark{}
		}
	}
	unknown := len(missing)
	for i := len(s.index.blocks) - 1; i >= 0 && unknown > 0; i-- {
		records, err := s.records(s.index.blocks[i])
		if err != nil {
			continue // whoever reads it will report it
		}
		for j := len(records) - 1; j >= 0; j-- {
			r := &records[j]
			if mark, wanted := missing[r.Device]; wanted && mark.at == 0 {
				missing[r.Device] = deviceMark{r.Seq, r.Position}
				unknown--
			}
		}
	}
	for device, mark := range missing {
		b := newBatch(s.db)
		key := deviceKey(device)
		b.set(key, mark.value(key))
		if err := s.write(b); err != nil {
			return fmt.Errorf("repair the sequence number of device %q: %w", device, err)
		}
	}
	return nil
}

// load walks over everything but the blocks.
func (f *found) load(db *badger.DB) error {
	return db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(stateKey)
		switch {
		case errors.Is(err, badger.ErrKeyNotFound):
			f.fresh = true
		case err != nil:
			return fmt.Errorf("read the log's state: %w", err)
		default:
			if err := f.loadState(item); err != nil {
				f.problems = append(f.problems, err)
				f.fresh = true
			}
		}
		if f.fresh {
			f.state = state{}
		}
		f.claim(f.state.tail)
		options := badger.DefaultIteratorOptions
		options.PrefetchSize = 64
		it := txn.NewIterator(options)
		defer it.Close()
		for _, part := range []struct {
			prefix byte
			from   []byte
			take   func(key, value []byte) error
		}{
			{prefixCursor, []byte{prefixCursor}, f.cursor},
			{prefixDevice, []byte{prefixDevice}, f.device},
			{prefixGap, []byte{prefixGap}, f.hole},
			{prefixQueue, []byte{prefixQueue}, f.queue},
			{prefixHeader, headerKey(f.state.head), f.header},
			{prefixSmall, []byte{prefixSmall}, f.smallValue},
		} {
			for it.Seek(part.from); it.ValidForPrefix([]byte{part.prefix}); it.Next() {
				key := it.Item().KeyCopy(nil)
				err := it.Item().Value(func(value []byte) error { return part.take(key, value) })
				if err != nil {
					f.problems = append(f.problems, err)
				}
			}
		}
		if f.fresh && len(f.headers) > 0 {
			f.state.head = f.headers[0].first
		}
		return nil
	})
}

func (f *found) loadState(item *badger.Item) error {
	return item.Value(func(value []byte) (err error) {
		f.state, err = decodeState(value)
		return err
	})
}

func (f *found) cursor(key, value []byte) error {
	c, mark, err := decodeCursor(key, value)
	if err != nil {
		f.mangled[string(key)] = true
		f.cursors[string(key[1:])] = cursorMark{} // from the head again: a repeat is better than a loss
		return err
	}
	if mark == present {
		f.cursors[string(key[1:])] = c
		f.claim(c.last())
	}
	return nil
}

func (f *found) device(key, value []byte) error {
	mark, err := decodeDevice(key, value)
	if err != nil {
		f.mangled[string(key)] = true
		f.lost = err // its next sequence number cannot be known
		return err
	}
	f.claim(mark.at)
	return nil
}

func (f *found) hole(key, value []byte) error {
	h, err := decodeHole(key, value)
	if err == nil {
		f.holes = append(f.holes, h)
		f.claim(h.last)
	}
	return err
}

func (f *found) header(key, value []byte) error {
	h, err := decodeHeader(key, value)
	if err != nil {
		return err
	}
	f.headers = append(f.headers, h)
	f.claim(h.last())
	return nil
}
