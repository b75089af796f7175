package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// Report is what Check found.
type Report struct {
	Epoch                            uint64
	First, Last                      message.Position
	Blocks, Cursors, Devices, Ghosts int
	Runs                             int // of the index
	Values, Carried                  int // sessions, groups, topics and retained messages; of the latter those that no block has
	Queues                           int // that have messages in the log
	Messages                         uint64
	Holes                            []Damage // damage that the log knows and skips
	Findings                         []string // what must not be; empty for a sound log
	Repaired                         bool     // Badger's files had to be brought to an end first
}

const maxFindings = 100

func (r *Report) find(format string, args ...any) {
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
	}
}

// Check reads a closed log from end to end and says whether all its parts agree. It changes nothing,
// but for Badger's own files when the gateway did not stop in an orderly way: see Closed.
func Check(dir string) (Report, error) {
	var report Report
	s, repaired, err := openClosed(dir, &report)
	if _, broken := errors.AsType[*brokenError](err); broken {
		return report, nil // opening it would lose something: that is for the gateway to put right
	}
	if err != nil {
		return report, err
	}
	report.Repaired = repaired
	err = s.check(&report)
	if closing := s.closeClosed(); err == nil {
		err = closing
	}
	return report, err
}

func (s *Store) check(report *Report) error {
	f := newFound()
	if err := f.load(s.db); err != nil {
		return err
	}
	for _, problem := range f.problems {
		report.find("%v", problem)
	}
	if f.fresh {
		report.find("%v", errNoState)
	}
	report.Epoch, report.First = f.state.epoch, f.state.head
	holes := make(map[message.Position]message.Position)
	for _, h := range f.holes {
		if h.last >= f.state.head {
			holes[h.first] = h.last
			report.Holes = append(report.Holes, Damage{h.first, h.last, "recorded"})
		}
	}
	readings := s.checkBlocks(report, &f, holes)
	if f.state.tail > report.Last {
		report.find("the log ends at %d, its state speaks of %d", report.Last, f.state.tail)
	}
	for name, c := range f.cursors {
		report.Cursors++
		at := c.at
		if at+1 < f.state.head || at > report.Last {
			report.find("cursor %q stands at %d, outside of %d to %d", name, at, f.state.head-1, report.Last)
		}
		if last := c.last(); last > at && last > report.Last {
			report.find("cursor %q is done up to %d, the log ends at %d", name, last, report.Last)
		}
	}
	if err := s.checkSmall(report, &f); err != nil {
		return err
	}
	if err := s.checkDevices(report, readings, holes); err != nil {
		return err
	}
	if err := s.checkStray(report, &f); err != nil {
		return err
	}
	s.checkQueues(report, &f)
	return s.checkIndex(report, &f)
}

// checkBlocks walks over the sequence and gives the last reading of each device in it.
func (s *Store) checkBlocks(report *Report, f *found, holes map[message.Position]message.Position) map[string]deviceMark {
	readings := make(map[string]deviceMark)
	next := f.state.head
	skipHoles := func() {
		for last, ok := holes[next]; ok; last, ok = holes[next] {
			next = last + 1
		}
	}
	for _, h := range f.headers {
		skipHoles()
		if h.first != next {
			report.find("a block starts at %d, want %d", h.first, next)
		}
		next = h.last() + 1
		report.Blocks++
		report.Messages += uint64(h.count)
		value, err := s.value(blockKey(h.last()))
		if err != nil {
			report.find("block %d to %d: %v", h.first, h.last(), err)
			continue
		}
		if len(value) != int(h.bytes) {
			report.find("block %d to %d has %d bytes, its header says %d", h.first, h.last(), len(value), h.bytes)
		}
		records, err := decodeBlock(value)
		if err != nil {
			report.find("block %d to %d: %v", h.first, h.last(), err)
			continue
		}
		if records[0].Position != h.first || len(records) != int(h.count) || records[0].Time != h.time {
			report.find("block %d to %d holds %d messages from %d", h.first, h.last(), len(records), records[0].Position)
		}
		for i := range records {
			if r := &records[i]; r.Device != "" {
				readings[r.Device] = deviceMark{r.Seq, r.Position}
			}
		}
	}
	skipHoles()
	report.Last = next - 1
	return readings
}

func (s *Store) checkDevices(report *Report, readings map[string]deviceMark, holes map[message.Position]message.Position) error {
	inHole := func(p message.Position) bool {
		for first, last := range holes {
			if p >= first && p <= last {
				return true
			}
		}
		return false
	}
	err := s.each(prefixDevice, true, func(key, value []byte) {
		report.Devices++
		device := string(key[1:])
		mark, err := decodeDevice(key, value)
		if err != nil {
			return // loading reported it
		}
		last, inLog := readings[device]
		delete(readings, device)
		if inHole(mark.at) {
			return
		}
		if inLog && last != mark || !inLog && mark.at >= report.First {
			report.find("device %q is at seq %d, position %d; its last reading in the log has seq %d, position %d", device, mark.seq, mark.at, last.seq, last.at)
		}
	})
	for device := range readings {
		report.find("device %q has readings but no sequence number", device)
	}
	return err
}

// checkStray looks for blocks that no header knows.
func (s *Store) checkStray(report *Report, f *found) error {
	known := make(map[message.Position]bool, len(f.headers))
	for _, h := range f.headers {
		known[h.last()] = true
	}
	return s.each(prefixBlock, false, func(key, _ []byte) {
		last, ok := positionOf(key)
		switch {
		case !ok:
			report.find("key %q is no block's", key)
		case last < f.state.head:
			report.Ghosts++ // Badger brought it back; the next sweep takes it
		case !known[last] && !covered(f.holes, last):
			report.find("the block that ends at %d has no header", last)
		}
	})
}

func covered(holes []hole, p message.Position) bool {
	for _, h := range holes {
		if p >= h.first && p <= h.last {
			return true
		}
	}
	return false
}

func (s *Store) each(prefix byte, values bool, visit func(key, value []byte)) error {
	return s.db.View(func(txn *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.PrefetchValues = values
		it := txn.NewIterator(options)
		defer it.Close()
		var errs []error
		for it.Seek([]byte{prefix}); it.ValidForPrefix([]byte{prefix}); it.Next() {
			var value []byte
			if values {
				var err error
				if value, err = it.Item().ValueCopy(nil); err != nil {
					errs = append(errs, err)
				}
			}
			visit(it.Item().KeyCopy(nil), value)
		}
		return errors.Join(errs...)
	})
}
