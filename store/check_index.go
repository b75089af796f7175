package store

import (
	"bytes"
	"slices"

	"sluice/gateway/message"
)

// checkIndex makes the index again from the blocks, in memory, and compares.
func (s *Store) checkIndex(report *Report, f *found) error {
	s.index.head, s.index.tail = max(f.state.head, 1), report.Last
	s.index.blocks = f.headers
	problems, runs, _, err := s.listRuns()
	if err != nil {
		return err
	}
	for _, problem := range problems {
		report.find("%v", problem)
	}
	next := message.Position(0)
	for _, r := range runs {
		if r.last < s.index.head {
			continue // trimmed; its slot is emptied in a moment
		}
		if r.first < next || r.last > report.Last {
			report.find("index run %d covers %d to %d; the run before it ends at %d, the log at %d", r.id, r.first, r.last, next-1, report.Last)
		}
		next = r.last + 1
		report.Runs++
		s.checkRun(report, r)
	}
	return nil
}

func (s *Store) checkRun(report *Report, r *run) {
	at, err := s.rootOf(r)
	if err != nil {
		report.find("index run %d: %v", r.id, err)
		return
	}
	var listed [len(entryKinds)]map[string][]uint32
	offsets := make(map[string][]uint64)
	for k := range entryKinds {
		listed[k] = make(map[string][]uint32)
		var before []byte
		err := s.scan(r, at, k, nil, func(key []byte, blocks []uint32, firsts []uint64) {
			if before != nil && bytes.Compare(before, key) >= 0 {
				report.find("index run %d: key %q comes after %q", r.id, key, before)
			}
			before = bytes.Clone(key)
			listed[k][string(key)] = slices.Clone(blocks)
			if k == queueEntriesKind {
				offsets[string(key)] = slices.Clone(firsts)
			}
		})
		if err != nil {
			report.find("index run %d: %v", r.id, err)
			return
		}
	}
	lacks := func(k int, key string, p message.Position) bool {
		n, _ := slices.BinarySearch(at.lasts, p)
		_, found := slices.BinarySearch(listed[k][key], uint32(n))
		return !found
	}
	for p := max(r.first, s.index.head); p <= r.last; {
		h, ok := s.index.find(p)
		if !ok || h.first > r.last {
			return
		}
		p = h.last() + 1
		records, _, err := s.load(h)
		if err != nil {
			continue // checkBlocks reported it
		}
		if end, _ := slices.BinarySearch(at.lasts, h.first); at.block(uint32(min(end, len(at.lasts)-1))).last < h.last() {
			report.find("index run %d divides the block from %d to %d", r.id, h.first, h.last())
		}
		begun := make(map[string]bool)
		for i := range records {
			m := &records[i]
			if key := queueKey(message.QueueTopic(m.Topic), m.Queue); m.Queue != message.NoQueue && !begun[key] {
				begun[key] = true
				n, _ := slices.BinarySearch(at.lasts, m.Position)
				if at, found := slices.BinarySearch(listed[queueEntriesKind][key], uint32(n)); !found {
					report.find("index run %d lacks queue %q at %d", r.id, key, m.Position)
				} else if offsets[key][at] != m.QueueOffset {
					report.find("index run %d lets queue %q begin with offset %d at %d, where it has %d", r.id, key, offsets[key][at], m.Position, m.QueueOffset)
				}
			}
			if lacks(topicEntries, topicKey(m.Topic), m.Position) {
				report.find("index run %d lacks topic %q at %d", r.id, m.Topic, m.Position)
			}
			eachKey(m.Properties, func(key string) bool {
				if lacks(fingerprintEntries, string(fingerprintKey(nil, fingerprint(key))), m.Position) {
					report.find("index run %d lacks key %q at %d", r.id, key, m.Position)
				}
				return true
			})
			if m.Time < at.minTime || m.Time > at.maxTime {
				report.find("index run %d does not span the time of the message at %d", r.id, m.Position)
			}
		}
	}
}
