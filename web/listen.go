package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

// TLS is how the page is served over TLS.
type TLS struct {
	Listen string // host:port
	Config *tls.Config
}

// TakeOver makes the server go on where before leaves off: at the same addresses nobody is refused in
// between, and whoever is signed in stays so. It must be called before Listen.
func (s *Server) TakeOver(before *Server) {
	s.before = before
	s.sessions, s.tokens, s.requests, s.logins = before.sessions, before.tokens, before.requests, before.logins
}

// Listen opens the ports, so that one in use is known before the gateway starts.
func (s *Server) Listen() (err error) {
	if s.options.Listen != "" {
		if s.listener, err = s.bind(s.options.Listen); err != nil {
			return err
		}
	}
	if s.options.TLS != nil {
		if s.secure, err = s.bind(s.options.TLS.Listen); err != nil {
			s.Close()
			return err
		}
	}
	return nil
}

// bind listens, or shares the socket of the server before.
func (s *Server) bind(address string) (net.Listener, error) {
	if s.before != nil {
		for held, listener := range s.before.held() {
			if held != address {
				continue
			}
			if shared, err := share(listener); err == nil {
				return shared, nil
			}
		}
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the page cannot listen on %s: another program uses that port (%w)", address, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("the page cannot listen on %s: %w", address, err)
	}
	return listener, nil
}

// held are the listeners of a server by the addresses of its options.
func (s *Server) held() map[string]net.Listener {
	all := map[string]net.Listener{}
	if s.listener != nil {
		all[s.options.Listen] = s.listener
	}
	if s.secure != nil {
		all[s.options.TLS.Listen] = s.secure
	}
	return all
}

// HasPortOf says whether s holds a port that next wants at another address, such as 0.0.0.0:8080 instead
// of 127.0.0.1:8080: it is free when s has ended.
func (s *Server) HasPortOf(next *Server) bool {
	wanted := []string{next.options.Listen}
	if next.options.TLS != nil {
		wanted = append(wanted, next.options.TLS.Listen)
	}
	for held := range s.held() {
		_, port, err := net.SplitHostPort(held)
		for _, address := range wanted {
			_, other, wrong := net.SplitHostPort(address)
			if err == nil && wrong == nil && port == other && held != address {
				return true
			}
		}
	}
	return false
}

// share gives a second listener on a socket.
func share(socket net.Listener) (net.Listener, error) {
	held, ok := socket.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be shared", socket)
	}
	file, err := held.File()
	if err != nil {
		return nil, fmt.Errorf("share %s: %w", socket.Addr(), err)
	}
	defer file.Close() // the listener has a descriptor of its own
	return net.FileListener(file)
}

// Close gives the ports back. Run does so itself; Close is for a server that never ran.
func (s *Server) Close() {
	for _, listener := range []net.Listener{s.listener, s.secure} {
		if listener != nil {
			listener.Close()
		}
	}
}

// Addr is where the server listens without TLS, else where with it; nil before Listen.
func (s *Server) Addr() net.Addr {
	switch {
	case s.listener != nil:
		return s.listener.Addr()
	case s.secure != nil:
		return s.secure.Addr()
	}
	return nil
}

// Run serves until ctx ends, then lets requests in progress finish for at most two seconds. It may
// be called once; it calls Listen if that has not been done.
func (s *Server) Run(ctx context.Context) error {
	if s.Addr() == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	s.before = nil
	failed := make(chan error, 2)
	var serving sync.WaitGroup
	defer serving.Wait()
	var servers []*http.Server
	serve := func(listener net.Listener, handler http.Handler, config *tls.Config) {
		server := s.server(handler)
		servers = append(servers, server)
		limited := netutil.LimitListener(listener, maxConnections)
		if config != nil {
			limited = tls.NewListener(limited, config)
		}
		serving.Go(func() { failed <- fmt.Errorf("serve the page on %s: %w", listener.Addr(), server.Serve(limited)) })
	}
	if s.listener != nil {
		plain := s.handler
		if s.secure != nil {
			plain = s.towardsTLS(plain)
		}
		serve(s.listener, plain, nil)
	}
	if s.secure != nil {
		serve(s.secure, s.handler, s.options.TLS.Config)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.stopOnce.Do(func() { close(s.stopping) })
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	var ending sync.WaitGroup
	for _, server := range servers {
		ending.Go(func() {
			if server.Shutdown(grace) != nil {
				server.Close() // whoever is still here is cut off
			}
		})
	}
	ending.Wait()
	return err
}

// http2 bounds what one connection may have at once, now that it is more than one request: a page with its streams,
// assets and requests stays far below.
func http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          64,
		MaxReceiveBufferPerConnection: 256 << 10,
		MaxReceiveBufferPerStream:     128 << 10,
		// A peer that has gone without a word is found out: the deadlines of answers end streams, not the connection.
		WriteByteTimeout: patience,
		SendPingTimeout:  30 * time.Second,
		PingTimeout:      15 * time.Second,
	}
}

func (s *Server) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             http2(),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// towardsTLS sends whoever comes from another machine without TLS to the address with it. Health is
// answered all the same: what asks for it follows nowhere. So is the machine itself, with its own
// programs and its own proxy, which no wire lies between.
func (s *Server) towardsTLS(plain http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		local := err == nil && from.Addr().Unmap().IsLoopback()
		if local || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			plain.ServeHTTP(w, r)
			return
		}
		for name, value := range fixedHeaders {
			w.Header().Set(name, value)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			// What was to be changed has come in clear text; to send it on would hide that.
			http.Error(w, "use "+s.secureAddress(r), http.StatusForbidden)
			return
		}
		// Temporary: TLS may be turned off again.
		http.Redirect(w, r, s.secureAddress(r)+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
}

// secureAddress is where the same gateway is with TLS, under the name that the caller knows it by.
func (s *Server) secureAddress(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if !goodHost(host) {
		// A name that could lead elsewhere; the address that was reached is ours for sure.
		local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if !ok {
			local = s.secure.Addr()
		}
		host, _, _ = net.SplitHostPort(local.String())
	}
	_, port, err := net.SplitHostPort(s.secure.Addr().String())
	if err == nil && port != "443" {
		return "https://" + net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return "https://" + host
}

func goodHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

// strict says whether browsers shall insist on TLS from now on. They cannot be let past a certificate
// that nobody vouches for then, and turn http://gateway:8080 into https://gateway:8080: so only where the
// certificate was given by somebody, and where no other address without TLS can be reached.
func (s *Server) strict() bool {
	if s.options.Certificates == nil || s.options.Certificates.SelfMade() {
		return false
	}
	host, port, err := net.SplitHostPort(cmp.Or(s.options.Listen, "localhost:80"))
	address, notIP := netip.ParseAddr(host)
	return err == nil && (port == "80" || host == "localhost" || notIP == nil && address.IsLoopback())
}
