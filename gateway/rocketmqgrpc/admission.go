package rocketmqgrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/credentials"

	"sluice/gateway/transport"
)

// admission is the listener as gRPC wants one. It knows all connections, so that those who only connect keep
// nobody out, and hold nobody up at the end.
type admission struct {
	*transport.Listener
	refused *atomic.Uint64

	mu    sync.Mutex // guards what follows
	conns map[*conn]struct{}
}

func newAdmission(l *transport.Listener, refused *atomic.Uint64) *admission {
	return &admission{Listener: l, refused: refused, conns: make(map[*conn]struct{})}
}

// conn is one client's connection.
type conn struct {
	*transport.Conn
	admission *admission
	spoke     atomic.Bool // it has sent something
}

// Accept implements net.Listener.
func (a *admission) Accept() (net.Conn, error) {
	for {
		socket, err := a.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			return nil, temporary{err}
		}
		c := &conn{Conn: socket, admission: a}
		if a.enter(c) {
			return c, nil
		}
		socket.Refuse()
		a.refused.Add(1)
	}
}

// temporary lets gRPC go on after a moment.
type temporary struct{ error }

func (temporary) Temporary() bool { return true }

func (a *admission) enter(c *conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.conns) >= maxConnections && !a.makeRoomLocked() {
		return false
	}
	a.conns[c] = struct{}{}
	return true
}

// makeRoomLocked ends a connection that has said nothing yet, for one that may.
func (a *admission) makeRoomLocked() bool {
	for c := range a.conns {
		if !c.spoke.Load() {
			delete(a.conns, c)
			c.Conn.Close()
			a.refused.Add(1)
			return true
		}
	}
	return false
}

// open counts the connections.
func (a *admission) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.conns)
}

// end closes the connections that have said nothing, or all.
func (a *admission) end(all bool) {
	a.mu.Lock()
	var list []*conn
	for c := range a.conns {
		if all || !c.spoke.Load() {
			list = append(list, c)
		}
	}
	a.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && !c.spoke.Load() {
		c.spoke.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.admission.mu.Lock()
	delete(c.admission.conns, c)
	c.admission.mu.Unlock()
	return c.Conn.Close()
}

// handshake is what comes before HTTP/2, as credentials of gRPC: the proxy's header and TLS.
type handshake struct{}

// ServerHandshake implements credentials.TransportCredentials.
func (handshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := raw.(*conn)
	if !ok {
		return nil, nil, fmt.Errorf("bug: a %T came from the listener", raw)
	}
	// It knows by itself how long it may take, and ends with the connection.
	if err := c.Handshake(context.Background()); err != nil {
		return nil, nil, err
	}
	return c, nil, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (handshake) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("bug: this end calls nobody")
}

// Info implements credentials.TransportCredentials.
func (handshake) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{} }

// Clone implements credentials.TransportCredentials.
func (h handshake) Clone() credentials.TransportCredentials { return h }

// OverrideServerName implements credentials.TransportCredentials.
func (handshake) OverrideServerName(string) error { return nil }
