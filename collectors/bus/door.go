package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	maxStrangers     = 64               // connections at one address that have not registered yet
	registrationTime = 30 * time.Second // which those have
	maxRefused       = 32               // kinds of strangers that the log is told of
)

// door is an address at which DTUs connect.
type door struct {
	address  string
	listener net.Listener

	mu        sync.Mutex // guards what follows
	strangers []net.Conn // the oldest first
	refused   map[string]bool
}

func newDoor(address string, listener net.Listener) *door {
	return &door{address: address, listener: listener, refused: map[string]bool{}}
}

// call is a DTU that has connected.
type call struct {
	conn net.Conn
	sent []byte // behind its registration
}

// Run lets DTUs in until ctx ends. It is needed only by lines that listen, and idles when there are
// none.
func (s *Set) Run(ctx context.Context) error {
	var doors sync.WaitGroup
	defer doors.Wait()
	serving := map[*door]bool{}
	for {
		for d := range s.newDoors(serving) {
			doors.Go(func() { s.serve(ctx, d) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		}
	}
}

// newDoors gives the doors that are not in serving, and brings serving up to date.
func (s *Set) newDoors(serving map[*door]bool) map[*door]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, now := map[*door]bool{}, map[*door]bool{}
	for _, d := range s.doors {
		now[d] = true
		if !serving[d] {
			serving[d], fresh[d] = true, true
		}
	}
	for d := range serving {
		if !now[d] {
			delete(serving, d)
		}
	}
	return fresh
}

// Addr is where lines with that listen address are reached: with port 0 the system has chosen one.
func (s *Set) Addr(listen string) (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.doors[listen]; d != nil {
		return d.listener.Addr(), nil
	}
	return nil, fmt.Errorf("nobody listens on %s", listen)
}

// serve lets DTUs in at one door until it is closed or ctx ends.
func (s *Set) serve(ctx context.Context, d *door) {
	var entering sync.WaitGroup
	defer entering.Wait()
	defer d.sendAway()
	stop := context.AfterFunc(ctx, d.interrupt)
	defer stop()
	for {
		conn, err := d.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if conn != nil {
				conn.Close()
			}
			return
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no descriptors left, or a connection that ended at once
			s.log().Warn("a connection could not be accepted", "address", d.address, "err", err)
			if !pause(ctx, time.Second) {
				return
			}
			continue
		}
		tune(conn)
		d.enter(conn)
		entering.Go(func() { s.admit(d, conn) })
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// interrupt ends Accept and leaves the address bound: the lines that listen there are still there.
func (d *door) interrupt() {
	if l, ok := d.listener.(*net.TCPListener); ok {
		_ = l.SetDeadline(time.Unix(1, 0)) // it fails on a closed one, which accepts nobody either
	}
}

// enter counts a stranger. When there are too many, the one that has been silent longest goes.
func (d *door) enter(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.strangers) == maxStrangers {
		d.strangers[0].Close()
		d.strangers = slices.Delete(d.strangers, 0, 1)
	}
	d.strangers = append(d.strangers, conn)
}

func (d *door) leave(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.strangers, conn); i >= 0 {
		d.strangers = slices.Delete(d.strangers, i, i+1)
	}
}

func (d *door) sendAway() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.strangers {
		conn.Close()
	}
}

// admit finds out which line a DTU belongs to and gives it the connection.
func (s *Set) admit(d *door, conn net.Conn) {
	defer d.leave(conn)
	if err := conn.SetReadDeadline(time.Now().Add(registrationTime)); err != nil {
		conn.Close()
		return
	}
	room := make([]byte, 2*maxPacket)
	n := 0
	for {
		patterns, ports := s.expected(d.address)
		which, rest, undecided := registered(patterns, room[:n])
		if which >= 0 {
			s.connect(d, ports[which], conn, rest)
			return
		}
		if !undecided || n == len(room) {
			s.refuse(d, conn, "an unknown registration", strconv.Quote(string(room[:n])))
			return
		}
		got, err := conn.Read(room[n:])
		n += got
		if err != nil && got == 0 {
			s.refuse(d, conn, "no registration", strconv.Quote(string(room[:n])))
			return
		}
	}
}

// connect gives the connection of a registered DTU to its line.
func (s *Set) connect(d *door, p *Port, conn net.Conn, rest []byte) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		conn.Close()
		return
	}
	if first := p.offer(&call{conn, rest}); first {
		s.log().Info("a DTU has connected", "bus", p.name, "address", d.address, "from", conn.RemoteAddr().String())
	} else {
		s.log().Debug("a DTU has connected anew", "bus", p.name, "address", d.address, "from", conn.RemoteAddr().String())
	}
}

// refuse closes a stranger's connection. The log is told once of each kind, and of a bounded number of
// them: a DTU that is set up wrongly comes again and again.
func (s *Set) refuse(d *door, conn net.Conn, why, sent string) {
	conn.Close()
	d.mu.Lock()
	known := d.refused[why+sent] || len(d.refused) >= maxRefused
	if !known {
		d.refused[why+sent] = true
	}
	d.mu.Unlock()
	if !known {
		s.log().Warn("a DTU was refused", "address", d.address, "from", conn.RemoteAddr().String(), "why", why, "sent", sent)
	}
}

// expected gives the lines at an address and what their DTUs send first.
func (s *Set) expected(address string) (patterns [][]byte, ports []*Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.ports {
		if settings := p.Settings(); settings.Listen == address {
			patterns, ports = append(patterns, settings.Registration), append(ports, p)
		}
	}
	return patterns, ports
}

func (s *Set) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// offer makes a DTU's connection the line from the next exchange on, in place of the one before: the
// DTU knows better than the gateway that it is dead. first: no DTU has called before.
func (p *Port) offer(c *call) (first bool) {
	p.mu.Lock()
	before, talking := p.call, p.talking
	refused := p.isClosed || p.settings.Listen == ""
	if !refused {
		first = !p.called
		p.call, p.talking, p.called = c, nil, true
		p.stale.Add(1)
	}
	p.mu.Unlock()
	if refused {
		c.conn.Close()
		return false
	}
	if before != nil {
		before.conn.Close()
	}
	if talking != nil {
		talking.Close()
	}
	return first
}

// openCall answers a DTU that has called.
func (p *Port) openCall(c *call) error {
	if c != nil {
		p.use(c.conn, c.sent)
		return nil
	}
	p.mu.Lock()
	called := p.called
	p.mu.Unlock()
	who := "its DTU"
	if len(p.opened.Registration) > 0 {
		who = "the DTU that registers as " + strconv.Quote(string(p.opened.Registration))
	}
	if called {
		return fmt.Errorf("%w: %s has hung up and not come back to %s", ErrNotCalled, who, p.opened.Listen)
	}
	return fmt.Errorf("%w: %s has not come to %s yet", ErrNotCalled, who, p.opened.Listen)
}
