package bridge

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// The first wait is at most backoffBase, the longest at most backoffCap unless told otherwise.
const (
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second
)

// backoff gives waits with full jitter: each is drawn evenly between nothing and a ceiling that
// doubles. A fleet that lost the same cloud at the same moment so comes back spread out.
type backoff struct {
	tries  int
	cap    time.Duration                             // 0: backoffCap
	random func(ceiling time.Duration) time.Duration // nil: math/rand
}

func (b *backoff) next() time.Duration {
	ceiling := cmp.Or(b.cap, backoffCap)
	if b.tries < 10 { // 2^10 times the base is far above the cap; more would overflow in the end
		ceiling = min(ceiling, backoffBase<<b.tries)
	}
	b.tries++
	if b.random != nil {
		return b.random(ceiling)
	}
	return rand.N(ceiling + 1)
}

func (b *backoff) reset() { b.tries = 0 }

// pause waits for d and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
