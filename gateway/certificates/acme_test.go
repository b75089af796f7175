package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// authority is Let's Encrypt's own small ACME server, which connects to tlsPort to verify hosts.
func authority(t *testing.T, tlsPort int) (directory, caFile string) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "the usual one", ValidityPeriod: 3600 * 24}})
	checker := va.New(quiet, 0, tlsPort, true, "", store)
	front := wfe.New(quiet, store, checker, issuer, nil, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL + wfe.DirectoryPath, caFile
}

// serve speaks TLS as the page does, and gives the port.
func serve(t *testing.T, listener net.Listener, config *tls.Config) {
	t.Helper()
	server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(io.Discard, "", 0)}
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(tls.NewListener(listener, config)) })
	t.Cleanup(func() { server.Close(); serving.Wait() })
}

func TestAnAuthorityGivesACertificate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	directory, caFile := authority(t, port)
	options := Options{Dir: t.TempDir(), ACME: &ACME{Directory: directory, CA: caFile, Hosts: []string{"localhost", "127.0.0.1"}, Email: "plant@example.com"}}
	set, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, listener, set.Config())
	if !set.SelfMade() {
		t.Error("before the authority has answered the gateway's own is not shown")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { set.Run(ctx) })
	// The authority is a real server with a clock of its own.
	for deadline := time.Now().Add(time.Minute); set.SelfMade() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	running.Wait()
	shown := set.Current()
	if shown.Kind != FromACME || !slices.Equal(shown.Names, []string{"localhost", "127.0.0.1"}) || shown.Error != "" {
		t.Fatalf("the certificate is %+v", shown)
	}
	connection, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if got := fingerprint(connection.ConnectionState().PeerCertificates[0]); got != shown.Fingerprint {
		t.Errorf("shown is %s, told is %s", got, shown.Fingerprint)
	}
	if len(connection.ConnectionState().PeerCertificates) < 2 {
		t.Error("the chain lacks the authority's certificate")
	}
	if refused, is := errors.AsType[*RefusedError](set.Install(nil, nil)); !is {
		t.Errorf("an upload beside the authority gives %v", refused)
	}
	// The next start has it at once.
	again, err := Open(options)
	if err != nil || again.Current().Fingerprint != shown.Fingerprint {
		t.Errorf("after a restart it is %v, %v", again, err)
	}
	if leaf := again.issued.Leaf; again.due(leaf, time.Now()) || !again.due(leaf, leaf.NotAfter.Add(-time.Hour)) {
		t.Error("it is renewed at the wrong time")
	}
	options.ACME.Hosts = []string{"gateway.example"}
	if again, err = Open(options); err != nil || !again.due(again.issued.Leaf, time.Now()) {
		t.Errorf("a certificate for other hosts will do: %v", err)
	}
}

func TestAnAuthorityThatRefusesIsSaid(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close() // nobody answers the challenge
	directory, caFile := authority(t, port)
	set, err := Open(Options{Dir: t.TempDir(), ACME: &ACME{Directory: directory, CA: caFile, Hosts: []string{"localhost"}}})
	if err != nil {
		t.Fatal(err)
	}
	if set.obtain(t.Context()) || !set.SelfMade() || set.Current().Error == "" {
		t.Errorf("without an answer it is %+v", set.Current())
	}
	set.options.ACME.CA = ""
	if set.obtain(t.Context()) {
		t.Error("an authority that nobody vouches for is believed")
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](set.failed); !unknown {
		t.Errorf("why is %v", set.failed)
	}
}

func TestChallengesForAddressesHaveNames(t *testing.T) {
	for host, want := range map[string]string{
		"gateway.example": "gateway.example", "192.168.10.2": "2.10.168.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := challengeName(host); got != want {
			t.Errorf("%s is asked for as %s, want %s", host, got, want)
		}
	}
}
