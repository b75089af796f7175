package collectors

import (
	"hash/crc32"
	"math/rand/v2"
	"time"
)

const (
	maxSpread   = 2 * time.Second // a device is first heard of this soon, however long its interval
	minRetry    = 50 * time.Millisecond
	shortestCap = 5 * time.Second
	longestCap  = time.Minute

	// grain is how far apart devices are at least that do not start together: each time that the processor is
	// woken costs more than a poll of what is there by then.
	grain = 20 * time.Millisecond
)

// schedule is a fixed grid of ticks: on the monotonic clock, or aligned at the whole multiples of the
// interval on the wall clock. A tick that was missed is skipped: a late answer would otherwise be
// followed by a burst of polls that tell nothing new.
type schedule struct {
	first    time.Time
	interval time.Duration
	aligned  bool
}

// newSchedule spreads devices over the interval by their names, so that a hundred of them that
// start together do not all fire at once, but some of them at a time.
func newSchedule(name string, interval time.Duration, now time.Time) schedule {
	spread := uint64(min(interval, maxSpread))
	phase := time.Duration(uint64(crc32.ChecksumIEEE([]byte(name))) * spread >> 32)
	first := now.Add(phase)
	step := max(1, min(grain, interval/5))
	if first = first.Add(-time.Duration(first.UnixNano() % int64(step))); first.Before(now) {
		first = first.Add(step)
	}
	return schedule{first: first, interval: interval}
}

// newAligned gives ticks at which the wall clock shows a multiple of the interval since midnight of
// 1 January 1970 UTC, so that readings of many gateways belong to the same moments.
func newAligned(interval time.Duration, now time.Time) schedule {
	s := schedule{interval: interval, aligned: true}
	s.first = s.after(now)
	return s
}

// after gives the first tick behind now.
func (s schedule) after(now time.Time) time.Time {
	if s.aligned {
		// From the wall clock of this moment, so that a clock that was set moves the ticks with it.
		return now.Add(s.interval - time.Duration(now.UnixNano()%int64(s.interval)))
	}
	since := now.Sub(s.first)
	if since < 0 {
		return s.first
	}
	return s.first.Add((since/s.interval + 1) * s.interval)
}

// backoff gives growing waits between tries, each drawn from the whole range up to its ceiling
// ("full jitter"), so that devices that failed together do not return together.
type backoff struct {
	ceiling, limit time.Duration
}

func newBackoff(interval time.Duration) backoff {
	limit := min(max(10*interval, shortestCap), longestCap)
	return backoff{ceiling: min(max(interval, 2*minRetry), limit), limit: limit}
}

func (b *backoff) next() time.Duration {
	b.ceiling = min(2*b.ceiling, b.limit)
	return minRetry + rand.N(b.ceiling-minRetry)
}
