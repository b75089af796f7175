package gateway

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/store"
	"sluice/web"
)

func TestTheChecklistSeesWhatIsDone(t *testing.T) {
	dir := t.TempDir()
	open := func(text string) *Gateway {
		g, err := New(Options{Config: parse(t, dir, text), Log: slog.New(slog.DiscardHandler), AdminPassword: "of the environment"})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := open("store: {dir: ./data}\nweb: {listen: \"\"}\n")
	g.clock, _ = testClock(t)
	list, err := firstRun{g}.Checklist()
	if err != nil || list.Password || list.Time || list.Device || list.Uplink || list.Start || list.Skipped == nil {
		t.Errorf("a fresh gateway has %+v, %v", list, err)
	}
	done, skipped, dismissed := []string{"time", "time"}, []string{"uplink"}, true
	list, err = firstRun{g}.Keep(web.ChecklistChange{Done: &done, Skipped: &skipped, Dismissed: &dismissed, Draft: []byte(`{"a":1}`)})
	if err != nil || !list.Time || len(list.Skipped) != 1 || !list.Dismissed || string(list.Draft) != `{"a":1}` {
		t.Errorf("kept is %+v, %v", list, err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}

	g = open("store: {dir: ./data}\nweb: {listen: \"\"}\ndevices: [{name: machine, profile: simulated-machine}]\n")
	defer g.Close()
	list, err = firstRun{g}.Checklist()
	if err != nil || list.Password || !list.Time || !list.Device || list.Uplink || !list.Dismissed || string(list.Draft) != `{"a":1}` {
		t.Errorf("after a restart with a device it is %+v, %v", list, err)
	}
	user, _, err := g.admin.User(Administrator)
	if err != nil {
		t.Fatal(err)
	}
	if user.PasswordHash, err = web.HashPassword("a password of my own"); err != nil {
		t.Fatal(err)
	}
	if err := g.admin.PutUser(store.User{Name: user.Name, Role: user.Role, PasswordHash: user.PasswordHash}); err != nil {
		t.Fatal(err)
	}
	if list, err = (firstRun{g}).Checklist(); err != nil || !list.Password {
		t.Errorf("with a password of their own it is %+v, %v", list, err)
	}
}

// testClock is a clock whose machine is a folder; what it is set to goes into at.
func testClock(t *testing.T) (c *clock, at *time.Time) {
	t.Helper()
	dir := t.TempDir()
	at = new(time.Time)
	for _, zone := range []string{"Asia/Shanghai", "Europe/Berlin"} {
		file := filepath.Join(dir, "zoneinfo", zone)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("TZif"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &clock{system: clockSystem{
		synchronised: func() bool { return false },
		maySet:       func() bool { return true },
		set:          func(now time.Time) error { *at = now; return nil },
		localtime:    filepath.Join(dir, "localtime"), timezone: filepath.Join(dir, "timezone"), zones: filepath.Join(dir, "zoneinfo"),
	}}, at
}

func TestClockAndZoneAreSet(t *testing.T) {
	c, at := testClock(t)
	if got := c.Time(); got.Zone != "UTC" || got.Source != "none" || !got.CanSet {
		t.Errorf("nothing is known, and the clock is %+v", got)
	}
	if err := os.WriteFile(c.system.timezone, []byte("Europe/Berlin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := c.Time(); got.Zone != "Europe/Berlin" {
		t.Errorf("the zone's file says Europe/Berlin, the clock %+v", got)
	}
	want := time.Unix(1795464000, 0)
	for range 2 { // again over what is there
		for _, zone := range []string{"Europe/Berlin", "Asia/Shanghai"} {
			if err := c.SetTime(want, zone); err != nil {
				t.Fatal(err)
			}
			if got := c.Time(); got.Zone != zone || got.Source != "page" || !at.Equal(want) {
				t.Errorf("after it was set to %v in %s it is %+v", *at, zone, got)
			}
		}
	}
	name, err := os.ReadFile(c.system.timezone)
	if err != nil || string(name) != "Asia/Shanghai\n" {
		t.Errorf("the zone's file says %q, %v", name, err)
	}
	c.system.synchronised = func() bool { return true }
	if got := c.Time(); got.Source != "ntp" || !got.Synchronised {
		t.Errorf("a synchronised clock is %+v", got)
	}
}

func TestWhatAProcessMayNotSetIsSaidInWords(t *testing.T) {
	for name, change := range map[string]func(s *clockSystem){
		"timedatectl set-time '2026-11-23 20:00:00 UTC'": func(s *clockSystem) { s.set = func(time.Time) error { return unix.EPERM } },
		"TZ=Asia/Shanghai":                       func(s *clockSystem) { s.zone = "Europe/Berlin" },
		"apt-get install tzdata":                 func(s *clockSystem) { s.zones += "/none" },
		"timedatectl set-timezone Asia/Shanghai": func(s *clockSystem) { s.localtime = "/proc/sluice" },
	} {
		c, _ := testClock(t)
		change(&c.system)
		err := c.SetTime(time.Unix(1795464000, 0), "Asia/Shanghai")
		byHand, ok := errors.AsType[*web.ByHandError](err)
		if !ok || !strings.Contains(byHand.Command, name) {
			t.Errorf("the error is %v, want the command %s", err, name)
		}
	}
	c, at := testClock(t)
	for _, zone := range []string{"Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Local"} {
		err := c.SetTime(time.Unix(1795464000, 0), zone)
		if wrong, ok := errors.AsType[*web.FieldError](err); !ok || wrong.Field != "zone" {
			t.Errorf("the zone %q gives %v", zone, err)
		}
	}
	if !at.IsZero() {
		t.Error("a clock was set although its zone was refused")
	}
}

func TestAZoneIsNotChangedWhereTheClockMayNotBe(t *testing.T) {
	c, at := testClock(t)
	c.system.maySet = func() bool { return false }
	if _, ok := errors.AsType[*web.ByHandError](c.SetTime(time.Unix(1795464000, 0), "Asia/Shanghai")); !ok {
		t.Error("a clock that may not be set was set")
	}
	if got := c.Time(); got.Zone != "UTC" || !at.IsZero() {
		t.Errorf("a refused change has left the clock at %v, %+v", *at, got)
	}
}

func TestTheMachinesOwnClockIsRead(t *testing.T) {
	now := machineClock().Time()
	if since := time.Since(now.Now); since < 0 || since > time.Minute || now.Zone == "" {
		t.Errorf("the machine's clock is %+v", now)
	}
}
