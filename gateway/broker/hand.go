package broker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/gateway/message"
)

// Hand gives a message that the log is not to hold to those subscriptions and shares whose filters match, now, under
// position 0, and says how many that were. One whose inbox is full does not get it, which is
// counted. It takes a copy of what it needs.
func (b *Broker) Hand(m *message.Message) (reached int) {
	reached, full, _ := b.hand(m)
	b.router.dropped.Add(uint64(len(full)))
	return reached
}

// handWithin is Hand for a publisher, whom a subscription with a full inbox may hold up for a moment: the
// producer of a burst is made to go as fast as its readers, as a socket would. One that has no room by
// then gets nothing, and holds up nobody again before it has read what it has.
func (b *Broker) handWithin(ctx context.Context, m *message.Message) {
	_, full, record := b.hand(m)
	for _, s := range full {
		if !s.takeWithin(ctx, record) {
			b.router.dropped.Add(1)
		}
	}
}

// patience is how long a publisher may be held up.
const patience = 100 * time.Millisecond

// hand gives also the subscriptions that have no room for the record.
func (b *Broker) hand(m *message.Message) (reached int, full []*Subscription, record *message.Record) {
	r := &b.router
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.trie.match(m.Topic)
	if len(found.entries) == 0 {
		return 0, nil, nil
	}
	r.hands++
	for _, in := range found.entries {
		if in.sleeper != nil || in.sub != nil && in.sub.hand == r.hands {
			continue
		}
		if record == nil {
			record = &message.Record{Message: *m}
			record.Topic = found.topic
			record.Payload = slices.Clone(m.Payload)
			record.Client = strings.Clone(m.Client)
			record.Properties = cloned(m.Properties)
		}
		switch {
		case in.sub == nil && in.share.hand(record):
			reached++
		case in.sub == nil:
			r.dropped.Add(1)
		case in.sub.take(record):
			in.sub.hand = r.hands
			reached++
		default:
			in.sub.hand = r.hands
			full = append(full, in.sub)
		}
	}
	return reached, full, record
}

func cloned(properties []message.Property) []message.Property {
	properties = slices.Clone(properties)
	for i := range properties {
		p := &properties[i]
		p.Name, p.Value = strings.Clone(p.Name), strings.Clone(p.Value)
	}
	return properties
}

// take puts what the log does not hold into the inbox.
func (s *Subscription) take(record *message.Record) bool {
	i := item{record: record}
	s.mu.Lock()
	taken := s.inbox.room(i)
	if taken {
		s.inbox.push(i)
	}
	s.mu.Unlock()
	if taken {
		s.broker.router.handed.Add(1)
		s.signal()
	}
	return taken
}

// takeWithin is take that waits a moment for room.
func (s *Subscription) takeWithin(ctx context.Context, record *message.Record) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !s.take(record) {
		s.mu.Lock()
		if s.closed || s.slow {
			s.mu.Unlock()
			return false
		}
		if s.roomy == nil {
			s.roomy = make(chan struct{})
		}
		roomy := s.roomy
		s.mu.Unlock()
		select {
		case <-roomy:
		case <-timer.C:
			s.mu.Lock()
			s.slow = true
			s.mu.Unlock()
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// roomLocked lets publishers go on that wait for room.
func (s *Subscription) roomLocked() {
	if s.inbox.n == 0 {
		s.slow = false
	}
	if s.roomy != nil {
		close(s.roomy)
		s.roomy = nil
	}
}

// KeepQoS0Matched says that Publish keeps a message with QoS 0 in the log only if it is retained, a reading or
// Wanted; others are handed over and acknowledged at once.
func (b *Broker) KeepQoS0Matched(on bool) { b.matched.Store(on) }

// recent knows the topics under which messages with QoS 0 are on their way through the log: one that
// is handed over must not overtake them [MQTT-4.6.0-6]. Topics share slots, so it may take one
// for another, which only means that a message goes through the log.
type recent struct {
	mu    sync.Mutex // guards what follows
	slots [256]struct {
		under int              // way to the disk
		last  message.Position // that became durable
	}
}

// wait says whether a message under topic must go through the log because one before it has not been
// handed over yet by a router that stands at that position.
func (q *recent) wait(topic string, at message.Position) bool {
	slot := q.slot(topic)
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.slots[slot]
	return s.under > 0 || s.last > at
}

// append puts a message into the log and remembers that it is on its way.
func (q *recent) append(ctx context.Context, log Log, m *message.Message, ack message.Acknowledger, token uint64) error {
	slot := q.slot(m.Topic)
	q.mu.Lock()
	q.slots[slot].under++
	q.mu.Unlock()
	if _, none := ack.(nobody); none {
		ack, token = q, slot
	} else {
		asked, askedToken := ack, token
		ack = message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
			q.Acknowledge(slot, at, err)
			asked.Acknowledge(askedToken, at, err)
		})
	}
	err := log.Append(ctx, m, ack, token)
	if err != nil {
		q.Acknowledge(slot, 0, err)
	}
	return err
}

// Acknowledge is the log's: a message in that slot has become durable, or never will.
func (q *recent) Acknowledge(slot uint64, at message.Position, _ error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &q.slots[slot]
	s.under--
	s.last = max(s.last, at)
}

func (q *recent) slot(topic string) uint64 {
	hash := uint64(14695981039346656037) // FNV-1a
	for i := 0; i < len(topic); i++ {
		hash = (hash ^ uint64(topic[i])) * 1099511628211
	}
	return (hash ^ hash>>32) % uint64(len(q.slots))
}
