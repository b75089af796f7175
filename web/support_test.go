package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testCode = "7Q4K-2MXD"

// hashOnce spares each test the cost of a hash, which is high on purpose.
var hashOnce = sync.OnceValues(func() ([]byte, error) { return HashPassword(testPassword) })

// signedUp has an administrator whose password is testPassword.
func signedUp(t testing.TB) *fakeAccounts {
	t.Helper()
	hash, err := hashOnce()
	if err != nil {
		t.Fatal(err)
	}
	return &fakeAccounts{users: map[string]fakeUser{administrator: {hash, adminRole}}}
}

func newServer(t testing.TB, gateway *fakeGateway, accounts *fakeAccounts) *Server {
	t.Helper()
	s, err := New(fakeOptions(gateway, accounts))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakeOptions are of a server with every part, behind which nothing is real.
func fakeOptions(gateway *fakeGateway, accounts *fakeAccounts) Options {
	return Options{
		Listen: "127.0.0.1:0", TLS: &TLS{Listen: "127.0.0.1:0"}, Certificates: &gateway.certificates,
		Gateway: gateway, Line: gateway, Accounts: accounts, SetupCode: testCode, Version: "test",
		Keeper: &gateway.keeper, Messages: &gateway.messages, Points: &gateway.points,
		Uplinks: &gateway.uplinks, Clouds: fakeClouds{}, Outages: &gateway.outages, Tracer: fakeTracer{},
		FirstRun: &gateway.firstRun, Clock: &gateway.clock, System: &gateway.system, Logs: &gateway.logs, Restorer: &gateway.restorer, Firmware: &gateway.firmware,
		Buses: fakeBuses{}, Searches: &fakeSearches{}, Alarms: &gateway.alarms, Devices: fakeDevices{}, Trends: &gateway.trends, Configurator: &fakeConfigurator{},
		Network: &gateway.network, Resetter: &gateway.system,
	}
}

// run serves until the test ends and returns the base URL.
func run(t testing.TB, s *Server) string {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return "http://" + s.Addr().String()
}

// ask sends one request to the handler; headers are names and values in turn.
func ask(s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request)
	return recorder
}

// tokenOf opens a session without the cost of a password.
func tokenOf(s *Server) string { return s.sessions.open(administrator, adminRole) }

func bearer(s *Server) []string { return []string{"Authorization", "Bearer " + tokenOf(s)} }

// wantProblem checks that a refusal has the one form of all refusals.
func wantProblem(t *testing.T, got *httptest.ResponseRecorder, status int) problem {
	t.Helper()
	if got.Code != status {
		t.Errorf("status is %d, want %d; body %s", got.Code, status, got.Body)
	}
	if kind := got.Header().Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("content type is %q, want application/problem+json", kind)
	}
	var p problem
	if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil {
		t.Fatalf("body %q is no problem: %v", got.Body, err)
	}
	if p.Status != status || p.Title == "" || p.Type == "" {
		t.Errorf("problem is %+v, want status %d with title and type", p, status)
	}
	return p
}

func decode[T any](t *testing.T, got *httptest.ResponseRecorder) T {
	t.Helper()
	var value T
	if got.Code != http.StatusOK {
		t.Fatalf("status is %d, want 200; body %s", got.Code, got.Body)
	}
	if err := json.Unmarshal(got.Body.Bytes(), &value); err != nil {
		t.Fatalf("body %q: %v", got.Body, err)
	}
	return value
}
