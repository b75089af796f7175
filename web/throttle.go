package web

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// throttle makes whoever keeps failing wait longer and longer. An attempt is counted before it is
// judged, so that many at once gain nothing. Its memory is bounded: beyond max names the one that
// was quiet for longest is forgotten.
type throttle struct {
	free    int           // attempts that cost nothing
	longest time.Duration // no wait is longer
	max     int

	mu    sync.Mutex // guards what follows
	tries map[string]tries
}

type tries struct {
	count int
	last  time.Time
	until time.Time
}

// forgetAfter is how long a name must be quiet for its failures to be forgotten.
const forgetAfter = 15 * time.Minute

func newThrottle(free int, longest time.Duration) *throttle {
	return &throttle{free: free, longest: longest, max: 1024, tries: map[string]tries{}}
}

// try counts an attempt, or says how long name has to wait before the next one.
func (t *throttle) try(name string) (wait time.Duration) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	found, known := t.tries[name]
	if known && now.Sub(found.last) > forgetAfter {
		found = tries{}
	}
	if wait := found.until.Sub(now); wait > 0 {
		return wait
	}
	if !known && len(t.tries) >= t.max {
		t.forgetLocked(now)
	}
	found.count++
	found.last = now
	found.until = now.Add(t.delay(found.count))
	t.tries[name] = found
	return 0
}

// succeeded forgets the failures of name.
func (t *throttle) succeeded(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, name)
}

// delay doubles from one second with each attempt beyond the free ones.
func (t *throttle) delay(count int) time.Duration {
	beyond := count - t.free
	if beyond < 0 {
		return 0
	}
	seconds := math.Pow(2, float64(min(beyond, 30)))
	return min(time.Duration(seconds)*time.Second, t.longest)
}

func (t *throttle) forgetLocked(now time.Time) {
	var quiet string
	last := now
	for name, tries := range t.tries {
		if now.Sub(tries.last) > forgetAfter {
			delete(t.tries, name)
			continue
		}
		if !tries.last.After(last) {
			quiet, last = name, tries.last
		}
	}
	if len(t.tries) >= t.max {
		delete(t.tries, quiet)
	}
}

// loginGuard slows down guessing, by address and by user. The wait by user is short, so that a
// stranger cannot keep the administrator out.
type loginGuard struct {
	address *throttle
	user    *throttle
	setup   *throttle
	hashing turns
}

func newLoginGuard() *loginGuard {
	return &loginGuard{
		address: newThrottle(5, time.Minute),
		user:    newThrottle(10, 4*time.Second),
		setup:   newThrottle(5, time.Minute),
		hashing: newTurns(),
	}
}

// addressKey is the name by which an address is counted: a whole /64 is one subscriber in IPv6.
func addressKey(remote string) string {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := address.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
