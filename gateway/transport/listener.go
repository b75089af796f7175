// Package transport is the ways in for MQTT clients: TCP, TLS, WebSocket and WebSocket over TLS, each
// behind a proxy that says whom it speaks for if need be. It hides handshakes, certificates that change
// under way, and frames: what comes out is a stream of bytes and whose it is.
package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// handshakeTimeout is from Accept to the end of Handshake.
const handshakeTimeout = 10 * time.Second

// Spec says where one listener listens and what is spoken there. Zero means plain TCP.
type Spec struct {
	Address       string // host:port
	TLS           *TLS   // nil: none
	WebSocket     *WebSocket
	ProxyProtocol bool // every connection begins with a PROXY header, version 1 or 2
	Connections   int  // how many may be open at a time; 0: any number
}

// TLS is where a listener's certificates are. The files are looked at again and again, so that they
// can be replaced while the listener runs.
type TLS struct {
	// Cert and Key are PEM files: the chain, the server's own certificate first, and its key. Both empty: a
	// certificate that nobody has signed is made, for clients that encrypt without asking whom they speak with.
	Cert, Key string
	ClientCA  string   // PEM file: who may have signed clients' certificates; empty: clients show none
	Optional  bool     // clients need no certificate, but the one that they show must be good
	Plain     bool     // plain text is taken too: the first byte tells them apart
	Protocols []string // what is spoken, in the names of ALPN; nil: clients are not asked
}

// WebSocket says which web address a listener serves, and to which pages.
type WebSocket struct {
	Path string // empty: / and /mqtt
	// Origins are the web pages from which a browser may connect, as scheme://host:port; "*" is any
	// page. Without one, only pages that were opened from the host that the listener is on, by its IP
	// address or as localhost, may.
	Origins []string
}

// Kind is tcp, tls, ws or wss.
func (s Spec) Kind() string {
	switch {
	case s.WebSocket != nil && s.TLS != nil:
		return "wss"
	case s.WebSocket != nil:
		return "ws"
	case s.TLS != nil:
		return "tls"
	}
	return "tcp"
}

// Listener is a bound address. Its methods may be called from any goroutine.
type Listener struct {
	spec         Spec
	socket       *net.TCPListener
	certificates *Certificates // nil without TLS
	turns        chan struct{} // holds whoever computes for a TLS handshake

	open, lingering atomic.Int64
	refused, failed atomic.Uint64
}

// Stats are a listener's counters since Listen; Open is how many connections are open now.
type Stats struct {
	Kind    string
	Address string
	Open    int
	Refused uint64 // connections above a limit
	Failed  uint64 // handshakes that came to nothing
}

// FullError is what Accept gives in the place of a connection that was above Spec.Connections and has
// been closed.
type FullError struct {
	Client net.Addr
	Max    int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%s was refused: %d connections are open", e.Client, e.Max)
}

// Listen binds the address. When replaces is not nil it shares the socket of that listener, whose
// address must be the same, so that no client is refused between the two.
func Listen(spec Spec, replaces *Listener, log *slog.Logger) (*Listener, error) {
	l := &Listener{spec: spec, turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	var err error
	if spec.TLS != nil {
		l.certificates, err = LoadCertificates(*spec.TLS, log.With("listener", spec.Address))
		if err != nil {
			return nil, err
		}
	}
	if replaces != nil {
		l.socket, err = share(replaces.socket)
	} else {
		l.socket, err = bind(spec.Address)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

func bind(address string) (*net.TCPListener, error) {
	socket, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program has this address: %w", err)
	case err != nil:
		return nil, err
	}
	return socket.(*net.TCPListener), nil
}

// share gives a second listener on a socket.
func share(socket *net.TCPListener) (*net.TCPListener, error) {
	file, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer file.Close() // the listener has a descriptor of its own
	shared, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return shared.(*net.TCPListener), nil
}

// Accept waits for a connection. It does not wait for what the client has to say: that is Handshake's
// part, in the connection's own goroutine.
func (l *Listener) Accept() (*Conn, error) {
	socket, err := l.socket.AcceptTCP()
	if err != nil {
		return nil, err
	}
	c := &Conn{
		Conn: socket, listener: l, socket: socket, remote: socket.RemoteAddr(),
		deadline: time.Now().Add(handshakeTimeout),
	}
	if open := l.open.Add(1); l.spec.Connections > 0 && open > int64(l.spec.Connections) {
		c.Refuse()
		return nil, &FullError{Client: c.remote, Max: l.spec.Connections}
	}
	return c, nil
}

// Spec is what Listen was called with.
func (l *Listener) Spec() Spec { return l.spec }

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }

// Close gives the address back. Connections stay.
func (l *Listener) Close() error { return l.socket.Close() }

// Stats gives the counters.
func (l *Listener) Stats() Stats {
	return Stats{
		Kind: l.spec.Kind(), Address: l.Addr().String(), Open: int(l.open.Load()),
		Refused: l.refused.Load(), Failed: l.failed.Load(),
	}
}
