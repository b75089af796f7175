package queue

import (
	"sync"
	"sync/atomic"
)

// PopWaiter is a pop that found nothing and waits.
type PopWaiter struct {
	set   *pops
	as    holder
	wake  func()
	fired atomic.Bool

	mu    sync.Mutex // guards what follows
	waits []*Waiter
}

// WaitPop calls wake once, soon after a pop might find something; it may be at once. It costs no goroutine:
// wake runs on one that everybody shares, and must not block. It is not called after Stop.
func (q *Queues) WaitPop(r PopRequest, wake func()) (*PopWaiter, error) {
	places, err := q.popPlaces(&r)
	if err != nil {
		return nil, err
	}
	if retries := PopRetryTopic(r.Group, r.Topic); !r.Ordered && retries != r.Topic {
		if _, known := q.Topic(retries); !known {
			places = append(places, popPlace{place{retries, 0}, r.Topic}) // it may be made meanwhile
		}
	}
	w := &PopWaiter{set: &q.pops, as: holder{r.Group, r.Topic}, wake: wake}
	q.pops.hold(w)
	for _, at := range places {
		from, open := q.popNext(&r, at)
		if !open {
			continue // whoever opens it wakes all that are held
		}
		w.add(q.Wait(at.topic, at.queue, from, w.fire))
	}
	return w, nil
}

// popNext gives the offset from which on a queue has something for a pop; false: it is blocked.
func (q *Queues) popNext(r *PopRequest, at popPlace) (from uint64, open bool) {
	p := q.pops.lock(popKey{r.Group, at.place}, at.base)
	defer p.mu.Unlock()
	if !p.currentLocked(q) {
		if next, known := q.log.Offset(r.Group, at.topic, at.queue); known {
			return uint64(next), true
		}
		start, _ := q.StartOffset(at.topic, at.queue, r.FromLast && !at.retry())
		return start, true
	}
	again := r.Ordered && r.AttemptID != "" && r.AttemptID == p.attempt && len(p.window) > 0
	switch {
	case p.returned > 0 && (!r.Ordered || !p.blockedLocked(true)) || again:
		return p.floor, true
	case p.blockedLocked(r.Ordered):
		p.refused = true
		return 0, false
	}
	return p.next, true
}

// Stop ends the waiting; false says that wake was, or is being, called.
func (w *PopWaiter) Stop() bool {
	if !w.fired.CompareAndSwap(false, true) {
		return false
	}
	w.leave()
	return true
}

func (w *PopWaiter) fire() {
	if w.fired.CompareAndSwap(false, true) {
		w.leave()
		w.wake()
	}
}

// add notes one more queue that it waits for.
func (w *PopWaiter) add(one *Waiter) {
	w.mu.Lock()
	over := w.fired.Load()
	if !over {
		w.waits = append(w.waits, one)
	}
	w.mu.Unlock()
	if over {
		one.Stop()
	}
}

func (w *PopWaiter) leave() {
	w.set.mu.Lock()
	all := w.set.held[w.as]
	delete(all, w)
	if len(all) == 0 {
		delete(w.set.held, w.as)
	}
	w.set.mu.Unlock()
	w.mu.Lock()
	waits := w.waits
	w.waits = nil
	w.mu.Unlock()
	for _, one := range waits {
		one.Stop()
	}
}

// hold notes that w is to be woken when a queue is blocked no more.
func (s *pops) hold(w *PopWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.held[w.as]
	if all == nil {
		all = make(map[*PopWaiter]struct{})
		s.held[w.as] = all
	}
	all[w] = struct{}{}
}

// wakeHeld wakes all whose pops of a topic wait.
func (s *pops) wakeHeld(group, topic string) {
	s.mu.Lock()
	all := make([]*PopWaiter, 0, len(s.held[holder{group, topic}]))
	for w := range s.held[holder{group, topic}] {
		all = append(all, w)
	}
	s.mu.Unlock()
	for _, w := range all {
		w.fire()
	}
}
