package bus

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	maxWaiting = 1000 // who wait for one line: more than devices are on any, each with a poll and a command
	maxUrgent  = 4    // urgent turns one after another while others wait
)

// turns lets one caller at a time have the line and serves the others in the order they came, so
// that a device with many points cannot starve its neighbours. Urgent ones come first, but after four
// of them one of the others has its turn: a master that writes all the time does not stop the polls.
// A device asks for one poll and one command at a time, so the queue is never longer than twice the
// number of devices; beyond its bound who comes is refused.
type turns struct {
	mu     sync.Mutex // guards what follows
	busy   bool
	normal []chan struct{}
	urgent []chan struct{}
	row    int // urgent turns since the last other one, while others waited
}

// take waits for the turn. The caller that got it must give it back. since is when the wait began,
// the zero time when there was none.
func (t *turns) take(ctx context.Context, closed <-chan struct{}, urgent bool) (since time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return since, err
	}
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return since, nil
	}
	if len(t.normal)+len(t.urgent) >= maxWaiting {
		t.mu.Unlock()
		return since, ErrFull
	}
	mine := make(chan struct{})
	if urgent {
		t.urgent = append(t.urgent, mine)
	} else {
		t.normal = append(t.normal, mine)
	}
	t.mu.Unlock()

	since = time.Now()
	select {
	case <-mine:
		return since, nil
	case <-ctx.Done():
		t.leave(mine)
		return since, ctx.Err()
	case <-closed:
		t.leave(mine)
		return since, ErrClosed
	}
}

// give hands the turn to who is next. The line stays busy in between: a newcomer cannot slip in.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	var queue *[]chan struct{}
	switch {
	case len(t.urgent) > 0 && (len(t.normal) == 0 || t.row < maxUrgent):
		queue = &t.urgent
		t.row++
	case len(t.normal) > 0:
		queue = &t.normal
	default:
		t.busy, t.row = false, 0
		return
	}
	if len(t.normal) == 0 || queue == &t.normal {
		t.row = 0
	}
	next := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	close(next)
}

// leave gives up waiting. When the turn had just been handed over, it is passed on.
func (t *turns) leave(mine chan struct{}) {
	t.mu.Lock()
	for _, queue := range []*[]chan struct{}{&t.normal, &t.urgent} {
		if i := slices.Index(*queue, mine); i >= 0 {
			*queue = slices.Delete(*queue, i, i+1)
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.give()
}

// waiting counts who wait.
func (t *turns) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.normal) + len(t.urgent)
}
