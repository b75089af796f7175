package bridge

import (
	"context"
	"slices"
)

// slot waits for a place in the window. Lanes of the highest priority that have something to send
// share it evenly, one alone gets all of it; the others go on with one message each meanwhile.
func (fl *flight) slot(ctx context.Context, q *queue) (*slot, error) {
	for fl.beyondShare(q) {
		select {
		case <-q.nudge:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case s := <-fl.free:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (fl *flight) beyondShare(q *queue) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	sharing := 0
	for _, other := range fl.hungry {
		switch {
		case other.lane.priority > q.lane.priority:
			return q.n >= 1
		case other.lane.priority == q.lane.priority:
			sharing++
		}
	}
	return sharing > 1 && q.n*sharing >= cap(fl.free)
}

// feels says whether a lane has something to send at present.
func (fl *flight) feels(q *queue, hungry bool) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if hungry {
		fl.hungry = append(fl.hungry, q)
	} else {
		fl.hungry = slices.DeleteFunc(fl.hungry, func(other *queue) bool { return other == q })
	}
	for _, q := range fl.queues {
		q.nudgeLocked()
	}
}

func (q *queue) nudgeLocked() {
	select {
	case q.nudge <- struct{}{}:
	default: // it has been told already
	}
}
