package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func credentials(password string) string {
	return fmt.Sprintf(`{"user":"admin","password":%q}`, password)
}

func cookieOf(t *testing.T, got *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	for _, cookie := range got.Result().Cookies() {
		if cookie.Name == cookieName {
			return cookie
		}
	}
	t.Fatalf("no cookie %s in %v", cookieName, got.Header())
	return nil
}

func TestSignInGivesACookieAndAToken(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	got := ask(s, "POST", "/api/v1/session", credentials(testPassword))
	session := decode[opened](t, got)
	if session.User != "admin" || session.Role != "administrator" || session.Token == "" {
		t.Errorf("session is %+v", session)
	}
	cookie := cookieOf(t, got)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" {
		t.Errorf("cookie is %+v, want HttpOnly, SameSite=Strict, path /", cookie)
	}
	for _, header := range [][]string{{"Cookie", cookie.Name + "=" + cookie.Value}, {"Authorization", "Bearer " + session.Token}} {
		if got := ask(s, "GET", "/api/v1/status", "", header...); got.Code != http.StatusOK {
			t.Errorf("status with %s is %d, want 200", header[0], got.Code)
		}
		who := decode[identity](t, ask(s, "GET", "/api/v1/session", "", header...))
		if !who.SignedIn || who.User != "admin" || who.Role != adminRole {
			t.Errorf("with %s we are %+v", header[0], who)
		}
	}
}

func TestSignInRefusesAWrongPasswordAndAnUnknownUserAlike(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	wrong := wantProblem(t, ask(s, "POST", "/api/v1/session", credentials("not the password")), http.StatusUnauthorized)
	unknown := wantProblem(t, ask(s, "POST", "/api/v1/session", `{"user":"nobody","password":"not the password"}`), http.StatusUnauthorized)
	if !reflect.DeepEqual(wrong, unknown) {
		t.Errorf("the refusals differ: %+v and %+v", wrong, unknown)
	}
}

func TestSignOutEndsTheSession(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	header := bearer(s)
	got := ask(s, "DELETE", "/api/v1/session", "", header...)
	if got.Code != http.StatusNoContent || cookieOf(t, got).MaxAge >= 0 {
		t.Errorf("sign-out answered %d with cookies %v", got.Code, got.Result().Cookies())
	}
	wantProblem(t, ask(s, "GET", "/api/v1/status", "", header...), http.StatusUnauthorized)
	wantProblem(t, ask(s, "DELETE", "/api/v1/session", "", header...), http.StatusUnauthorized)
}

func TestChangesWithTheCookieMustComeFromThePage(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	cookie := cookieName + "=" + tokenOf(s)
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"nothing":              {nil, http.StatusForbidden},
		"own header":           {[]string{"X-Requested-With", "sluice"}, http.StatusOK},
		"own origin":           {[]string{"Origin", "http://example.com"}, http.StatusOK}, // httptest's host
		"foreign origin":       {[]string{"Origin", "http://evil.example"}, http.StatusForbidden},
		"origin of a sandbox":  {[]string{"Origin", "null"}, http.StatusForbidden},
		"origin that is none":  {[]string{"Origin", "::"}, http.StatusForbidden},
		"same host, new port":  {[]string{"Origin", "http://example.com:81"}, http.StatusForbidden},
		"prefix of our origin": {[]string{"Origin", "http://example.com.evil.example"}, http.StatusForbidden},
	} {
		got := ask(s, "PUT", "/api/v1/demo/line", `{"up":true}`, append(c.headers, "Cookie", cookie)...)
		if got.Code != c.want {
			t.Errorf("%s: %d, want %d", name, got.Code, c.want)
		}
	}
	if got := ask(s, "GET", "/api/v1/status", "", "Cookie", cookie, "Origin", "http://evil.example"); got.Code != http.StatusOK {
		t.Errorf("reading needs no proof, got %d", got.Code)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/session", credentials(testPassword), "Origin", "http://evil.example"), http.StatusForbidden)
	wantProblem(t, ask(s, "POST", "/api/v1/setup", `{}`, "Origin", "http://evil.example"), http.StatusForbidden)
}

func TestGuessingIsSlowedDown(t *testing.T) {
	// A machine that is slow with hashes would let the wait pass.
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newFakeGateway(), signedUp(t))
		for range 5 {
			wantProblem(t, ask(s, "POST", "/api/v1/session", credentials("guess")), http.StatusUnauthorized)
		}
		got := ask(s, "POST", "/api/v1/session", credentials(testPassword))
		wantProblem(t, got, http.StatusTooManyRequests)
		if got.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	})
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle(2, 4*time.Second)
		for attempt, want := range []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			if wait := limit.try("x"); wait != 0 {
				t.Fatalf("attempt %d has to wait %v though the time had passed", attempt, wait)
			}
			if want == 0 {
				continue // another try would count
			}
			if wait := limit.try("x"); wait != want {
				t.Errorf("after attempt %d the wait is %v, want %v", attempt, wait, want)
			}
			time.Sleep(want)
		}
		if wait := limit.try("y"); wait != 0 {
			t.Errorf("another name waits %v", wait)
		}
		limit.succeeded("x")
		if wait := limit.try("x"); wait != 0 {
			t.Errorf("after success the wait is %v", wait)
		}
	})
}

func TestThrottleForgetsTheQuietest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle(1, time.Hour)
		limit.max = 3
		for _, name := range strings.Split("abcd", "") {
			limit.try(name)
			time.Sleep(time.Millisecond)
		}
		if len(limit.tries) != 3 {
			t.Errorf("%d names are remembered, want 3", len(limit.tries))
		}
		if _, kept := limit.tries["a"]; kept {
			t.Error("the quietest name was kept")
		}
		time.Sleep(forgetAfter + time.Second)
		limit.try("e")
		if len(limit.tries) != 1 {
			t.Errorf("%d names are remembered after a quiet time, want 1", len(limit.tries))
		}
	})
}

func TestAddressKey(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.7:4000":               "10.0.0.7",
		"[::ffff:10.0.0.7]:4000":      "10.0.0.7",
		"[2001:db8:1:2:3:4:5:6]:4000": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:4000":         "fe80::/64",
		"pipe":                        "pipe",
	} {
		if got := addressKey(remote); got != want {
			t.Errorf("addressKey(%q) = %q, want %q", remote, got, want)
		}
	}
}

func TestHashedPasswords(t *testing.T) {
	accounts := signedUp(t)
	hash := accounts.users[administrator].hash
	if right, err := verifyPassword(hash, testPassword); err != nil || !right {
		t.Errorf("the right password: %v, %v", right, err)
	}
	if right, err := verifyPassword(hash, testPassword+"x"); err != nil || right {
		t.Errorf("a wrong password: %v, %v", right, err)
	}
	if right, err := verifyPassword(unknownUser, ""); err != nil || right {
		t.Errorf("the hash of nobody: %v, %v", right, err)
	}
	if right, err := verifyPassword(hash, strings.Repeat("x", maxPassword+1)); err != nil || right {
		t.Errorf("a password that is too long: %v, %v", right, err)
	}
	for _, password := range []string{"", "short", strings.Repeat("x", maxPassword+1)} {
		if err := CheckPassword(password); err == nil {
			t.Errorf("CheckPassword accepts %d bytes", len(password))
		}
	}
}

func FuzzVerifyPassword(f *testing.F) {
	f.Add(string(unknownUser))
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$$")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$AA$AAAA")
	f.Add("$argon2id$v=18$m=64,t=1,p=1$AA$AA")
	f.Add("plain")
	f.Fuzz(func(t *testing.T, hash string) {
		if right, err := verifyPassword([]byte(hash), "password"); right && err != nil {
			t.Errorf("%q is right and wrong at once: %v", hash, err)
		}
	})
}

func TestTurnsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns()
		free, err := all.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 7)
		for range 7 {
			go func() {
				free, err := all.take(t.Context())
				if err == nil {
					free()
				}
				results <- err
			}()
		}
		synctest.Wait()
		if _, err := all.take(t.Context()); err != errBusy {
			t.Errorf("the ninth gets %v, want %v", err, errBusy)
		}
		free()
		for range 7 {
			if err := <-results; err != nil {
				t.Errorf("one that waited got %v", err)
			}
		}
	})
}
