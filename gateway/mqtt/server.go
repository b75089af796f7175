package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/transport"
)

// Server is the listener on all its addresses.
type Server struct {
	options  Options
	backend  Backend
	log      *slog.Logger
	warnings limiter
	full     atomic.Bool // the log was full when last asked
	sys      sysTopics

	received, delivered, dropped, connected atomic.Uint64
	bytesIn, bytesOut                       atomic.Uint64

	started time.Time

	mu        sync.Mutex // guards what follows
	listeners []listening
	open      int                     // connections, those before CONNECT included
	sessions  map[string]*conn        // by client identifier
	most      int                     // sessions at a time since New
	wills     map[string]pendingWill  // by client identifier
	taken     map[string]takenFlights // likewise
}

// Stats are the listener's counters since New, and what it has now.
type Stats struct {
	Connections   int    // now, those before CONNECT included
	Sessions      int    // clients connected now
	MostSessions  int    // at a time
	Subscriptions int    // of clients connected now
	Connected     uint64 // clients that were let in
	Received      uint64 // PUBLISH packets that clients sent
	Delivered     uint64 // PUBLISH packets that clients were sent
	Dropped       uint64 // QoS 0 messages: refused by a full log, or skipped by a slow subscriber
	Listeners     []transport.Stats
}

// New checks the options. Nothing is bound before Listen.
func New(options Options, backend Backend, log *slog.Logger) (*Server, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{
		options:  options,
		backend:  backend,
		log:      log.With("component", "mqtt"),
		started:  time.Now(),
		sessions: make(map[string]*conn),
		wills:    make(map[string]pendingWill),
		taken:    make(map[string]takenFlights),
	}, nil
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	stats := Stats{Connections: s.open, Sessions: len(s.sessions), MostSessions: s.most}
	listeners := s.listeners
	for _, c := range s.sessions {
		stats.Subscriptions += c.filters.len()
	}
	s.mu.Unlock()
	for _, l := range listeners {
		stats.Listeners = append(stats.Listeners, l.Stats())
	}
	stats.Connected = s.connected.Load()
	stats.Received = s.received.Load()
	stats.Delivered = s.delivered.Load()
	stats.Dropped = s.dropped.Load()
	return stats
}

// Run serves what Listen bound until ctx ends, and returns once the last connection has gone.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	if len(listeners) == 0 {
		return errors.New("mqtt: Run without Listen")
	}
	var all sync.WaitGroup
	defer s.closeHouse(ctx)
	defer all.Wait()
	for _, listener := range listeners {
		all.Go(func() { s.admit(ctx, listener, &all) })
	}
	s.keepHouse(ctx)
	s.Close() // ends the accepting
	return nil
}

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.options.MaxConnections {
		return false
	}
	s.open++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// logIsFull notes whether the log refuses messages, and logs when that changes.
func (s *Server) logIsFull(full bool) {
	if s.full.Load() == full || s.full.Swap(full) == full {
		return
	}
	if full {
		s.log.Warn("the log is full: QoS 1 publishers wait, QoS 0 messages are dropped")
	} else {
		s.log.Info("the log takes messages again")
	}
}

// warn logs what some client did, within a limit: clients can repeat themselves for ever.
func (s *Server) warn(text string, details ...any) {
	allowed, missed := s.warnings.allow(time.Now())
	if !allowed {
		return
	}
	if missed > 0 {
		details = append(details, "lines_left_out", missed)
	}
	s.log.Warn(text, details...)
}
