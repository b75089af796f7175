package store

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// replayed is what a kill left in the write-ahead log.
type replayed struct {
	last  uint64 // number of the last record, of all that there ever were
	found bool   // there was one that Badger did not have
	lost  error  // some that were acknowledged cannot be read
}

// replay brings what a kill left in the write-ahead log into Badger. It changes nothing when there is
// nothing.
func (s *Store) replay() (r replayed, err error) {
	records, err := readWAL(s.walDir())
	if err != nil {
		return r, err
	}
	settled, tail, err := s.replayFrom()
	if err != nil {
		return r, err
	}
	for _, record := range records { // what Badger says of it may be damaged
		settled = max(settled, record.settled)
	}
	r.last = settled
	full := packer{s: s}
	values := make(map[string][]byte)
	for _, record := range records {
		if record.seq <= settled {
			continue
		}
		r.found = true
		if record.seq != r.last+1 {
			r.lost = fmt.Errorf("%d records of the write-ahead log behind number %d cannot be read", record.seq-r.last-1, r.last)
		}
		r.last = record.seq
		for _, block := range record.blocks {
			list, err := decodeBlock(block)
			if err != nil {
				r.lost = fmt.Errorf("record %d of the write-ahead log: %w", record.seq, err)
				continue
			}
			for i := range list {
				if m := &list[i]; m.Device != "" {
					key := deviceKey(m.Device)
					values[string(key)] = deviceMark{m.Seq, m.Position}.value(key)
				}
			}
			for len(list) > 0 && list[0].Position <= tail {
				list = list[1:]
			}
			if len(list) == 0 {
				continue
			}
			// Without a lost record Badger's own files have lost something: that is for recover.
			if missing := (hole{tail + 1, list[0].Position - 1}); missing.last >= missing.first && r.lost != nil {
				s.damage.add(missing, r.lost, nil)
				values[string(gapKey(missing.first))] = missing.value()
			}
			tail = list[len(list)-1].Position
			full.add(list, record.clock)
		}
		for _, e := range record.entries {
			values[string(e.key)] = e.value
		}
	}
	if !r.found {
		return r, nil
	}
	full.close()
	return r, full.write(values, r.last)
}

// replayFrom gives the number of the last record that Badger has, and the last position.
func (s *Store) replayFrom() (settled uint64, tail message.Position, err error) {
	value, err := s.value(walKey)
	if err == nil {
		if _, words, err := unseal(walKey, value, 1); err == nil {
			settled = words[0]
		}
	} else if !unreadable(err) {
		return 0, 0, err
	}
	err = s.db.View(func(txn *badger.Txn) error {
		tail = lastOf(txn, prefixHeader)
		return nil
	})
	return settled, tail, err
}
