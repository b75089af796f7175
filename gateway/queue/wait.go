package queue

import (
	"context"
	"sync"

	"sluice/gateway/message"
)

// waiting are the consumers that wait for a message in a queue.
type waiting struct {
	mu     sync.Mutex // guards what follows
	queues map[place]map[*Waiter]struct{}
}

type place struct {
	topic string // as the log has it
	queue int
}

// Waiter waits for one queue. It is a consumer's pull that found nothing.
type Waiter struct {
	set   *waiting
	place place
	next  uint64
	wake  func()
}

func (w *waiting) init() { w.queues = make(map[place]map[*Waiter]struct{}) }

// Wait calls wake once, soon after the queue has a message at offset or behind it; it may be at once. wake
// runs on a goroutine that everybody shares: it must not block. It is not called after Stop.
func (q *Queues) Wait(topic string, queue int, offset uint64, wake func()) *Waiter {
	w := &Waiter{set: &q.waiting, place: place{logTopic(topic), queue}, next: offset, wake: wake}
	q.waiting.mu.Lock()
	all := q.waiting.queues[w.place]
	if all == nil {
		all = make(map[*Waiter]struct{})
		q.waiting.queues[w.place] = all
	}
	all[w] = struct{}{}
	q.waiting.mu.Unlock()
	// It may have come between the caller's look and this.
	if _, next, err := q.log.QueueRange(w.place.topic, queue); err == nil && next > offset && w.Stop() {
		wake()
	}
	return w
}

// Stop ends the waiting; false says that wake was, or is being, called.
func (w *Waiter) Stop() bool {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	all := w.set.queues[w.place]
	_, there := all[w]
	delete(all, w)
	if len(all) == 0 {
		delete(w.set.queues, w.place)
	}
	return there
}

// follow wakes whoever waits for what comes into the log.
func (q *Queues) follow(ctx context.Context) {
	var seen message.Position
	for {
		tail, grown := q.log.Tail()
		if tail != seen {
			seen = tail
			for _, w := range q.waiting.due(q.log) {
				w.wake()
			}
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return
		}
	}
}

// due takes those out whose message has come.
func (w *waiting) due(log Log) (due []*Waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, all := range w.queues {
		_, next, err := log.QueueRange(at.topic, at.queue)
		if err != nil {
			continue
		}
		for one := range all {
			if next > one.next {
				due = append(due, one)
				delete(all, one)
			}
		}
		if len(all) == 0 {
			delete(w.queues, at)
		}
	}
	return due
}
