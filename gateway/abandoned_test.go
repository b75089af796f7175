package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/web"
)

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex // guards what follows
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(what ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		all := true
		for _, w := range what {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

// TestABacklogNobodyIsConfiguredForIsToldAndKept renames a route and takes an uplink away. What they
// keep stays until somebody drops it, over a restart too.
func TestABacklogNobodyIsConfiguredForIsToldAndKept(t *testing.T) {
	address, nobody := freePort(t), freePort(t)
	dir := t.TempDir()
	text := func(uplinks ...string) string {
		return fmt.Sprintf("store: {dir: ./data}\nweb: {listen: \"%s\"}\nuplinks: [%s]\n", address, strings.Join(uplinks, ", "))
	}
	uplink := func(name, from string) string {
		return fmt.Sprintf(`{name: %s, driver: mqtt, address: "tcp://%s", forward: [{from: "%s", to: "p/{topic}"}]}`, name, nobody, from)
	}
	var told lines
	open := func(text string) *Gateway {
		g, err := New(Options{Config: parse(t, dir, text), Version: "test", Log: slog.New(slog.NewTextHandler(&told, nil)), AdminPassword: "correct horse"})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := open(text(uplink("north", "readings/#"), uplink("south", "readings/#")))
	start(t, g.Run)
	c := signIn(t, address)
	published(t, g, 20)
	until(t, "both count", func() bool {
		s := g.Status()
		return len(s.Uplinks) == 2 && s.Uplinks[0].Backlog == 20 && s.Uplinks[1].Backlog == 20
	})
	if s := g.Status(); len(s.Abandoned) != 0 || s.Uplinks[0].BacklogBytes == 0 || s.Uplinks[0].Routes[0].Bytes != s.Uplinks[0].BacklogBytes {
		t.Errorf("nothing is left behind yet: %+v, and the first uplink is %+v", s.Abandoned, s.Uplinks[0])
	}

	next := parse(t, dir, text(uplink("north", "readings/g/#")))
	warnings, err := Abandons(next)
	if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], "uplink north has no route from readings/#") || !strings.Contains(warnings[1], "uplink south is not configured") {
		t.Errorf("a check before it is applied says %q, %v", warnings, err)
	}
	if warnings, err := Abandons(g.Config()); err != nil || len(warnings) != 0 {
		t.Errorf("a check of what runs says %q, %v", warnings, err)
	}
	if err := g.Apply(next, BySighup); err != nil {
		t.Fatal(err)
	}
	if n := told.count("level=WARN", "uplink=south", "from=readings/#", "messages=20"); n != 1 {
		t.Errorf("the log has %d lines about it, want 1", n)
	}
	left := g.Status().Abandoned
	if len(left) != 2 {
		t.Fatalf("left behind is %+v, want two routes", left)
	}
	for _, a := range left {
		if a.Messages != 20 || a.Bytes == 0 || a.Oldest == nil || a.From != "readings/#" || a.Gone != (a.Uplink == "south") || a.Cursor != cursorName(a.Uplink, a.From) {
			t.Errorf("left behind is %+v", a)
		}
	}

	if status, body := c.ask("DELETE", "/log/cursors/"+url.PathEscape(left[0].Cursor), ""); status != http.StatusNoContent {
		t.Errorf("dropping it answers %d: %s", status, body)
	}
	if got := g.Status().Abandoned; len(got) != 1 || got[0].Cursor != left[1].Cursor {
		t.Errorf("after one was dropped there are %+v", got)
	}
	if warnings, err := Abandons(next); err != nil || len(warnings) != 1 {
		t.Errorf("a check after that says %q, %v", warnings, err)
	}

	// Configured again, it goes on where it was.
	both := text(uplink("north", "readings/#"), uplink("south", "readings/#"))
	if err := g.Apply(parse(t, dir, both), BySighup); err != nil {
		t.Fatal(err)
	}
	if got := g.Status().Abandoned; len(got) != 1 || got[0].From != "readings/g/#" {
		t.Errorf("when they are back there are %+v, want only the route that is gone now", got)
	}
}

func TestACheckWithoutAGatewayBeforeSaysNothing(t *testing.T) {
	dir := t.TempDir()
	c := parse(t, dir, "store: {dir: ./data}")
	if warnings, err := Abandons(c); err != nil || len(warnings) != 0 {
		t.Errorf("got %q, %v", warnings, err)
	}
	if err := os.MkdirAll(c.Store.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Store.Dir, routesFile), []byte("[\"uplink/a\", 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Abandons(c); err == nil {
		t.Error("a damaged note is read as if it said nothing")
	}
}

// anotherTime is a span of the day that begins in three hours.
func anotherTime() string {
	at := time.Now().Add(3 * time.Hour)
	return at.Format("15:04") + "-" + at.Add(time.Hour).Format("15:04")
}

func TestStatusTellsOfLanesAndHours(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`
store: {dir: ./data}
web: {listen: ""}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    backfill: {hours: ["00:00-00:01", "00:01-00:00"]}
    forward: [{from: "readings/#", to: "p/{topic}", order: live-first}, {from: "alarms/#", to: "p/{topic}"}]
  - name: night
    driver: mqtt
    address: tcp://%s
    limit: {hours: [%q]}
    forward: [{from: "readings/#", to: "p/{topic}", order: live-first}]
`, freePort(t), freePort(t), anotherTime())))
	start(t, g.Run)
	published(t, g, 7)
	var s web.Status
	until(t, "both count", func() bool {
		s = g.Status()
		return s.Uplinks[0].Backlog == 7 && s.Uplinks[1].Backlog == 7
	})
	routes := s.Uplinks[0].Routes
	if len(routes) != 2 || routes[0].Order != "live-first" || len(routes[0].Lanes) != 2 || routes[0].Lanes[0].Name != "live" || routes[0].Lanes[1].Name != "backfill" ||
		routes[0].Lanes[0].Backlog+routes[0].Lanes[1].Backlog != 7 || len(routes[1].Lanes) != 1 || routes[1].Lanes[0].Name != "all" || routes[1].Lanes[0].Backlog != 0 {
		t.Errorf("the routes are %+v", routes)
	}
	if routes[0].Lanes[1].PausedUntil != nil {
		t.Errorf("hours that cover the day hold something back until %v", routes[0].Lanes[1].PausedUntil)
	}
	for _, lane := range s.Uplinks[1].Routes[0].Lanes {
		if lane.PausedUntil == nil || !lane.PausedUntil.After(g.started) {
			t.Errorf("lane %s is not held back by hours that are not now: %+v", lane.Name, lane)
		}
	}
	until(t, "the tries show", func() bool { u := g.Status().Uplinks[0]; return u.Failed > 1 && u.Tries > 1 && u.NextTry != nil })
}
