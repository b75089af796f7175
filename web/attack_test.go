package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"sluice/gateway/network"
)

// What follows is tried on every route that the server has, so that a new one is held to it by itself.

// openRoutes need no session.
var openRoutes = map[string]string{
	"GET /healthz":             "asked by who has no account",
	"GET /readyz":              "asked by who has no account",
	"GET /metrics":             "read by monitoring; shows names and counts, no values",
	"GET /api/v1/openapi.json": "the same for everybody",
	"GET /api/v1/session":      "says whether somebody is signed in",
	"POST /api/v1/session":     "signs in",
	"POST /api/v1/setup":       "sets the first password, with the one-time code",
	"GET /api/v1/setup":        "says whether set-up is needed",
}

// forViewers are routes that do not look like reading and yet change nothing that others see.
var forViewers = map[string]string{
	"DELETE /api/v1/session":       "the own session",
	"PUT /api/v1/session/password": "the own password",
	"POST /api/v1/registers":       "decodes words; the handler wants an operator for reading a device",
}

// forAdministrators are the routes that operators are refused, which is everything that changes the
// gateway or shows what others did.
var forAdministrators = []string{
	"/api/v1/users", "/api/v1/tokens", "/api/v1/audit", "/api/v1/revisions", "/api/v1/backup", "/api/v1/log/cursors",
	"/api/v1/diagnostics", "/api/v1/restore", "/api/v1/restart", "/api/v1/secrets", "/api/v1/config/reload", "/api/v1/config/confirm", "/api/v1/config/pending",
	"/api/v1/uplinks/recognise", "/api/v1/uplinks/examples", "POST /api/v1/uplinks/test", "POST /api/v1/alarms/notify/:name/test", "PUT /api/v1/config", "PUT /api/v1/setup/checklist", "PUT /api/v1/time",
	"PUT /api/v1/network", "/api/v1/network/confirm", "/api/v1/network/pending", "/api/v1/reset",
	"POST /api/v1/firmware", "/api/v1/firmware/install", "/api/v1/firmware/restart",
	"PUT /api/v1/certificate", "POST /api/v1/certificate", "DELETE /api/v1/certificate",
}

// forOperators begin the paths of what operators see and viewers do not: a log may tell too much.
var forOperators = []string{"/api/v1/logs", "/api/v1/firmware"}

// unrecorded are routes that write and leave no audit record.
var unrecorded = map[string]string{
	"POST /api/v1/registers":         "reads a device",
	"POST /api/v1/points/import":     "reads a file and gives it back; nothing is kept",
	"POST /api/v1/devices/try":       "reads a device; nothing is kept",
	"POST /api/v1/network/scan":      "listens; nothing is kept",
	"POST /api/v1/config/preview":    "says what would change",
	"POST /api/v1/uplinks/recognise": "reads what was pasted",
	"POST /api/v1/uplinks/examples":  "shows what a route would send",
	"POST /api/v1/uplinks/test":      "tries a section that is not saved; the tested cloud sees it",
	"PUT /api/v1/setup/checklist":    "what of the first steps is ticked off; changes nothing of the gateway",
}

// aRoute is one route with everything in its path filled in.
type aRoute struct {
	name   string // as gin has it
	method string
	path   string
}

func (r aRoute) writes() bool { return !safeMethod(r.method) }

func (r aRoute) administrators() bool {
	return slices.ContainsFunc(forAdministrators, func(begin string) bool {
		return strings.HasPrefix(r.name, begin) || strings.HasPrefix(r.method+" "+r.path, begin) || strings.HasPrefix(r.path, begin)
	})
}

// everyRoute lists the routes of a server, with what its fakes know as parameters.
func everyRoute(t testing.TB, s *Server) (all []aRoute) {
	t.Helper()
	engine, ok := s.handler.(*gin.Engine)
	if !ok {
		t.Fatalf("the handler is a %T", s.handler)
	}
	for _, r := range engine.Routes() {
		path := parameter.ReplaceAllString(r.Path, "1")
		all = append(all, aRoute{name: r.Method + " " + r.Path, method: r.Method, path: path})
	}
	if len(all) < 40 {
		t.Fatalf("only %d routes", len(all))
	}
	return all
}

// attacked is a server with users of all roles, whose streams end at once.
func attacked(t testing.TB) (s *Server, tokens map[string]string) {
	t.Helper()
	accounts := signedUp(t)
	hash, err := hashOnce()
	if err != nil {
		t.Fatal(err)
	}
	tokens = map[string]string{}
	for _, role := range roles {
		accounts.users["a-"+role] = fakeUser{hash, role}
	}
	gateway := newFakeGateway()
	s = newServer(t, gateway, accounts)
	for _, role := range roles {
		tokens[role] = s.sessions.open("a-"+role, role)
	}
	return s, tokens
}

// hurried is a request whose answer is cut off soon: some would go on for ever.
func hurried(t testing.TB, s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(t.Context())
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return answered(s, request)
}

// answered waits for the answer, and for a stream's beginning only.
func answered(s *Server, request *http.Request) *httptest.ResponseRecorder {
	ctx, cancel := context.WithTimeout(request.Context(), 5*time.Second) // real: a stream that never begins
	defer cancel()
	request = request.WithContext(ctx)
	recorder := &recorder{ResponseRecorder: httptest.NewRecorder(), gone: cancel}
	func() {
		defer func() {
			if cause := recover(); cause != nil && cause != http.ErrAbortHandler {
				panic(cause)
			}
		}()
		s.handler.ServeHTTP(recorder, request)
	}()
	return recorder.ResponseRecorder
}

// recorder can be given deadlines, and is gone when it has the first piece of a stream.
type recorder struct {
	*httptest.ResponseRecorder
	gone context.CancelFunc
}

func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

func (r *recorder) Flush() {
	r.ResponseRecorder.Flush()
	r.gone()
}

func TestWithoutASessionNothingIsTold(t *testing.T) {
	s, _ := attacked(t)
	for _, r := range everyRoute(t, s) {
		if openRoutes[r.name] != "" {
			continue
		}
		for _, header := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer slc_" + strings.Repeat("A", 26)}, {"Cookie", cookieName + "=x"}} {
			wantProblem(t, hurried(t, s, r.method, r.path, "{}", header...), http.StatusUnauthorized)
		}
		if t.Failed() {
			t.Fatalf("at %s", r.name)
		}
	}
}

func TestEachRoleIsRefusedWhatIsNotItsOwn(t *testing.T) {
	for _, role := range []string{viewerRole, operatorRole} {
		s, tokens := attacked(t)
		for _, r := range everyRoute(t, s) {
			if openRoutes[r.name] != "" || forViewers[r.name] != "" {
				continue
			}
			refused := r.administrators() || role == viewerRole && (r.writes() || slices.ContainsFunc(forOperators, func(begin string) bool { return strings.HasPrefix(r.path, begin) }))
			got := hurried(t, s, r.method, r.path, "{}", "Authorization", "Bearer "+tokens[role])
			if forbidden := got.Code == http.StatusForbidden; forbidden != refused {
				t.Errorf("%s answers a %s %d %s; refused should be %v", r.name, role, got.Code, got.Body, refused)
			}
		}
	}
	s, tokens := attacked(t)
	wantProblem(t, ask(s, "POST", "/api/v1/registers", `{"device":"press","area":"holding","count":1}`, "Authorization", "Bearer "+tokens[viewerRole]), http.StatusForbidden)
}

// A browser sends the cookie with whatever another site makes it send.
func TestOtherSitesChangeNothing(t *testing.T) {
	s, tokens := attacked(t)
	cookie := cookieName + "=" + tokens[adminRole]
	for _, r := range everyRoute(t, s) {
		if !r.writes() {
			continue
		}
		for _, header := range [][]string{{"Origin", "http://evil.example"}, {"Origin", "null"}, {"Origin", "https://example.com.evil.example"}} {
			header = append(header, "Cookie", cookie)
			if got := hurried(t, s, r.method, r.path, "{}", header...); got.Code != http.StatusForbidden {
				t.Errorf("%s with %v is %d %s", r.name, header, got.Code, got.Body)
			}
		}
		if openRoutes[r.name] != "" {
			continue // a form without an origin signs in and reveals nothing
		}
		if got := hurried(t, s, r.method, r.path, "{}", "Cookie", cookie); got.Code != http.StatusForbidden {
			t.Errorf("%s without an origin is %d %s", r.name, got.Code, got.Body)
		}
	}
}

func TestBodiesThatAreTooLargeAreRefused(t *testing.T) {
	s, tokens := attacked(t)
	for _, r := range everyRoute(t, s) {
		if !r.writes() || r.method == http.MethodDelete {
			continue
		}
		limit := int64(maxBody)
		if special, ok := bodyLimits[r.path]; ok {
			limit = special
		}
		got := hurried(t, s, r.method, r.path, `{"x":"`+strings.Repeat("x", int(limit))+`"}`, "Authorization", "Bearer "+tokens[adminRole], "If-Match", `"abc"`)
		// Routes that take no body do not read it.
		if got.Code != http.StatusRequestEntityTooLarge && !slices.Contains(bodiless, r.name) {
			t.Errorf("%s with a body of %d bytes and more is %d %.200s", r.name, limit, got.Code, got.Body)
		}
	}
}

// bodiless are routes that write and take no body.
var bodiless = []string{
	"POST /api/v1/backup", "POST /api/v1/uplinks/:name/test", "POST /api/v1/alarms/notify/:name/test", "POST /api/v1/certificate", "POST /api/v1/config/reload", "POST /api/v1/restart", "POST /api/v1/firmware/restart",
	"POST /api/v1/revisions/:number/restore", "POST /api/v1/restore", // whose body is a backup, as long as there is space
}

// climbs are names by which files outside might be asked for.
var climbs = []string{
	"../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd", `..\..\windows`,
	"%00", "%c0%ae%c0%ae/", "/etc/passwd", "//etc/passwd", "assets/../../../etc/passwd", "assets/%2e%2e/index.html.gz", ".git/config", "README.md",
}

func TestPathsLeadNowhereElse(t *testing.T) {
	s, tokens := attacked(t)
	auth := []string{"Authorization", "Bearer " + tokens[adminRole]}
	try := func(method, path string) {
		t.Helper()
		target, err := url.Parse("http://gateway" + path)
		if err != nil {
			return // no client can send it
		}
		request := httptest.NewRequest(method, "/", strings.NewReader("{}")).WithContext(t.Context())
		request.URL, request.RequestURI = target, path
		request.Header.Set(auth[0], auth[1])
		got := answered(s, request)
		if body := got.Body.String(); strings.Contains(body, "root:") || strings.Contains(body, "[core]") {
			t.Errorf("%s %s gives a file of the machine", method, path)
		}
		if got.Code >= 500 && got.Code != http.StatusServiceUnavailable && got.Code != http.StatusBadGateway {
			t.Errorf("%s %s is %d %s", method, path, got.Code, got.Body)
		}
	}
	for _, climb := range climbs {
		try("GET", "/"+climb)
		try("GET", "/assets/"+climb)
		for _, r := range everyRoute(t, s) {
			before, _, found := strings.Cut(strings.SplitN(r.name, " ", 2)[1], ":")
			if !found {
				before, _, found = strings.Cut(strings.SplitN(r.name, " ", 2)[1], "*")
			}
			if found {
				try(r.method, before+climb)
				try(r.method, parameter.ReplaceAllString(strings.SplitN(r.name, " ", 2)[1], strings.ReplaceAll(url.PathEscape(climb), "$", "")))
			} else if r.method == http.MethodGet {
				try(r.method, r.path+"?device="+url.QueryEscape(climb)+"&name="+url.QueryEscape(climb)+"&bus="+url.QueryEscape(climb))
			}
		}
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	s, tokens := attacked(t)
	paths := []aRoute{{"", "GET", "/"}, {"", "GET", "/assets/none.js"}, {"", "GET", "/api/v1/none"}, {"", "TRACE", "/"}, {"", "PATCH", "/api/v1/status"}}
	for _, r := range append(everyRoute(t, s), paths...) {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + tokens[adminRole]}} {
			got := hurried(t, s, r.method, r.path, "{}", headers...)
			for name, want := range fixedHeaders {
				if name == "Cache-Control" && got.Header().Get(name) != "" {
					continue // some say better
				}
				if given := got.Header().Get(name); given != want {
					t.Errorf("%s %s: %s is %q", r.method, r.path, name, given)
				}
			}
			if got.Header().Get("Server") != "" || got.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: headers are %v", r.method, r.path, got.Header())
			}
		}
	}
}

// wellFormed are bodies with which the fakes do what the route is for.
var wellFormed = map[string]string{
	"POST /api/v1/uplinks/:name/outage":      `{"seconds":30}`,
	"POST /api/v1/alarms/:id/acknowledge":    `{"note":"on my way"}`,
	"POST /api/v1/secrets":                   `{"name":"cloud-password","value":"s3cret"}`,
	"POST /api/v1/config/preview":            `{"text":"gateway: {name: a}"}`,
	"PUT /api/v1/config":                     `{"edits":[{"path":["gateway","name"],"value":"a"}]}`,
	"POST /api/v1/config/confirm":            `{"id":"p"}`,
	"PUT /api/v1/network":                    `{"connections":[` + cable + `]}`,
	"POST /api/v1/network/confirm":           `{"id":"p"}`,
	"POST /api/v1/network/scan":              `{"interface":"wlan0"}`,
	"POST /api/v1/reset":                     `{"password":"` + testPassword + `"}`,
	"POST /api/v1/messages":                  `{"topic":"plant/a","payload":"x"}`,
	"POST /api/v1/devices/try":               `{"device":{"driver":"modbus","address":"tcp://10.0.0.9"}}`,
	"POST /api/v1/devices/write":             `{"device":"press","values":{"setpoint":42}}`,
	"POST /api/v1/uplinks/recognise":         `{"text":"mqtts://line3:s3cret@broker.example.com"}`,
	"POST /api/v1/uplinks/test":              `{"uplink":{"driver":"mqtt"}}`,
	"PUT /api/v1/time":                       `{"now":"2026-11-23T20:00:00Z","zone":"Asia/Shanghai"}`,
	"PUT /api/v1/logs/level":                 `{"level":"debug","part":"buses","minutes":10}`,
	"POST /api/v1/session":                   `{"user":"admin","password":"` + testPassword + `"}`,
	"PUT /api/v1/demo/line":                  `{"up":false}`,
	"POST /api/v1/searches":                  `{"kind":"line","bus":"rs485-1"}`,
	"POST /api/v1/users":                     `{"name":"zoe","role":"viewer","password":"` + otherPassword + `"}`,
	"PUT /api/v1/users/:name":                `{"role":"operator"}`,
	"PUT /api/v1/session/password":           `{"old":"` + testPassword + `","new":"` + otherPassword + `"}`,
	"POST /api/v1/tokens":                    `{"name":"scada","role":"viewer"}`,
	"PUT /api/v1/certificate":                `{"cert":"-----BEGIN CERTIFICATE-----","key":"x"}`,
	"POST /api/v1/groups/:group/reset":       `{"topic":"orders","to":"2026-11-23T08:00:00Z"}`,
	"POST /api/v1/messages/:position/resend": `{}`,
	"POST /api/v1/firmware":                  `{"url":"https://example.com/sluice.raucb"}`,
	"POST /api/v1/setup":                     `{"code":"` + testCode + `","password":"` + otherPassword + `"}`,
}

// existing are the parameters that the fakes know.
var existing = map[string]string{
	"POST /api/v1/uplinks/:name/outage": "/api/v1/uplinks/cloud/outage", "DELETE /api/v1/uplinks/:name/outage": "/api/v1/uplinks/cloud/outage",
	"POST /api/v1/alarms/:id/acknowledge": "/api/v1/alarms/a1/acknowledge", "POST /api/v1/alarms/notify/:name/test": "/api/v1/alarms/notify/shift/test",
	"PUT /api/v1/users/:name": "/api/v1/users/a-viewer", "DELETE /api/v1/users/:name": "/api/v1/users/a-viewer",
	"DELETE /api/v1/tokens/:name": "/api/v1/tokens/panel", "DELETE /api/v1/log/cursors/*name": "/api/v1/log/cursors/old",
	"DELETE /api/v1/searches/:id": "/api/v1/searches/s1", "POST /api/v1/uplinks/:name/test": "/api/v1/uplinks/cloud/test",
	"POST /api/v1/groups/:group/reset": "/api/v1/groups/a/reset", "POST /api/v1/messages/:position/resend": "/api/v1/messages/2/resend",
}

// TestEveryChangeIsRecorded does what each writing route is for, and looks for the record.
func TestEveryChangeIsRecorded(t *testing.T) {
	first, _ := attacked(t)
	for _, r := range everyRoute(t, first) {
		if !r.writes() || unrecorded[r.name] != "" {
			continue
		}
		s, tokens := attacked(t)
		gateway := s.options.Gateway.(*fakeGateway)
		gateway.prepare(t, s, r.name)
		path := r.path
		if known := existing[r.name]; known != "" {
			path = known
		}
		got := hurried(t, s, r.method, path, wellFormed[r.name], "Authorization", "Bearer "+tokens[adminRole], "If-Match", `"abc"`)
		records, _ := gateway.keeper.Audits(0, 10)
		switch {
		case got.Code >= 300:
			t.Errorf("%s is %d %s: give the test what it takes, in wellFormed and existing", r.name, got.Code, got.Body)
		case len(records) == 0:
			t.Errorf("%s leaves no audit record", r.name)
		case records[0].User == "" || records[0].Action == "" || records[0].Address == "":
			t.Errorf("%s leaves the record %+v", r.name, records[0])
		}
	}
}

// badBodies are what nobody should send.
func badBodies() (all []string) {
	deep := strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000)
	return []string{
		``, `null`, `[]`, `{}`, `""`, `0`, `true`, `{`, `[[[[`, `{"a":null}`, "\xff\xfe", "{\"name\":\"\xff\"}", `{"name":"\u0000"}`, `{"name":"\ud800"}`,
		deep, strings.Repeat("[", 8000), `{"limit":1e999}`, `{"count":99999999999999999999999}`, `{"count":-1,"address":-1,"device":"press","area":"holding"}`,
		`{"expires":"0000-00-00T00:00:00Z","name":"a","role":"viewer"}`, `{"expires":"9999-12-31T23:59:59.999999999Z","name":"a","role":"viewer"}`,
		`{"to":"9999-12-31T23:59:59Z","topic":"orders"}`, `{"name":` + strings.Repeat("9", 4000) + `}`,
	}
}

// mutations are well-formed bodies with each value in turn replaced by what does not belong there.
func mutations(body string) (all []string) {
	var object map[string]any
	if json.Unmarshal([]byte(body), &object) != nil {
		return nil
	}
	for name := range object {
		for _, other := range []any{nil, true, -1, 1e300, "", strings.Repeat("x", 5000), "\x00", []any{}, []any{nil}, map[string]any{}, "../../x", "💥\u202e"} {
			changed := map[string]any{}
			for n, v := range object {
				changed[n] = v
			}
			changed[name] = other
			text, err := json.Marshal(changed)
			if err == nil {
				all = append(all, string(text))
			}
		}
	}
	return all
}

func TestNoBodyBreaksAnything(t *testing.T) {
	first, _ := attacked(t)
	for _, r := range everyRoute(t, first) {
		s, tokens := attacked(t)
		s.options.Gateway.(*fakeGateway).prepare(t, s, r.name)
		for _, body := range append(badBodies(), mutations(wellFormed[r.name])...) {
			if r.name == "DELETE /api/v1/session" || strings.Contains(r.name, "password") {
				tokens[adminRole] = s.sessions.open("a-administrator", adminRole)
			}
			got := hurried(t, s, r.method, r.path, body, "Authorization", "Bearer "+tokens[adminRole], "If-Match", `"abc"`)
			if got.Code == http.StatusInternalServerError {
				t.Errorf("%s with %.80q is %d %s", r.name, body, got.Code, got.Body)
			}
		}
	}
}

func TestNoQueryBreaksAnything(t *testing.T) {
	s, tokens := attacked(t)
	values := []string{"", "0", "-1", "1e9", "99999999999999999999", "null", "%00", "%ff", "../..", strings.Repeat("x", 4000), "2026-13-45T99:99:99Z", "[]", "%F0%9F%92%A5"}
	names := []string{"before", "limit", "after", "next", "skip", "from", "to", "search", "order", "format", "device", "name", "bus", "topic", "key", "id", "user", "action", "q", "document", "group", "tag", "since", "until", "points", "step"}
	for _, r := range everyRoute(t, s) {
		if r.method != http.MethodGet {
			continue
		}
		for _, value := range values {
			for _, name := range names {
				got := hurried(t, s, r.method, r.path+"?"+name+"="+value, "", "Authorization", "Bearer "+tokens[adminRole])
				if got.Code == http.StatusInternalServerError {
					t.Errorf("%s?%s=%.40s is %d %s", r.name, name, value, got.Code, got.Body)
				}
			}
		}
	}
}

// FuzzEveryRoute sends whatever comes to a route that the first number chooses.
func FuzzEveryRoute(f *testing.F) {
	s, tokens := attacked(f)
	all := everyRoute(f, s)
	s.options.Gateway.(*fakeGateway).prepare(f, s, "")
	random := rand.New(rand.NewPCG(1, 2))
	for i, r := range all {
		f.Add(uint16(i), []byte(wellFormed[r.name]), "limit=1", "name")
		for _, body := range badBodies() {
			if random.IntN(8) == 0 {
				f.Add(uint16(i), []byte(body), "a=b", "1")
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, body []byte, query, name string) {
		r := all[int(which)%len(all)]
		if r.name == "DELETE /api/v1/session" || strings.Contains(r.name, "password") || strings.Contains(r.name, "/users") {
			tokens[adminRole] = s.sessions.open("a-administrator", adminRole)
		}
		path := parameter.ReplaceAllStringFunc(strings.SplitN(r.name, " ", 2)[1], func(string) string { return url.PathEscape(name) })
		request := httptest.NewRequest(r.method, "/", bytes.NewReader(body)).WithContext(t.Context())
		request.URL = &url.URL{Path: strings.ReplaceAll(path, "%", ""), RawQuery: query}
		request.Header.Set("Authorization", "Bearer "+tokens[adminRole])
		got := answered(s, request)
		if got.Code == http.StatusInternalServerError {
			t.Errorf("%s %s?%s with %q is %d %s", r.method, path, query, body, got.Code, got.Body)
		}
	})
}

func TestSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := attacked(t)
		idle, busy := bearer(s), bearer(s)
		for range 14 {
			if got := ask(s, "GET", "/api/v1/status", "", busy...); got.Code != http.StatusOK {
				t.Fatalf("a session in use is %d", got.Code)
			}
			time.Sleep(idleLimit - time.Minute)
		}
		wantProblem(t, ask(s, "GET", "/api/v1/status", "", idle...), http.StatusUnauthorized)
		time.Sleep(time.Hour)
		wantProblem(t, ask(s, "GET", "/api/v1/status", "", busy...), http.StatusUnauthorized)
	})
}

func TestTheCookieIsGuarded(t *testing.T) {
	s, _ := attacked(t)
	for _, secure := range []bool{false, true} {
		target := "http://gateway/api/v1/session"
		if secure {
			target = "https://gateway/api/v1/session" // which gives the request a TLS state
		}
		request := httptest.NewRequest("POST", target, strings.NewReader(credentials(testPassword)))
		got := httptest.NewRecorder()
		s.handler.ServeHTTP(got, request)
		cookie := cookieOf(t, got)
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure != secure || cookie.Domain != "" || cookie.Path != "/" {
			t.Errorf("over TLS %v the cookie is %+v", secure, cookie)
		}
		if len(cookie.Value) < 26 {
			t.Errorf("the session's name has %d characters", len(cookie.Value))
		}
	}
}

func TestNamesInRefusalsAreNoHTML(t *testing.T) {
	s, tokens := attacked(t)
	for _, r := range everyRoute(t, s) {
		path := parameter.ReplaceAllString(strings.SplitN(r.name, " ", 2)[1], url.PathEscape("<script>alert(1)</script>"))
		got := hurried(t, s, r.method, path, "{}", "Authorization", "Bearer "+tokens[adminRole])
		if kind := got.Header().Get("Content-Type"); strings.Contains(kind, "html") {
			t.Errorf("%s is answered as %s", fmt.Sprint(r), kind)
		}
	}
}

// prepare makes there what a route is to change.
func (g *fakeGateway) prepare(t testing.TB, s *Server, route string) {
	t.Helper()
	g.keeper.mu.Lock()
	g.keeper.cursors = map[string]error{"old": nil}
	g.keeper.write = func(_ context.Context, to io.Writer) error {
		_, err := to.Write([]byte("SluiceLog1\n"))
		return err
	}
	g.keeper.mu.Unlock()
	s.tokens.set([]Token{{Name: "panel", Role: viewerRole}})
	switch route {
	case "POST /api/v1/setup":
		accounts := s.options.Accounts.(*fakeAccounts)
		accounts.users = map[string]fakeUser{}
	case "DELETE /api/v1/searches/:id":
		if _, err := s.options.Searches.Start(SearchRequest{Kind: "line"}); err != nil {
			t.Fatal(err)
		}
	case "POST /api/v1/network/confirm", "DELETE /api/v1/network/pending":
		g.network.pending = &network.Pending{ID: "p"}
	case "DELETE /api/v1/certificate":
		g.certificates.uploaded = true
	}
}
