package kafka

import (
	"net"
	"sync"

	"sluice/bridge/dial"
)

// conn ends quickly: TLS says goodbye, but not for longer than dial.HurryTimeout.
type conn struct {
	net.Conn
	raw   *dial.Patient
	among *conns
}

// Close ends the connection.
func (c *conn) Close() error {
	c.among.remove(c)
	c.raw.HurryUp()
	return c.Conn.Close()
}

// conns are a link's connections, so that they can be ended from outside: franz-go waits out a
// time-out of its own before it ends one that is silent.
type conns struct {
	mu   sync.Mutex // guards what follows
	open map[*conn]bool
	over bool
}

func (s *conns) add(c *conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		c.raw.Conn.Close()
		return nil, errClosed
	}
	if s.open == nil {
		s.open = make(map[*conn]bool)
	}
	c.among = s
	s.open[c] = true
	return c, nil
}

func (s *conns) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// cut ends all connections and lets no new one begin.
func (s *conns) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for c := range s.open {
		c.raw.Conn.Close()
	}
}
