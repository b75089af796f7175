package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAListenerTakesOverASocket(t *testing.T) {
	old := serve(t, Spec{})
	first := dial(t, old)
	if err := ping(first); err != nil {
		t.Fatal(err)
	}
	next, err := Listen(Spec{Address: "127.0.0.1:0"}, old.Listener, new(logLines).logger())
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if next.Addr().String() != old.address() {
		t.Errorf("it listens on %s, want %s", next.Addr(), old.Addr())
	}
	old.Listener.Close()
	second := dial(t, old)
	conn, err := next.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	second.Close()
	if err := ping(first); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	first.Close()
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	s := serve(t, Spec{})
	if _, err := Listen(Spec{Address: s.address()}, nil, new(logLines).logger()); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("got %v", err)
	}
	if _, err := Listen(Spec{Address: "nowhere"}, nil, new(logLines).logger()); err == nil {
		t.Error("an address without a port passes")
	}
}

func TestNoMoreConnectionsThanAListenerMayHave(t *testing.T) {
	s := serve(t, Spec{Connections: 2})
	one, two := dial(t, s), dial(t, s)
	for _, conn := range []net.Conn{one, two} {
		if err := ping(conn); err != nil {
			t.Fatal(err)
		}
	}
	three := dial(t, s)
	three.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := three.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the third stays: %v", err)
	}
	if got := s.Stats(); got.Open != 2 || got.Refused != 1 || got.Failed != 0 {
		t.Errorf("got %+v", got)
	}
	one.Close()
	soon(t, "the end of the first", func() bool { return s.Stats().Open == 1 })
	if err := ping(dial(t, s)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestHandshakesEndWithTheirContext(t *testing.T) {
	ca := newAuthority(t, "plant")
	for _, spec := range []Spec{
		{ProxyProtocol: true}, {TLS: serverTLS(t, newFolder(t), ca, nil)}, {WebSocket: &WebSocket{}},
	} {
		spec.Address = "127.0.0.1:0"
		l, err := Listen(spec, nil, new(logLines).logger())
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := conn.Handshake(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: a silent client gives %v", spec, err)
		}
		cancel()
		conn.Close()
		conn.Close()
		if got := l.Stats(); got.Open != 0 || got.Failed != 1 {
			t.Errorf("got %+v", got)
		}
		client.Close()

		client, err = net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.deadline = time.Now().Add(50 * time.Millisecond) // instead of ten seconds
		if err := conn.Handshake(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v: a client that is silent for too long gives %v", spec, err)
		}
		conn.Close()
		client.Close()
		l.Close()
	}
}

// TestSilentPeersHoldUpNobody leaves hundreds of handshakes half done: before the first byte, inside of
// the ClientHello, and after it.
func TestSilentPeersHoldUpNobody(t *testing.T) {
	ca := newAuthority(t, "plant")
	s := serve(t, Spec{TLS: serverTLS(t, newFolder(t), ca, nil)})
	hello := clientHello(t)
	for i := range 300 {
		conn := dial(t, s)
		conn.Write([][]byte{nil, hello[:20], hello}[i%3])
	}
	soon(t, "300 connections", func() bool { return s.Stats().Open == 300 })
	begin := time.Now()
	if _, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool()}); err != nil {
		t.Errorf("behind them: %v", err)
	}
	if took := time.Since(begin); took > handshakeTimeout/2 {
		t.Errorf("the handshake took %v", took)
	}
	if got := s.Stats(); got.Open != 301 || got.Failed != 0 {
		t.Errorf("got %+v", got)
	}
}

// clientHello is what a TLS client says first.
func clientHello(t *testing.T) []byte {
	t.Helper()
	here, there := net.Pipe()
	var client sync.WaitGroup
	client.Go(func() {
		tls.Client(there, &tls.Config{ServerName: "localhost"}).Handshake() // fails, as nobody answers
	})
	var head [5]byte
	if _, err := io.ReadFull(here, head[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(here, body); err != nil {
		t.Fatal(err)
	}
	here.Close()
	client.Wait()
	return append(head[:], body...)
}

func TestAFloodOfHandshakesIsServed(t *testing.T) {
	ca := newAuthority(t, "plant")
	s := serve(t, Spec{TLS: serverTLS(t, newFolder(t), ca, ca)})
	config := &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.client(t, "press")}}
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := s.dialTLS(t, config); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := len(s.turns); got != 0 {
		t.Errorf("%d turns were not given back", got)
	}
}
