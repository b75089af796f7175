package queue

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"sluice/gateway/message"
)

// Popping is consumption without a queue of one's own: whoever asks gets messages of any queue, has to
// acknowledge each within a time, and what was not acknowledged goes to the group's retry topic. Nothing
// is written for a pop. Below a group's offset everything is acknowledged; what was handed out above it
// is known in memory alone, so after a kill it is handed out again.

// ErrExpired is what a handle gets that means nothing any more, or never did: its time was over, the
// message was acknowledged already, or the handle is not ours.
var ErrExpired = errors.New("the receipt handle has expired")

// Bounds of what is handed out and not below the group's offset yet, 32 bytes each. At a bound a pop finds
// nothing. After a kill all of it is handed out again, but a message that somebody holds on to must not stop
// those behind it.
const (
	popWindow  = 4096    // not acknowledged, of one group in one queue
	popSpan    = 1 << 16 // with those that are
	popTotal   = 1 << 18 // of all groups and queues together
	popMost    = 256     // in one pop
	popBytes   = 256 << 10
	popLooks   = 8  // pulls of a filter that lets nothing through, for one pop of a queue
	retryShare = 20 // percent of the pops that look for retries first, as RocketMQ's do
)

// PopRequest says what a consumer wants.
type PopRequest struct {
	Group, Topic string
	Queue        int // -1: any
	Most, Bytes  int // of messages; 0: one, 256 KiB
	Invisible    time.Duration
	FromLast     bool // a group that is new here begins with what comes next
	Filter       Filter
	// Ordered gives messages of a queue in their order: no more until all are acknowledged, but the same
	// again to whoever repeats the attempt, and to anybody when their time is over.
	Ordered   bool
	AttemptID string
	// Holder keeps what it gets for as long as it is there; nil: it comes back after Invisible.
	Holder *Holder
}

// Popped is what a pop found. No batches: nothing.
type Popped struct {
	Batches   []PopBatch
	Time      int64 // Unix milliseconds: it is part of all handles
	Invisible time.Duration
	Ordered   bool
	Rest      uint64 // messages that the queues have beyond these
}

// PopBatch is what a pop found in one queue; no two are of the same queue.
type PopBatch struct {
	Topic   string // that the messages lie in: the request's or its retry topic. Handles are good there
	Queue   int
	Retry   bool
	Start   uint64 // the offset of the first message
	Records []message.Record
	Times   []int // how often each was handed out before without being moved, as ordered ones are
}

// popPlace is a queue that a pop looks at.
type popPlace struct {
	place        // with the topic as RocketMQ names it
	base  string // the topic that is asked for
}

func (p popPlace) retry() bool { return p.topic != p.base }

// PopRetryTopic gives where messages of a topic wait that a group has popped and not acknowledged. It is
// version 1 of RocketMQ's two names: what its brokers choose unless told otherwise, and what stock clients
// and proxies make of flag 1 in a handle.
func PopRetryTopic(group, topic string) string {
	if len(topic) >= len(RetryPrefix) && topic[:len(RetryPrefix)] == RetryPrefix {
		return topic // retries of retries stay
	}
	return RetryTopic(group) + "_" + topic
}

// Pop hands out messages.
func (q *Queues) Pop(r PopRequest) (Popped, error) {
	places, err := q.popPlaces(&r)
	if err != nil {
		return Popped{}, err
	}
	r.Most, r.Bytes = min(max(r.Most, 1), popMost), cmp.Or(max(r.Bytes, 0), popBytes)
	result := Popped{Time: q.pops.stamp(), Invisible: r.Invisible, Ordered: r.Ordered}
	for _, at := range places {
		batch, rest, err := q.popFrom(&r, at, result.Time)
		if err != nil && len(result.Batches) == 0 {
			return Popped{}, fmt.Errorf("pop from queue %d of %s for %s: %w", at.queue, at.topic, r.Group, err)
		}
		result.Rest += rest
		if err != nil || len(batch.Records) == 0 {
			continue // what was found elsewhere must get there: it is handed out
		}
		r.Most -= len(batch.Records)
		for i := range batch.Records {
			r.Bytes -= len(batch.Records[i].Payload)
		}
		result.Batches = append(result.Batches, batch)
	}
	q.pops.plan(r.Invisible, len(result.Batches) > 0)
	return result, nil
}

// PopReady says whether a pop would find something now, filters aside.
func (q *Queues) PopReady(r PopRequest) (bool, error) {
	places, err := q.popPlaces(&r)
	if err != nil {
		return false, err
	}
	for _, at := range places {
		from, open := q.popNext(&r, at)
		if _, next, err := q.Range(at.topic, at.queue); err == nil && open && next > from {
			return true, nil
		}
	}
	return false, nil
}

// popPlaces checks a request and lists the queues that it looks at, in an order that gives each its turn.
func (q *Queues) popPlaces(r *PopRequest) ([]popPlace, error) {
	if err := checkGroup(r.Group); err != nil {
		return nil, err
	}
	topic, ok := q.Topic(r.Topic)
	group, known := q.Group(r.Group)
	retries := PopRetryTopic(r.Group, r.Topic)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s", ErrNoTopic, r.Topic)
	case topic.Permission&MayRead == 0:
		return nil, fmt.Errorf("%w: reading %s", ErrForbidden, r.Topic)
	case !known && q.options.NoCreation:
		return nil, fmt.Errorf("%w: %s", ErrNoGroup, r.Group)
	case group.ConsumeDisabled:
		return nil, fmt.Errorf("%w: consuming with %s", ErrForbidden, r.Group)
	case r.Queue >= topic.ReadQueues:
		return nil, fmt.Errorf("%w: %s has %d queues, no number %d", ErrNoQueue, r.Topic, topic.ReadQueues, r.Queue)
	case CheckTopic(retries) != nil:
		return nil, fmt.Errorf("%w: the names of group %s and topic %s are too long together", ErrIllegal, r.Group, r.Topic)
	}
	r.Ordered = r.Ordered || group.Ordered
	places := make([]popPlace, 0, topic.ReadQueues+1)
	add := func(name string, queues, first int) {
		for i := range queues {
			places = append(places, popPlace{place{name, (first + i) % queues}, r.Topic})
		}
	}
	addRetries := func() {
		if known, ok := q.Topic(retries); ok && !r.Ordered && retries != r.Topic {
			add(retries, known.ReadQueues, rand.IntN(known.ReadQueues))
		}
	}
	retriesFirst := rand.IntN(100) < retryShare
	if retriesFirst {
		addRetries()
	}
	if r.Queue >= 0 {
		places = append(places, popPlace{place{r.Topic, r.Queue}, r.Topic})
	} else {
		add(r.Topic, topic.ReadQueues, int(q.pops.turn.Add(1)%uint32(topic.ReadQueues)))
	}
	if !retriesFirst {
		addRetries()
	}
	return places, nil
}

// popFrom hands out what a queue has.
func (q *Queues) popFrom(r *PopRequest, at popPlace, now int64) (batch PopBatch, rest uint64, err error) {
	p := q.pops.lock(popKey{r.Group, at.place}, at.base)
	defer p.mu.Unlock()
	if err := p.beginLocked(q, r.FromLast); err != nil {
		return batch, 0, err
	}
	batch = PopBatch{Topic: at.topic, Queue: at.queue, Retry: at.retry()}
	if r.Ordered && r.AttemptID != "" && r.AttemptID == p.attempt {
		p.returnAllLocked()
	}
	if p.blockedLocked(r.Ordered) {
		p.refused = true
	} else if r.Most > 0 && r.Bytes > 0 {
		p.attempt = r.AttemptID
		err = p.popLocked(q, r, now, &batch)
	}
	if err == nil {
		err = p.settleLocked(q)
	}
	if len(batch.Records) > 0 {
		batch.Start, err = batch.Records[0].QueueOffset, nil
	}
	if _, next, err := q.Range(at.topic, at.queue); err == nil && next > p.next && !(r.Ordered && p.refused) {
		rest = next - p.next
	}
	return batch, rest, err
}

// popLocked fills a batch: first with what has come back, then with what is new.
func (p *popQueue) popLocked(q *Queues, r *PopRequest, now int64, batch *PopBatch) error {
	bytes := r.Bytes
	give := func(e *handedOut, record message.Record) {
		e.state, e.popTime, e.due, e.ordered = inFlight, now, q.pops.now()+r.Invisible, r.Ordered
		e.holder, e.renewals = r.Holder.mark(), 0
		p.soonest = min(p.soonest, e.due)
		bytes -= len(record.Payload)
		batch.Records = append(batch.Records, record)
		batch.Times = append(batch.Times, int(e.times))
		e.times++
	}
	for i := 0; i < len(p.window) && p.returned > 0 && len(batch.Records) < r.Most && bytes > 0; i++ {
		e := &p.window[i]
		if e.state != returned {
			continue
		}
		found, next, err := q.log.ReadQueue(nil, logTopic(p.topic), p.queue, e.offset, 1)
		if err != nil {
			return err
		}
		if len(found) == 0 && next <= e.offset {
			continue // it will be there
		}
		p.returned--
		if len(found) == 0 || found[0].QueueOffset != e.offset || r.Filter != nil && !r.Filter(&found[0]) {
			e.state = done // it was trimmed, or nobody wants it any more
			p.open--
			continue
		}
		give(e, found[0])
	}
	for looks := 0; looks < popLooks && len(batch.Records) < r.Most && bytes > 0; looks++ {
		room := min(r.Most-len(batch.Records), popWindow-p.open, popSpan-len(p.window), popTotal-int(q.pops.total.Load()))
		if room <= 0 {
			p.refused = true
			return nil
		}
		pulled, err := q.Pull(p.topic, p.queue, p.next, room, bytes, r.Filter)
		if err != nil {
			return err
		}
		if pulled.Outcome == Moved && pulled.Next < p.next {
			q.pops.total.Add(-int64(p.forgetLocked())) // the log lost its end
		}
		for i := range pulled.Records {
			p.window = append(p.window, handedOut{offset: pulled.Records[i].QueueOffset})
			p.open++
			q.pops.total.Add(1)
			give(&p.window[len(p.window)-1], pulled.Records[i])
		}
		p.next = pulled.Next
		if pulled.Outcome == Found || pulled.Outcome == NoNew {
			return nil
		}
	}
	return nil
}

// StartOffset is where a group begins in a queue in which it has no offset yet: with what comes next if it
// wants only that, else with the first message. A Young queue is all new: so a consumer that starts a moment
// after the first producer misses nothing.
func (q *Queues) StartOffset(topic string, queue int, fromLast bool) (uint64, error) {
	first, next, err := q.Range(topic, queue)
	if err != nil || !fromLast || q.Young(topic, queue) {
		return first, err
	}
	return next, nil
}

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)
