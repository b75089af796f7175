package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/message"
)

var errStalled = errors.New("the cloud acknowledges nothing any more")

// flight is what happens on one link: the window, and for each lane what was sent and in which
// order. It dies with its link, so that late answers cannot touch the next one.
type flight struct {
	forwarder *Forwarder
	link      Link
	free      chan *slot // those that are not in use
	failed    chan error // the first failure that is no loss of the link

	mu           sync.Mutex // guards what follows, and what is in the queues
	queues       []*queue
	hungry       int       // lanes that have something to send
	out          int       // messages that wait for an answer
	progress     time.Time // when the last answer came, or out left 0
	acknowledged bool
	ended        bool
}

// slot is one place in the window: a message from before its Send until everything up to it in its
// lane is acknowledged. One that is acknowledged behind a hole keeps its slot, because a crash would
// repeat it: so repetitions stay within the window.
type slot struct {
	queue    *queue
	position message.Position
	answered bool
	done     func(error) // made once for each slot, not for each message
}

// queue is a lane's messages in flight, oldest first, in a ring.
type queue struct {
	lane    *lane
	ring    []*slot
	head, n int
	out     int // how many wait for an answer
	refusal *RefusedError
	wake    context.CancelFunc // stops the sender when there is a refusal
	settled chan struct{}      // is closed when out gets to 0 after a refusal
	nudge   chan struct{}      // says that the lane's share of the window may have room again
}

func newFlight(f *Forwarder, link Link) *flight {
	window := f.window()
	fl := &flight{
		forwarder: f, link: link,
		free:     make(chan *slot, window),
		failed:   make(chan error, 1),
		progress: time.Now(),
	}
	for range window {
		s := &slot{}
		s.done = func(err error) { fl.answer(s, err) }
		fl.free <- s
	}
	return fl
}

func (fl *flight) inFlight() int { return cap(fl.free) - len(fl.free) }

// watch waits for the end of the link and says why it came: ctx, loss, failure or stall.
func (fl *flight) watch(ctx context.Context) error {
	stall := fl.forwarder.stall()
	timer := time.NewTimer(stall)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-fl.link.Lost():
			if err := fl.link.Err(); err != nil {
				return err
			}
			return errors.New("the connection was lost")
		case err := <-fl.failed:
			return err
		case <-timer.C:
			idle := fl.idle()
			if idle >= stall {
				return fmt.Errorf("%w: %d messages are on their way, nothing came back for %s",
					errStalled, fl.inFlight(), stall)
			}
			timer.Reset(stall - idle)
		}
	}
}

// idle is how long answers have been waited for in vain.
func (fl *flight) idle() time.Duration {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.out == 0 {
		return 0
	}
	return time.Since(fl.progress)
}

func (fl *flight) fail(err error) {
	select {
	case fl.failed <- err:
	default: // the first failure ends the flight; the rest are its consequences
	}
}

// send moves one lane's messages until ctx ends or the flight fails.
func (fl *flight) send(ctx context.Context, l *lane) {
	q := &queue{lane: l, ring: make([]*slot, cap(fl.free)), nudge: make(chan struct{}, 1)}
	fl.mu.Lock()
	fl.queues = append(fl.queues, q)
	fl.mu.Unlock()
	for {
		attempt, stop := context.WithCancel(ctx)
		fl.mu.Lock()
		q.wake = stop
		fl.mu.Unlock()
		err := fl.pump(attempt, q)
		stop()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fl.fail(err)
			return
		}
		if !fl.waitOutRefusal(ctx, q) {
			return
		}
	}
}

// pump sends until ctx ends (then it returns nil) or something is wrong with the log or the link.
func (fl *flight) pump(ctx context.Context, q *queue) error {
	l := q.lane
	for {
		var err error
		l.batch, err = l.Source.Next(ctx, l.batch[:0], min(cap(fl.free), maxBatch))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		err = fl.sendAll(ctx, q)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (fl *flight) sendAll(ctx context.Context, q *queue) error {
	fl.appetite(+1)
	defer fl.appetite(-1)
	for i := range q.lane.batch {
		if err := fl.sendOne(ctx, q, &q.lane.batch[i]); err != nil {
			return err
		}
	}
	return nil
}

// appetite counts the lanes that share the window at present.
func (fl *flight) appetite(change int) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.hungry += change
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

// slot waits for a place in the window. A lane gets no more than its even share while others have
// something to send, and all of it while they have not.
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
	return fl.hungry > 1 && q.n*fl.hungry >= cap(fl.free)
}

func (fl *flight) sendOne(ctx context.Context, q *queue, r *message.Record) error {
	s, err := fl.slot(ctx, q)
	if err != nil {
		return err
	}
	if !fl.enqueue(q, s, r.Position) {
		fl.free <- s
		return ctx.Err() // a refusal came in between and has ended ctx
	}
	o := Outgoing{
		Topic: q.lane.topics.of(r.Topic), Key: r.Topic, Payload: r.Payload, QoS: q.lane.QoS,
		Properties: r.Properties, Record: r,
	}
	err = fl.link.Send(ctx, &o, s.done)
	if err == nil {
		fl.count(q.lane, r.Position)
		return nil
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		s.done(refused) // the same as when the answer comes later
		return nil
	}
	fl.withdraw(q, s)
	return fmt.Errorf("send message %d: %w", r.Position, err)
}

// count tells first deliveries from repetitions.
func (fl *flight) count(l *lane, sent message.Position) {
	if sent <= l.sent {
		fl.forwarder.record.sentAgain()
		return
	}
	l.sent = sent
}

func (fl *flight) enqueue(q *queue, s *slot, at message.Position) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if q.refusal != nil {
		return false
	}
	s.queue, s.position, s.answered = q, at, false
	q.ring[(q.head+q.n)%len(q.ring)] = s
	q.n++
	q.out++
	if fl.out == 0 {
		fl.progress = time.Now()
	}
	fl.out++
	return true
}

// withdraw takes back the newest message of a queue, which the link did not take.
func (fl *flight) withdraw(q *queue, s *slot) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	q.n--
	q.out--
	fl.out--
	q.settleLocked()
	fl.free <- s
}

// answer is what a link calls with the cloud's answer to the message in s.
func (fl *flight) answer(s *slot, err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if s.answered || fl.ended {
		return
	}
	s.answered = true
	fl.progress = time.Now()
	q := s.queue
	q.out--
	fl.out--
	refused, isRefusal := errors.AsType[*RefusedError](err)
	switch {
	case err == nil:
		fl.acknowledged = true
		fl.advanceLocked(q)
	case isRefusal:
		s.position = 0 // never acknowledged: a hole that nothing passes
		if q.refusal == nil {
			q.refusal = refused
			q.settled = make(chan struct{})
			q.wake()
		}
	default:
		s.position = 0
		fl.fail(err)
	}
	q.settleLocked()
}

// advanceLocked acknowledges to the Source what has no hole before it.
func (fl *flight) advanceLocked(q *queue) {
	var upTo message.Position
	moved := 0
	for q.n > 0 {
		s := q.ring[q.head]
		if !s.answered || s.position == 0 {
			break
		}
		upTo = s.position
		moved++
		q.head = (q.head + 1) % len(q.ring)
		q.n--
		fl.free <- s // there is room for all slots: this never blocks
	}
	if moved == 0 {
		return
	}
	q.nudgeLocked()
	q.lane.Source.Ack(upTo)
	q.lane.retry.reset()
	fl.forwarder.record.moved(moved, fl.progress)
}

func (q *queue) settleLocked() {
	if q.refusal != nil && q.out == 0 {
		select {
		case <-q.settled:
		default:
			close(q.settled)
		}
	}
}

// waitOutRefusal makes a lane wait whose message the cloud does not want, and lets it begin again
// with that message. Nothing is ever dropped here; a way to set such a message aside would act on
// refusal.Retry at this place. Other lanes go on meanwhile.
func (fl *flight) waitOutRefusal(ctx context.Context, q *queue) bool {
	select {
	case <-q.settled:
	case <-ctx.Done():
		return false
	}
	delay := q.lane.retry.next()
	fl.mu.Lock()
	refusal := q.refusal
	for ; q.n > 0; q.n-- { // what was acknowledged behind the hole goes again: order comes first
		fl.free <- q.ring[q.head]
		q.head = (q.head + 1) % len(q.ring)
	}
	q.refusal, q.settled = nil, nil
	fl.mu.Unlock()
	if q.lane.retry.tries == 1 {
		fl.forwarder.logger().Error("the cloud refuses a message; its route waits",
			"from", q.lane.From, "reason", refusal.Reason, "retry_in", delay)
	}
	fl.forwarder.record.refused(fmt.Sprintf("the cloud refuses a message of %s: %s", q.lane.From, refusal.Reason))
	q.lane.Source.Rewind()
	return pause(ctx, delay)
}

// drain waits for the answers of what is in flight, but no longer than limit. Nobody sends any more.
func (fl *flight) drain(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for range cap(fl.free) {
		select {
		case <-fl.free:
		case <-timer.C:
			return
		case <-fl.link.Lost():
			return
		}
	}
}

// end makes late answers harmless and says whether the cloud had acknowledged anything.
func (fl *flight) end() bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.ended = true
	return fl.acknowledged
}
