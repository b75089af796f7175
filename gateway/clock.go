package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a gateway's image may have no table of zones

	"golang.org/x/sys/unix"

	"sluice/web"
)

// clock is the machine's clock and its zone.
type clock struct {
	system clockSystem

	mu    sync.Mutex // guards what follows
	byWeb bool       // it was set on the page since the start
	cloud bool       // it was set by a cloud, and nobody who is trusted more has done so
}

// clockSystem is what the clock needs of the machine: its own in operation, another in tests, which must
// not set the clock of the machine that they run on.
type clockSystem struct {
	synchronised func() bool
	set          func(time.Time) error
	maySet       func() bool
	zone         string // what TZ says, which goes before the file
	localtime    string // the link to the zone's file
	timezone     string // the zone's name in a file that some systems have beside
	zones        string // the folder with the zones' files
}

func machineClock() *clock {
	return &clock{system: clockSystem{
		synchronised: followsServer, set: setClock, maySet: mayClock, zone: os.Getenv("TZ"),
		localtime: "/etc/localtime", timezone: "/etc/timezone", zones: "/usr/share/zoneinfo",
	}}
}

// Time implements web.Clock.
func (c *clock) Time() web.Time {
	now := web.Time{Now: time.Now(), Zone: c.system.zoneName(), Synchronised: c.system.synchronised(), Source: "none", CanSet: c.system.maySet()}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case now.Synchronised:
		now.Source = "ntp"
	case c.byWeb:
		now.Source = "page"
	case c.cloud:
		now.Source = "cloud"
	}
	return now
}

// right says whether somebody vouches for the clock: a time server, or a person.
func (c *clock) right() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byWeb || c.system.synchronised()
}

// setByCloud sets the clock by what a cloud says, unless somebody who is trusted more vouches for it, or the
// gateway may not; then it is false.
func (c *clock) setByCloud(now time.Time) bool {
	if c.right() || !c.system.maySet() || c.system.set(now) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud = true
	return true
}

// SetTime implements web.Clock. What can be refused is refused before anything is changed: a machine with
// the new zone and the old time would be worse than one with neither.
func (c *clock) SetTime(now time.Time, zone string) error {
	if zone != "" && !known(zone) {
		return &web.FieldError{Field: "zone", Text: fmt.Sprintf("%.60q is no time zone; one is called such as Asia/Shanghai", zone)}
	}
	if !now.IsZero() && !c.system.maySet() {
		return clockByHand(now)
	}
	if zone != "" && zone != c.system.zoneName() {
		if err := c.system.setZone(zone); err != nil {
			return err
		}
	}
	if now.IsZero() {
		return nil
	}
	err := c.system.set(now)
	if errors.Is(err, fs.ErrPermission) {
		return clockByHand(now)
	}
	if err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byWeb = true
	return nil
}

func clockByHand(now time.Time) error {
	return &web.ByHandError{
		Why:     "the gateway may not set the clock of this machine",
		Command: "timedatectl set-time '" + now.UTC().Format("2006-01-02 15:04:05") + " UTC'",
	}
}

// known says whether a zone is in the database; Local is a word of Go's alone.
func known(zone string) bool {
	_, err := time.LoadLocation(zone)
	return err == nil && zone != "Local"
}

// zoneName is the zone's name; UTC where nothing says it.
func (s *clockSystem) zoneName() string {
	if s.zone != "" {
		return strings.TrimPrefix(s.zone, ":")
	}
	if to, err := os.Readlink(s.localtime); err == nil {
		if _, name, ok := strings.Cut(to, "zoneinfo/"); ok {
			return name
		}
	}
	name, _ := os.ReadFile(s.timezone)
	return cmp.Or(string(bytes.TrimSpace(name)), "UTC")
}

func (s *clockSystem) setZone(zone string) error {
	if s.zone != "" {
		return &web.ByHandError{Why: "the zone is what the environment variable TZ of the gateway says", Command: "TZ=" + zone + ", where the gateway is started"}
	}
	file := filepath.Join(s.zones, zone)
	if _, err := os.Stat(file); err != nil {
		return &web.ByHandError{Why: "this machine has no files of time zones in " + s.zones, Command: "apt-get install tzdata && timedatectl set-timezone " + zone}
	}
	byHand := func(err error) error {
		return &web.ByHandError{Why: fmt.Sprintf("the gateway cannot change the time zone of this machine (%v)", err), Command: "timedatectl set-timezone " + zone}
	}
	// A link of another name first, so that there is a zone at every moment.
	next := s.localtime + ".sluice"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return byHand(err)
	}
	if err := os.Symlink(file, next); err != nil {
		return byHand(err)
	}
	if err := os.Rename(next, s.localtime); err != nil {
		return byHand(errors.Join(err, os.Remove(next)))
	}
	if _, err := os.Stat(s.timezone); err == nil {
		if err := os.WriteFile(s.timezone, []byte(zone+"\n"), 0o644); err != nil {
			return byHand(err)
		}
	}
	return nil
}

// followsServer asks the kernel whether something disciplines its clock; whoever does so, be it chrony,
// ntpd or systemd-timesyncd, says it there.
func followsServer() bool {
	var state unix.Timex
	_, err := unix.Adjtimex(&state)
	return err == nil && state.Status&unix.STA_UNSYNC == 0
}

func setClock(now time.Time) error {
	at, err := unix.TimeToTimespec(now)
	if err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &at)
}

// mayClock says whether the process has the capability; asking by trying would set the clock.
func mayClock() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_TIME) != 0
}
