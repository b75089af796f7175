package queue

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"sluice/gateway/message"
)

// delayLevels are the delays that the property DELAY numbers from 1.
var delayLevels = [...]time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute,
	4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

// DelayLevels is how many levels of delays there are, counted from 1.
const DelayLevels = len(delayLevels)

// DelayOf gives the delay of a level; one above the last is the last.
func DelayOf(level int) time.Duration { return delayLevels[min(max(level, 1), DelayLevels)-1] }

// MaxDelay is the longest that a message may wait for its time.
const MaxDelay = 3 * 24 * time.Hour

const (
	timerTicks = 1000 // milliseconds: a deliver time is rounded up to a multiple
)

// delay is until when a message is to wait.
type delay struct {
	after time.Duration // or, when 0:
	until int64         // Unix milliseconds
}

// takeDelay reads the properties of m that delay it. A level counts before the others, which it takes away,
// as the stock broker does.
func (m *Message) takeDelay(now int64) (d delay, ok bool, err error) {
	if level, _ := strconv.Atoi(m.Property(Delay)); level > 0 {
		m.Unset(TimerDelaySec, TimerDelayMs, TimerDeliverMs)
		return delay{after: DelayOf(level)}, true, nil
	}
	if m.Property(timerOut) != "" {
		return delay{}, false, nil // it has been in the timer
	}
	name, unit, from := "", int64(1), now
	switch {
	case m.Property(TimerDelaySec) != "":
		name, unit = TimerDelaySec, 1000
	case m.Property(TimerDelayMs) != "":
		name = TimerDelayMs
	case m.Property(TimerDeliverMs) != "":
		name, from = TimerDeliverMs, 0
	default:
		return delay{}, false, nil
	}
	value, err := strconv.ParseInt(m.Property(name), 10, 64)
	if err != nil || m.Property(timerCancel) != "" {
		return delay{}, false, fmt.Errorf("%w: %s is %q", ErrIllegal, name, m.Property(name))
	}
	switch {
	case value > (now+MaxDelay.Milliseconds()-from)/unit:
		return delay{}, false, fmt.Errorf("%w: %s is %d, a message waits three days at most", ErrIllegal, name, value)
	case value <= (now-from)/unit:
		return delay{}, false, nil
	}
	until := (from + value*unit + timerTicks - 1) / timerTicks * timerTicks
	m.Set(timerOut, strconv.FormatInt(until-timerTicks, 10)) // the stock broker writes down the tick before
	return delay{until: until}, true, nil
}

// later keeps m until it is due.
func (q *Queues) later(ctx context.Context, m *Message, d delay, done func(Sent, error)) error {
	now := time.Now().UnixMilli()
	at, topic := m.Queue, m.Topic
	m.Set(RealTopic, topic)
	m.Set(RealQueue, strconv.Itoa(at))
	m.Topic, m.Queue = timerTopic, 0
	due := func(c *clock, now time.Time) int64 { // one more, since both clocks round down: never too early
		if d.after > 0 {
			return c.at(now) + d.after.Milliseconds() + 1
		}
		return c.of(d.until, now) + 1
	}
	return q.timers.add(ctx, m, keyHash(topic, m.Property(UniqueKey)), due, func(sent Sent, err error) {
		sent.Queue, sent.DeliverAt = at, d.until
		if d.after > 0 {
			sent.DeliverAt = now + d.after.Milliseconds()
		}
		sent.Recallable = d.after == 0 && err == nil
		done(sent, err)
	})
}

// fireTimers puts what is due where it belongs.
func (q *Queues) fireTimers(ctx context.Context) (more bool) {
	due := q.timers.takeDue(fireMost)
	reading := reader{ledger: q.timers}
	for i, e := range due {
		r, err := reading.read(due[i:])
		if err == nil {
			err = q.putKept(ctx, released(r), func(Sent, error) {}) // the mark comes behind it in the log
		}
		switch {
		case err == nil:
			q.timers.finish(e, nil)
		case !isLasting(err):
			q.timers.hold()
			for _, e := range due[i:] {
				q.timers.putBack(e)
			}
			return false
		default:
			q.timers.forgo(e, err)
		}
	}
	return len(due) == fireMost
}

// isLasting says of an error that trying again would not help.
func isLasting(err error) bool {
	return errors.Is(err, ErrNoMessage) || errors.Is(err, message.ErrTooLarge) || errors.Is(err, message.ErrTopic)
}

// released gives the message that an entry was made of.
func released(r *message.Record) *Message {
	m := FromRecord(r)
	m.Topic, m.Queue = m.Property(RealTopic), realQueue(m)
	if m.Property(timerOut) != "" {
		m.Set("TIMER_ENQUEUE_MS", strconv.FormatInt(r.Time, 10))
		m.Set("TIMER_DEQUEUE_MS", strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	return m // with its RealTopic, RealQueue and Delay: the stock broker leaves them, too
}

// recallSeed is of this run: the hashes are in memory only.
var recallSeed = maphash.MakeSeed()

func keyHash(topic, key string) uint64 { return maphash.String(recallSeed, topic+"\x00"+key) }

// recallKey is what an entry of the log can be recalled by.
func recallKey(r *message.Record) uint64 {
	topic, _ := r.Property(RealTopic)
	key, _ := r.Property(UniqueKey)
	return keyHash(topic, key)
}

// Recall takes a message back that waits for its time, and knows it by what its producer was told: topic,
// unique key and deliver time, which may be 0. done is called exactly once, unless Recall returns an error,
// when no kill brings the message back. ErrNoMessage says that there is none, or that it went already.
func (q *Queues) Recall(ctx context.Context, topic, key string, deliverAt int64, done func(Sent, error)) error {
	if err := q.timers.known(ctx); err != nil {
		return err
	}
	out := strconv.FormatInt(deliverAt-timerTicks, 10)
	for _, e := range q.timers.withKey(keyHash(topic, key)) {
		r, err := q.timers.read(e)
		if err != nil {
			return err
		}
		m := FromRecord(r)
		if m.Property(RealTopic) != topic || m.Property(UniqueKey) != key || deliverAt != 0 && m.Property(timerOut) != out || m.Property(timerOut) == "" {
			continue
		}
		if _, err := q.timers.take(e.order, e.origin); err != nil {
			return err
		}
		sent := Sent{Queue: realQueue(m), Offset: e.order, Position: e.origin, Time: m.StoreTime, DeliverAt: deliverAt}
		q.timers.finish(e, func(err error) { done(sent, err) })
		return nil
	}
	return fmt.Errorf("%w: nothing under %s waits for %s", ErrNoMessage, key, topic)
}

// withKey lists the entries that may be the one that is looked for.
func (l *ledger) withKey(key uint64) (list []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.dues {
		if e.key == key {
			list = append(list, e)
		}
	}
	return list
}
