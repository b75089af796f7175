package mqtt

import (
	"context"
	"slices"
	"sync"

	"sluice/gateway/message"
)

// memoryLog is a Backend that keeps records in memory and acknowledges at once, or when it is told.
type memoryLog struct {
	mu      sync.Mutex // guards what follows
	records []message.Record
	grown   chan struct{}
	refusal error // what Publish gives instead of taking a message
	held    bool  // acknowledgements wait for release
	waiting []heldAck

	subscriptions []*memorySubscription
}

type heldAck struct {
	ack   message.Acknowledger
	token uint64
	at    message.Position
}

func newMemoryLog() *memoryLog { return &memoryLog{grown: make(chan struct{})} }

func (l *memoryLog) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.refusal != nil {
		return l.refusal
	}
	record := message.Record{Position: message.Position(len(l.records) + 1), Message: *m}
	record.Payload = slices.Clone(m.Payload)
	l.records = append(l.records, record)
	close(l.grown)
	l.grown = make(chan struct{})
	switch {
	case ack == nil:
	case l.held:
		l.waiting = append(l.waiting, heldAck{ack, token, record.Position})
	default:
		ack.Acknowledge(token, record.Position, nil)
	}
	return nil
}

// release acknowledges the n oldest messages that wait, with err.
func (l *memoryLog) release(n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting[:n] {
		w.ack.Acknowledge(w.token, w.at, err)
	}
	l.waiting = l.waiting[n:]
}

func (l *memoryLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

func (l *memoryLog) refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusal = err
}

func (l *memoryLog) waitingAcks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

func (l *memoryLog) messages() (all []message.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		all = append(all, r.Message)
	}
	return all
}

func (l *memoryLog) Subscribe() (Subscription, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &memorySubscription{log: l, next: len(l.records)}
	l.subscriptions = append(l.subscriptions, s)
	return s, nil
}

// filters says how many filters the open subscriptions have.
func (l *memoryLog) filters() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.subscriptions {
		if !s.closed {
			n += len(s.filters)
		}
	}
	return n
}

type memorySubscription struct {
	log     *memoryLog
	next    int      // index of the next record; guarded by log.mu, like filters
	filters []string // with repetitions, should the listener make any
	closed  bool
}

func (s *memorySubscription) Add(filter string) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.filters = append(s.filters, filter)
}

func (s *memorySubscription) Remove(filter string) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if i := slices.Index(s.filters, filter); i >= 0 {
		s.filters = slices.Delete(s.filters, i, i+1)
	}
}

func (s *memorySubscription) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		s.log.mu.Lock()
		grown := s.log.grown
		for ; s.next < len(s.log.records) && len(dst) < max; s.next++ {
			record := s.log.records[s.next]
			if s.matchesLocked(record.Topic) {
				dst = append(dst, record)
			}
		}
		s.log.mu.Unlock()
		if len(dst) > 0 {
			return dst, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

func (s *memorySubscription) matchesLocked(topic string) bool {
	return slices.ContainsFunc(s.filters, func(f string) bool { return message.Match(f, topic) })
}

func (s *memorySubscription) Skip() (dropped uint64) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for ; s.next < len(s.log.records); s.next++ {
		if s.matchesLocked(s.log.records[s.next].Topic) {
			dropped++
		}
	}
	return dropped
}

func (s *memorySubscription) Close() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.closed = true
}

// forgetful is a Backend that takes everything and keeps nothing.
type forgetful struct{}

func (forgetful) Publish(_ context.Context, _ *message.Message, ack message.Acknowledger, token uint64) error {
	if ack != nil {
		ack.Acknowledge(token, 1, nil)
	}
	return nil
}

func (forgetful) Subscribe() (Subscription, error) { return nil, message.ErrClosed }
