package store

import "encoding/binary"

// checkSmall looks whether what the small values speak of is there. Loading has reported those that
// are damaged.
func (s *Store) checkSmall(report *Report, f *found) error {
	carried := make(map[uint32]retainedValue)
	for _, v := range f.small {
		if v.mark == absent {
			continue
		}
		report.Values++
		if at := v.claims(); at > report.Last {
			report.find("the small value %q in slot %d speaks of position %d, the log ends at %d", v.kind, v.slot, at, report.Last)
		}
		if v.kind != smallRetained {
			continue
		}
		if body, err := decodeRetained(v.body); err == nil && body.carried > 0 {
			carried[v.slot] = body
		} else if err == nil && body.at < f.state.head {
			report.find("the retained message of %q lies at %d, below the head %d", body.topic, body.at, f.state.head)
		}
	}
	err := s.each(prefixCarried, true, func(key, value []byte) {
		if err := carriedProblem(key, value); err != nil {
			report.find("carried message under key %q: %v", key, err)
			return
		}
		slot := binary.BigEndian.Uint32(key[1:])
		want, wanted := carried[slot]
		if len(value) == 2+4 {
			return // emptied; if it is wanted, it is nowhere
		}
		if !wanted {
			report.Ghosts++ // its slot was damaged; it goes when the slot is used again
			return
		}
		if _, err := decodeCarried(value, want.topic, want.at); err != nil {
			report.find("carried message under key %q: %v", key, err)
		}
		report.Carried++
		delete(carried, slot)
	})
	for _, lost := range carried {
		report.find("the retained message of %q, position %d, is nowhere", lost.topic, lost.at)
	}
	return err
}
