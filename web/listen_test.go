package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// ownCertificate is one that httptest has.
func ownCertificate(t *testing.T) *tls.Config {
	t.Helper()
	helper := httptest.NewTLSServer(nil)
	helper.Close() // its certificate is all that is wanted
	return &tls.Config{Certificates: helper.TLS.Certificates, NextProtos: []string{"http/1.1"}}
}

func TestOtherMachinesAreSentToTLS(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, port, err := net.SplitHostPort(s.secure.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := s.towardsTLS(s.handler)
	for _, c := range []struct {
		from, method, host, path string
		status                   int
		to                       string
	}{
		{"192.0.2.9:1234", "GET", "gateway:8080", "/?a=b", 307, "https://gateway:" + port + "/?a=b"},
		{"192.0.2.9:1234", "GET", "192.168.10.2", "//evil.example", 307, "https://192.168.10.2:" + port + "//evil.example"},
		{"192.0.2.9:1234", "GET", "[fd00::2]:8080", "/", 307, "https://[fd00::2]:" + port + "/"},
		{"192.0.2.9:1234", "GET", `evil"<x>`, "/", 307, "https://"},
		{"192.0.2.9:1234", "POST", "gateway", "/api/v1/session", 403, ""},
		{"192.0.2.9:1234", "GET", "gateway", "/healthz", 200, ""},
		{"192.0.2.9:1234", "GET", "gateway", "/readyz", 200, ""},
		{"192.0.2.9:1234", "GET", "gateway", "/metrics", 307, "https://gateway:" + port + "/metrics"},
		{"127.0.0.1:1234", "GET", "localhost", "/", 200, ""},
		{"[::1]:1234", "GET", "localhost", "/metrics", 200, ""},
		{"[::ffff:127.0.0.1]:1234", "GET", "localhost", "/metrics", 200, ""},
	} {
		request := httptest.NewRequest(c.method, "/", strings.NewReader("{}"))
		request.RemoteAddr, request.Host = c.from, c.host
		request.URL.Path, request.URL.RawQuery, _ = strings.Cut(c.path, "?")
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, request)
		if got.Code != c.status || !strings.HasPrefix(got.Header().Get("Location"), c.to) || strings.ContainsAny(got.Header().Get("Location"), `"<>`) {
			t.Errorf("%+v: %d to %q", c, got.Code, got.Header().Get("Location"))
		}
		if got.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%+v: headers are %v", c, got.Header())
		}
	}
}

// A server with the next configuration takes the addresses of the one before, with who is signed in.
func TestTheNextServerTakesOver(t *testing.T) {
	gateway, accounts := newFakeGateway(), signedUp(t)
	config := ownCertificate(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	next := func(before *Server) (*Server, func()) {
		s := newServer(t, gateway, accounts)
		s.options.TLS = &TLS{Listen: "localhost:0", Config: config}
		if before != nil {
			s.options.TLS.Listen = before.options.TLS.Listen
			s.TakeOver(before)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		return s, func() {
			running.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
			t.Cleanup(func() { cancel(); running.Wait() })
		}
	}
	first := newServer(t, gateway, accounts)
	first.options.TLS = &TLS{Listen: "localhost:0", Config: config}
	if err := first.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { first.Run(ctx) })
	token := tokenOf(first)
	ask := func(base string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "GET", base+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	base := "https://" + first.secure.Addr().String()
	if got := ask(base); got != http.StatusOK {
		t.Errorf("over TLS it is %d", got)
	}
	second, start := next(first)
	start()
	cancel()
	running.Wait()
	if second.secure.Addr().String() != first.secure.Addr().String() {
		t.Fatalf("the next is at %v", second.secure.Addr())
	}
	if got := ask(base); got != http.StatusOK {
		t.Errorf("after the change it is %d", got)
	}
}

func TestBrowsersInsistOnTLSOnlyWhereTheyCan(t *testing.T) {
	for _, c := range []struct {
		plain    string
		uploaded bool
		strict   bool
	}{
		{"127.0.0.1:8080", false, false}, {"127.0.0.1:8080", true, true}, {"0.0.0.0:8080", true, false},
		{"0.0.0.0:80", true, true}, {"", true, true}, {"localhost:8080", true, true}, {"", false, false},
	} {
		gateway := newFakeGateway()
		gateway.certificates.uploaded = c.uploaded
		s := newServer(t, gateway, signedUp(t))
		s.options.Listen = c.plain
		request := httptest.NewRequest("GET", "https://gateway/", nil)
		got := httptest.NewRecorder()
		s.handler.ServeHTTP(got, request)
		if strict := got.Header().Get("Strict-Transport-Security") != ""; strict != c.strict {
			t.Errorf("%+v: %q", c, got.Header().Get("Strict-Transport-Security"))
		}
	}
}
