package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthAndReadiness(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := ask(s, "GET", path, ""); got.Code != http.StatusOK {
			t.Errorf("%s is %d, want 200", path, got.Code)
		}
	}
	gateway.breakDown("store, uplink cloud")
	if p := wantProblem(t, ask(s, "GET", "/readyz", ""), http.StatusServiceUnavailable); !strings.Contains(p.Detail, "store, uplink cloud") {
		t.Errorf("readyz says %q, want the parts' names", p.Detail)
	}
	if got := ask(s, "GET", "/healthz", ""); got.Code != http.StatusOK {
		t.Errorf("healthz is %d while a part is down, want 200", got.Code)
	}
}

func TestWhatNeedsASession(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, c := range [][2]string{
		{"GET", "/api/v1/status"}, {"GET", "/api/v1/events"}, {"DELETE", "/api/v1/session"},
		{"GET", "/api/v1/demo/line"}, {"PUT", "/api/v1/demo/line"},
	} {
		for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Cookie", cookieName + "=wrong"}, {"Authorization", "Basic YWRtaW46"}} {
			wantProblem(t, ask(s, c[0], c[1], "", header...), http.StatusUnauthorized)
		}
	}
}

func TestStatusIsAlwaysJSON(t *testing.T) {
	gateway := newFakeGateway()
	gateway.change = func(status *Status) {
		status.Devices[0].Points[0].Value = math.NaN()
		status.Devices[0].Points[1].Value = float32(math.Inf(1))
		status.Devices[1].Points = nil
		status.Uplinks, status.MQTT.Listen = nil, nil
	}
	s := newServer(t, gateway, signedUp(t))
	got := decode[statusAnswer](t, ask(s, "GET", "/api/v1/status", "", bearer(s)...))
	if got.Gateway != "line-3" || got.Time.IsZero() || len(got.Devices) != 4 {
		t.Errorf("status is %+v", got)
	}
	for _, point := range got.Devices[0].Points[:2] {
		if point.Value != nil || point.Error == "" {
			t.Errorf("a value that is no number reads %+v, want null with an error", point)
		}
	}
	if got.Uplinks == nil || got.MQTT.Listen == nil || got.Devices[1].Points == nil {
		t.Error("an empty list reads null")
	}
}

func TestMalformedBodies(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, c := range []struct {
		method, path, body string
		status             int
		field              string
	}{
		{"POST", "/api/v1/session", ``, 400, ""},
		{"POST", "/api/v1/session", `{"user":"admin"`, 400, ""},
		{"POST", "/api/v1/session", `not json`, 400, ""},
		{"POST", "/api/v1/session", `[]`, 400, ""},
		{"POST", "/api/v1/session", `{"user":1}`, 400, "user"},
		{"POST", "/api/v1/session", `{"user":"admin","passwort":"x"}`, 400, "passwort"},
		{"POST", "/api/v1/session", `{"user":"admin","password":"x"} {}`, 400, ""},
		{"POST", "/api/v1/session", `{"password":"x"}`, 422, "user"},
		{"POST", "/api/v1/session", `{"user":"` + strings.Repeat("x", maxBody) + `"}`, 413, ""},
		{"POST", "/api/v1/setup", `{"code":true}`, 400, "code"},
		{"PUT", "/api/v1/demo/line", `{}`, 422, "up"},
		{"PUT", "/api/v1/demo/line", `{"up":"yes"}`, 400, "up"},
	} {
		p := wantProblem(t, ask(s, c.method, c.path, c.body, bearer(s)...), c.status)
		if p.Field != c.field || p.Detail == "" {
			t.Errorf("%s %.60s: problem %+v, want field %q and a detail", c.path, c.body, p, c.field)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, path := range []string{"/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/status", "//api/v1/nothing"} {
		wantProblem(t, ask(s, "GET", path, ""), http.StatusNotFound)
	}
	got := ask(s, "POST", "/api/v1/status", "")
	wantProblem(t, got, http.StatusMethodNotAllowed)
	if allow := got.Header().Get("Allow"); allow != "GET" {
		t.Errorf("Allow is %q, want GET", allow)
	}
	wantProblem(t, ask(s, "DELETE", "/some/page", ""), http.StatusMethodNotAllowed)
}

func TestTheLineExistsOnlyInTheDemo(t *testing.T) {
	gateway := newFakeGateway()
	demo := newServer(t, gateway, signedUp(t))
	header := bearer(demo)
	if got := ask(demo, "PUT", "/api/v1/demo/line", `{"up":false}`, header...); got.Code != http.StatusOK || gateway.Up() {
		t.Errorf("cutting the line: %d, line up %v", got.Code, gateway.Up())
	}
	if line := decode[lineState](t, ask(demo, "GET", "/api/v1/demo/line", "", header...)); line.Up == nil || *line.Up {
		t.Errorf("the line reads %v, want false", line.Up)
	}
	plain, err := New(Options{Listen: "127.0.0.1:0", Gateway: gateway, Accounts: signedUp(t)})
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, ask(plain, "GET", "/api/v1/demo/line", "", bearer(plain)...), http.StatusNotFound)
	wantProblem(t, ask(plain, "PUT", "/api/v1/demo/line", `{"up":true}`, bearer(plain)...), http.StatusNotFound)
}

func TestAPanicIsOneFailedRequest(t *testing.T) {
	gateway := newFakeGateway()
	gateway.change = func(*Status) { panic("boom") }
	s := newServer(t, gateway, signedUp(t))
	p := wantProblem(t, ask(s, "GET", "/api/v1/status", "", bearer(s)...), http.StatusInternalServerError)
	if strings.Contains(p.Detail, "boom") {
		t.Errorf("the caller is told %q", p.Detail)
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, path := range []string{"/", "/healthz", "/api/v1/status", "/api/v1/nothing"} {
		header := ask(s, "GET", path, "").Header()
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy is %q", path, policy)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") == "" || header.Get("Cache-Control") == "" {
			t.Errorf("%s: headers are %v", path, header)
		}
	}
}

func TestAPortInUseIsSaidPlainly(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newServer(t, newFakeGateway(), signedUp(t))
	s.options.Listen = taken.Addr().String()
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "another program uses that port") || !strings.Contains(err.Error(), s.options.Listen) {
		t.Errorf("Listen on a port in use: %v", err)
	}
	if _, err := New(Options{Listen: "no port", Gateway: newFakeGateway(), Accounts: signedUp(t)}); err == nil {
		t.Error("New accepts an address without a port")
	}
}

// nextEvent reads one event and returns its status.
func nextEvent(t *testing.T, from *bufio.Reader) statusAnswer {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var status statusAnswer
			if err := json.Unmarshal([]byte(data), &status); err != nil {
				t.Fatalf("event %q: %v", data, err)
			}
			return status
		}
	}
}

// pipeListener hands out the server's ends of in-memory connections, so that time can be simulated.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// piped runs s in a bubble; dial opens connections to it, stop ends it and returns what Run did.
func piped(t *testing.T, s *Server) (client *http.Client, stop func() error) {
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.listener = listener
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case listener.conns <- theirs:
			return ours, nil
		case <-listener.closed:
			return nil, net.ErrClosed
		}
	}}
	return &http.Client{Transport: transport}, func() error {
		cancel()
		err := <-ended
		transport.CloseIdleConnections()
		return err
	}
}

func listen(t *testing.T, client *http.Client, token string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://gateway/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// An hour is far beyond the time that the server gives a request.
func TestEventsComeEachSecondForAsLongAsSomebodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, stop := piped(t, s)
		response := listen(t, client, tokenOf(s))
		defer response.Body.Close()
		if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("content type is %q", kind)
		}
		events := bufio.NewReader(response.Body)
		first := nextEvent(t, events)
		for range 3600 {
			last := nextEvent(t, events)
			if last.Log.Last < first.Log.Last {
				t.Fatalf("the log went back from %d to %d", first.Log.Last, last.Log.Last)
			}
			first = last
		}
		before := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(before); took > 2*time.Second {
			t.Errorf("the server took %v to stop with a listener, want 2 s at most", took)
		}
	})
}

func TestEventsEndWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, stop := piped(t, s)
		token := tokenOf(s)
		response := listen(t, client, token)
		defer response.Body.Close()
		events := bufio.NewReader(response.Body)
		nextEvent(t, events)
		s.sessions.close(token)
		if _, err := events.ReadString(0); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the stream went on: %v", err)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestListenersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, stop := piped(t, s)
		token := tokenOf(s)
		var open []*http.Response
		for range maxListeners {
			open = append(open, listen(t, client, token))
		}
		refused := listen(t, client, token)
		refused.Body.Close()
		if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
			t.Errorf("one listener too many got %d, Retry-After %q", refused.StatusCode, refused.Header.Get("Retry-After"))
		}
		open[0].Body.Close()
		time.Sleep(2 * time.Second) // until the server notices
		again := listen(t, client, token)
		if again.StatusCode != http.StatusOK {
			t.Errorf("after one has left the next got %d", again.StatusCode)
		}
		again.Body.Close()
		for _, response := range open[1:] {
			response.Body.Close()
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAReaderThatStallsIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, stop := piped(t, s)
		response := listen(t, client, tokenOf(s))
		defer response.Body.Close()
		time.Sleep(time.Minute) // reads nothing; a pipe holds nothing back
		if held := len(s.streams); held != 0 {
			t.Errorf("%d streams are held for a reader that stalls, want 0", held)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
