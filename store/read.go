package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// Read appends to dst up to max durable records in order, beginning with the first at or behind
// from, and returns none when there is none yet. What was trimmed or damaged is skipped.
func (s *Store) Read(dst []message.Record, from message.Position, max int) ([]message.Record, error) {
	if !s.use.TryRLock() {
		return dst, message.ErrClosed // only Close takes it for writing
	}
	defer s.use.RUnlock()
	if s.gone {
		return dst, message.ErrClosed
	}
	for max > 0 {
		h, ok := s.index.find(from)
		if !ok {
			return dst, nil
		}
		records, err := s.records(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return dst, err
			}
			// h is no longer in the index: gone, or part of a larger block. What is just being trimmed
			// may still be, for a moment.
			from = s.behindTrim(from)
			continue
		}
		if from > h.first {
			records = records[from-h.first:]
		}
		n := min(max, len(records))
		dst = append(dst, records[:n]...)
		max -= n
		from = h.last() + 1
	}
	return dst, nil
}

// behindTrim gives from, or the end of what is being trimmed if that is further.
func (s *Store) behindTrim(from message.Position) message.Position {
	return max(from, message.Position(s.leaving.Load()))
}

// records gives the decoded records of a block.
func (s *Store) records(h header) ([]message.Record, error) {
	b := s.cache.entry(span{h.first, h.last()})
	b.once.Do(func() {
		if b.plain != nil {
			b.records, b.err = b.plain.decode()
			b.plain = nil
			return // its cost was known
		}
		var size int
		b.records, size, b.err = s.load(h)
		if b.err == nil {
			s.cache.loaded(b, size+recordCost*len(b.records))
		}
	})
	if b.err != nil {
		s.cache.forget(b)
	}
	return b.records, b.err
}

// load reads a block from Badger. Badger answers with an empty value when the collector removed a
// file between the look-up and the read, so one failure proves nothing.
func (s *Store) load(h header) (records []message.Record, size int, err error) {
	for range 3 {
		var value []byte
		value, err = s.value(blockKey(h.last()))
		if err != nil {
			continue
		}
		records, err = decodeBlock(value)
		if err != nil {
			continue
		}
		if at := records[0].Position; at < h.first && at+message.Position(len(records)) == h.last()+1 {
			records = records[h.first-at:] // a checkpoint was faster than this reader
		}
		if records[0].Position != h.first || len(records) != int(h.count) {
			err = fmt.Errorf("%w: it holds %d messages from %d, its header says %d from %d", errBlock, len(records), records[0].Position, h.count, h.first)
			continue
		}
		for i := range records {
			size += len(records[i].Payload)
		}
		return records, size, nil
	}
	return nil, 0, err
}

// value gives a copy of what is stored under key; errAbsent when there is nothing.
func (s *Store) value(key []byte) (value []byte, err error) {
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
		value, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, errAbsent
	}
	return value, err
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
	value, ok := s.young.value(key)
	if !ok {
		value, err = s.value(key)
	}
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
