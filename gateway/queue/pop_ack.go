package queue

import (
	"context"
	"fmt"
	"time"
)

// AckPopped acknowledges a message by what its handle says: its group, the topic that it lies in (see
// PopBatch), queue, offset and pop time. ErrExpired says that it came too late or twice.
func (q *Queues) AckPopped(group, topic string, queue int, offset uint64, popTime int64) error {
	acked, err := q.AckManyPopped(group, topic, queue, []uint64{offset}, popTime)
	if err == nil && acked == 0 {
		err = ErrExpired
	}
	return err
}

// AckManyPopped acknowledges messages that came with one pop from one queue, and gives how many of the
// handles were good.
func (q *Queues) AckManyPopped(group, topic string, queue int, offsets []uint64, popTime int64) (acked int, err error) {
	if err := q.checkHandle(topic, queue, offsets); err != nil {
		return 0, err
	}
	p := q.pops.find(popKey{group, place{topic, queue}})
	if p == nil {
		return 0, nil
	}
	if p.currentLocked(q) {
		for _, offset := range offsets {
			e := p.entryLocked(offset)
			if e == nil || e.popTime != popTime || e.state != inFlight && e.state != returned {
				continue
			}
			// One whose time is over but that nobody else has got is as good.
			if e.state == returned {
				p.returned--
			}
			e.state = done
			p.open--
			acked++
		}
		err = p.settleLocked(q)
	}
	freed := p.freedLocked()
	p.mu.Unlock()
	if freed {
		q.pops.wakeHeld(group, p.base)
	}
	return acked, err
}

// IsAcked says of a message that was handed out that it has been acknowledged, or has gone where it goes when it is not
// in time, under the handle with this pop time or, below the group's offset, under any.
func (q *Queues) IsAcked(group, topic string, queue int, offset uint64, popTime int64) bool {
	p := q.pops.find(popKey{group, place{topic, queue}})
	if p == nil {
		return false
	}
	defer p.mu.Unlock()
	if !p.currentLocked(q) {
		return false
	}
	e := p.entryLocked(offset)
	return offset < p.floor || e != nil && e.state == done && e.popTime == popTime
}

// ChangeInvisible sets when a message that was handed out comes back, counted from now; at once if
// invisible is 0. The handle is another from then on: it has the pop time that is returned, and the old
// one is dead.
func (q *Queues) ChangeInvisible(group, topic string, queue int, offset uint64, popTime int64, invisible time.Duration) (newPopTime int64, err error) {
	if err := q.checkHandle(topic, queue, []uint64{offset}); err != nil {
		return 0, err
	}
	p := q.pops.find(popKey{group, place{topic, queue}})
	if p == nil {
		return 0, ErrExpired
	}
	defer p.mu.Unlock()
	if !p.currentLocked(q) {
		return 0, ErrExpired
	}
	e := p.entryLocked(offset)
	if e == nil || e.popTime != popTime || e.state != inFlight {
		return 0, ErrExpired
	}
	e.popTime = q.pops.stamp()
	e.due = q.pops.now() + max(invisible, 0)
	e.holder = 0 // it has said itself when
	p.soonest = min(p.soonest, e.due)
	q.pops.plan(invisible, true)
	return e.popTime, nil
}

// BuryPopped makes a message that was handed out a dead letter of its group, by what its handle says, and
// returns once it is durable there; then it is acknowledged. ErrExpired is what AckPopped gives.
func (q *Queues) BuryPopped(ctx context.Context, group, topic string, queue int, offset uint64, popTime int64) error {
	if err := q.checkHandle(topic, queue, []uint64{offset}); err != nil {
		return err
	}
	p := q.pops.find(popKey{group, place{topic, queue}})
	if p == nil {
		return ErrExpired
	}
	current := p.currentLocked(q)
	e := p.entryLocked(offset)
	if !current || e == nil || e.popTime != popTime || e.state != inFlight && e.state != returned {
		p.mu.Unlock()
		return ErrExpired
	}
	if e.state == returned {
		p.returned--
	}
	e.state = moving
	p.mu.Unlock()
	m := movable{in: p, offset: offset, popTime: popTime}
	heard := make(chan error, 1)
	sent, err := q.moveAway(ctx, &m, true, func(_ Sent, err error) { heard <- err })
	if sent {
		err = <-heard // the log answers everybody, also when it fails or closes
	}
	m.end(q, err)
	return err
}

// checkHandle tells apart what clients are told differently: no such queue, an offset that the queue
// never had.
func (q *Queues) checkHandle(topic string, queue int, offsets []uint64) error {
	known, ok := q.Topic(topic)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNoTopic, topic)
	}
	if queue < 0 || queue >= known.ReadQueues {
		return fmt.Errorf("%w: %s has %d queues, no number %d", ErrNoQueue, topic, known.ReadQueues, queue)
	}
	first, next, err := q.Range(topic, queue)
	if err != nil {
		return err
	}
	for _, offset := range offsets {
		if offset < first || offset >= next {
			return fmt.Errorf("%w: offset %d of queue %d of %s, which has %d to %d", ErrNoMessage, offset, queue, topic, first, next)
		}
	}
	return nil
}

// freedLocked says that somebody who was refused may find something now.
func (p *popQueue) freedLocked() bool {
	if !p.refused || p.blockedLocked(p.orderedLocked()) {
		return false
	}
	p.refused = false
	return true
}

// orderedLocked says whether what is in flight was handed out in order.
func (p *popQueue) orderedLocked() bool {
	for i := range p.window {
		if p.window[i].state == inFlight {
			return p.window[i].ordered
		}
	}
	return false
}
