package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// Read appends to dst up to most durable records in order, beginning with the first at or behind
// from, and returns none when there is none yet. What was trimmed or damaged is skipped.
func (s *Store) Read(dst []message.Record, from message.Position, most int) ([]message.Record, error) {
	if !s.use.TryRLock() {
		return dst, message.ErrClosed // only Close takes it for writing
	}
	defer s.use.RUnlock()
	if s.gone {
		return dst, message.ErrClosed
	}
	names := s.cache.borrowNames()
	defer s.cache.names.Put(names)
	for most > 0 {
		h, ok := s.index.find(from)
		if !ok {
			return dst, nil
		}
		b, err := s.block(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return dst, err
			}
			// h is no longer in the index: gone, or part of a larger block. What is just being trimmed
			// may still be, for a moment.
			from = s.behindTrim(from)
			continue
		}
		from = max(from, h.first)
		n := min(uint64(most), uint64(h.last()-from+1))
		dst = b.appendTo(dst, uint32(from-b.first), uint32(n), names)
		most -= int(n)
		from = h.last() + 1
	}
	return dst, nil
}

// behindTrim gives from, or the end of what is being trimmed if that is further.
func (s *Store) behindTrim(from message.Position) message.Position {
	return max(from, message.Position(s.leaving.Load()))
}

// block gives the content of a block. It may begin before h where a checkpoint was faster than the reader.
func (s *Store) block(h header) (*block, error) {
	return s.content(s.cache.entry(span{h.first, h.last()}), h)
}

// content gives that of a block which has a place in the cache.
func (s *Store) content(c *cached, h header) (*block, error) {
	c.once.Do(func() {
		if c.unchecked != nil {
			c.content, c.err = c.unchecked, c.unchecked.checkYoung()
			c.unchecked = nil
			return // its cost was known
		}
		c.content, c.err = s.open(h, true)
		if c.err == nil {
			s.cache.loaded(c, blockCost+c.content.cost(), false)
		}
	})
	if c.err != nil {
		s.cache.forget(c)
	}
	return c.content, c.err
}

// records gives the records of a block.
func (s *Store) records(h header) ([]message.Record, error) {
	b, err := s.block(h)
	if err != nil {
		return nil, err
	}
	return s.recordsOf(b, h), nil
}

func (s *Store) recordsOf(b *block, h header) []message.Record {
	names := s.cache.borrowNames()
	defer s.cache.names.Put(names)
	return b.appendTo(nil, uint32(h.first-b.first), h.count, names)
}

// load reads the records of a block from Badger, past the cache.
func (s *Store) load(h header) (records []message.Record, size int, err error) {
	b, err := s.open(h, false)
	if err != nil {
		return nil, 0, err
	}
	return s.recordsOf(b, h), b.cost(), nil
}

// open reads a block from Badger.
func (s *Store) open(h header, help bool) (b *block, err error) {
	err = s.inBlock(h, func(value []byte) (err error) {
		if b, err = openBlock(value, help); err != nil {
			return err
		}
		return h.suits(b.first, b.count)
	})
	return b, err
}

// inBlock lets see look at a block as it is stored, which see must not keep. What see finds wrong with
// it is looked at again: Badger answers with an empty value when the collector removed a file between
// the look-up and the read, so one failure proves nothing.
func (s *Store) inBlock(h header, see func(value []byte) error) (err error) {
	for range 3 {
		if err = s.view(blockKey(h.last()), see); err == nil {
			return nil
		}
	}
	return err
}

// suits says whether what was found under the block's key is the block, or one that has it at its end.
func (h header) suits(first message.Position, count uint32) error {
	if first > h.first || first+message.Position(count) != h.last()+1 {
		return fmt.Errorf("%w: it holds %d messages from %d, its header says %d from %d", errBlock, count, first, h.count, h.first)
	}
	return nil
}

// value gives a copy of what is stored under key; errAbsent when there is nothing.
func (s *Store) value(key []byte) (value []byte, err error) {
	err = s.view(key, func(stored []byte) error {
		value = append([]byte{}, stored...)
		return nil
	})
	return value, err
}

// view lets see look at what is stored under key, where it lies; errAbsent when there is nothing.
func (s *Store) view(key []byte, see func(stored []byte) error) (err error) {
	// A damaged file can make Badger's mapping panic; that must cost one block, not the gateway.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading key %q: %v", errBlock, key, r)
		}
	}()
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		return item.Value(see)
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return errAbsent
	}
	return err
}

// latest gives a small value, which may still be in the write-ahead log alone.
func (s *Store) latest(key []byte) ([]byte, error) {
	if value, ok := s.young.value(key); ok {
		return value, nil
	}
	return s.value(key)
}

var errAbsent = errors.New("absent")

// Sequence gives the epoch of this log and the last durable sequence number of a device, 0 for a
// device that was never seen.
func (s *Store) Sequence(device string) (epoch, last uint64, err error) {
	if !s.use.TryRLock() {
		return 0, 0, message.ErrClosed
	}
	defer s.use.RUnlock()
	if s.gone {
		return 0, 0, message.ErrClosed
	}
	key := deviceKey(device)
	value, err := s.latest(key)
	if errors.Is(err, errAbsent) {
		return s.epoch, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the sequence number of device %q: %w", device, err)
	}
	mark, err := decodeDevice(key, value)
	if err != nil {
		return 0, 0, fmt.Errorf("read the sequence number of device %q: %w", device, err)
	}
	return s.epoch, mark.seq, nil
}
