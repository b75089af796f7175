package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	lingerTimeout = 500 * time.Millisecond
	lingerMax     = 100 // sockets of a listener
)

// Conn is one client's connection. Between Accept and the end of Handshake only Handshake and Refuse
// may be called; from then on it is a net.Conn.
type Conn struct {
	net.Conn // what carries the client's bytes: the socket, or what Handshake has put around it

	listener *Listener
	socket   *net.TCPConn
	secure   *tls.Conn // nil without TLS
	remote   net.Addr
	deadline time.Time // of the handshake
	left     sync.Once
}

// Handshake does whatever the listener wants from a client before MQTT: the proxy's header, TLS, the
// upgrade to WebSocket. It gives up when ctx ends, or ten seconds after Accept. Close must follow,
// whatever it returns.
func (c *Conn) Handshake(ctx context.Context) error {
	err := c.handshake(ctx)
	if err != nil {
		c.listener.failed.Add(1)
	}
	return err
}

func (c *Conn) handshake(ctx context.Context) (err error) {
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	defer func() {
		if !stop() {
			err = fmt.Errorf("handshake: %w", ctx.Err()) // not the closed socket that it led to
		}
	}()
	spec := &c.listener.spec
	if spec.ProxyProtocol {
		from, err := readProxyHeader(c.socket)
		if err != nil {
			return fmt.Errorf("PROXY header: %w", err)
		}
		if from.IsValid() {
			c.remote = net.TCPAddrFromAddrPort(from)
		}
	}
	if spec.TLS != nil {
		if err := c.startTLS(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
	}
	if spec.WebSocket != nil {
		early, err := spec.WebSocket.upgrade(c.Conn)
		if err != nil {
			return fmt.Errorf("WebSocket handshake: %w", err)
		}
		c.Conn = newWebSocket(c.Conn, early)
	}
	return nil
}

func (c *Conn) startTLS(ctx context.Context) error {
	if c.listener.spec.TLS.Plain {
		first := make([]byte, 1)
		if _, err := io.ReadFull(c.socket, first); err != nil {
			return err
		}
		c.Conn = &peeked{Conn: c.socket, first: first}
		if first[0] != helloByte {
			return nil
		}
	}
	paced := &pacedConn{Conn: c.Conn, turns: c.listener.turns, end: ctx.Done()}
	secure := tls.Server(paced, c.listener.certificates.Config())
	err := secure.HandshakeContext(ctx)
	paced.finish()
	if err != nil {
		return err
	}
	c.secure, c.Conn = secure, secure
	return nil
}

// helloByte is the first byte of a client that begins with TLS: a record of the handshake's type
// (RFC 8446, section 5.1).
const helloByte = 22

// peeked is a connection whose first bytes were read already.
type peeked struct {
	net.Conn
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// RemoteAddr is the client's address; behind a proxy the one that the proxy tells.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Certificate is the one that the client has shown and that was found to be good; nil without.
func (c *Conn) Certificate() *x509.Certificate {
	if c.secure == nil {
		return nil
	}
	chains := c.secure.ConnectionState().VerifiedChains
	if len(chains) == 0 {
		return nil
	}
	return chains[0][0]
}

// CloseWrite tells the client that nothing more will come. What the client still sends can be read.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("a %T has no half to close", c.Conn)
	}
	return half.CloseWrite()
}

// Close ends the connection, and every Read and Write on it. It may be called again, and at any time
// after Handshake.
func (c *Conn) Close() (err error) {
	c.left.Do(func() {
		if socket, ok := c.Conn.(*webSocket); !ok || !socket.leave() || !c.linger() {
			err = c.Conn.Close()
		}
		c.listener.open.Add(-1)
	})
	return err
}

// linger lets the client answer our close frame with its own before the socket goes, which would else
// greet that answer with a reset: a client that leaves as it should would report an error.
func (c *Conn) linger() bool {
	if c.listener.lingering.Add(1) > lingerMax {
		c.listener.lingering.Add(-1)
		return false
	}
	if c.secure != nil {
		_ = c.secure.CloseWrite() // its errors, as all below, mean that the client has gone already
	}
	_ = c.socket.CloseWrite()
	_ = c.socket.SetReadDeadline(time.Unix(1, 0)) // ends a Read; closing this half too would bring the reset
	time.AfterFunc(lingerTimeout, func() {
		c.socket.Close()
		c.listener.lingering.Add(-1)
	})
	return true
}

// Refuse closes a connection without a handshake, because there are too many.
func (c *Conn) Refuse() {
	c.listener.refused.Add(1)
	c.Close()
}

// pacedConn is the socket under a TLS handshake. Who computes holds one of the turns, so that a flood
// of handshakes leaves the processor to those who are in. Who waits for the other end holds none: a
// silent peer holds up nobody.
type pacedConn struct {
	net.Conn
	turns chan struct{}
	end   <-chan struct{}
	holds bool
	done  bool // with the handshake
}

func (p *pacedConn) Read(b []byte) (int, error) {
	if p.done {
		return p.Conn.Read(b)
	}
	p.release()
	n, err := p.Conn.Read(b)
	if err != nil {
		return n, err
	}
	select {
	case p.turns <- struct{}{}:
		p.holds = true
		return n, nil
	case <-p.end:
		return 0, net.ErrClosed
	}
}

func (p *pacedConn) release() {
	if p.holds {
		p.holds = false
		<-p.turns
	}
}

func (p *pacedConn) finish() {
	p.release()
	p.done = true
}
