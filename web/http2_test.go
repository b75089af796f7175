package web

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory, so that their time is a test's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443} }

// overHTTP2 serves s over TLS in memory until stop is called. connections counts those that the client has made.
func overHTTP2(t *testing.T, s *Server) (client *http.Client, connections *atomic.Int32, stop func()) {
	t.Helper()
	config := ownCertificate(t)
	config.NextProtos = []string{"h2", "http/1.1"}
	line := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.options.TLS, s.secure, s.listener = &TLS{Listen: "gateway:8443", Config: config}, line, nil
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	connections = new(atomic.Int32)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			here, there := net.Pipe()
			select {
			case line.conns <- there:
				connections.Add(1)
				return here, nil
			case <-line.closed:
				return nil, errors.New("nobody listens any more")
			}
		},
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(func() { transport.CloseIdleConnections(); stop() })
	return &http.Client{Transport: transport}, connections, stop
}

// asked sends a request over HTTP/2 with a session's token.
func asked(t *testing.T, client *http.Client, token, method, path string, body io.Reader) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://gateway:8443"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if response.ProtoMajor != 2 {
		t.Fatalf("%s %s is answered over %s", method, path, response.Proto)
	}
	return response
}

// Browsers open six connections of HTTP/1.1 to one gateway at most, which pages with streams use up. Streams outlast
// the limits that other requests have, and end when the server does, within the time that it gives them.
func TestManyStreamsShareOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, connections, stop := overHTTP2(t, s)
		token := tokenOf(s)
		var streams []*bufio.Reader
		for range maxListeners {
			response := asked(t, client, token, "GET", "/api/v1/events", nil)
			defer response.Body.Close()
			streams = append(streams, bufio.NewReader(response.Body))
		}
		refused := asked(t, client, token, "GET", "/api/v1/events", nil)
		if refused.Body.Close(); refused.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one stream too many is %s", refused.Status)
		}
		begun := time.Now()
		var reading sync.WaitGroup
		for _, stream := range streams {
			reading.Go(func() {
				for {
					line, err := stream.ReadString('\n')
					if err == nil && time.Since(begun) < 2*requestTime {
						continue
					}
					if err != nil {
						t.Errorf("a stream ends after %s: %v", time.Since(begun), err)
					} else if !strings.Contains(line, "status") && strings.TrimSpace(line) != "" {
						t.Errorf("a stream has %.80q", line)
					}
					_, _ = io.Copy(io.Discard, stream) // until the server stops
					return
				}
			})
		}
		time.Sleep(3 * requestTime)
		response := asked(t, client, token, "GET", "/api/v1/status", nil)
		if response.Body.Close(); response.StatusCode != http.StatusOK {
			t.Errorf("beside the streams a request is answered %s", response.Status)
		}
		if got := connections.Load(); got != 1 {
			t.Errorf("all that took %d connections", got)
		}
		stopping := time.Now()
		stop()
		reading.Wait()
		if took := time.Since(stopping); took > graceTime+100*time.Millisecond {
			t.Errorf("stopping took %s", took)
		}
	})
}

// A stream whose reader has stopped reading ends, and what else runs on its connection does not.
func TestAStreamThatNobodyReadsEndsOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, _, _ := overHTTP2(t, s)
		token := tokenOf(s)
		unread := asked(t, client, token, "GET", "/api/v1/events", nil)
		defer unread.Body.Close()
		begun := time.Now()
		for len(s.streams) > 0 {
			if time.Since(begun) > 24*time.Hour {
				t.Fatal("it never ends")
			}
			time.Sleep(time.Minute) // a client's window is 4 MB
			response := asked(t, client, token, "GET", "/api/v1/status", nil)
			if response.Body.Close(); response.StatusCode != http.StatusOK {
				t.Fatalf("beside it a request is %s", response.Status)
			}
		}
	})
}

// slowBody gives a byte now and then.
type slowBody struct{ every time.Duration }

func (b slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.every)
	p[0] = ' '
	return 1, nil
}

func TestABodyThatNeverEndsIsCutOffOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, _, _ := overHTTP2(t, s)
		begun := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), "POST", "https://gateway:8443/api/v1/session", slowBody{time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if response, err := client.Do(request); err == nil {
			if response.Body.Close(); response.StatusCode < 400 {
				t.Errorf("it is answered %s", response.Status)
			}
		}
		if took := time.Since(begun); took > requestTime+5*time.Second {
			t.Errorf("it took %s", took)
		}
		time.Sleep(2 * time.Second) // the body's last byte
	})
}

// What the attacks on the handlers find must hold behind the real protocol too.
func TestHTTP2HoldsWhatTheHandlersPromise(t *testing.T) {
	s, tokens := attacked(t)
	client, connections, _ := overHTTP2(t, s)
	for _, r := range everyRoute(t, s) {
		if openRoutes[r.name] != "" {
			continue
		}
		response := asked(t, client, "", r.method, r.path, strings.NewReader("{}"))
		if response.Body.Close(); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a session is %s", r.name, response.Status)
		}
		if response.Header.Get("Content-Security-Policy") != contentPolicy {
			t.Errorf("%s: headers are %v", r.name, response.Header)
		}
	}
	for _, r := range everyRoute(t, s) {
		if !r.writes() || openRoutes[r.name] != "" || forViewers[r.name] != "" {
			continue
		}
		response := asked(t, client, tokens[viewerRole], r.method, r.path, strings.NewReader("{}"))
		if response.Body.Close(); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s by a viewer is %s", r.name, response.Status)
		}
	}
	for _, size := range []int{maxBody + 1, 8 << 20} {
		response := asked(t, client, tokens[adminRole], "POST", "/api/v1/users", io.MultiReader(strings.NewReader(`{"name":"`), bytes.NewReader(bytes.Repeat([]byte{'x'}, size))))
		if response.Body.Close(); response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of %d bytes is %s", size, response.Status)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), "GET", "https://gateway:8443/api/v1/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Long", strings.Repeat("x", 2*maxHeader))
	if response, err := client.Do(request); err == nil {
		if response.Body.Close(); response.StatusCode < 400 {
			t.Errorf("headers of %d bytes are %s", 2*maxHeader, response.Status)
		}
	}
	response := asked(t, client, "", "GET", "/healthz", nil)
	if response.Body.Close(); response.StatusCode != http.StatusOK {
		t.Errorf("after all that health is %s", response.Status)
	}
	if got := connections.Load(); got > 2 { // the headers may have cost one
		t.Errorf("it took %d connections", got)
	}
}
