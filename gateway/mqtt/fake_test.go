package mqtt

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

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
	shares        []*memoryShare
	sessions      map[string]*memorySession
}

type heldAck struct {
	ack   message.Acknowledger
	token uint64
	at    message.Position
}

func newMemoryLog() *memoryLog {
	return &memoryLog{grown: make(chan struct{}), sessions: make(map[string]*memorySession)}
}

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

func (l *memoryLog) Hand(m *message.Message) {}

func (l *memoryLog) Last() message.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return message.Position(len(l.records))
}

func (l *memoryLog) Message(at message.Position) (message.Record, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at == 0 || int(at) > len(l.records) {
		return message.Record{}, false, nil
	}
	return l.records[at-1], true, nil
}

func (l *memoryLog) Stored() Stored { return Stored{Messages: uint64(l.Last())} }

func (l *memoryLog) Subscribe(after message.Position) Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &memorySubscription{log: l, next: int(min(after, message.Position(len(l.records))))}
	l.subscriptions = append(l.subscriptions, s)
	return s
}

func (l *memoryLog) EachRetained(filter string, visit func(*message.Record) error) error {
	l.mu.Lock()
	last := make(map[string]message.Record)
	for _, r := range l.records {
		if r.Retain && message.Match(filter, r.Topic) {
			last[r.Topic] = r
		}
	}
	l.mu.Unlock()
	list := slices.SortedFunc(maps.Values(last), func(a, b message.Record) int { return cmp.Compare(a.Position, b.Position) })
	for i := range list {
		if len(list[i].Payload) > 0 {
			if err := visit(&list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *memoryLog) DropSession(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, id)
	return nil
}

func (l *memoryLog) OpenSession(id string, expiry time.Duration, fresh bool) (Session, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, present := l.sessions[id]
	if !present || fresh {
		s = &memorySession{log: l, id: id, filters: make(map[string]Subscribed)}
		l.sessions[id] = s
		return s, false, nil
	}
	return s, true, nil
}

// memorySession is guarded by log.mu. Everything is durable at once.
type memorySession struct {
	log      *memoryLog
	id       string
	filters  map[string]Subscribed
	upTo     message.Position
	under    []Flight
	released []uint16
}

func (s *memorySession) Subscriptions() []Subscribed {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.filters), func(a, b Subscribed) int { return cmp.Compare(a.Filter, b.Filter) })
}

func (s *memorySession) Subscribe(subscribed Subscribed) error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if len(s.filters) == 0 {
		s.upTo = max(s.upTo, subscribed.From-1)
	}
	s.filters[subscribed.Filter] = subscribed
	return nil
}

func (s *memorySession) Unsubscribe(filter string) bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	_, known := s.filters[filter]
	delete(s.filters, filter)
	return known
}

func (s *memorySession) Flights() (message.Position, []Flight) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.upTo, slices.DeleteFunc(slices.Clone(s.under), func(f Flight) bool { return f.Position <= s.upTo })
}

func (s *memorySession) SaveFlights(upTo message.Position, under []Flight, durable func(error)) error {
	s.log.mu.Lock()
	s.upTo, s.under = max(s.upTo, upTo), slices.Clone(under)
	s.log.mu.Unlock()
	if durable != nil {
		durable(nil)
	}
	return nil
}

func (s *memorySession) Move(upTo message.Position) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.upTo = max(s.upTo, upTo)
}

func (s *memorySession) Received(id uint16) bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	known := false
	for _, r := range s.log.records {
		if value, ok := r.Property(message.PacketID); ok && r.Client == s.id && value == strconv.Itoa(int(id)) {
			known = true
		}
	}
	return known && !slices.Contains(s.released, id)
}

func (s *memorySession) Release(id uint16, durable func(error)) {
	s.log.mu.Lock()
	s.released = append(s.released, id)
	s.log.mu.Unlock()
	durable(nil)
}

func (s *memorySession) Sync(context.Context) error { return nil }

func (s *memorySession) Close(expiry time.Duration) {
	if expiry == 0 {
		_ = s.log.DropSession(s.id)
	}
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
	next    int            // index of the next record; guarded by log.mu, like what follows
	filters []filterOf     // with repetitions, should the listener make any
	shares  []*memoryShare // by number less one; nil when it has left
	closed  bool
}

type filterOf struct {
	filter string
	after  message.Position
}

func (s *memorySubscription) Add(filter string) message.Position {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	after := message.Position(len(s.log.records))
	s.filters = append(s.filters, filterOf{filter, after})
	return after
}

func (s *memorySubscription) Resume(filter string, after message.Position) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.filters = append(s.filters, filterOf{filter, after})
}

func (s *memorySubscription) Remove(filter string) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.filters = slices.DeleteFunc(s.filters, func(f filterOf) bool { return f.filter == filter })
}

func (s *memorySubscription) Next(ctx context.Context, dst []message.Delivery, max int) ([]message.Delivery, error) {
	for {
		s.log.mu.Lock()
		grown := s.log.grown
		for ; s.next < len(s.log.records) && len(dst) < max; s.next++ {
			record := s.log.records[s.next]
			if s.matchesLocked(&record) {
				dst = append(dst, message.Delivery{Record: record})
			}
		}
		dst = s.sharedLocked(dst, max)
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

func (s *memorySubscription) Passed() message.Position {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return message.Position(s.next)
}

func (s *memorySubscription) matchesLocked(r *message.Record) bool {
	return slices.ContainsFunc(s.filters, func(f filterOf) bool { return r.Position > f.after && message.Match(f.filter, r.Topic) })
}

func (s *memorySubscription) Skip() (dropped uint64) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for ; s.next < len(s.log.records); s.next++ {
		if s.matchesLocked(&s.log.records[s.next]) {
			dropped++
		}
	}
	return dropped
}

func (s *memorySubscription) Close() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.closed = true
	for i := range s.shares {
		s.leaveLocked(i + 1)
	}
}

// forgetful is a Backend that takes everything and keeps nothing.
type forgetful struct{ *memoryLog }

func (forgetful) Publish(_ context.Context, _ *message.Message, ack message.Acknowledger, token uint64) error {
	if ack != nil {
		ack.Acknowledge(token, 1, nil)
	}
	return nil
}
