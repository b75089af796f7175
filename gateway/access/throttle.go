package access

import (
	"crypto/sha256"
	"sync"
	"time"
)

// key stands for a name of any length in the tables, so that a stranger's long names fill no memory.
type key [sha256.Size]byte

// throttle makes whoever keeps failing wait longer and longer. Its memory is bounded: beyond most
// names the one that was quiet for longest is forgotten.
type throttle struct {
	free    int           // failures that cost nothing
	longest time.Duration // no wait is longer
	most    int

	mu       sync.Mutex // guards what follows
	failures map[key]failures
}

type failures struct {
	count int
	last  time.Time
	until time.Time
}

const (
	// forgetAfter is how long a name must be quiet for its failures to be forgotten.
	forgetAfter  = 15 * time.Minute
	namesCounted = 1024
)

func newThrottle(free int, longest time.Duration) *throttle {
	return &throttle{free: free, longest: longest, most: namesCounted, failures: make(map[key]failures)}
}

// wait says how long name has to wait before its next attempt is judged.
func (t *throttle) wait(name key) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(0, time.Until(t.failures[name].until))
}

// failed counts a failure of name.
func (t *throttle) failed(name key) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	found, known := t.failures[name]
	if known && now.Sub(found.last) > forgetAfter {
		found = failures{}
	}
	if !known && len(t.failures) >= t.most {
		t.forgetLocked(now)
	}
	found.count++
	found.last = now
	found.until = now.Add(t.delay(found.count))
	t.failures[name] = found
}

// succeeded forgets the failures of name.
func (t *throttle) succeeded(name key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failures, name)
}

// delay doubles from one second with each failure beyond the free ones.
func (t *throttle) delay(count int) time.Duration {
	beyond := count - t.free
	if beyond < 0 {
		return 0
	}
	return min(time.Second<<min(beyond, 30), t.longest)
}

func (t *throttle) forgetLocked(now time.Time) {
	var quiet key
	first := true
	var last time.Time
	for name, each := range t.failures {
		if now.Sub(each.last) > forgetAfter {
			delete(t.failures, name)
			continue
		}
		if first || each.last.Before(last) {
			quiet, last, first = name, each.last, false
		}
	}
	if len(t.failures) >= t.most {
		delete(t.failures, quiet)
	}
}

// seats bounds how many attempts wait at a time, in all and of one address.
type seats struct {
	all, each int

	mu    sync.Mutex // guards what follows
	taken map[key]int
	total int
}

func newSeats(all, each int) *seats {
	return &seats{all: all, each: each, taken: make(map[key]int)}
}

// take gives a seat to address, or says that there is none.
func (s *seats) take(address key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.all || s.taken[address] >= s.each {
		return false
	}
	s.total++
	s.taken[address]++
	return true
}

func (s *seats) leave(address key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.taken[address]--; s.taken[address] == 0 {
		delete(s.taken, address)
	}
}

func (s *seats) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
