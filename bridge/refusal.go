package bridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// defaultTries is how often a message is offered to a cloud that does not want it.
const defaultTries = 10

// What a message that was set aside says about itself, as properties.
const (
	AsideUplink   = "sluice-uplink"   // who could not send it
	AsideReason   = "sluice-reason"   // why
	AsideTries    = "sluice-tries"    // how often it was offered
	AsidePosition = "sluice-position" // where in the log it was taken from
)

// AsideTopic is where a message of topic goes that the cloud of an uplink does not want. It begins
// with a $, so that no uplink forwards it with "#".
func AsideTopic(uplink, topic string) string { return "$dead/" + uplink + "/" + topic }

// AsideOrigin takes apart what AsideTopic made; aside is false for any other topic.
func AsideOrigin(topic string) (uplink, origin string, aside bool) {
	rest, aside := strings.CutPrefix(topic, "$dead/")
	uplink, origin, cut := strings.Cut(rest, "/")
	if !aside || !cut || uplink == "" || origin == "" {
		return "", "", false
	}
	return uplink, origin, true
}

func (q *queue) refuseLocked() {
	if !q.refused {
		q.refused = true
		q.settled = make(chan struct{})
		q.wake()
	}
}

func (q *queue) settleLocked() {
	if q.refused && q.out == 0 {
		select {
		case <-q.settled:
		default:
			close(q.settled)
		}
	}
}

// resolve decides about what the cloud does not want, once everything else in flight is answered:
// it is tried again after a wait, or set aside. Other lanes go on meanwhile. It says whether the
// lane may begin again.
func (fl *flight) resolve(ctx context.Context, q *queue) bool {
	select {
	case <-q.settled:
	case <-ctx.Done():
		return false
	}
	l := q.lane
	reason := fl.noteRefusals(q)
	if err := fl.setAside(ctx, q); err != nil {
		if ctx.Err() != nil {
			return false
		}
		reason = err.Error() // it waits like what may be offered again
		fl.forwarder.logger().Error("a message could not be set aside", "from", l.From, "err", err)
	}
	fl.mu.Lock()
	waits := fl.abandonLocked(q)
	q.refused = false
	fl.mu.Unlock()
	l.source.Rewind()
	if !waits {
		l.retry.reset()
		return true
	}
	delay := l.retry.next()
	if l.retry.tries == 1 {
		fl.forwarder.logger().Warn("the cloud refuses a message; its route waits",
			"from", l.From, "reason", reason, "retry_in", delay)
	}
	fl.forwarder.record.refused(fmt.Sprintf("the cloud refuses a message of %s: %s", l.From, reason))
	return pause(ctx, delay)
}

// noteRefusals counts tries and gives the first reason.
func (fl *flight) noteRefusals(q *queue) (reason string) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for i := range q.n {
		s := q.ring[(q.head+i)%len(q.ring)]
		refused, ok := errors.AsType[*RefusedError](s.outcome)
		if !ok {
			continue
		}
		known := q.lane.refused[s.record.Position]
		known.tries++
		known.reason, known.final = refused.Reason, !refused.Retry
		q.lane.refused[s.record.Position] = known
		if reason == "" {
			reason = refused.Reason
		}
	}
	return reason
}

// setAside takes what was refused for good out of the way, as long as it is what the cursor waits for.
func (fl *flight) setAside(ctx context.Context, q *queue) error {
	l := q.lane
	for {
		fl.mu.Lock()
		fl.advanceLocked(q)
		if q.n == 0 {
			fl.mu.Unlock()
			return nil
		}
		record := q.ring[q.head].record
		fl.mu.Unlock()
		known, refused := l.refused[record.Position]
		if !refused || !known.final && known.tries < fl.forwarder.tries() {
			return nil
		}
		dead := fl.forwarder.dead(&record, known)
		if err := l.source.SetAside(ctx, record.Position, &dead); err != nil {
			return fmt.Errorf("set message %d aside: %w", record.Position, err)
		}
		fl.mu.Lock()
		l.acked = record.Position
		fl.popLocked(q)
		fl.mu.Unlock()
		fl.forwarder.record.setAside(known.reason)
		fl.forwarder.logger().Error("a message was set aside: the cloud does not want it",
			"topic", record.Topic, "position", record.Position, "tries", known.tries, "reason", known.reason, "kept_in", dead.Topic)
	}
}

// dead is what is kept of a message that the cloud does not want.
func (f *Forwarder) dead(r *message.Record, why refusal) message.Message {
	m := r.Message
	m.Topic = AsideTopic(f.Name, r.Topic)
	m.Retain, m.Queue = false, message.NoQueue
	m.Device, m.Seq = "", 0 // it is no reading any more: the sequence has it already
	m.Properties = append(append([]message.Property(nil), r.Properties...),
		message.Property{Name: AsideUplink, Value: f.Name},
		message.Property{Name: AsideReason, Value: why.reason},
		message.Property{Name: AsideTries, Value: strconv.Itoa(why.tries)},
		message.Property{Name: AsidePosition, Value: strconv.FormatUint(uint64(r.Position), 10)})
	return m
}

func (f *Forwarder) tries() int {
	if f.Tries <= 0 {
		return defaultTries
	}
	return f.Tries
}

// abandonLocked forgets a queue's records and says whether a refused one is among them. What the
// cloud has acknowledged behind a hole is remembered and not sent again, unless something of the
// same key before it must be: order comes first.
func (fl *flight) abandonLocked(q *queue) (refused bool) {
	fl.advanceLocked(q)
	l := q.lane
	holes := make(map[string]bool)
	for ; q.n > 0; fl.popLocked(q) {
		s := q.ring[q.head]
		switch {
		case s.waiting > 0 || s.outcome != nil:
			holes[s.record.Topic] = true
			_, no := errors.AsType[*RefusedError](s.outcome)
			refused = refused || no
		case !holes[s.record.Topic]:
			l.behind[s.record.Position] = struct{}{}
		}
	}
	for at := range l.behind {
		if at <= l.acked {
			delete(l.behind, at)
		}
	}
	for at := range l.refused {
		if at <= l.acked {
			delete(l.refused, at)
		}
	}
	return refused
}
