package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/web"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// visitor does with the page's API what a newcomer does with the page.
type visitor struct {
	t     *testing.T
	base  string
	token string
}

func (v *visitor) call(method, path, body string, into any) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+v.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		v.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (v *visitor) until(what string, holds func(web.Status) bool) web.Status {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var s web.Status
		v.call("GET", "/api/v1/status", "", &s)
		if holds(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			v.t.Fatalf("never came true: %s; the status is %+v", what, s)
		}
	}
}

func TestDemoShowsAnOutageWithoutAGap(t *testing.T) {
	o := Options{
		Web: freePort(t), MQTT: freePort(t), Cloud: freePort(t), Password: "correct horse",
		Out: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	}()
	waitForPort(t, o.Web)

	v := &visitor{t: t, base: "http://" + o.Web}
	var session struct{ Token string }
	v.call("POST", "/api/v1/session", `{"user":"admin","password":"correct horse"}`, &session)
	v.token = session.Token

	v.until("both devices are read and reach the cloud", func(s web.Status) bool {
		return len(s.Devices) == 2 && s.Devices[0].Seq > 2 && s.Devices[1].Seq > 0 && s.Demo.Received > 3
	})
	v.call("PUT", "/api/v1/demo/line", `{"up":false}`, nil)
	v.until("a backlog grows", func(s web.Status) bool { return s.Uplinks[0].Backlog > 10 && s.Uplinks[0].State != "online" })
	v.call("PUT", "/api/v1/demo/line", `{"up":true}`, nil)
	s := v.until("the backlog is gone", func(s web.Status) bool { return s.Uplinks[0].Backlog < 5 && s.Uplinks[0].State == "online" })
	if s.Demo.Gaps != 0 || s.Demo.Reordered != 0 {
		t.Errorf("the cloud saw %+v, want no gap and nothing reordered", *s.Demo)
	}
}

func waitForPort(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("nobody ever listened on %s", address)
		}
	}
}
