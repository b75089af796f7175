// Package syslog sends the gateway's journal to a syslog server: RFC 5424 over UDP [RFC 5426], over TCP
// with octet counting [RFC 6587] and over TLS [RFC 5425]. It hides the wire, the reconnecting and what
// happens to records while nobody takes them.
package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"sluice/gateway/journal"
)

// Source is what is sent. It is the queue as well: what it does not keep any more is lost, is counted,
// and the next record that arrives says so.
type Source interface {
	// After gives entries with numbers above after, how many of those are gone, and a channel that is
	// closed when there are more.
	After(after uint64, limit int) (entries []journal.Entry, lost uint64, grown <-chan struct{})
}

// Options are those of a Sender.
type Options struct {
	Address  string // udp://host:514, tcp://host:601 or tls://host:6514
	Facility string
	CA       string // a file of authorities for tls, PEM; empty: those of the system
	Host     string // what this machine is called there
	Version  string
	After    uint64 // the number of the last entry that is not to be sent
	Source   Source
	Log      *slog.Logger
}

// Sender sends one journal to one server. Its methods may be called from any goroutine.
type Sender struct {
	options Options
	network string
	address string
	tls     *tls.Config // nil: none
	from    from

	mu    sync.Mutex // guards what follows
	state State
}

// State is how the sender stands.
type State struct {
	Connected bool
	Sent      uint64 // the number of the last entry that was handed to the network
	Lost      uint64 // records, since the start
	Error     string // of the last try
}

const (
	mostUDP     = 2048    // bytes of a message; what every receiver should take [RFC 5426 3.2]
	mostTCP     = 8 << 10 // rsyslog's usual limit
	dialTime    = 10 * time.Second
	writeTime   = 10 * time.Second
	firstWait   = time.Second
	longestWait = time.Minute
	sentAtOnce  = 100
)

// ParseAddress checks an address and takes it apart.
func ParseAddress(text string) (network, address string, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "", "", errors.New("write udp://host:514, tcp://host:601 or tls://host:6514")
	}
	port, known := map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}[u.Scheme]
	if !known {
		return "", "", fmt.Errorf("%q is not among udp, tcp and tls", u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), port), nil
}

// New checks the options; it opens no connection.
func New(options Options) (*Sender, error) {
	s := &Sender{options: options, state: State{Sent: options.After}}
	network, address, err := ParseAddress(options.Address)
	if err != nil {
		return nil, fmt.Errorf("syslog address %s: %w", options.Address, err)
	}
	s.network, s.address = network, address
	facility, known := facilities[options.Facility]
	if !known {
		return nil, fmt.Errorf("syslog facility %q is not known", options.Facility)
	}
	s.from = from{facility: facility, host: options.Host, version: options.Version, process: os.Getpid()}
	if network != "tls" {
		return s, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("syslog address %s: %w", options.Address, err)
	}
	s.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if options.CA != "" {
		pem, err := os.ReadFile(options.CA)
		if err != nil {
			return nil, fmt.Errorf("syslog authorities: %w", err)
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("syslog authorities: %s has no certificate", options.CA)
		}
	}
	return s, nil
}

// State tells how the sender stands.
func (s *Sender) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	wait := firstWait
	for {
		before := s.State().Sent
		err := s.connected(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.mu.Lock()
		first := s.state.Error == "" // repeated failures are told once
		s.state.Connected, s.state.Error = false, err.Error()
		s.mu.Unlock()
		if s.State().Sent > before {
			wait, first = firstWait, true
		}
		if first {
			s.options.Log.Warn("the syslog server is not reached", "address", s.options.Address, "err", err, "retry_in", wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, longestWait)
	}
}

// connected opens one connection and sends over it until it fails or ctx ends.
func (s *Sender) connected(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // a write does not wait for a server that has stopped reading
	if s.network != "udp" {
		// A server says nothing. It is by reading that one learns at once that it has gone.
		watching.Go(func() {
			_, _ = io.Copy(io.Discard, conn)
			cancel()
		})
	}
	s.mu.Lock()
	s.state.Connected, s.state.Error = true, ""
	s.mu.Unlock()
	for {
		entries, lost, grown := s.options.Source.After(s.State().Sent, sentAtOnce)
		if err := s.send(conn, entries, lost); err != nil {
			return err
		}
		if len(entries) > 0 && ctx.Err() == nil {
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return errors.New("the server closed the connection")
		}
	}
}

func (s *Sender) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	if s.tls != nil {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.address)
	}
	return (&net.Dialer{}).DialContext(ctx, s.network, s.address)
}

// send writes entries one after another, so that what was handed over before an error is known.
func (s *Sender) send(conn net.Conn, entries []journal.Entry, lost uint64) error {
	if lost > 0 && len(entries) > 0 {
		notice := lostEntry(lost, entries[0].Number-1)
		if err := s.sendOne(conn, &notice); err != nil {
			return err
		}
		s.mu.Lock()
		s.state.Sent, s.state.Lost = entries[0].Number-1, s.state.Lost+lost
		s.mu.Unlock()
	}
	for i := range entries {
		if err := s.sendOne(conn, &entries[i]); err != nil {
			return err
		}
		s.mu.Lock()
		s.state.Sent = entries[i].Number
		s.mu.Unlock()
	}
	return nil
}

func (s *Sender) sendOne(conn net.Conn, e *journal.Entry) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if s.network == "udp" {
		_, err := conn.Write(s.from.appendMessage(nil, e, mostUDP))
		return err
	}
	_, err := conn.Write(appendFrame(nil, s.from.appendMessage(nil, e, mostTCP)))
	return err
}
