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
	hungry       []*queue  // lanes that have something to send
	out          int       // records that wait for an answer
	progress     time.Time // when the last answer came, or out left 0
	acknowledged bool
	ended        bool
}

// slot is one place in the window: a record from before its Send until everything up to it in its
// lane is done with. One that is acknowledged behind a hole keeps its slot, because a crash would
// repeat it: so repetitions stay within the window.
type slot struct {
	queue   *queue
	record  message.Record
	waiting int // messages made of it that have no answer yet
	outcome error
	done    func(error) // made once for each slot, not for each message
}

// queue is a lane's records in flight, oldest first, in a ring.
type queue struct {
	lane    *lane
	ring    []*slot
	head, n int
	out     int                // how many wait for an answer
	refused bool               // one was, or was held back: nothing more is sent before that is resolved
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
		s.done = func(err error) { fl.answer(s, 1, err) }
		fl.free <- s
	}
	return fl
}

func (fl *flight) inFlight() int { return cap(fl.free) - len(fl.free) }

// watch waits for the end of the link and says why it came: ctx, a cut, loss, failure or stall.
func (fl *flight) watch(ctx context.Context) error {
	stall := fl.forwarder.stall()
	timer := time.NewTimer(stall)
	defer timer.Stop()
	var line movement
	cut := fl.forwarder.gate.shutting()
	for {
		wait := stall / looks
		if rest := stall - fl.idle(); rest > 0 {
			wait = min(wait, rest)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-cut:
			return errCut
		case <-fl.link.Lost():
			if err := fl.link.Err(); err != nil {
				return err
			}
			return errors.New("the connection was lost")
		case err := <-fl.failed:
			return err
		case <-timer.C:
			slow := line.slow(fl.link, stall)
			if fl.idle() >= stall && !slow {
				return fmt.Errorf("%w: %d messages are on their way, nothing came back for %s",
					errStalled, fl.inFlight(), stall)
			}
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
		if !fl.resolve(ctx, q) {
			return
		}
	}
}

// pump sends until ctx ends (then it returns nil) or something is wrong with the log or the link.
func (fl *flight) pump(ctx context.Context, q *queue) error {
	l := q.lane
	for {
		var err error
		l.batch, err = l.source.Next(ctx, l.batch[:0], min(cap(fl.free), maxBatch))
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
	fl.feels(q, true)
	defer fl.feels(q, false)
	for i := range q.lane.batch {
		if err := fl.sendRecord(ctx, q, &q.lane.batch[i]); err != nil {
			return err
		}
	}
	return nil
}

// sendRecord sends what the lane makes of r.
func (fl *flight) sendRecord(ctx context.Context, q *queue, r *message.Record) error {
	l := q.lane
	_, known := l.behind[r.Position] // it is there already
	var unfit error
	l.made = l.made[:0]
	if !known {
		unfit = l.compose(r)
	}
	for _, m := range l.made {
		if err := l.pace(ctx, len(r.Topic)+len(m.Payload)); err != nil {
			return err
		}
	}
	s, err := fl.slot(ctx, q)
	if err != nil {
		return err
	}
	if !fl.enqueue(q, s, r, max(1, len(l.made))) {
		fl.free <- s
		return ctx.Err() // a refusal came in between and has ended ctx
	}
	switch {
	case unfit != nil:
		fl.answer(s, 1, &RefusedError{Reason: unfit.Error()})
		return nil
	case len(l.made) == 0: // there already, or nothing that anybody wants
		fl.answer(s, 1, nil)
		return nil
	}
	return fl.sendParts(ctx, l, s)
}

func (fl *flight) sendParts(ctx context.Context, l *lane, s *slot) error {
	at := s.record.Position
	fl.forwarder.watchers.sent(l, &s.record)
	for part, m := range l.made {
		l.out = Outgoing{
			Topic: l.topics.of(s.record.Topic, m.Point), Key: s.record.Topic, Payload: m.Payload,
			QoS: l.QoS, Retain: l.Retain, Properties: s.record.Properties, Marks: l.marks,
			Origin: fl.forwarder.Origin, Part: part, Record: &s.record,
		}
		err := fl.link.Send(ctx, &l.out, s.done)
		if err == nil {
			continue
		}
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			fl.answer(s, 1, refused) // the same as when the answer comes later
			continue
		}
		if ctx.Err() != nil {
			err = ErrHeld
		}
		fl.answer(s, len(l.made)-part, err) // what was not sent is not waited for
		return fmt.Errorf("send message %d: %w", at, err)
	}
	fl.count(l, at)
	return nil
}

// count tells first deliveries from repetitions.
func (fl *flight) count(l *lane, sent message.Position) {
	if sent <= l.sent {
		fl.forwarder.record.sentAgain()
		return
	}
	l.sent = sent
}

func (fl *flight) enqueue(q *queue, s *slot, r *message.Record, parts int) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if q.refused {
		return false
	}
	s.queue, s.record, s.waiting, s.outcome = q, *r, parts, nil
	q.ring[(q.head+q.n)%len(q.ring)] = s
	q.n++
	q.out++
	if fl.out == 0 {
		fl.progress = time.Now()
	}
	fl.out++
	return true
}

// answer is what a link calls with the cloud's answer to one of the messages in s; n is more than 1
// for those that the link was never given.
func (fl *flight) answer(s *slot, n int, err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if s.waiting == 0 || fl.ended {
		return
	}
	s.waiting -= n
	s.outcome = worse(s.outcome, err)
	fl.progress = time.Now()
	q := s.queue
	if err != nil && stays(err) {
		q.refuseLocked()
	}
	if s.waiting > 0 {
		return
	}
	q.out--
	fl.out--
	if s.outcome == nil {
		fl.advanceLocked(q)
	} else if !stays(s.outcome) {
		fl.fail(s.outcome)
	}
	q.settleLocked()
}

// worse gives the error that says more about a record: a refusal decides what becomes of it.
func worse(a, b error) error {
	if _, refused := errors.AsType[*RefusedError](b); a == nil || refused {
		return b
	}
	return a
}

// stays says that the connection can go on after such an answer.
func stays(err error) bool {
	_, refused := errors.AsType[*RefusedError](err)
	return refused || errors.Is(err, ErrHeld)
}

// advanceLocked acknowledges to the Source what has no hole before it.
func (fl *flight) advanceLocked(q *queue) {
	l := q.lane
	moved := 0
	for q.n > 0 {
		s := q.ring[q.head]
		if s.waiting > 0 || s.outcome != nil {
			break
		}
		l.acked = s.record.Position
		moved++
		fl.forwarder.watchers.acknowledged(l.Route, &s.record)
		fl.popLocked(q)
	}
	if moved == 0 {
		return
	}
	fl.acknowledged = true
	q.nudgeLocked()
	l.source.Ack(l.acked)
	if !q.refused {
		l.retry.reset()
	}
	fl.forwarder.record.moved(moved, fl.progress)
}

// popLocked lets go of a queue's oldest record.
func (fl *flight) popLocked(q *queue) {
	s := q.ring[q.head]
	s.record = message.Record{} // or it would keep its block in memory
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	fl.free <- s // there is room for all slots: this never blocks
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
	for _, q := range fl.queues {
		fl.abandonLocked(q)
	}
	return fl.acknowledged
}
