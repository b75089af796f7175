package queue

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"sluice/gateway/message"
)

// Sent is what became of a message.
type Sent struct {
	Queue    int
	Offset   uint64
	Position message.Position
	Time     int64 // Unix milliseconds at which it was stored

	// DeliverAt is, of a message with a delay, when it will go to its queue, in Unix milliseconds. Position
	// and Offset are then those of what waits for it. A Recallable one can be taken back until then.
	DeliverAt  int64
	Recallable bool
}

// Send puts m into its queue, or takes care of it until it belongs there: a message with a delay, one of
// a transaction. done is called exactly once, unless Send returns an error, when m is durable or was
// lost; it runs on the goroutine of the log and must not block. queues is how many queues the
// producer wants a topic to have that is made for it; 0 leaves it to us.
func (q *Queues) Send(ctx context.Context, m *Message, queues int, done func(Sent, error)) error {
	if isReserved(m.Topic) {
		return fmt.Errorf("%w: %s is not for producers", ErrForbidden, m.Topic)
	}
	if err := q.buryIfSpent(ctx, m); err != nil {
		return err
	}
	if isHidden(m.Topic) {
		queues = 1
	}
	topic, err := q.ensureTopic(ctx, m.Topic, queues)
	if err != nil {
		return err
	}
	if topic.Permission&MayWrite == 0 {
		return fmt.Errorf("%w: sending to %s", ErrForbidden, m.Topic)
	}
	switch {
	case m.Queue >= max(topic.WriteQueues, topic.ReadQueues) || m.Queue < -1:
		return fmt.Errorf("%w: %s has %d queues, no number %d", ErrNoQueue, m.Topic, topic.WriteQueues, m.Queue)
	case m.Queue < 0:
		m.Queue = q.choose(m, topic.WriteQueues)
	}
	m.clean()
	if m.isHalf() {
		return q.prepare(ctx, m, done)
	}
	return q.putOrDelay(ctx, m, done)
}

// putOrDelay puts m into the queue that it names, now or when it is due.
func (q *Queues) putOrDelay(ctx context.Context, m *Message, done func(Sent, error)) error {
	d, delayed, err := m.takeDelay(time.Now().UnixMilli())
	switch {
	case err != nil:
		return err
	case delayed:
		return q.later(ctx, m, d, done)
	}
	return q.put(ctx, m, done)
}

// put puts m into the queue that it names.
func (q *Queues) put(ctx context.Context, m *Message, done func(Sent, error)) error {
	into := m.logged()
	into.Time = q.stamp()
	return publish(ctx, q.log.Publish, into, done)
}

// putKept puts m into the queue that it names, out of a ledger that holds on to the log for it: if a full
// log refused that, it would stay full.
func (q *Queues) putKept(ctx context.Context, m *Message, done func(Sent, error)) error {
	into := m.logged()
	into.Time = q.stamp()
	return publish(ctx, q.log.PublishUpkeep, into, done)
}

// stamp is when a message arrived, in milliseconds.
func (q *Queues) stamp() int64 {
	if q.options.Clock != nil {
		return q.options.Clock().UnixMilli()
	}
	return time.Now().UnixMilli()
}

// publishing is how a message gets into the log.
type publishing func(context.Context, *message.Message, message.Acknowledger, uint64) (offset uint64, err error)

// publish appends a message to the log. done is called exactly once, unless it returns an error.
func publish(ctx context.Context, how publishing, into *message.Message, done func(Sent, error)) error {
	s := &sending{done: done, sent: Sent{Queue: int(into.Queue), Time: into.Time}}
	s.left.Store(2)
	offset, err := how(ctx, into, s, 0)
	if err != nil {
		return err
	}
	s.sent.Offset = offset
	s.part()
	return nil
}

// sending waits for two things that come in any order: the offset and the sync.
type sending struct {
	done func(Sent, error)
	sent Sent
	err  error
	left atomic.Int32
}

// Acknowledge implements message.Acknowledger.
func (s *sending) Acknowledge(_ uint64, at message.Position, err error) {
	s.sent.Position, s.err = at, err
	s.part()
}

func (s *sending) part() {
	if s.left.Add(-1) == 0 {
		s.done(s.sent, s.err)
	}
}

// choose gives the queue of a message that has none: that of its MQTT topic or sharding key, so that it
// keeps its order among those, or the next in turn.
func (q *Queues) choose(m *Message, queues int) int {
	if origin := m.Property(originMQTTTopic); origin != "" {
		return int(message.QueueOf(origin, queues))
	}
	if key := m.Property(ShardingKey); key != "" {
		return int(message.QueueOf(key, queues))
	}
	return int(q.turn.Add(1) % uint32(queues))
}

// clean takes away what a producer may not say, and what only means something between client and broker.
func (m *Message) clean() {
	kept := m.Properties[:0]
	for _, p := range m.Properties {
		if p.Name != popCheckpoint && p.Name != envelope && p.Name != "" && p.Name[0] != 0 {
			kept = append(kept, p)
		}
	}
	m.Properties = kept
}

// isReserved says of a topic that only the broker itself puts messages there.
func isReserved(name string) bool {
	switch name {
	case halfTopic, halfDoneTopic, timerTopic, timerDoneTopic, "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_OP_HALF_TOPIC", gaveUpTopic,
		"SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT":
		return true
	}
	return false
}

// The topics behind half messages and timers, and those that say which are done with.
const (
	halfTopic      = "RMQ_SYS_TRANS_HALF_TOPIC"
	halfDoneTopic  = "rmq_sys_half_done"
	timerTopic     = "rmq_sys_wheel_timer"
	timerDoneTopic = "rmq_sys_timer_done"
)
