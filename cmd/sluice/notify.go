package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// manager tells systemd, or whoever gave the process a NOTIFY_SOCKET, how the gateway is. Without one all of
// its methods do nothing. Its methods may be called from any goroutine.
type manager struct {
	socket   string        // empty: nobody listens
	watchdog time.Duration // after how long a silence the process is killed; 0: never
	log      *slog.Logger
}

// newManager reads what sd_notify(3) and sd_watchdog_enabled(3) say about the environment. It is left as it
// is: the program that takes this one's place at a restart is watched on.
func newManager(environment func(string) string, log *slog.Logger) *manager {
	m := &manager{socket: environment("NOTIFY_SOCKET"), log: log}
	watched := environment("WATCHDOG_PID")
	if usec, err := strconv.ParseInt(environment("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 &&
		(watched == "" || watched == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(usec) * time.Microsecond
	}
	return m
}

// say sends one state. Who does not hear it acts as if it was not said, so an error is only worth a line.
func (m *manager) say(state string) {
	if m.socket == "" {
		return
	}
	// A leading @ is the abstract name space, for Go as for systemd.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		m.log.Warn("the service manager does not listen", "err", err)
	}
}

// reloading is followed by ready when the new configuration runs, or the old one goes on.
func (m *manager) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return // then nobody is told: systemd wants the moment with it
	}
	m.say(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", time.Duration(now.Nano()).Microseconds()))
}

func (m *manager) ready() { m.say("READY=1\nSTATUS=The gateway runs.") }

// slowestStart is how long a gateway may take to open its log. One that was damaged is salvaged first, which
// a watchdog must not cut short, as it would begin again each time.
const slowestStart = 15 * time.Minute

// look is how often the gateway is asked while it starts: as soon as it runs it shall be known.
const look = 250 * time.Millisecond

// watch says READY as soon as begun gives no error, and from then on WATCHDOG for as long as alive gives none, three
// times in the watchdog's time. Before that the watchdog is kept quiet for slowestStart. A gateway that is
// not alive is said to be so once, and left to the watchdog. It returns when ctx ends.
func (m *manager) watch(ctx context.Context, begun, alive func() error) {
	if m.socket == "" {
		return
	}
	started, spoken, isReady, isIll := time.Now(), time.Time{}, false, false
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if !isReady && begun() == nil {
			isReady = true
			m.ready()
			if m.watchdog == 0 {
				return
			}
			tick.Reset(m.watchdog / 3)
		}
		if m.watchdog > 0 {
			var ill error
			if isReady {
				ill = alive()
			} else if time.Since(started) > slowestStart {
				ill = errors.New("it has not started for too long")
			}
			switch {
			case ill != nil && !isIll:
				m.log.Error("the gateway is not well: the service manager's watchdog will start it anew", "err", ill)
			case ill == nil && time.Since(spoken) >= m.watchdog/3-look:
				spoken = time.Now()
				m.say("WATCHDOG=1")
			}
			isIll = ill != nil
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
