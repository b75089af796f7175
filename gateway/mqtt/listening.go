package mqtt

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"sluice/gateway/transport"
)

// listening is a bound address with what counts for the clients who come to it.
type listening struct {
	*transport.Listener
	anonymous bool
}

// Listen binds every address, or none.
func (s *Server) Listen() error { return s.TakeOver(nil) }

// TakeOver is Listen for a server that replaces another: an address that old has bound already is
// shared with it, so that no client is refused between the two.
func (s *Server) TakeOver(old *Server) error {
	var bound []listening
	if old != nil {
		old.mu.Lock()
		bound = slices.Clone(old.listeners)
		old.mu.Unlock()
	}
	for _, wanted := range s.options.listeners() {
		spec := wanted.Spec
		if spec.WebSocket != nil && len(spec.WebSocket.Origins) == 0 && !wanted.Anonymous && (spec.TLS == nil || spec.TLS.ClientCA == "") {
			// No page has a password that it was not given. Where a browser needs none, or shows its
			// certificate to whoever asks, the listener stays with its own pages.
			spec.WebSocket = &transport.WebSocket{Path: spec.WebSocket.Path, Origins: []string{"*"}}
		}
		var replaces *transport.Listener
		if at := slices.IndexFunc(bound, func(l listening) bool { return l.Spec().Address == spec.Address }); at >= 0 {
			replaces = bound[at].Listener
			bound = slices.Delete(bound, at, at+1)
		}
		listener, err := transport.Listen(spec, replaces, s.log)
		if err != nil {
			s.Close()
			return fmt.Errorf("mqtt cannot listen on %s: %w", spec.Address, err)
		}
		s.mu.Lock()
		s.listeners = append(s.listeners, listening{listener, wanted.Anonymous})
		s.mu.Unlock()
		if at, ok := listener.Addr().(*net.TCPAddr); ok && wanted.open() && !at.IP.IsLoopback() {
			s.log.Warn("anybody who reaches this address gets in without a password", "address", at.String())
		}
	}
	return nil
}

// Addrs gives the bound addresses: those of Options.Listen in their order, then Options.Listeners.
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

// admit lets clients in. A failing accept, for want of file descriptors say, is tried again.
func (s *Server) admit(ctx context.Context, listener listening, all *sync.WaitGroup) {
	const shortest, longest = 10 * time.Millisecond, time.Second
	pause := shortest
	for ctx.Err() == nil {
		client, err := listener.Accept()
		if full, ok := errors.AsType[*transport.FullError](err); ok {
			s.warnFull(full.Client, full.Max, listener)
			continue
		}
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
			client.Refuse()
			s.warnFull(client.RemoteAddr(), s.options.MaxConnections, listener)
			continue
		}
		all.Go(func() {
			defer s.leave()
			s.welcome(ctx, listener, &visitor{client, listener.anonymous})
		})
	}
}

func (s *Server) warnFull(client net.Addr, limit int, listener listening) {
	s.warn("too many connections, one was refused", "client", client.String(), "max", limit, "listener", listener.Addr().String())
}

// welcome leads a client from its first byte to the end of its connection.
func (s *Server) welcome(ctx context.Context, listener listening, client *visitor) {
	defer client.Close()
	err := client.Handshake(ctx)
	switch {
	case err == nil:
		s.serve(ctx, client)
	case ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		// Those who only look whether somebody is here: port scanners, load balancers.
		s.log.Debug("handshake broken off", "address", client.RemoteAddr().String(), "err", err)
	default:
		s.warn("handshake failed", "address", client.RemoteAddr().String(), "listener", listener.Addr().String(), "err", err)
	}
}

// visitor is a connection that knows what its listener allows.
type visitor struct {
	*transport.Conn
	anonymous bool
}

// Anonymous says whether a client need not name a user.
func (v *visitor) Anonymous() bool { return v.anonymous }

// anonymous says whether the client may come without a user: its listener decides.
func (c *conn) anonymous() bool {
	if from, ok := c.socket.(interface{ Anonymous() bool }); ok {
		return from.Anonymous()
	}
	return c.server.options.Anonymous
}

// certificate is the one that the client has shown and that was found to be good; nil without.
func (c *conn) certificate() *x509.Certificate {
	if from, ok := c.socket.(interface{ Certificate() *x509.Certificate }); ok {
		return from.Certificate()
	}
	return nil
}
