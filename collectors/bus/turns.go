package bus

import (
	"context"
	"slices"
	"sync"
)

// turns lets one caller at a time have the line and serves the others in the order they came, so
// that a device with many points cannot starve its neighbours. A device asks for one exchange at a
// time, so the queue is never longer than the number of devices.
type turns struct {
	mu      sync.Mutex // guards what follows
	busy    bool
	waiting []chan struct{}
}

// take waits for the turn. The caller that got it must give it back.
func (t *turns) take(ctx context.Context, closed <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()

	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		t.leave(mine)
		return ctx.Err()
	case <-closed:
		t.leave(mine)
		return ErrClosed
	}
}

// give hands the turn to who has waited longest. The line stays busy in between: a newcomer cannot
// slip in.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.busy = false
		return
	}
	next := t.waiting[0]
	t.waiting = slices.Delete(t.waiting, 0, 1)
	close(next)
}

// leave gives up waiting. When the turn had just been handed over, it is passed on.
func (t *turns) leave(mine chan struct{}) {
	t.mu.Lock()
	if i := slices.Index(t.waiting, mine); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	t.give()
}
