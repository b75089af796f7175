// Package cloudsim is a cloud for tests and the demo: a small MQTT server (3.1.1 and 5) that records every
// payload, syncs it to disk before it acknowledges, and can be told to misbehave. Its Checker holds
// what arrived against the delivery contract.
package cloudsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/gateway/message"
)

// Options say what a Server does with what it gets. All of it may be left out.
type Options struct {
	Record  string   // the file that payloads are appended to
	Topics  bool     // a line of it begins with the topic and a space
	Checker *Checker // sees every payload as it comes in
	// Taken hears of every message that is about to be acknowledged, in the order of arrival on
	// its connection.
	Taken func(topic string, payload []byte)
	// Login answers a CONNECT with a CONNACK code; nil lets everybody in.
	Login func(clientID, user, password string) (code byte)
	TLS   *tls.Config
	Log   *slog.Logger

	// With MQTT 5 only. What is 0 is not said at the login; what is said is insisted on.
	ReceiveMaximum uint16 // messages that a client may have unacknowledged
	TopicAliases   uint16
	MaximumPacket  uint32
	KeepAlive      uint16 // seconds
	// Judge gives the reason code by which a message is acknowledged. From 0x80 on it is refused: it
	// is neither recorded nor counted. nil takes all.
	Judge func(topic string, payload []byte, about *About) (code byte)
}

// Faults are ways to misbehave. The zero Faults is a good cloud.
type Faults struct {
	Silent          bool          // accept connections, read, and never answer anything
	RefuseLogin     byte          // answer CONNECT with this code
	RefuseSubscribe bool          // answer SUBSCRIBE with 0x80
	NoAck           bool          // take messages and acknowledge none
	AckDelay        time.Duration // between recording and acknowledging
	DropAt          int           // cut a connection at its n-th PUBLISH, which is neither recorded nor acknowledged
	DropBeforeAck   int           // cut a connection when its n-th PUBLISH is recorded but not acknowledged
	BytesPerSecond  int           // read no faster
	EndWith         byte          // MQTT 5: the reason that DropAt and DropBeforeAck give before they cut
}

// Stats count since the start.
type Stats struct {
	Connections int // open now
	Connects    uint64
	Received    uint64 // messages recorded
	Acked       uint64
	Syncs       uint64
	Pushed      uint64 // messages sent down
	PushedAcked uint64
	PushedNot   uint64 // acknowledged with a reason not to take them
	Refused     uint64 // messages that were judged so
}

// Server is the simulated cloud.
type Server struct {
	options  Options
	listener net.Listener
	recorder *recorder

	mu     sync.Mutex // guards what follows
	faults Faults
	down   bool
	stats  Stats
	conns  map[*conn]struct{}
}

// Listen opens the port and the recording. Run serves them.
func Listen(address string, options Options) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("simulated cloud: %w", err)
	}
	s, err := New(listener, options)
	if err != nil {
		listener.Close()
		return nil, err
	}
	return s, nil
}

// New opens the recording and takes over a listener, which need not be one of the network. Run
// serves them.
func New(listener net.Listener, options Options) (*Server, error) {
	s := &Server{options: options, listener: listener, conns: make(map[*conn]struct{})}
	if options.Record != "" {
		var err error
		if s.recorder, err = openRecorder(options.Record); err != nil {
			return nil, err
		}
		s.recorder.topics = options.Topics
	}
	if options.TLS != nil {
		s.listener = tls.NewListener(listener, options.TLS)
	}
	if options.Log == nil {
		s.options.Log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends and returns once the last connection has gone and the recording is
// closed. A recording that cannot be written ends it with an error: nothing may be acknowledged.
func (s *Server) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var conns sync.WaitGroup
	defer func() {
		s.dropAll()
		conns.Wait()
		if s.recorder != nil {
			s.recorder.close()
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		s.listener.Close()
		s.dropAll()
	})
	defer stop()
	for {
		raw, err := s.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				raw.Close()
			}
			var broken *recordError
			if errors.As(context.Cause(ctx), &broken) {
				return broken
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("simulated cloud: accept: %w", err)
		}
		c := &conn{server: s, raw: raw}
		if !s.enter(c) {
			raw.Close()
			continue
		}
		conns.Go(func() {
			defer s.leave(c)
			err := c.serve(ctx)
			var broken *recordError
			if errors.As(err, &broken) {
				fail(broken)
			}
			s.options.Log.Debug("connection ended", "remote", raw.RemoteAddr().String(), "err", err)
		})
	}
}

// recordError says that the recording could not be written.
type recordError struct{ err error }

func (e *recordError) Error() string { return e.err.Error() }
func (e *recordError) Unwrap() error { return e.err }

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	s.conns[c] = struct{}{}
	s.stats.Connections++
	return true
}

func (s *Server) leave(c *conn) {
	c.raw.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.stats.Connections--
}

func (s *Server) dropAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.raw.Close()
	}
}

// SetFaults changes how the server misbehaves, also on connections that are open.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *Server) currentFaults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// SetUp cuts the line to the cloud, or restores it.
func (s *Server) SetUp(up bool) {
	s.mu.Lock()
	s.down = !up
	s.mu.Unlock()
	if !up {
		s.dropAll()
	}
}

// Up says whether the line is there.
func (s *Server) Up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// Publish sends a message down to every connection that has asked for it and says to how many.
func (s *Server) Publish(topic string, payload []byte, qos byte, retained bool) int {
	return s.PublishAbout(topic, payload, qos, retained, nil)
}

// PublishAbout is Publish with what connections of MQTT 5 are told of the message besides.
func (s *Server) PublishAbout(topic string, payload []byte, qos byte, retained bool, about *About) int {
	s.mu.Lock()
	var wanting []*conn
	for c := range s.conns {
		for _, filter := range c.filters {
			if message.Match(filter, topic) {
				wanting = append(wanting, c)
				break
			}
		}
	}
	s.mu.Unlock()
	sent := 0
	for _, c := range wanting {
		if c.push(publish{topic: topic, qos: qos, payload: payload, about: about}, retained) == nil {
			sent++
		}
	}
	s.count(func(st *Stats) { st.Pushed += uint64(sent) })
	return sent
}
