package web

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

func setupBody(code, password string) string {
	return fmt.Sprintf(`{"code":%q,"password":%q}`, code, password)
}

func TestSetUpWorksOnce(t *testing.T) {
	s := newServer(t, newFakeGateway(), &fakeAccounts{})
	if who := decode[identity](t, ask(s, "GET", "/api/v1/session", "")); !who.SetupNeeded || who.SignedIn {
		t.Errorf("a fresh gateway says %+v", who)
	}
	refused := wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody("WRONG", testPassword)), http.StatusForbidden)
	if refused.Field != "code" {
		t.Errorf("the refusal names field %q, want code", refused.Field)
	}
	short := wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody(testCode, "short")), http.StatusUnprocessableEntity)
	if short.Field != "password" {
		t.Errorf("the refusal names field %q, want password", short.Field)
	}
	got := ask(s, "POST", "/api/v1/setup", setupBody(testCode, testPassword))
	if got.Code != http.StatusCreated || cookieOf(t, got).Value == "" {
		t.Fatalf("set-up answered %d %s", got.Code, got.Body)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody(testCode, testPassword)), http.StatusConflict)
	if who := decode[identity](t, ask(s, "GET", "/api/v1/session", "")); who.SetupNeeded {
		t.Error("set-up is needed again")
	}
	if got := ask(s, "POST", "/api/v1/session", credentials(testPassword)); got.Code != http.StatusOK {
		t.Errorf("sign-in after set-up: %d %s", got.Code, got.Body)
	}
}

func TestSetUpAtOnceHasOneWinner(t *testing.T) {
	s := newServer(t, newFakeGateway(), &fakeAccounts{})
	codes := make([]int, 4)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() { codes[i] = ask(s, "POST", "/api/v1/setup", setupBody(testCode, testPassword)).Code })
	}
	all.Wait()
	created := 0
	for _, code := range codes {
		if code == http.StatusCreated {
			created++
		} else if code != http.StatusConflict {
			t.Errorf("a loser got %d, want 409", code)
		}
	}
	if created != 1 {
		t.Errorf("%d set-ups succeeded, want 1", created)
	}
}

func TestSetUpIsSlowedDownForEverybody(t *testing.T) {
	s := newServer(t, newFakeGateway(), &fakeAccounts{})
	for range 5 {
		wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody("WRONG", testPassword)), http.StatusForbidden)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody(testCode, testPassword)), http.StatusTooManyRequests)
}

func TestSetUpWithoutACodeIsRefused(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0", Gateway: newFakeGateway(), Accounts: &fakeAccounts{}})
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/setup", setupBody("", testPassword)), http.StatusForbidden)
}

func TestAccountsThatFailAreNotTheCallersFault(t *testing.T) {
	s := newServer(t, newFakeGateway(), &fakeAccounts{err: errors.New("disk is gone")})
	for _, c := range [][3]string{
		{"GET", "/api/v1/session", ""},
		{"POST", "/api/v1/session", credentials(testPassword)},
		{"POST", "/api/v1/setup", setupBody(testCode, testPassword)},
	} {
		p := wantProblem(t, ask(s, c[0], c[1], c[2]), http.StatusInternalServerError)
		if p.Detail == "" || p.Detail == "disk is gone" {
			t.Errorf("%s %s tells %q: inner errors belong in the log", c[0], c[1], p.Detail)
		}
	}
}
