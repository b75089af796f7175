package access

import (
	"sync"
	"time"
)

const (
	linesPerPeriod = 30
	linePeriod     = time.Minute
)

// limiter keeps clients from filling the gateway's log.
type limiter struct {
	mu     sync.Mutex // guards what follows
	begin  time.Time
	lines  int
	missed int
}

// allow says whether one more line may be written, and how many were left out before it.
func (l *limiter) allow(now time.Time) (ok bool, missed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.begin) >= linePeriod {
		l.begin, l.lines = now, 0
	}
	if l.lines == linesPerPeriod {
		l.missed++
		return false, 0
	}
	l.lines++
	missed, l.missed = l.missed, 0
	return true, missed
}
