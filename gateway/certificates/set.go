// Package certificates decides which certificate the page shows over TLS: one from the configuration's
// files, one from an authority that speaks ACME, one that was uploaded, or else one that the gateway
// makes itself. It hides where they are kept, how they are checked, and when they are made anew.
package certificates

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/gateway/transport"
)

// Where a certificate comes from.
const (
	SelfMade = "self-made"
	File     = "file"
	Uploaded = "uploaded"
	FromACME = "acme"
)

// RefusedError is why a certificate cannot be changed by hand as things are.
type RefusedError struct{ Why string }

// Error implements error.
func (e *RefusedError) Error() string { return e.Why }

// MistakeError is what is wrong with an uploaded certificate, cert, or its key, key.
type MistakeError struct{ Field, Text string }

// Error implements error.
func (e *MistakeError) Error() string { return e.Text }

// Options says what to show. Without files and without ACME it is what was uploaded or made.
type Options struct {
	Dir       string // made when missing; holds keys, for the gateway alone
	Cert, Key string // PEM files
	ACME      *ACME
	Log       *slog.Logger
}

// Set is the certificates of one listener. Its methods may be called from any goroutine.
type Set struct {
	options Options
	log     *slog.Logger
	files   *transport.Certificates // nil unless the configuration names files

	mu       sync.Mutex       // guards what follows
	own      *tls.Certificate // the gateway's own, always there
	uploaded *tls.Certificate
	issued   *tls.Certificate // by the ACME authority
	answers  map[string]*tls.Certificate
	failed   error // why there is no issued one, or no newer one
}

const (
	ownFile      = "self-made.pem"
	uploadedFile = "uploaded.pem"
)

// Open reads what is kept and makes the gateway's own certificate if there is none that can be used.
func Open(options Options) (*Set, error) {
	s := &Set{options: options, log: options.Log, answers: map[string]*tls.Certificate{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if options.Cert != "" {
		var err error
		if s.files, err = transport.LoadCertificates(transport.TLS{Cert: options.Cert, Key: options.Key}, s.log); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for certificates: %w", err)
	}
	var err error
	if s.own, err = readPair(filepath.Join(options.Dir, ownFile)); err != nil || worn(s.own.Leaf, time.Now()) {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("the gateway's own certificate cannot be read and is made anew", "err", err)
		}
		if err := s.remake(); err != nil {
			return nil, err
		}
	}
	if s.uploaded, err = readPair(filepath.Join(options.Dir, uploadedFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("the uploaded certificate cannot be read: the gateway's own is shown", "err", err)
	}
	if options.ACME != nil {
		s.issued, err = readPair(s.issuedFile())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("the certificate of the ACME authority cannot be read and is asked for anew", "err", err)
		}
	}
	return s, nil
}

// Config is how to speak TLS with what the set has at each handshake.
func (s *Set) Config() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.forHandshake}
	if s.options.ACME != nil {
		config.NextProtos = append(config.NextProtos, challengeProtocol)
	}
	return config
}

func (s *Set) forHandshake(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol {
		return s.answer(hello.ServerName)
	}
	shown, _ := s.current()
	return shown, nil
}

// current is what is shown now, and where it comes from.
func (s *Set) current() (*tls.Certificate, string) {
	if s.files != nil {
		return &s.files.Config().Certificates[0], File
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.options.ACME != nil && s.issued != nil:
		return s.issued, FromACME
	case s.options.ACME == nil && s.uploaded != nil:
		return s.uploaded, Uploaded
	}
	return s.own, SelfMade
}

// SelfMade says whether the gateway's own certificate is shown.
func (s *Set) SelfMade() bool {
	_, kind := s.current()
	return kind == SelfMade
}

// Info is a certificate as people look at it.
type Info struct {
	Kind        string
	Subject     string
	Names       []string // host names and addresses
	Issuer      string
	From, Until time.Time
	Fingerprint string   // SHA-256, as browsers show it
	Lacks       []string // addresses of this machine that the gateway's own is not for
	Error       string   // why an ACME authority's certificate is not shown, or not renewed
}

// Current describes what is shown now.
func (s *Set) Current() Info {
	shown, kind := s.current()
	leaf := shown.Leaf
	info := Info{
		Kind: kind, Subject: leaf.Subject.String(), Names: append([]string{}, leaf.DNSNames...), Issuer: leaf.Issuer.String(),
		From: leaf.NotBefore, Until: leaf.NotAfter, Fingerprint: fingerprint(leaf),
	}
	for _, address := range leaf.IPAddresses {
		info.Names = append(info.Names, address.String())
	}
	if kind == SelfMade {
		info.Lacks = lacking(leaf)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		info.Error = s.failed.Error()
	}
	return info
}

func fingerprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Install shows an uploaded certificate from now on; it is kept for the next start when it returns.
func (s *Set) Install(cert, key []byte) error {
	if err := s.byHand(); err != nil {
		return err
	}
	pair, err := checkPair(cert, key, time.Now())
	if err != nil {
		return err
	}
	if err := writePair(filepath.Join(s.options.Dir, uploadedFile), pair); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploaded = pair
	return nil
}

// Remove forgets the uploaded certificate, and its key.
func (s *Set) Remove() error {
	if err := s.byHand(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploaded == nil {
		return &RefusedError{"no certificate was uploaded"}
	}
	if err := os.Remove(filepath.Join(s.options.Dir, uploadedFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the uploaded certificate: %w", err)
	}
	s.uploaded = nil
	return nil
}

// Remake makes the gateway's own certificate anew, with the names and addresses of now.
func (s *Set) Remake() error {
	if _, kind := s.current(); kind != SelfMade {
		return &RefusedError{"the certificate that is shown is not the gateway's own"}
	}
	return s.remake()
}

func (s *Set) remake() error {
	pair, err := makeOwn(time.Now())
	if err == nil {
		err = writePair(filepath.Join(s.options.Dir, ownFile), pair)
	}
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = pair
	s.log.Info("the gateway has made itself a certificate", "fingerprint", fingerprint(pair.Leaf), "until", pair.Leaf.NotAfter)
	return nil
}

func (s *Set) byHand() error {
	switch {
	case s.files != nil:
		return &RefusedError{"the configuration names the certificate, under web.tls.cert"}
	case s.options.ACME != nil:
		return &RefusedError{"the certificate comes from the authority under web.tls.acme"}
	}
	return nil
}

const lookEvery = 12 * time.Hour

// Run keeps certificates from running out until ctx ends: the gateway's own, and the one of an ACME authority.
func (s *Set) Run(ctx context.Context) {
	for try := 0; ; {
		wait := lookEvery
		if s.options.ACME != nil {
			if s.obtain(ctx) {
				try = 0
			} else {
				wait = min(time.Minute<<min(try, 6), time.Hour)
				try++
			}
		}
		s.mu.Lock()
		old := worn(s.own.Leaf, time.Now())
		s.mu.Unlock()
		if old {
			if err := s.remake(); err != nil {
				s.log.Warn("the gateway's own certificate runs out and cannot be made anew", "err", err)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}
