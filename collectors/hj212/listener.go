package hj212

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/collectors/bus"
)

const (
	maxConns     = 256 // of one address
	maxStrangers = 64  // numbers of unknown loggers that are remembered, so that each is logged once
	acceptPause  = time.Second
)

// listener is one address that loggers connect to.
type listener struct {
	net     net.Listener
	log     *slog.Logger
	shown   *bus.Visited // nil: nowhere
	running sync.WaitGroup
	ended   chan struct{}

	mu        sync.Mutex // guards what follows
	stations  map[string]*Station
	conns     map[*conn]struct{}
	strangers map[string]struct{}
	full      bool
}

func listen(address string, log *slog.Logger) (*listener, error) {
	on, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for loggers: %w", err)
	}
	return newListener(on, log.With("listen", address)), nil
}

func newListener(on net.Listener, log *slog.Logger) *listener {
	return &listener{
		net: on, log: log, ended: make(chan struct{}),
		stations: map[string]*Station{}, conns: map[*conn]struct{}{}, strangers: map[string]struct{}{},
	}
}

func (l *listener) add(s *Station) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.stations[s.options.MN]; taken {
		return false
	}
	l.stations[s.options.MN] = s
	delete(l.strangers, s.options.MN)
	s.show(l.shown.Visitor(s.name))
	return true
}

func (l *listener) remove(s *Station) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.stations, s.options.MN)
	s.shown().Depart()
	s.show(nil)
	return len(l.stations) == 0
}

func (l *listener) station(mn string) *Station {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stations[mn]
}

// missing gives the stations whose loggers are not connected.
func (l *listener) missing() (all []*Station) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.stations {
		if !s.connected() {
			all = append(all, s)
		}
	}
	return all
}

// start accepts until stop.
func (l *listener) start() { l.running.Go(l.accept) }

// stop ends the listener and every connection; running waits for them.
func (l *listener) stop() {
	close(l.ended)
	l.net.Close()
	l.shown.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.net.Close()
	}
}

func (l *listener) accept() {
	failing := false
	for {
		raw, err := l.net.Accept()
		switch {
		case err == nil:
			failing = false
			l.welcome(raw)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		case !failing:
			failing = true // out of descriptors, most likely: it passes
			l.log.Warn("loggers cannot connect", "err", err)
		}
		select {
		case <-l.ended:
			return
		case <-time.After(acceptPause):
		}
	}
}

// welcome serves a connection, unless there are too many.
func (l *listener) welcome(raw net.Conn) {
	c := &conn{net: raw, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
		raw.Close()
		return
	default:
	}
	if len(l.conns) >= maxConns {
		if !l.full {
			l.log.Warn("too many loggers are connected; further ones are turned away", "most", maxConns)
		}
		l.full = true
		raw.Close()
		return
	}
	l.conns[c] = struct{}{}
	l.shown.Enter()
	l.running.Go(c.serve)
}

func (l *listener) farewell(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.full = false
	l.shown.Leave()
}

// stranger tells that a logger connects that no device is configured for: the log once.
func (l *listener) stranger(mn string, from net.Addr, frame []byte) {
	verdict := fmt.Sprintf("a logger connects that no device is configured for: MN %s", clean(mn))
	l.shown.Heard(frame, "", protocol, verdict)
	l.shown.Trouble(verdict)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, told := l.strangers[mn]; told || len(l.strangers) == maxStrangers {
		return
	}
	l.strangers[mn] = struct{}{}
	l.log.Warn("a logger connects that no device is configured for", "mn", clean(mn), "from", from)
}
