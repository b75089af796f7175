package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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

	started time.Time

	mu        sync.Mutex // guards what follows
	listeners []net.Listener
	open      int                    // connections, those before CONNECT included
	sessions  map[string]*conn       // by client identifier
	most      int                    // sessions at a time since New
	wills     map[string]pendingWill // by client identifier
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
	}, nil
}

// Listen binds every address, or none.
func (s *Server) Listen() error { return s.TakeOver(nil) }

// TakeOver is Listen for a server that replaces another: an address that old has bound already is
// shared with it, so that no client is refused between the two.
func (s *Server) TakeOver(old *Server) error {
	for _, address := range s.options.Listen {
		listener, err := old.share(address)
		if listener == nil && err == nil {
			listener, err = net.Listen("tcp", address)
		}
		if err != nil {
			s.Close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("mqtt cannot listen on %s: another program has this address: %w", address, err)
			}
			return fmt.Errorf("mqtt cannot listen on %s: %w", address, err)
		}
		s.mu.Lock()
		s.listeners = append(s.listeners, listener)
		s.mu.Unlock()
		if bound, ok := listener.Addr().(*net.TCPAddr); ok && s.options.Anonymous && !bound.IP.IsLoopback() {
			s.log.Warn("anybody who reaches this address gets in without a password", "address", listener.Addr().String())
		}
	}
	return nil
}

// share gives a second listener on the socket that s has bound to address, or nil when there is none.
func (s *Server) share(address string) (net.Listener, error) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.options.Listen, address)
	if at < 0 || at >= len(s.listeners) {
		return nil, nil
	}
	tcp, ok := s.listeners[at].(*net.TCPListener)
	if !ok {
		return nil, nil
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	defer file.Close() // the listener has a descriptor of its own
	return net.FileListener(file)
}

// Addrs gives the bound addresses, in the order of Options.Listen.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]net.Addr, len(s.listeners))
	for i, listener := range s.listeners {
		addrs[i] = listener.Addr()
	}
	return addrs
}

// Close gives the addresses back. Run does so itself; Close is for a server that never ran.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, listener := range s.listeners {
		listener.Close()
	}
	s.listeners = nil
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	stats := Stats{Connections: s.open, Sessions: len(s.sessions), MostSessions: s.most}
	for _, c := range s.sessions {
		stats.Subscriptions += c.filters.len()
	}
	s.mu.Unlock()
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
	defer all.Wait()
	for _, listener := range listeners {
		all.Go(func() { s.accept(ctx, listener, &all) })
	}
	s.keepHouse(ctx)
	s.Close() // ends the accepting
	return nil
}

// accept lets clients in. A failing accept, for want of file descriptors say, is tried again.
func (s *Server) accept(ctx context.Context, listener net.Listener, all *sync.WaitGroup) {
	const shortest, longest = 10 * time.Millisecond, time.Second
	pause := shortest
	for ctx.Err() == nil {
		client, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			s.warn("accept failed", "address", listener.Addr().String(), "err", err, "retry_in", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = shortest
		if !s.enter() {
			client.Close()
			s.warn("too many connections, one was refused", "client", client.RemoteAddr().String(), "max", s.options.MaxConnections)
			continue
		}
		all.Go(func() {
			defer s.leave()
			s.serve(ctx, client)
		})
	}
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
