// Package rocketmqgrpc is the listener for RocketMQ 5 clients, which speak gRPC (apache.rocketmq.v2.MessagingService)
// and take the gateway for a proxy. It hides calls, streams and who is connected; what a call means to topics,
// queues and groups is the business of gateway/queue, over which gateway/rocketmq serves older clients.
package rocketmqgrpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"sluice/gateway/queue"
	"sluice/gateway/rocketmq/acl"
	"sluice/gateway/transport"
)

// Options say how the gateway presents itself.
type Options struct {
	Listen transport.Spec // its TLS says how h2 is named by itself
	Name   string         // of the broker, without blanks
	Access *acl.List
}

const (
	maxConnections = 10_000
	maxStreams     = 1024     // calls of one connection at a time
	maxFrame       = 16 << 20 // bytes of one call's request: so that a body that is a little too large is told so

	// A client that is gone without a word is found out after idlePing and pingPatience together.
	idlePing     = time.Minute
	pingPatience = 20 * time.Second
	// pingsAtMost: clients ping more often than gRPC servers allow by default.
	pingsAtMost = 5 * time.Second

	// handshakePatience is from the connection to the first words of HTTP/2.
	handshakePatience = 10 * time.Second
	// emptyFor is how long a connection may have no call. Clients have a telemetry stream.
	emptyFor = 5 * time.Minute

	// Buffers of one connection: those who wait for messages are many, and each has its own.
	bufferBytes = 4 << 10

	// drainFor is how long those whose calls are under way have for their answers at the end, and flushFor how
	// long the answers have to leave.
	drainFor = 5 * time.Second
	flushFor = 300 * time.Millisecond
)

// Server is the listener. Its methods may be called from any goroutine.
type Server struct {
	v2.UnimplementedMessagingServiceServer
	options  Options
	queues   *queue.Queues
	log      *slog.Logger
	clients  clients
	stats    stats
	stopping chan struct{} // closed when the end begins
	calls    atomic.Int64  // under way, telemetry apart

	mu       sync.Mutex // guards what follows
	listener *transport.Listener
	admitted *admission // nil until it runs
}

// New makes a listener over an engine. It starts nothing.
func New(options Options, queues *queue.Queues, log *slog.Logger) *Server {
	s := &Server{options: options, queues: queues, log: log, stopping: make(chan struct{})}
	s.clients.init()
	queues.SetChecker("grpc", s.askProducer)
	return s
}

// TakeOver binds the address; what old, which may be nil, has bound there is shared with it, so that no client
// is refused between the two.
func (s *Server) TakeOver(old *Server) error {
	var replaces *transport.Listener
	if old != nil {
		old.mu.Lock()
		if bound := old.listener; bound != nil && bound.Spec().Address == s.options.Listen.Address {
			replaces = bound
		}
		old.mu.Unlock()
	}
	listener, err := transport.Listen(s.options.Listen, replaces, s.log)
	if err != nil {
		return fmt.Errorf("rocketmq cannot listen on %s: %w", s.options.Listen.Address, err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	return nil
}

// Addr gives the bound address; nil: none is bound.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Close gives the address back. Run does so itself; Close is for a server that never ran.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
	}
}

// Run serves until ctx ends, lets calls that are under way end, and waits for all that it started.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.listener == nil {
		s.mu.Unlock()
		return fmt.Errorf("bug: %s is not bound", s.options.Listen.Address)
	}
	admitted := newAdmission(s.listener, &s.stats.refused)
	s.admitted = admitted
	s.mu.Unlock()
	served := grpc.NewServer(
		grpc.Creds(handshake{}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ConnectionTimeout(handshakePatience),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxRecvMsgSize(maxFrame),
		grpc.ReadBufferSize(bufferBytes), grpc.WriteBufferSize(bufferBytes), grpc.SharedWriteBuffer(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: emptyFor, Time: idlePing, Timeout: pingPatience}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAtMost, PermitWithoutStream: true}),
	)
	served.RegisterService(service(), s)
	var all sync.WaitGroup
	all.Go(func() {
		// Serve ends when its listener does, and that only we close.
		if err := served.Serve(admitted); err != nil && ctx.Err() == nil {
			s.log.Error("the listener for RocketMQ 5 clients has ended", "err", err)
		}
	})
	all.Go(func() { s.tend(ctx) })
	<-ctx.Done()
	s.Close()
	s.drain()
	admitted.end(false)
	gone := time.AfterFunc(flushFor, func() { admitted.end(true) })
	served.GracefulStop() // telemetry streams last as long as their connections
	gone.Stop()
	all.Wait()
	s.clients.end()
	return nil
}

// drain lets calls that wait be answered with what there is, and those that wait for the log be answered at all.
func (s *Server) drain() {
	close(s.stopping)
	for end := time.Now().Add(drainFor); s.calls.Load() > 0 && time.Now().Before(end); {
		time.Sleep(drainLook) // a few turns at the end of a life are cheaper than counting with a lock in every call
	}
}

// drainLook is how long drain waits between two looks.
const drainLook = 2 * time.Millisecond

// tendEvery is how often it is looked for clients that time has run out for.
const tendEvery = 2 * time.Second

func (s *Server) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.clients.expire(now)
		case <-ctx.Done():
			return
		}
	}
}

// Stats are the listener's counters.
type Stats struct {
	Connections int
	Refused     uint64 // connections above a limit
	Unwelcome   uint64 // calls with a wrong or missing signature, or not allowed
	Sent        uint64 // messages taken from producers
	Delivered   uint64 // messages given to consumers
	Groups      int    // consumer groups with a client
	Producers   int    // clients that send
	Held        int    // calls that wait for a message
}

// stats count.
type stats struct {
	refused, unwelcome, sent, delivered atomic.Uint64
	held                                atomic.Int64
}

// Stats gives the counters as they are now.
func (s *Server) Stats() Stats {
	shown := Stats{
		Refused: s.stats.refused.Load(), Unwelcome: s.stats.unwelcome.Load(), Sent: s.stats.sent.Load(), Delivered: s.stats.delivered.Load(), Held: int(s.stats.held.Load()),
	}
	shown.Groups, shown.Producers = s.clients.count()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admitted != nil {
		shown.Connections = s.admitted.open()
	}
	return shown
}

// Consumers counts the clients of a consumer group that are connected.
func (s *Server) Consumers(group string) int { return s.clients.consuming(group) }
