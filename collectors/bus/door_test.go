package bus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// run lets DTUs in until the test ends.
func run(t *testing.T, set *Set) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := set.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

const anywhere = "127.0.0.1:0"

// callIn lets a DTU connect to the address and say what it says first.
func callIn(t *testing.T, set *Set, registration string) net.Conn {
	t.Helper()
	address, err := set.Addr(anywhere)
	must(t, err)
	conn, err := net.Dial("tcp", address.String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, registration); err != nil {
		t.Fatal(err)
	}
	return conn
}

// connected waits until a DTU is on the line.
func connected(t *testing.T, p *Port) {
	t.Helper()
	for range 1000 {
		p.mu.Lock()
		called := p.call != nil
		p.mu.Unlock()
		if called {
			return
		}
		time.Sleep(5 * time.Millisecond) // between two looks: a real socket tells nobody
	}
	t.Fatal("no DTU came to the line")
}

// gone waits until the gateway has closed the connection.
func gone(t *testing.T, conn net.Conn) {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the connection was not closed: %v", err)
	}
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

func TestDTUsAreToldApartByTheirRegistration(t *testing.T) {
	set := newSet(t, map[string]Settings{
		"one": {Listen: anywhere, Registration: []byte("DTU-1"), Heartbeat: []byte("BEAT")},
		"two": {Listen: anywhere, Registration: []byte("DTU-2")},
	})
	run(t, set)
	one, two := client(t, set, "bus://one", "meter"), client(t, set, "bus://two", "meter")
	if _, err := one.Exchange(t.Context(), ask("x?")); !errors.Is(err, ErrNotCalled) || !strings.Contains(err.Error(), `registers as "DTU-1" has not come`) {
		t.Errorf("before it came: got %v", err)
	}
	second := callIn(t, set, "DTU-2")
	first := callIn(t, set, "DTU")
	time.Sleep(20 * time.Millisecond)                          // in a packet of its own
	if _, err := io.WriteString(first, "-1BEAT"); err != nil { // in pieces, and a heartbeat at once
		t.Fatal(err)
	}
	connected(t, one.Port())
	connected(t, two.Port())
	serve(t, first, func(request string) []byte {
		for _, piece := range []string{"BEAT", request, "BEAT", "DTU-1", "!"} {
			if _, err := io.WriteString(first, piece); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond) // each in a packet of its own
		}
		return nil
	})
	serve(t, second, func(request string) []byte { return []byte(request + "-2!") })
	for range 3 {
		want(t, one, "abc?", "abc!")
		want(t, two, "abc?", "abc-2!")
	}
}

func TestADTUThatComesAnewReplacesItsOldConnection(t *testing.T) {
	set := newSet(t, map[string]Settings{"one": {Listen: anywhere}})
	run(t, set)
	c := client(t, set, "bus://one", "meter")
	old := callIn(t, set, "")
	connected(t, c.Port())
	serve(t, old, exclaim)
	want(t, c, "a?", "a!")
	fresh := callIn(t, set, "")
	connected(t, c.Port())
	serve(t, fresh, func(request string) []byte { return []byte(request + " anew!") })
	gone(t, old)
	want(t, c, "b?", "b anew!")
	fresh.Close()
	time.Sleep(20 * time.Millisecond) // until its end has crossed a real socket
	if _, err := c.Exchange(t.Context(), ask("c?")); !errors.Is(err, ErrNotCalled) || !strings.Contains(err.Error(), "has hung up and not come back") {
		t.Errorf("while it is away: got %v", err)
	}
	// New settings leave the connection alone.
	again := callIn(t, set, "")
	connected(t, c.Port())
	serve(t, again, exclaim)
	want(t, c, "d?", "d!")
	must(t, set.Update(map[string]Settings{"one": {Listen: anywhere, Gap: time.Second}}))
	want(t, c, "e?", "e!")
	must(t, set.Update(nil))
	gone(t, again)
}

func TestStrangersAreClosedAndToldOfOnce(t *testing.T) {
	var told bytes.Buffer
	set := newSet(t, map[string]Settings{"one": {Listen: anywhere, Registration: []byte("DTU-1")}})
	set.Log = slog.New(slog.NewTextHandler(&told, nil))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := set.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 3 {
		gone(t, callIn(t, set, "DTU-9"))
	}
	gone(t, callIn(t, set, "GET / HTTP/1.1\r\n\r\n"))
	// Those who say nothing are bounded, and the oldest goes first.
	var silent []net.Conn
	for range maxStrangers + 1 {
		silent = append(silent, callIn(t, set, ""))
	}
	gone(t, silent[0])
	cancel()
	running.Wait()
	for _, conn := range silent {
		gone(t, conn)
	}
	if got := strings.Count(told.String(), "DTU-9"); got != 1 {
		t.Errorf("the log was told %d times of the same stranger, want once:\n%s", got, told.String())
	}
	if got := strings.Count(told.String(), "\n"); got != 3 {
		t.Errorf("%d lines in the log, want three:\n%s", got, told.String())
	}
}

func TestAnAddressInUseIsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", anywhere)
	must(t, err)
	defer taken.Close()
	set := newSet(t, map[string]Settings{"one": {Serial: "/dev/none"}})
	err = set.Update(map[string]Settings{"two": {Listen: taken.Addr().String()}, "three": {Listen: anywhere}})
	if err == nil || !strings.HasPrefix(err.Error(), "bus two: listen on ") {
		t.Errorf("got %v", err)
	}
	if _, err := set.Port("one"); err != nil || len(set.doors) != 0 {
		t.Errorf("a refused update left %d doors, %v", len(set.doors), err)
	}
}

func TestRunServesDoorsThatComeLater(t *testing.T) {
	set := newSet(t, nil)
	run(t, set)
	must(t, set.Update(map[string]Settings{"one": {Listen: anywhere}}))
	c := client(t, set, "bus://one", "meter")
	conn := callIn(t, set, "")
	connected(t, c.Port())
	serve(t, conn, exclaim)
	want(t, c, "a?", "a!")
}
