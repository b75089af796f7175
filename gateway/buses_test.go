package gateway

import (
	"fmt"
	"net"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/gateway/config"
)

// A DTU dials in to a gateway that runs, before and after the configuration changed.
func TestDTUsAreLetIn(t *testing.T) {
	dir, address := t.TempDir(), freePort(t)
	text := func(more string) string {
		return fmt.Sprintf("web: {listen: ''}\nbuses: [{name: pump, listen: %q, registration: PUMP-1%s}]\n", address, more)
	}
	g := newGateway(t, parse(t, dir, text("")))
	start(t, g.Run)
	open := func() bool {
		p, err := g.buses.Port("pump")
		return err == nil && p.Stats().Open
	}
	if open() {
		t.Error("there is a DTU before one has come")
	}
	dtu, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer dtu.Close()
	if _, err := dtu.Write([]byte("PUMP-1")); err != nil {
		t.Fatal(err)
	}
	until(t, "the DTU is on its bus", open)
	if err := g.Apply(parse(t, dir, text(", gap: 100ms")), "test"); err != nil {
		t.Fatal(err)
	}
	if !open() {
		t.Error("a new setting sent the DTU away")
	}
	if err := g.Apply(parse(t, dir, "web: {listen: ''}\n"), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the bus has gone, and its address is still bound")
	}
}

// A bus may get another name, and its address or port another owner, in one change.
func TestLinesOfTwoConfigurations(t *testing.T) {
	old := &config.Config{Buses: []config.Bus{{Name: "a", Serial: "/dev/x"}, {Name: "b", TCP: "h:1"}, {Name: "c", Serial: "/dev/z"}}}
	next := &config.Config{Buses: []config.Bus{{Name: "renamed", Serial: "/dev/x"}, {Name: "b", TCP: "h:1", Gap: config.Duration(time.Second)}}}
	lines := linesOf(old, next)
	if _, both := lines["a"]; both || len(lines) != 3 || lines["b"].Gap != time.Second || lines["c"].Serial != "/dev/z" {
		t.Errorf("got %+v", lines)
	}
	if _, err := bus.NewSet(lines); err != nil {
		t.Error(err)
	}
	full := linesOf(nil, &config.Config{Buses: []config.Bus{{
		Name: "a", Serial: "/dev/x", Baud: 2400, DataBits: 7, Parity: "even", StopBits: 2, Silence: 1, Gap: 2, Turnaround: 3, Echo: "on",
		Registration: "R", Heartbeat: "H", RS485: &config.RS485{RTSLow: true, Before: 4, After: 5, HearItself: true, Termination: true},
	}}})["a"]
	if full.Character != (bus.Character{Baud: 2400, DataBits: 7, Parity: "even", StopBits: 2}) || full.Silence != 1 || full.Gap != 2 || full.Turnaround != 3 ||
		full.Echo != "on" || string(full.Registration) != "R" || string(full.Heartbeat) != "H" ||
		*full.RS485 != (bus.RS485{RTSLow: true, Before: 4, After: 5, HearItself: true, Termination: true}) {
		t.Errorf("got %+v", full)
	}
}
