package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/mqtt/transport"
)

// Server is the listener on all its addresses.
type Server struct {
	options   Options
	backend   Backend
	log       *slog.Logger
	warnings  limiter
	passwords chan struct{} // holds the turns of Options.Authenticate
	full      atomic.Bool   // the log was full when last asked

	received, delivered, dropped atomic.Uint64

	mu        sync.Mutex // guards what follows
	listeners []listening
	open      int              // connections, those before CONNECT included
	sessions  map[string]*conn // by client identifier
}

// Stats are the listener's counters since New; Connections is how many are open now.
type Stats struct {
	Connections int
	Received    uint64 // PUBLISH packets that clients sent
	Delivered   uint64 // PUBLISH packets that clients were sent
	Dropped     uint64 // QoS 0 messages: refused by a full log, or skipped by a slow subscriber
	Listeners   []transport.Stats
}

// New checks the options. Nothing is bound before Listen.
func New(options Options, backend Backend, log *slog.Logger) (*Server, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{
		options:   options,
		backend:   backend,
		log:       log.With("component", "mqtt"),
		passwords: make(chan struct{}, passwordsAtOnce),
		sessions:  make(map[string]*conn),
	}, nil
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	open, listeners := s.open, s.listeners
	s.mu.Unlock()
	var each []transport.Stats
	for _, l := range listeners {
		each = append(each, l.Stats())
	}
	return Stats{
		Listeners:   each,
		Connections: open,
		Received:    s.received.Load(),
		Delivered:   s.delivered.Load(),
		Dropped:     s.dropped.Load(),
	}
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
	defer all.Wait()
	for _, listener := range listeners {
		all.Go(func() { s.admit(ctx, listener, &all) })
	}
	<-ctx.Done()
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

// takeOver makes c the owner of its client identifier and ends the connection that was it before
// [MQTT-3.1.4-2]. It returns when that one has ended, its will included, so that the two never mix.
func (s *Server) takeOver(c *conn) {
	s.mu.Lock()
	old := s.sessions[c.clientID]
	s.sessions[c.clientID] = c
	s.mu.Unlock()
	if old != nil {
		old.end(errTakenOver)
		<-old.done // soon: nothing in an ending connection waits without a limit
	}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[c.clientID] == c {
		delete(s.sessions, c.clientID)
	}
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
