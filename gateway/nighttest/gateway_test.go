//go:build linux

package nighttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const password = "correct horse battery staple"

// built is the folder of the binary under test, made by the first test that needs one.
var built struct {
	once sync.Once
	dir  string
	out  []byte
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// sluice gives the path of the binary under test.
func sluice(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SLUICE_BINARY"); path != "" {
		return path
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "sluice-night-"); built.err != nil {
			return
		}
		built.out, built.err = exec.Command("go", "build", "-o", built.dir, "sluice/cmd/sluice").CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("build sluice/cmd/sluice: %v\n%s", built.err, built.out)
	}
	return filepath.Join(built.dir, "sluice")
}

// gateway is the gateway under test: its binary, its files, and the process if it runs.
type gateway struct {
	site    site
	dir     string
	config  string
	web     string // host:port of its HTTP interface
	http    *http.Client
	token   string
	process *process
	binary  string

	down time.Duration // how long it was not ready, from each kill to the next readiness
	died time.Time
}

// newGateway writes the configuration and starts nothing. The text's {dir} becomes the gateway's
// own folder.
func newGateway(t *testing.T, s site, web, config string) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{site: s, dir: dir, config: filepath.Join(dir, "sluice.yaml"), web: web, binary: sluice(t)}
	g.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}}
	if err := os.WriteFile(g.config, []byte(strings.ReplaceAll(config, "{dir}", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// start runs the gateway and returns when it is ready.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.process = g.launch(t)
	until(t, time.Minute, "the gateway's readiness", func() bool {
		g.process.alive(t)
		code, _, err := g.request(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && code == http.StatusOK
	})
	if !g.died.IsZero() {
		g.down += time.Since(g.died)
		g.died = time.Time{}
	}
}

// launch runs the gateway and does not wait for it.
func (g *gateway) launch(t *testing.T) *process {
	t.Helper()
	return g.site.start(t, "gateway", []string{"SLUICE_ADMIN_PASSWORD=" + password}, g.binary, "run", "--config", g.config)
}

// kill ends the gateway as a power cut would, so far as a process can be hit by one.
func (g *gateway) kill(t *testing.T) {
	t.Helper()
	g.process.alive(t)
	g.process.kill()
	g.died, g.token = time.Now(), ""
}

// stop ends the gateway in order, within the 5 seconds that it has for that.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	code, took, err := g.process.terminate(5 * time.Second)
	if code != 0 || err != nil {
		t.Fatalf("SIGTERM: exit code %d after %v: %v", code, took, err)
	}
	g.token = ""
}

// status is what of GET /api/v1/status the tests look at.
type status struct {
	Devices []device
	Uplinks []struct {
		Name, State string
		LastError   string `json:"last_error"`
		Backlog     uint64
	}
}

type device struct {
	Name, State string
	Seq         uint64
}

func (s status) backlog() (all uint64) {
	for _, uplink := range s.Uplinks {
		all += uplink.Backlog
	}
	return all
}

// seqs gives the last seq of each device.
func (s status) seqs() map[string]uint64 {
	last := map[string]uint64{}
	for _, device := range s.Devices {
		last[device.Name] = device.Seq
	}
	return last
}

func (g *gateway) status(t *testing.T) status {
	t.Helper()
	s, err := g.askStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (g *gateway) askStatus(ctx context.Context) (s status, err error) {
	code, body, err := g.authorised(ctx, "/api/v1/status")
	if err == nil && code != http.StatusOK {
		err = errors.New("this is no answer")
	}
	if err != nil {
		return s, fmt.Errorf("GET /api/v1/status: code %d, %w: %.500s", code, err, body)
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("GET /api/v1/status: %w: %.500s", err, body)
	}
	if len(s.Uplinks) == 0 {
		return s, fmt.Errorf("GET /api/v1/status names no uplink: %.500s", body)
	}
	return s, nil
}

// drained waits until nothing waits for the cloud any more. It asks more than once, so that what
// is judged afterwards is the delivery alone and not the status.
func (g *gateway) drained(t *testing.T, cloud *record) status {
	t.Helper()
	var s status
	var since time.Time
	count := -1
	until(t, 5*time.Minute, "an empty backlog", func() bool {
		g.process.alive(t)
		if s = g.status(t); s.backlog() > 0 || cloud.count() != count {
			since, count = time.Now(), cloud.count()
		}
		return time.Since(since) > 3*time.Second
	})
	return s
}

func (g *gateway) authorised(ctx context.Context, path string) (int, []byte, error) {
	if g.token == "" {
		login, err := json.Marshal(map[string]string{"user": "admin", "password": password})
		if err != nil {
			return 0, nil, err
		}
		code, body, err := g.request(ctx, http.MethodPost, "/api/v1/session", login)
		if err != nil || code/100 != 2 {
			return code, body, errors.Join(err, errors.New("opening a session failed"))
		}
		var session struct{ Token string }
		if err := json.Unmarshal(body, &session); err != nil || session.Token == "" {
			return code, body, errors.Join(err, errors.New("the session has no token"))
		}
		g.token = session.Token
	}
	return g.request(ctx, http.MethodGet, path, nil)
}

func (g *gateway) request(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+g.web+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if g.token != "" {
		request.Header.Set("Authorization", "Bearer "+g.token)
	}
	response, err := g.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (s site) reachable(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func split(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return host, port
}
