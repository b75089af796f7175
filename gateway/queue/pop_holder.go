package queue

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	renewedFor = time.Minute // by which what a holder has stays away once more
	renewals   = 180         // so often at most: whoever has not dealt with it in three hours never will
)

// Holder is a consumer that the engine is told of when it leaves. What it has popped stays with it meanwhile,
// longer than the time that it was popped for. Its methods may be called from any goroutine.
type Holder struct {
	set  *pops
	id   uint16 // 0: there were too many, nothing is renewed
	left atomic.Bool
}

// NewHolder makes a holder, which must be told to leave.
func (q *Queues) NewHolder() *Holder {
	s := &q.pops
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Holder{set: s}
	if len(s.holders) == math.MaxUint16 {
		return h
	}
	for h.id == 0 || s.holders[h.id] {
		s.lastHolder++
		h.id = s.lastHolder
	}
	s.holders[h.id] = true
	return h
}

// mark is what the entries of what it pops carry.
func (h *Holder) mark() uint16 {
	if h == nil || h.left.Load() {
		return 0
	}
	return h.id
}

// Leave lets everything come back that the holder has not acknowledged. It may be called again.
func (h *Holder) Leave() {
	if h.left.Swap(true) || h.id == 0 {
		return
	}
	s := h.set
	s.mu.Lock()
	all := make([]*popQueue, 0, len(s.queues))
	for _, p := range s.queues {
		all = append(all, p)
	}
	s.mu.Unlock()
	now, had := s.now(), false
	for _, p := range all {
		p.mu.Lock()
		for i := range p.window {
			if e := &p.window[i]; e.holder == h.id {
				e.holder = 0
				if e.state == inFlight {
					e.due, p.soonest, had = min(e.due, now), min(p.soonest, now), true
				}
			}
		}
		p.mu.Unlock()
	}
	s.plan(0, had)
	s.mu.Lock()
	delete(s.holders, h.id) // nothing has it any more
	s.mu.Unlock()
}

// renewLocked puts off when what a holder has comes back.
func (e *handedOut) renewLocked(now time.Duration) bool {
	if e.holder == 0 || e.renewals >= renewals {
		return false
	}
	e.renewals++
	e.due = now + renewedFor
	return true
}
