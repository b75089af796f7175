// Package rocketmq is the RocketMQ remoting listener: to stock clients and tools it is a name server and a
// broker at one address. It hides frames, connections and who is connected; what a request means to
// topics, queues and groups is the business of gateway/queue. One file per request code, 010_send_message.go
// and so on, says what is supported and what is left out.
package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
	"sluice/gateway/rocketmq/acl"
	"sluice/gateway/transport"
)

// Options say how the gateway presents itself.
type Options struct {
	Listen    []transport.Spec
	Name      string // of the broker
	Cluster   string
	Advertise string // host:port that clients are told; empty: the address that they came to
	Access    *acl.List
	Version   string // of the gateway
	Join      *Join  // nil: the gateway is a cluster of its own
}

const (
	maxConnections = 10_000
	maxHeld        = 1024              // requests of one connection that wait for messages
	idleLimit      = 150 * time.Second // without a byte from a client; they send heartbeats every 30 s
)

// Server is the listener. Its methods may be called from any goroutine.
type Server struct {
	options Options
	queues  *queue.Queues
	log     *slog.Logger
	started time.Time
	members members
	locks   locks
	stats   stats
	changes changes
	resets  resets
	wiped   atomic.Bool // producers are told that nothing may be written
	cluster *cluster    // nil: no other name servers
	unique  *remoting.UniqueIDs
	bodies  bodies
	turn    atomic.Uint32

	mu        sync.Mutex // guards what follows
	listeners []*transport.Listener
	conns     map[*conn]struct{}
}

// New makes a listener over an engine. It starts nothing.
func New(options Options, queues *queue.Queues, log *slog.Logger) *Server {
	s := &Server{options: options, queues: queues, log: log, started: time.Now(), conns: make(map[*conn]struct{})}
	s.members.init()
	queues.SetChecker("remoting", s.checkTransaction)
	queues.SetMover(s.tellMoved)
	s.locks.init()
	s.stats.init(s.started)
	if s.cluster = s.newCluster(); s.cluster != nil {
		s.changes.tell = s.cluster.changed
	}
	s.unique = remoting.NewUniqueIDs(netip.IPv4Unspecified(), os.Getpid(), uint32(s.started.UnixNano()))
	return s
}

// TakeOver binds every address, or none; what old, which may be nil, has bound is shared with it, so that
// no client is refused between the two.
func (s *Server) TakeOver(old *Server) error {
	var bound []*transport.Listener
	if old != nil {
		old.mu.Lock()
		bound = append(bound, old.listeners...)
		old.mu.Unlock()
	}
	for _, spec := range s.options.Listen {
		var replaces *transport.Listener
		for i, one := range bound {
			if one.Spec().Address == spec.Address {
				replaces, bound = one, append(bound[:i:i], bound[i+1:]...)
				break
			}
		}
		listener, err := transport.Listen(spec, replaces, s.log)
		if err != nil {
			s.Close()
			return fmt.Errorf("rocketmq cannot listen on %s: %w", spec.Address, err)
		}
		s.mu.Lock()
		s.listeners = append(s.listeners, listener)
		s.mu.Unlock()
	}
	return nil
}

// Addrs gives the bound addresses in the order of Options.Listen.
func (s *Server) Addrs() (addrs []net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Close gives the addresses back. Run does so itself; Close is for a server that never ran.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.Close()
	}
	s.listeners = nil
}

// Run serves until ctx ends, then closes every connection and waits for all that it started.
func (s *Server) Run(ctx context.Context) error {
	var all sync.WaitGroup
	s.mu.Lock()
	for _, l := range s.listeners {
		all.Go(func() { s.admit(ctx, l, &all) })
	}
	s.mu.Unlock()
	all.Go(func() { s.tend(ctx) })
	if s.cluster != nil {
		all.Go(func() { s.cluster.run(ctx) })
	}
	<-ctx.Done()
	s.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.close(nil)
	}
	s.mu.Unlock()
	all.Wait()
	return nil
}

// admit lets clients in.
func (s *Server) admit(ctx context.Context, l *transport.Listener, all *sync.WaitGroup) {
	for {
		socket, err := l.Accept()
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Warn("accept failed", "address", l.Addr().String(), "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		c := newConn(s, socket)
		if !s.enter(ctx, c) {
			socket.Refuse()
			s.stats.refused.Add(1)
			continue
		}
		all.Go(func() {
			defer s.leave(c)
			c.serve(ctx)
		})
	}
}

func (s *Server) enter(ctx context.Context, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || len(s.conns) >= maxConnections && !s.makeRoomLocked() {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

// makeRoomLocked ends a connection that has not sent a whole request yet, for one that may: so those who
// only connect, however many, keep nobody out.
func (s *Server) makeRoomLocked() bool {
	for c := range s.conns {
		if !c.spoke.Load() {
			delete(s.conns, c)
			c.socket.Close()
			s.stats.refused.Add(1)
			return true
		}
	}
	return false
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.notify(s.members.gone(c))
}

// tendEvery is how often it is looked for clients and locks that time has run out for.
const tendEvery = 10 * time.Second

func (s *Server) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.notify(s.members.expire(now))
			s.stats.sample(now)
		case <-ctx.Done():
			return
		}
	}
}

// address is where a client finds us: what is configured, or where it came to.
func (s *Server) address(c *conn) string {
	if s.options.Advertise != "" {
		return s.options.Advertise
	}
	return c.local.String()
}

// host is address as the numbers in a message's id and in stored messages, which must be an IP address.
func (s *Server) host(c *conn) netip.AddrPort {
	if at, err := netip.ParseAddrPort(s.options.Advertise); err == nil {
		return at
	}
	return c.local
}

// Stats are the listener's counters.
type Stats struct {
	Connections int
	Refused     uint64 // connections above a limit, or ended for others there
	Unwelcome   uint64 // requests with a wrong or missing signature, or not allowed
	Sent        uint64 // messages taken from producers
	Delivered   uint64 // messages given to consumers
	Groups      int    // consumer groups with a client
	Producers   int    // producer groups with a client
	Held        int    // requests that wait for a message
}

// Stats gives the counters as they are now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	groups, producers := s.members.count()
	return Stats{
		Connections: connections, Refused: s.stats.refused.Load(), Unwelcome: s.stats.unwelcome.Load(),
		Sent: s.stats.sent.Load(), Delivered: s.stats.delivered.Load(), Groups: groups, Producers: producers,
		Held: int(s.stats.held.Load()),
	}
}

// stats count.
type stats struct {
	refused, unwelcome, sent, delivered atomic.Uint64
	held                                atomic.Int64
	flows                               flows
	puts                                latency

	mu      sync.Mutex // guards counted
	counted mornings
}
