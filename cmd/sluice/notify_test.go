package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listening is the service manager's end: a socket, and what was heard at it.
func listening(t *testing.T, name string) (heard func() string) {
	t.Helper()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return func() string {
		// A real socket between goroutines, which no simulated time reaches: waited for with a deadline.
		if err := socket.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 512)
		n, err := socket.Read(buffer)
		if err != nil {
			return err.Error()
		}
		return string(buffer[:n])
	}
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestTheServiceManagerHearsHowTheGatewayIs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	heard := listening(t, socket)
	m := newManager(environment("NOTIFY_SOCKET", socket, "WATCHDOG_USEC", "1200000"), slog.New(slog.DiscardHandler))
	var runs, ill atomic.Bool
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.watch(ctx, func() error {
			if runs.Load() {
				return nil
			}
			return errors.New("not yet")
		}, func() error {
			if ill.Load() {
				return errors.New("the log failed")
			}
			return nil
		})
	}()
	if got := heard(); got != "WATCHDOG=1" {
		t.Errorf("while it starts the manager hears %q", got)
	}
	runs.Store(true)
	got := heard()
	for got == "WATCHDOG=1" {
		got = heard()
	}
	if !strings.HasPrefix(got, "READY=1\n") {
		t.Errorf("when it runs the manager hears %q", got)
	}
	if got := heard(); got != "WATCHDOG=1" {
		t.Errorf("then it hears %q", got)
	}
	ill.Store(true)
	for got = heard(); got == "WATCHDOG=1"; got = heard() {
	}
	if !strings.Contains(got, "timeout") {
		t.Errorf("of a gateway that is ill it hears %q, not silence", got)
	}
	ill.Store(false)
	if got := heard(); got != "WATCHDOG=1" {
		t.Errorf("when it is well again it hears %q", got)
	}
	stop()
	<-ended
	m.reloading()
	for got = heard(); got == "WATCHDOG=1"; got = heard() {
	}
	if !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("before a reload it hears %q", got)
	}
}

func TestTheManagersSocketMayBeAbstract(t *testing.T) {
	name := "@sluice-test-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	heard := listening(t, name)
	newManager(environment("NOTIFY_SOCKET", name), slog.New(slog.DiscardHandler)).say("STOPPING=1")
	if got := heard(); got != "STOPPING=1" {
		t.Errorf("it hears %q", got)
	}
}

func TestAWatchdogOfAnotherProcessIsNotOurs(t *testing.T) {
	for name, c := range map[string]struct {
		environment []string
		want        time.Duration
	}{
		"none":           {nil, 0},
		"for everybody":  {[]string{"WATCHDOG_USEC", "30000000"}, 30 * time.Second},
		"for init":       {[]string{"WATCHDOG_USEC", "30000000", "WATCHDOG_PID", "1"}, 0},
		"not a number":   {[]string{"WATCHDOG_USEC", "soon"}, 0},
		"less than none": {[]string{"WATCHDOG_USEC", "-5"}, 0},
	} {
		if got := newManager(environment(c.environment...), nil).watchdog; got != c.want {
			t.Errorf("%s: the watchdog's time is %v, want %v", name, got, c.want)
		}
	}
}
