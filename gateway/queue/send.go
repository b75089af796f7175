package queue

import (
	"context"
	"fmt"
	"strings"
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
}

// Send puts m into its queue, or takes care of it until it belongs there: a message with a delay, one of
// a transaction. done is called exactly once, unless Send returns an error, when m is durable or was
// lost; it runs on the goroutine of the log and must not block. queues is how many queues the
// producer wants a topic to have that is made for it; 0 leaves it to us.
func (q *Queues) Send(ctx context.Context, m *Message, queues int, done func(Sent, error)) error {
	if isReserved(m.Topic) {
		return fmt.Errorf("%w: %s is not for producers", ErrForbidden, m.Topic)
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
	return q.put(ctx, m, done)
}

// put puts m into the queue that it names.
func (q *Queues) put(ctx context.Context, m *Message, done func(Sent, error)) error {
	into := m.logged()
	into.Time = time.Now().UnixMilli()
	s := &sending{done: done, sent: Sent{Queue: m.Queue, Time: into.Time}}
	s.left.Store(2)
	offset, err := q.log.Publish(ctx, into, s, 0)
	if err != nil {
		return err
	}
	s.sent.Offset = offset
	s.part()
	return nil
}

// putAndWait is put for those who have nothing else to do.
func (q *Queues) putAndWait(ctx context.Context, m *Message) (Sent, error) {
	type outcome struct {
		sent Sent
		err  error
	}
	heard := make(chan outcome, 1)
	if err := q.put(ctx, m, func(sent Sent, err error) { heard <- outcome{sent, err} }); err != nil {
		return Sent{}, err
	}
	o := <-heard // the log answers everybody, also when it fails or closes
	return o.sent, o.err
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

// choose gives the queue of a message that has none: that of its MQTT topic, so that it keeps its order
// among those, or the next in turn.
func (q *Queues) choose(m *Message, queues int) int {
	if origin := m.Property(originMQTTTopic); origin != "" {
		return int(message.QueueOf(origin, queues))
	}
	return int(q.turn.Add(1) % uint32(queues))
}

// clean takes away what a producer may not say, and what only means something between client and broker.
func (m *Message) clean() {
	kept := m.Properties[:0]
	for _, p := range m.Properties {
		if p.Name != popCheckpoint && p.Name != envelope && p.Name != "" && p.Name[0] != 0 && !strings.HasPrefix(p.Name, transient) {
			kept = append(kept, p)
		}
	}
	m.Properties = kept
}

// isReserved says of a topic that only the broker itself puts messages there.
func isReserved(name string) bool {
	switch name {
	case halfTopic, halfDoneTopic, timerTopic, timerDoneTopic, "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
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
