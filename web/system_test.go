package web

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeSystem is a machine of which little is known.
type fakeSystem struct {
	mu       sync.Mutex // guards what follows
	err      error
	restarts int
	resets   int
}

const fakeSecret = "hunter2-secret"

func (f *fakeSystem) State() SystemState {
	return SystemState{Storage: SystemStorage{Dir: "/var/lib/" + fakeSecret}}
}

func (f *fakeSystem) Configuration() string { return "web: {}" }

func (f *fakeSystem) Clean(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte(fakeSecret), []byte("***"))
}

func (f *fakeSystem) Restart() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.restarts++
	}
	return f.err
}

func (f *fakeSystem) Reset() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.resets++
	}
	return f.err
}

// fakeLogs has the records 1 to 5.
type fakeLogs struct {
	mu    sync.Mutex // guards what follows
	level LogLevel
	grown chan struct{}
}

func (f *fakeLogs) records() (all []LogRecord) {
	for i := range 5 {
		all = append(all, LogRecord{Number: uint64(i + 1), Level: logLevels[i%4], Part: "web", Text: "record with " + fakeSecret, Attrs: []LogAttr{}})
	}
	return all
}

func (f *fakeLogs) Before(wanted LogFilter, before uint64, limit int) (found []LogRecord) {
	all := f.records()
	for i := len(all) - 1; i >= 0 && len(found) < limit; i-- {
		if (before == 0 || all[i].Number < before) && (wanted.Part == "" || wanted.Part == all[i].Part) {
			found = append(found, all[i])
		}
	}
	return found
}

func (f *fakeLogs) After(_ LogFilter, after uint64, _ int) ([]LogRecord, uint64, uint64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.grown == nil {
		f.grown = make(chan struct{})
	}
	if after >= 5 {
		return nil, after, 0, f.grown
	}
	return f.records()[max(after, 2):], 5, 2, f.grown
}

func (f *fakeLogs) Parts() []string { return []string{"web"} }

func (f *fakeLogs) Level() LogLevel {
	f.mu.Lock()
	defer f.mu.Unlock()
	shown := f.level
	shown.Level = "info"
	return shown
}

func (f *fakeLogs) SetLevel(level, part string, during time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.level.Override = nil
	if during > 0 {
		f.level.Override = &LogOverride{Level: level, Part: part, Until: time.Now().Add(during)}
	}
}

// fakeRestorer keeps what it was sent.
type fakeRestorer struct {
	mu  sync.Mutex // guards what follows
	got []byte
	err error
}

func (f *fakeRestorer) Restore(_ context.Context, from io.Reader, size int64, by string, keep bool) (Restore, error) {
	body, err := io.ReadAll(from)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = body
	return Restore{State: "ready", By: by, Bytes: int64(len(body)), Total: &size, KeepOld: keep}, errors.Join(err, f.err)
}

func (f *fakeRestorer) RestoreProgress() Restore { return Restore{State: "none"} }

// asRole opens a session of a role.
func asRole(s *Server, role string) []string {
	return []string{"Authorization", "Bearer " + s.sessions.open(role, role)}
}

func TestWhatIsUnknownIsNull(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	got := ask(s, "GET", "/api/v1/system", "", asRole(s, viewerRole)...)
	for _, want := range []string{`"model":null`, `"flash":null`, `"per_day":null`, `"cpu_share":null`, `"load":null`} {
		if !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s is not in %s", want, got.Body)
		}
	}
}

func TestWhoMayDoWhatWithTheSystem(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for _, c := range []struct {
		method, path, body string
		least              string
	}{
		{"GET", "/api/v1/system", "", viewerRole},
		{"GET", "/api/v1/logs", "", "operator"},
		{"GET", "/api/v1/logs/level", "", "operator"},
		{"PUT", "/api/v1/logs/level", `{"level":"debug","minutes":5}`, "operator"},
		{"DELETE", "/api/v1/logs/level", "", "operator"},
		{"GET", "/api/v1/restore", "", adminRole},
		{"POST", "/api/v1/restore", "x", adminRole},
		{"POST", "/api/v1/restart", "", adminRole},
		{"GET", "/api/v1/diagnostics", "", adminRole},
	} {
		if got := ask(s, c.method, c.path, c.body); got.Code != http.StatusUnauthorized {
			t.Errorf("%s %s without a session is %d", c.method, c.path, got.Code)
		}
		allowed := false
		for _, role := range []string{viewerRole, "operator", adminRole} {
			allowed = allowed || role == c.least
			got := ask(s, c.method, c.path, c.body, asRole(s, role)...)
			if (got.Code < 300) != allowed || !allowed && got.Code != http.StatusForbidden {
				t.Errorf("%s %s as %s is %d", c.method, c.path, role, got.Code)
			}
		}
	}
}

func TestPagesOfTheLog(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	first := decode[logPage](t, ask(s, "GET", "/api/v1/logs?limit=3", "", bearer(s)...))
	if len(first.Items) != 3 || first.Before != 3 || first.Parts[0] != "web" {
		t.Errorf("the first page is %+v", first)
	}
	rest := decode[logPage](t, ask(s, "GET", "/api/v1/logs?limit=3&before=3", "", bearer(s)...))
	if len(rest.Items) != 2 || rest.Before != 0 {
		t.Errorf("the rest is %+v", rest)
	}
	none := ask(s, "GET", "/api/v1/logs?part=x", "", bearer(s)...)
	if !strings.Contains(none.Body.String(), `"items":[]`) {
		t.Errorf("nothing is %s", none.Body)
	}
	for query, field := range map[string]string{"level=loud": "level", "before=-1": "before", "limit=1000": "limit"} {
		if p := wantProblem(t, ask(s, "GET", "/api/v1/logs?"+query, "", bearer(s)...), http.StatusUnprocessableEntity); p.Field != field {
			t.Errorf("%s blames %q", query, p.Field)
		}
	}
}

func TestTheLevelIsSetForAWhile(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	got := decode[LogLevel](t, ask(s, "PUT", "/api/v1/logs/level", `{"level":"debug","part":"buses","minutes":10}`, bearer(s)...))
	if got.Override == nil || got.Override.Level != "debug" || got.Override.Part != "buses" || time.Until(got.Override.Until) < 9*time.Minute {
		t.Errorf("got %+v", got.Override)
	}
	if got := decode[LogLevel](t, ask(s, "DELETE", "/api/v1/logs/level", "", bearer(s)...)); got.Override != nil {
		t.Errorf("it still counts: %+v", got)
	}
	for body, status := range map[string]int{
		`{"level":"debug"}`: 422, `{"level":"loud","minutes":5}`: 422, `{"level":"debug","minutes":1441}`: 422, `null`: 422,
		`{"level":"debug","minutes":1e99}`: 400, `{"level":5}`: 400, `[]`: 400, ``: 400,
	} {
		if got := ask(s, "PUT", "/api/v1/logs/level", body, bearer(s)...); got.Code != status {
			t.Errorf("%s is %d: %s", body, got.Code, got.Body)
		}
	}
}

func TestRecordsComeAsEvents(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	base := run(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", base+"/api/v1/logs/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	request.Header.Set("Authorization", "Bearer "+tokenOf(s))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	for b := make([]byte, 1000); !strings.Contains(text.String(), "id: 5\n"); {
		n, err := response.Body.Read(b)
		text.Write(b[:n])
		if err != nil {
			t.Fatalf("the stream ended with %v after %s", err, text.String())
		}
	}
	if got := text.String(); !strings.HasPrefix(got, "event: lost\ndata: {\"records\":2}\n\nid: 3\nevent: record\ndata: {\"number\":3,") {
		t.Errorf("got %s", got)
	}
}

func TestARestartIsAskedFor(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	if got := ask(s, "POST", "/api/v1/restart", "", bearer(s)...); got.Code != http.StatusAccepted || gateway.system.restarts != 1 {
		t.Errorf("%d: %s", got.Code, got.Body)
	}
	gateway.system.err = ErrNoRestart
	wantProblem(t, ask(s, "POST", "/api/v1/restart", "", bearer(s)...), http.StatusConflict)
}

func TestABackupOfAnyLengthIsTaken(t *testing.T) {
	gateway := newFakeGateway()
	s := newServer(t, gateway, signedUp(t))
	body := strings.Repeat("x", 20*maxBody)
	got := ask(s, "POST", "/api/v1/restore?keep=true", body, bearer(s)...)
	if got.Code != http.StatusAccepted || len(gateway.restorer.got) != len(body) || !strings.Contains(got.Body.String(), `"keep_old":true`) {
		t.Errorf("%d: %s; %d bytes arrived", got.Code, got.Body, len(gateway.restorer.got))
	}
	for _, c := range []struct {
		err    error
		status int
	}{
		{ErrRestoring, 409}, {ErrNoSpace, 507}, {&BackupError{"cut off"}, 422}, {errors.New("disk"), 500},
	} {
		gateway.restorer.err = c.err
		wantProblem(t, ask(s, "POST", "/api/v1/restore", "x", bearer(s)...), c.status)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/restore?keep=perhaps", "x", bearer(s)...), 422)
}

func TestABundleHasEverythingButSecrets(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	got := ask(s, "GET", "/api/v1/diagnostics", "", bearer(s)...)
	bundle, err := zip.NewReader(bytes.NewReader(got.Body.Bytes()), int64(got.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	sums := ""
	files := map[string][]byte{}
	for _, f := range bundle.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(fakeSecret)) {
			t.Errorf("%s shows the secret", f.Name)
		}
		files[f.Name] = content
		if f.Name != "SHA256SUMS" {
			sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(content), f.Name)
		}
	}
	for _, name := range []string{"configuration.yaml", "status.json", "system.json", "metrics.txt", "versions.txt", "log.jsonl", "audit.json", "revisions.json", "buses.json", "frames.json", "goroutines.txt", "heap.pprof"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	if string(files["SHA256SUMS"]) != sums {
		t.Errorf("the sums are\n%s\nwant\n%s", files["SHA256SUMS"], sums)
	}
	if got := clipped(bytes.Repeat([]byte("x"), 100), 10); len(got) > 50 {
		t.Errorf("%d bytes are left", len(got))
	}
}

// FuzzLevelWanted sends any body: it is refused or taken, and never a mistake of the gateway.
func FuzzLevelWanted(f *testing.F) {
	for _, body := range []string{`{"level":"debug","minutes":5}`, `null`, `{"minutes":1e400}`, `[`, `{"level":{}}`} {
		f.Add(body)
	}
	s := newServer(f, newFakeGateway(), signedUp(f))
	headers := bearer(s)
	f.Fuzz(func(t *testing.T, body string) {
		if got := ask(s, "PUT", "/api/v1/logs/level", body, headers...); got.Code >= 500 {
			t.Errorf("%q gave %d", body, got.Code)
		}
	})
}
