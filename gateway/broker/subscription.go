package broker

import (
	"context"
	"sync"

	"sluice/gateway/message"
)

// Subscription sees what is published after each of its filters was added, and leaves nothing
// behind. However slow its reader is, it costs the log no memory. One goroutine calls Next, Behind
// and Skip; Add and Remove may be called from any.
type Subscription struct {
	log Log

	mu      sync.Mutex // guards what follows
	filters []since
	names   *filters // of filters; another one after each change
	next    message.Position
}

// since is a filter with the position after which it counts.
type since struct {
	filter string
	after  message.Position
}

// Subscribe opens a subscription without a filter.
func (b *Broker) Subscribe() *Subscription {
	tail, _ := b.log.Tail()
	return &Subscription{log: b.log, next: tail + 1, names: new(filters)}
}

// Add lets messages through that match filter and are not yet durable at the call. A filter that
// is there already stays as it was.
func (s *Subscription) Add(filter string) {
	tail, _ := s.log.Tail()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.filters {
		if s.filters[i].filter == filter {
			return
		}
	}
	s.filters = append(s.filters, since{filter, tail})
	s.renameLocked()
}

// Remove takes a filter back: what was not returned yet is not returned any more.
func (s *Subscription) Remove(filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.filters {
		if s.filters[i].filter == filter {
			s.filters = append(s.filters[:i], s.filters[i+1:]...)
			s.renameLocked()
			return
		}
	}
}

// Next waits for at least one record that a filter lets through and appends up to max to dst.
func (s *Subscription) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		start := len(dst)
		var err error
		dst, s.next, err = readNext(ctx, s.log, s.next, dst, max, s.wanted, s.wants)
		if err != nil || len(dst) > start {
			return dst, err
		}
	}
}

func (s *Subscription) renameLocked() {
	names := make(filters, len(s.filters))
	for i := range s.filters {
		names[i] = s.filters[i].filter
	}
	s.names = &names
}

func (s *Subscription) wanted() *filters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names
}

func (s *Subscription) wants(r *message.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.filters {
		if f := &s.filters[i]; r.Position > f.after && message.Match(f.filter, r.Topic) {
			return true
		}
	}
	return false
}

// Behind is how many messages of any topic the subscription has not looked at yet.
func (s *Subscription) Behind() uint64 {
	tail, _ := s.log.Tail()
	if tail < s.next {
		return 0
	}
	return uint64(tail - s.next + 1)
}

// Skip drops everything up to now and says how many messages of any topic that was.
func (s *Subscription) Skip() (dropped uint64) {
	dropped = s.Behind()
	s.next += message.Position(dropped)
	return dropped
}
