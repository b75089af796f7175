package web

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// freshSessions are those of a gateway that starts with these accounts.
func freshSessions(t *testing.T, accounts Accounts) *sessions {
	t.Helper()
	s, err := openSessions(accounts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessionsEndUnusedAndAfterAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := freshSessions(t, &fakeAccounts{})
		idle, busy := all.open("a", "r"), all.open("b", "r")
		for range 2 * 7 { // 12 hours each
			time.Sleep(idleLimit - time.Minute)
			all.use(busy)
		}
		if _, ok := all.use(idle); ok {
			t.Error("a session unused for days still works")
		}
		if _, ok := all.use(busy); !ok {
			t.Error("a session in use ended before a week")
		}
		time.Sleep(idleLimit)
		if _, ok := all.use(busy); ok {
			t.Error("a session older than a week still works")
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := freshSessions(t, &fakeAccounts{})
		first, second := all.open("a", "r"), all.open("b", "r")
		time.Sleep(time.Second)
		all.use(first)
		for range maxSessions - 1 {
			time.Sleep(time.Second)
			all.open("c", "r")
		}
		if len(all.byHash) != maxSessions {
			t.Errorf("%d sessions are kept, want %d", len(all.byHash), maxSessions)
		}
		if _, ok := all.use(second); ok {
			t.Error("the session unused for longest was kept")
		}
		if _, ok := all.use(first); !ok {
			t.Error("a session used later was ended")
		}
	})
}

func TestSessionsOutliveTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{users: map[string]fakeUser{"ann": {role: viewerRole}, "bo": {role: operatorRole}, "zoe": {role: viewerRole}}}
		first := freshSessions(t, accounts)
		ann, bo, zoe, out := first.open("ann", viewerRole), first.open("bo", operatorRole), first.open("zoe", viewerRole), first.open("ann", viewerRole)
		if err := first.close(out); err != nil {
			t.Fatal(err)
		}
		first.closeAll("bo")
		accounts.users["ann"] = fakeUser{role: operatorRole}
		delete(accounts.users, "zoe")

		next := freshSessions(t, accounts)
		if found, ok := next.use(ann); !ok || found.user != "ann" || found.role != operatorRole {
			t.Errorf("after a restart ann's session is %+v, %v; want it with the role that the accounts have", found, ok)
		}
		for whose, token := range map[string]string{"that was signed out": out, "of a user that was signed out everywhere": bo, "of a user who is gone": zoe} {
			if _, ok := next.use(token); ok {
				t.Errorf("a session %s works after a restart", whose)
			}
		}
	})
}

func TestARestartMakesNoSessionLastLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{users: map[string]fakeUser{"ann": {role: viewerRole}}}
		s := freshSessions(t, accounts)
		idle, busy := s.open("ann", viewerRole), s.open("ann", viewerRole)
		began := time.Now()
		for time.Since(began) < sessionLimit {
			time.Sleep(idleLimit - coarse)
			s = freshSessions(t, accounts)
			if _, ok := s.use(busy); ok != (time.Since(began) <= sessionLimit) {
				t.Fatalf("after %v the session in use works: %v", time.Since(began), ok)
			}
			time.Sleep(coarse)
			s.use(busy) // is kept: an hour has passed
		}
		time.Sleep(time.Minute)
		if _, ok := freshSessions(t, accounts).use(busy); ok {
			t.Error("a restart brings a session older than a week back")
		}
		if _, ok := s.use(idle); ok {
			t.Error("a session unused for days works after restarts")
		}
	})
}

func TestUseIsWrittenDownOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{users: map[string]fakeUser{"ann": {role: viewerRole}}}
		s := freshSessions(t, accounts)
		tokens := []string{s.open("ann", viewerRole), s.open("ann", viewerRole)}
		accounts.writes = 0
		for range 5 * 60 {
			time.Sleep(time.Minute)
			for _, token := range tokens {
				s.use(token)
			}
		}
		if accounts.writes != 5 {
			t.Errorf("five hours of requests are %d writes, want 5", accounts.writes)
		}
		last := time.Now()
		for _, kept := range accounts.sessions {
			if late := last.Sub(kept.Used); late < 0 || late > coarse {
				t.Errorf("the last use that is kept is %v old, want at most %v", late, coarse)
			}
		}
	})
}

func TestAClockThatWentBackEndsSessions(t *testing.T) {
	accounts := &fakeAccounts{users: map[string]fakeUser{"ann": {role: viewerRole}}}
	s := freshSessions(t, accounts)
	token := s.open("ann", viewerRole)
	kept := &accounts.sessions[0]
	kept.Created, kept.Used, kept.Expires = kept.Created.Add(time.Minute), kept.Used.Add(time.Minute), kept.Expires.Add(time.Minute)
	if _, ok := freshSessions(t, accounts).use(token); ok {
		t.Error("a session from the future works")
	}
	if _, ok := s.use(token); !ok {
		t.Error("the session ended while the gateway runs")
	}
}

func TestWhatIsKeptOpensNothing(t *testing.T) {
	accounts := signedUp(t)
	tokenOf(newServer(t, newFakeGateway(), accounts))
	s := newServer(t, newFakeGateway(), accounts)
	if len(accounts.sessions) != 1 {
		t.Fatalf("%d sessions are kept, want 1", len(accounts.sessions))
	}
	hash := accounts.sessions[0].Hash[:]
	for _, stolen := range []string{string(hash), hex.EncodeToString(hash), base64.StdEncoding.EncodeToString(hash), base64.RawURLEncoding.EncodeToString(hash)} {
		for _, header := range [][]string{{"Authorization", "Bearer " + stolen}, {"Cookie", cookieName + "=" + stolen}} {
			if got := ask(s, "GET", "/api/v1/status", "", header...); got.Code != http.StatusUnauthorized {
				t.Errorf("%s %q: %d, want 401", header[0], stolen, got.Code)
			}
		}
	}
}

func TestASignOutThatCannotBeKeptSaysSo(t *testing.T) {
	accounts := signedUp(t)
	s := newServer(t, newFakeGateway(), accounts)
	header := bearer(s)
	accounts.full = errors.New("no space left")
	got := ask(s, "DELETE", "/api/v1/session", "", header...)
	wantProblem(t, got, http.StatusInternalServerError)
	if cookieOf(t, got).MaxAge >= 0 {
		t.Error("the browser keeps its cookie")
	}
	wantProblem(t, ask(s, "GET", "/api/v1/status", "", header...), http.StatusUnauthorized)
	// A disk that is full keeps nobody out.
	if got := ask(s, "POST", "/api/v1/session", credentials(testPassword)); got.Code != http.StatusOK {
		t.Errorf("signing in answers %d", got.Code)
	}
}

func TestSessionsThatAreKeptAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := &fakeAccounts{users: map[string]fakeUser{"ann": {role: viewerRole}}}
		s := freshSessions(t, accounts)
		for range maxSessions + 5 {
			s.open("ann", viewerRole)
		}
		if len(accounts.sessions) != maxSessions {
			t.Errorf("%d sessions are kept, want %d", len(accounts.sessions), maxSessions)
		}
		accounts.sessions = slices.Concat(accounts.sessions, []KeptSession{{User: "ann", Hash: [32]byte{1}, Created: time.Now(), Used: time.Now(), Expires: time.Now().Add(time.Hour)}})
		if next := freshSessions(t, accounts); len(next.byHash) != maxSessions {
			t.Errorf("%d sessions come back, want %d", len(next.byHash), maxSessions)
		}
	})
}
