package batch

import (
	"sync"
	"time"
)

// shard is a queue of messages whose order matters.
type shard struct {
	options *Options
	wake    chan struct{} // tells the posting goroutine that something may be due
	flying  []Item        // the batch in flight; only the posting goroutine touches it

	mu      sync.Mutex // guards what follows
	waiting []Item     // oldest first
	bytes   int        // of those that wait
	// refusing is set while a refusal is being answered. Nothing is taken meanwhile: whoever sends
	// does not know yet.
	refusing bool
	room     chan struct{} // is closed when there may be room again, if somebody waits for it
}

// roomLocked gives what to wait for before a message of that size can be taken, or nil.
func (s *shard) roomLocked(size int) <-chan struct{} {
	n := len(s.waiting)
	full := n >= s.options.Count*s.options.Behind ||
		s.options.Bytes > 0 && n > 0 && s.bytes+size > s.options.Bytes*s.options.Behind
	if !full && !s.refusing {
		return nil
	}
	if full {
		s.hurryLocked() // what waits will not grow
	}
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

func (s *shard) addLocked(item *Item) {
	item.came = time.Now()
	s.waiting = append(s.waiting, *item)
	s.bytes += item.size
	if len(s.waiting) == 1 || s.completeLocked() {
		s.wakeUp()
	}
}

// hurryLocked makes what waits due at once.
func (s *shard) hurryLocked() {
	s.waiting[0].came = time.Time{}
	s.wakeUp()
}

func (s *shard) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it knows
	}
}

// completeLocked says that lingering would not make a larger batch.
func (s *shard) completeLocked() bool {
	return len(s.waiting) >= s.options.Count || s.options.Bytes > 0 && s.bytes >= s.options.Bytes
}

// due says whether a batch may go, or else in how long it may; nothing waits when that is negative.
func (s *shard) due() (now bool, in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false, -1
	}
	in = s.options.Linger - time.Since(s.waiting[0].came)
	return in <= 0 || s.completeLocked(), in
}

// cut takes the next batch: the oldest message, and those of its group behind it that overtake none
// of their own key by that.
func (s *shard) cut() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch, rest := s.flying[:0], s.waiting[:0]
	bytes, full := 0, false
	var passed map[string]bool // keys of messages that stay
	for _, item := range s.waiting {
		full = full || len(batch) == s.options.Count ||
			s.options.Bytes > 0 && len(batch) > 0 && bytes+item.size > s.options.Bytes
		switch {
		case full:
			rest = append(rest, item)
		case len(batch) > 0 && item.Group != batch[0].Group || passed[item.Key]:
			if passed == nil {
				passed = make(map[string]bool)
			}
			passed[item.Key] = true
			rest = append(rest, item)
		default:
			batch = append(batch, item)
			bytes += item.size
		}
	}
	clear(s.waiting[len(rest):]) // or they would keep their blocks in memory
	s.waiting, s.flying = rest, batch
	s.bytes -= bytes
	s.notifyLocked()
	return batch
}

// refuse takes everything that waits, and lets nothing in before admit.
func (s *shard) refuse() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = true
	return s.emptyLocked()
}

// admit lets messages in again.
func (s *shard) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusing = false
	s.notifyLocked()
}

// empty takes everything that waits.
func (s *shard) empty() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emptyLocked()
}

func (s *shard) emptyLocked() []Item {
	all := s.waiting
	s.waiting, s.bytes = nil, 0
	return all
}

func (s *shard) notifyLocked() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}
