package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const otherPassword = "another long one"

// as opens a session without the cost of a password.
func as(s *Server, user, role string) []string {
	return []string{"Authorization", "Bearer " + s.sessions.open(user, role)}
}

func TestUsersAreAddedChangedAndRemoved(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	admin := bearer(s)
	for _, c := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"name":"zoe","role":"viewer","password":"` + otherPassword + `"}`, http.StatusCreated, ""},
		{`{"name":"zoe","role":"viewer","password":"` + otherPassword + `"}`, http.StatusConflict, "name"},
		{`{"name":"","role":"viewer","password":"` + otherPassword + `"}`, http.StatusUnprocessableEntity, "name"},
		{`{"name":"token:x","role":"viewer","password":"` + otherPassword + `"}`, http.StatusUnprocessableEntity, "name"},
		{`{"name":"../x","role":"viewer","password":"` + otherPassword + `"}`, http.StatusUnprocessableEntity, "name"},
		{`{"name":"bo","role":"owner","password":"` + otherPassword + `"}`, http.StatusUnprocessableEntity, "role"},
		{`{"name":"bo","role":"viewer","password":"short"}`, http.StatusUnprocessableEntity, "password"},
		{`null`, http.StatusUnprocessableEntity, "name"},
	} {
		got := ask(s, "POST", "/api/v1/users", c.body, admin...)
		if got.Code != c.status {
			t.Errorf("%s is %d %s, want %d", c.body, got.Code, got.Body, c.status)
		}
		var p problem
		if json.Unmarshal(got.Body.Bytes(), &p); p.Field != c.field {
			t.Errorf("%s is about %q, want %q", c.body, p.Field, c.field)
		}
	}
	zoe := as(s, "zoe", viewerRole)
	list := decode[userList](t, ask(s, "GET", "/api/v1/users", "", admin...))
	if len(list.Items) != 2 || list.Items[1] != (User{Name: "zoe", Role: viewerRole, Sessions: 1}) {
		t.Errorf("users are %+v", list.Items)
	}
	if got := ask(s, "PUT", "/api/v1/users/zoe", `{"role":"operator"}`, admin...); got.Code != http.StatusOK {
		t.Errorf("changing the role: %d %s", got.Code, got.Body)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/status", "", zoe...), http.StatusUnauthorized)
	wantProblem(t, ask(s, "PUT", "/api/v1/users/zoe", `{}`, admin...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "PUT", "/api/v1/users/zoe", `{"name":"bo","role":"viewer"}`, admin...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "PUT", "/api/v1/users/bo", `{"role":"viewer"}`, admin...), http.StatusNotFound)
	wantProblem(t, ask(s, "DELETE", "/api/v1/users/bo", "", admin...), http.StatusNotFound)
	if got := ask(s, "DELETE", "/api/v1/users/zoe", "", admin...); got.Code != http.StatusNoContent {
		t.Errorf("removing: %d %s", got.Code, got.Body)
	}
	records, _ := gateway.keeper.Audits(0, 10)
	var told []string
	for _, r := range records {
		told = append(told, fmt.Sprintf("%s %s %s>%s", r.Action, r.Subject, r.Before, r.After))
	}
	want := []string{
		`user removed zoe {"role":"operator"}>`,
		`user changed zoe {"role":"viewer"}>{"role":"operator"}`,
		`user added zoe >{"role":"viewer"}`,
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("the records are\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	accounts := signedUp(t)
	s := newServer(t, newFakeGateway(), accounts)
	admin := bearer(s)
	wantProblem(t, ask(s, "DELETE", "/api/v1/users/admin", "", admin...), http.StatusConflict)
	wantProblem(t, ask(s, "PUT", "/api/v1/users/admin", `{"role":"viewer"}`, admin...), http.StatusConflict)
	accounts.users["second"] = accounts.users[administrator]
	if got := ask(s, "DELETE", "/api/v1/users/admin", "", admin...); got.Code != http.StatusNoContent {
		t.Errorf("removing one of two: %d %s", got.Code, got.Body)
	}
	if decode[identity](t, ask(s, "GET", "/api/v1/session", "")).SetupNeeded {
		t.Error("set-up is offered although there is an administrator of another name")
	}
	wantProblem(t, ask(s, "POST", "/api/v1/setup", `{"code":"`+testCode+`","password":"`+otherPassword+`"}`), http.StatusConflict)
}

func TestUsersAreBounded(t *testing.T) {
	accounts := signedUp(t)
	for i := range maxUsers - 1 {
		accounts.users[fmt.Sprint("user", i)] = fakeUser{role: viewerRole}
	}
	s := newServer(t, newFakeGateway(), accounts)
	wantProblem(t, ask(s, "POST", "/api/v1/users", `{"name":"one-more","role":"viewer","password":"`+otherPassword+`"}`, bearer(s)...), http.StatusConflict)
}

func TestTheOwnPasswordIsChanged(t *testing.T) {
	accounts := signedUp(t)
	s := newServer(t, newFakeGateway(), accounts)
	elsewhere, here := bearer(s), bearer(s)
	p := wantProblem(t, ask(s, "PUT", "/api/v1/session/password", `{"old":"wrong","new":"`+otherPassword+`"}`, here...), http.StatusForbidden)
	if p.Field != "old" {
		t.Errorf("a wrong password is about %q", p.Field)
	}
	p = wantProblem(t, ask(s, "PUT", "/api/v1/session/password", `{"old":"`+testPassword+`","new":"short"}`, here...), http.StatusUnprocessableEntity)
	if p.Field != "new" {
		t.Errorf("a short password is about %q", p.Field)
	}
	next := decode[opened](t, ask(s, "PUT", "/api/v1/session/password", `{"old":"`+testPassword+`","new":"`+otherPassword+`"}`, here...))
	for _, old := range [][]string{elsewhere, here} {
		wantProblem(t, ask(s, "GET", "/api/v1/status", "", old...), http.StatusUnauthorized)
	}
	if got := ask(s, "GET", "/api/v1/status", "", "Authorization", "Bearer "+next.Token); got.Code != http.StatusOK {
		t.Errorf("the new session is answered %d", got.Code)
	}
	if right, err := verifyPassword(accounts.users[administrator].hash, otherPassword); err != nil || !right {
		t.Errorf("the new password is %v, %v", right, err)
	}
}

func TestTokensOpenTheAPI(t *testing.T) {
	gateway := newFakeGateway()
	accounts := signedUp(t)
	s := newServer(t, gateway, accounts)
	admin := bearer(s)
	got := ask(s, "POST", "/api/v1/tokens", `{"name":"scada","role":"operator"}`, admin...)
	var made madeToken
	if err := json.Unmarshal(got.Body.Bytes(), &made); err != nil || got.Code != http.StatusCreated || !strings.HasPrefix(made.Secret, tokenPrefix) {
		t.Fatalf("making a token: %d %s", got.Code, got.Body)
	}
	token := []string{"Authorization", "Bearer " + made.Secret}
	if got := ask(s, "PUT", "/api/v1/demo/line", `{"up":true}`, token...); got.Code != http.StatusOK {
		t.Errorf("an operator's token writes: %d %s", got.Code, got.Body)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/users", "", token...), http.StatusForbidden)
	wantProblem(t, ask(s, "GET", "/api/v1/status", "", "Cookie", cookieName+"="+made.Secret), http.StatusUnauthorized)
	wantProblem(t, ask(s, "PUT", "/api/v1/session/password", `{"old":"x","new":"y"}`, token...), http.StatusConflict)
	wantProblem(t, ask(s, "DELETE", "/api/v1/session", "", token...), http.StatusConflict)
	if strings.Contains(ask(s, "GET", "/api/v1/tokens", "", admin...).Body.String(), made.Secret) {
		t.Error("the list shows the token itself")
	}
	list := decode[tokenList](t, ask(s, "GET", "/api/v1/tokens", "", admin...))
	if len(list.Items) != 1 || list.Items[0].LastUsed == nil || list.Items[0].By != administrator {
		t.Errorf("tokens are %+v", list.Items)
	}
	records, _ := gateway.keeper.Audits(0, 10)
	for _, r := range records {
		if strings.Contains(r.Before+r.After, made.Secret) {
			t.Errorf("the record %+v shows the token", r)
		}
	}
	if records[0].User != "token:scada" {
		t.Errorf("what the token did is recorded as of %q", records[0].User)
	}
	// A restart knows it by its hash.
	if again := newServer(t, gateway, accounts); ask(again, "GET", "/api/v1/status", "", token...).Code != http.StatusOK {
		t.Error("the token is forgotten with the process")
	}
	if got := ask(s, "DELETE", "/api/v1/tokens/scada", "", admin...); got.Code != http.StatusNoContent {
		t.Errorf("revoking: %d %s", got.Code, got.Body)
	}
	wantProblem(t, ask(s, "GET", "/api/v1/status", "", token...), http.StatusUnauthorized)
	wantProblem(t, ask(s, "DELETE", "/api/v1/tokens/scada", "", admin...), http.StatusNotFound)
	for body, status := range map[string]int{
		`{"name":"a","role":"root"}`: 422, `{"name":"a b","role":"viewer"}`: 422, `null`: 422,
		`{"name":"a","role":"viewer","expires":"2001-01-01T00:00:00Z"}`: 422, `{"name":"a","role":"viewer","expires":1}`: 400,
	} {
		wantProblem(t, ask(s, "POST", "/api/v1/tokens", body, admin...), status)
	}
}

func TestTokensAreBounded(t *testing.T) {
	accounts := signedUp(t)
	for i := range maxTokens {
		accounts.tokens = append(accounts.tokens, Token{Name: fmt.Sprint("t", i), Hash: [32]byte{byte(i)}})
	}
	s := newServer(t, newFakeGateway(), accounts)
	wantProblem(t, ask(s, "POST", "/api/v1/tokens", `{"name":"one-more","role":"viewer"}`, bearer(s)...), http.StatusConflict)
}

// A stream that was opened with a token ends with it, in that moment.
func TestRevokingEndsOpenStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		client, stop := piped(t, s)
		soon := time.Now().Add(time.Hour)
		got := ask(s, "POST", "/api/v1/tokens", `{"name":"wall","role":"viewer","expires":"`+soon.Format(time.RFC3339Nano)+`"}`, bearer(s)...)
		var made madeToken
		if err := json.Unmarshal(got.Body.Bytes(), &made); err != nil || got.Code != http.StatusCreated {
			t.Fatalf("making a token: %d %s", got.Code, got.Body)
		}
		ends := func(what string, within time.Duration, end func()) {
			t.Helper()
			response := listen(t, client, made.Secret)
			defer response.Body.Close()
			events := bufio.NewReader(response.Body)
			nextEvent(t, events)
			end()
			before := time.Now()
			for {
				if _, err := events.ReadString('\n'); err != nil {
					break
				}
			}
			if took := time.Since(before); took > within {
				t.Errorf("%s: the stream went on for %v", what, took)
			}
		}
		ends("expiry", time.Hour, func() {})
		if response := listen(t, client, made.Secret); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("an expired token is answered %d", response.StatusCode)
		}
		for _, each := range s.options.Accounts.(*fakeAccounts).tokens {
			each.Expires = nil
			s.tokens.set([]Token{each})
		}
		ends("revoking", 0, func() { ask(s, "DELETE", "/api/v1/tokens/wall", "", bearer(s)...) })
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestChangingAPasswordEndsOpenStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := signedUp(t)
		accounts.users["zoe"] = fakeUser{role: viewerRole}
		s := newServer(t, newFakeGateway(), accounts)
		client, stop := piped(t, s)
		response := listen(t, client, s.sessions.open("zoe", viewerRole))
		defer response.Body.Close()
		events := bufio.NewReader(response.Body)
		nextEvent(t, events)
		if got := ask(s, "PUT", "/api/v1/users/zoe", `{"password":"`+otherPassword+`"}`, bearer(s)...); got.Code != http.StatusOK {
			t.Errorf("changing the password: %d %s", got.Code, got.Body)
		}
		before := time.Now()
		for {
			if _, err := events.ReadString('\n'); err != nil {
				break
			}
		}
		if took := time.Since(before); took > 0 {
			t.Errorf("the stream went on for %v", took)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
