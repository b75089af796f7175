package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	expireRound = 256 // messages that are moved together
	expireRest  = 20 * time.Millisecond
	forgetAfter = 5 * time.Minute // for which nobody asked for a queue of which nothing is handed out
)

// Properties of messages that were popped before.
const (
	firstPopTime = "1ST_POP_TIME"
	originGroup  = "ORIGIN_GROUP"
)

// plan makes sure that expire looks soon enough at what is due after a time.
func (s *pops) plan(after time.Duration, handed bool) {
	if !handed {
		return
	}
	s.mu.Lock()
	early := s.now()+after < s.planned
	s.mu.Unlock()
	if early {
		select {
		case s.early <- struct{}{}:
		default:
		}
	}
}

// expire takes back what was not acknowledged in time, until ctx ends.
func (q *Queues) expire(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-q.pops.early:
		}
		q.pops.mu.Lock()
		q.pops.planned = never // whatever is handed out while we look has us look again
		q.pops.mu.Unlock()
		for {
			due, soonest := q.due()
			q.move(ctx, due)
			if len(due) < expireRound || ctx.Err() != nil {
				timer.Reset(q.pops.planFor(soonest))
				break
			}
		}
	}
}

// planFor notes when expire looks next and gives how long that is from now.
func (s *pops) planFor(soonest time.Duration) time.Duration {
	now := s.now()
	wait := min(max(soonest-now, expireRest), time.Minute)
	s.mu.Lock()
	s.planned = now + wait
	s.mu.Unlock()
	return wait
}

// movable is a message whose time is over.
type movable struct {
	in      *popQueue
	offset  uint64
	popTime int64
}

// due finds what is due, up to expireRound messages, and when something is next. What was handed out in
// order is visible again where it is.
func (q *Queues) due() (list []movable, soonest time.Duration) {
	q.pops.mu.Lock()
	all := make([]*popQueue, 0, len(q.pops.queues))
	for _, p := range q.pops.queues {
		all = append(all, p)
	}
	q.pops.mu.Unlock()
	now, soonest := q.pops.now(), never
	for _, p := range all {
		p.mu.Lock()
		if len(p.window) == 0 && now-p.used > forgetAfter {
			p.gone = true
		}
		if p.soonest <= now && p.currentLocked(q) {
			list = p.dueLocked(now, list)
		}
		gone, freed := p.gone, p.freedLocked() || p.returned > 0
		soonest = min(soonest, p.soonest)
		p.mu.Unlock()
		if gone {
			q.pops.mu.Lock()
			delete(q.pops.queues, p.popKey)
			q.pops.mu.Unlock()
		}
		if freed {
			q.pops.wakeHeld(p.group, p.base)
		}
	}
	return list, soonest
}

func (p *popQueue) dueLocked(now time.Duration, list []movable) []movable {
	p.soonest = never
	for i := range p.window {
		e := &p.window[i]
		switch {
		case e.state != inFlight:
		case e.due <= now && e.renewLocked(now):
			p.soonest = min(p.soonest, e.due)
		case e.due > now || len(list) == expireRound && !e.ordered:
			p.soonest = min(p.soonest, e.due)
		case e.ordered:
			e.state = returned
			p.returned++
		default:
			e.state = moving
			list = append(list, movable{in: p, offset: e.offset, popTime: e.popTime})
		}
	}
	return list
}

// moved is what became of the message with a number in a list.
type moved struct {
	number int
	err    error
}

// move puts messages on the retry topics of their groups. Only when they are durable there do they count
// as acknowledged where they were; one that cannot be put there, as when the log is full, is handed out
// from where it is.
func (q *Queues) move(ctx context.Context, list []movable) {
	heard := make(chan moved, len(list))
	for i := range list {
		sent, err := q.moveAway(ctx, &list[i], false, func(_ Sent, err error) { heard <- moved{i, err} })
		if !sent {
			heard <- moved{i, err}
		}
	}
	failed, failure := 0, error(nil)
	for range list {
		m := <-heard // the log answers everybody, also when it fails or closes
		if m.err != nil {
			failed, failure = failed+1, m.err
		}
		list[m.number].end(q, m.err)
	}
	if len(list) == 0 || errors.Is(failure, context.Canceled) {
		return
	}
	if failed > 0 && !q.pops.failing && q.options.Log != nil {
		q.options.Log.Warn("messages that were not acknowledged in time cannot be put on the retry topic; they are handed out from where they are",
			"messages", failed, "err", failure)
	}
	q.pops.failing = failed > 0
}

// end notes what became of a message that was to be moved.
func (m *movable) end(q *Queues, failure error) {
	p := m.in
	p.mu.Lock()
	if e := p.entryLocked(m.offset); p.currentLocked(q) && e != nil && e.popTime == m.popTime && e.state == moving {
		if failure == nil {
			e.state = done
			p.open--
		} else {
			e.state = returned
			p.returned++
		}
		if err := p.settleLocked(q); err != nil && q.options.Log != nil {
			q.options.Log.Warn("the offset of a group cannot be kept", "group", p.group, "topic", p.topic, "queue", p.queue, "err", err)
		}
	}
	freed := p.freedLocked() || p.returned > 0
	p.mu.Unlock()
	if freed {
		q.pops.wakeHeld(p.group, p.base)
	}
}

// moveAway puts a message on its group's retry topic, or among the dead letters when it was there too often or
// is to be buried. When it is sent, heard hears what came of it; there may be nothing to send.
func (q *Queues) moveAway(ctx context.Context, m *movable, bury bool, heard func(Sent, error)) (sent bool, err error) {
	found, next, err := q.log.ReadQueue(nil, logTopic(m.in.topic), m.in.queue, m.offset, 1)
	if len(found) == 0 && next <= m.offset && err == nil {
		err = fmt.Errorf("offset %d of queue %d of %s cannot be read now", m.offset, m.in.queue, m.in.topic)
	}
	if err != nil || len(found) == 0 || found[0].QueueOffset != m.offset {
		return false, err // without an error: it was trimmed
	}
	group, _ := q.Group(m.in.group)
	group.Name, group.GroupSettings = m.in.group, group.filled()
	again := FromRecord(&found[0])
	if bury || int(again.Reconsumed) >= group.MaxRetries {
		again.again(again.Property(UniqueKey))
		err := q.bury(ctx, group.Name, again, heard)
		return err == nil, err
	}
	again.popAgain(group.Name, m.in.base, m.popTime)
	if err := q.ensureRetries(ctx, group.Name, again.Topic); err != nil {
		return false, err
	}
	if err := q.put(ctx, again, heard); err != nil {
		return false, err
	}
	return true, nil
}

// ensureRetries makes the retry topic of a group. The group has a place there before there is anything: what
// it has not passed is not trimmed.
func (q *Queues) ensureRetries(ctx context.Context, group, topic string) error {
	if _, err := q.ensureTopic(ctx, topic, 1); err != nil {
		return err
	}
	if _, known := q.log.Offset(group, topic, 0); known {
		return nil
	}
	first, _, err := q.Range(topic, 0)
	if err != nil {
		return err
	}
	return q.Commit(group, topic, 0, int64(first))
}

// RetriesOf gives the topic from which a group takes messages of a topic once more, which is made if need
// be: its own, or the one that they go to when it pops them.
func (q *Queues) RetriesOf(ctx context.Context, group, topic string) (string, error) {
	if _, err := q.UseGroup(ctx, group); err != nil {
		return "", err
	}
	retries := PopRetryTopic(group, topic)
	if _, popped := q.Topic(retries); popped || q.pops.has(group, topic) {
		return retries, q.ensureRetries(ctx, group, retries)
	}
	return RetryTopic(group), nil
}

// popAgain makes of a message the group's next try.
func (m *Message) popAgain(group, base string, popTime int64) {
	if m.Property(RetryTopicName) == "" {
		m.Set(RetryTopicName, m.Topic)
	}
	m.Topic, m.Queue = PopRetryTopic(group, base), 0
	m.Reconsumed++
	m.Set(originGroup, group)
	if m.Property(firstPopTime) == "" {
		m.Set(firstPopTime, strconv.FormatInt(popTime, 10))
	}
}
