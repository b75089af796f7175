package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus/pty"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/config"
	"sluice/web"
)

// hall is a serial line with units 3 and 5 on it.
func hall(t *testing.T) (*pty.Line, *modbussim.Rack) {
	t.Helper()
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	rack := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{3: {}, 5: {}}}
	rack.Devices[3].Set(modbussim.Holdings, 7, 4711)
	var serving sync.WaitGroup
	serving.Go(func() { rack.Serve(t.Context(), line) })
	t.Cleanup(func() { line.Close(); serving.Wait() })
	return line, rack
}

func ended(t *testing.T, g *Gateway, id string) (s web.DeviceSearch) {
	t.Helper()
	until(t, "search "+id+" has ended", func() bool {
		var err error
		if s, err = g.searches.Find(id); err != nil {
			t.Fatal(err)
		}
		return s.State != "running"
	})
	return s
}

// begin begins a search as soon as the gateway runs.
func begin(t *testing.T, g *Gateway, wanted web.SearchRequest) (s web.DeviceSearch) {
	t.Helper()
	until(t, "a search can begin", func() bool {
		var err error
		s, err = g.searches.Start(wanted)
		return err == nil
	})
	return s
}

// sound checks that what a search proposes can stand in a configuration: alone, or below the buses of
// the one that there is.
func sound(t *testing.T, buses string, found []web.FoundDevice) {
	t.Helper()
	for _, f := range found {
		text := f.YAML
		if !strings.Contains(text, "buses:") {
			text = buses + text
		}
		if _, err := config.Parse(filepath.Join(t.TempDir(), "sluice.yaml"), []byte(text), Kinds()); err != nil {
			t.Errorf("what is proposed for %s %s cannot be used: %v\n%s", f.Protocol, f.Unit, err, text)
		}
	}
}

// A line that is searched goes on being read: no poll fails, and no value is another device's.
func TestALineInOperationIsSearched(t *testing.T) {
	line, _ := hall(t)
	buses := fmt.Sprintf("buses: [{name: hall, serial: %q, baud: 9600}]\n", line.Path())
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\n"+buses+
		"devices: [{name: press, driver: modbus, address: \"rtu://hall\", unit: 3, interval: 50ms, timeout: 2s, points: [{name: a, address: \"holding:7\"}]}]\n"))
	start(t, g.Run)
	state := func() collectors.State { return deviceNamed(g, "press").poller.State() }
	until(t, "the device is read", func() bool { return state().Polls > 2 })
	before := state().Polls
	s := begin(t, g, web.SearchRequest{Kind: "line", Bus: "hall", Protocols: []string{"modbus-rtu", "dlt645"}, Bauds: []int{9600, 2400}, Parities: []string{"even"}, Units: "1-6"})
	if s.State != "running" || s.Place != "bus://hall" {
		t.Errorf("begun: %+v", s)
	}
	lines := newFieldLines(g)
	until(t, "the search has ended", func() bool {
		if shown := lines.List(); len(shown) != 1 || len(shown[0].Findings) > 0 {
			t.Fatalf("the line is shown as %+v", shown)
		}
		if got := state(); got.Failures > 0 || got.Points[0].Error != "" || got.Points[0].Value.String() != "4711" {
			t.Fatalf("the device is read as %+v", got)
		}
		found, err := g.searches.Find(s.ID)
		return err == nil && found.State != "running"
	})
	s = ended(t, g, s.ID)
	var units []string
	for _, f := range s.Found {
		if f.Protocol == "modbus-rtu" {
			units = append(units, f.Unit)
		}
	}
	slices.Sort(units)
	if got := strings.Join(slices.Compact(units), " "); got != "3 5" || s.State != "done" {
		t.Errorf("%s, found units %q, want 3 and 5", s.State, got)
	}
	sound(t, buses, s.Found)
	after := state()
	if polls := after.Polls - before; polls < 10 || after.Readings+2 < after.Polls {
		t.Errorf("%d polls while the line was searched, and %d readings of %d in all", polls, after.Readings, after.Polls)
	}
}

func TestSearchesAreBoundedCancelledAndForgotten(t *testing.T) {
	line, _ := hall(t)
	other, _ := hall(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("web: {listen: ''}\nbuses: [{name: hall, serial: %q}]\n", line.Path())))
	if _, err := g.searches.Start(web.SearchRequest{Kind: "line", Bus: "hall"}); err == nil {
		t.Error("a search began before the gateway")
	}
	start(t, g.Run)
	first := begin(t, g, web.SearchRequest{Kind: "line", Bus: "hall", Protocols: []string{"modbus-rtu"}})
	if _, err := g.searches.Start(web.SearchRequest{Kind: "line", Bus: "hall"}); !errors.Is(err, web.ErrSearching) {
		t.Errorf("a line is searched twice at once: %v", err)
	}
	second := begin(t, g, web.SearchRequest{Kind: "line", Serial: other.Path(), Protocols: []string{"modbus-rtu"}})
	if _, err := g.searches.Start(web.SearchRequest{Kind: "network", Network: "127.0.0.1/32"}); !errors.Is(err, web.ErrSearching) {
		t.Errorf("a third one runs: %v", err)
	}
	until(t, "the second has found something", func() bool {
		s, err := g.searches.Find(second.ID)
		return err == nil && len(s.Found) > 0
	})
	for _, id := range []string{first.ID, second.ID} {
		if err := g.searches.Stop(id); err != nil {
			t.Error(err)
		}
	}
	s := ended(t, g, second.ID)
	if s.State != "cancelled" || s.Found[0].Unit != "3" || !strings.Contains(s.Found[0].YAML, "buses:") || s.Ended == nil {
		t.Errorf("cancelled: %+v", s)
	}
	sound(t, "", s.Found)
	ended(t, g, first.ID)
	for range keptSearches {
		ended(t, g, begin(t, g, web.SearchRequest{Kind: "line", Serial: "/dev/there-is-none"}).ID)
	}
	list := g.searches.List()
	if len(list) != keptSearches || list[0].State != "failed" || !strings.Contains(list[0].Error, "/dev/there-is-none") {
		t.Errorf("%d searches are kept, the last %+v", len(list), list[0])
	}
	if err := g.searches.Stop(list[0].ID); err != nil || len(g.searches.List()) != keptSearches-1 {
		t.Errorf("one that has ended is forgotten: %v", err)
	}
	if err := g.searches.Stop(list[0].ID); !errors.Is(err, web.ErrUnknown) {
		t.Errorf("and cannot be once more: %v", err)
	}
}

// A device that takes one connection is asked over the one that it has.
func TestANetworkIsSearchedOverConnectionsInUse(t *testing.T) {
	plc := startPLC(t)
	g := newGateway(t, parse(t, t.TempDir(), "web: {listen: ''}\ndevices:\n"+deviceYAML("press", plc.Addr(), 20*time.Millisecond)))
	start(t, g.Run)
	until(t, "the device is read", func() bool { return deviceNamed(g, "press").poller.State().Polls > 0 })
	at := netip.MustParseAddrPort(plc.Addr())
	s := ended(t, g, begin(t, g, web.SearchRequest{Kind: "network", Network: "127.0.0.1", Ports: []int{int(at.Port())}}).ID)
	if s.State != "done" || s.Place != "127.0.0.1/32" || s.Done != 1 || len(s.Found) != 1 || s.Found[0].Unit != "1" {
		t.Errorf("the search is %+v", s)
	}
	sound(t, "", s.Found)
	if n := plc.Counts().Connections; n != 1 {
		t.Errorf("the device saw %d connections", n)
	}
	if n := deviceNamed(g, "press").poller.State().Failures; n > 0 {
		t.Errorf("%d polls failed", n)
	}
}

func TestSearchesThatCannotBeNameTheField(t *testing.T) {
	line, _ := hall(t)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf("web: {listen: ''}\nbuses: [{name: hall, serial: %q}]\n", line.Path())))
	defer g.Close()
	for field, wanted := range map[string]web.SearchRequest{
		"kind":      {Kind: "all"},
		"bus":       {Kind: "line", Bus: "none"},
		"serial":    {Kind: "line"},
		"serial ":   {Kind: "line", Serial: line.Path()},
		"serial  ":  {Kind: "line", Serial: "/dev/ttyS1", Bus: "hall"},
		"protocols": {Kind: "line", Bus: "hall", Protocols: []string{"modbus-tcp"}},
		"units":     {Kind: "line", Bus: "hall", Units: "5-"},
		"bauds":     {Kind: "line", Bus: "hall", Bauds: []int{9601}},
		"parities":  {Kind: "line", Bus: "hall", Parities: []string{"both"}},
		"network":   {Kind: "network", Network: "10.0.0.0/19"},
		"network ":  {Kind: "line", Bus: "hall", Network: "10.0.0.0/24"},
		"ports":     {Kind: "network", Network: "10.0.0.0/24", Ports: []int{0}},
		"bauds ":    {Kind: "network", Network: "10.0.0.0/24", Bauds: []int{9600}},
	} {
		_, err := g.searches.Start(wanted)
		wrong, ok := errors.AsType[*web.SearchError](err)
		if !ok || wrong.Field != strings.TrimSpace(field) || wrong.Problem == "" {
			t.Errorf("%+v: %v, want the field %s", wanted, err, field)
		}
	}
	o := g.searches.Options()
	if len(o.Lines) != 1 || o.Lines[0] != (web.SearchLine{Bus: "hall", Place: line.Path()}) || len(o.Protocols) < 8 || len(o.Bauds) == 0 {
		t.Errorf("options %+v", o)
	}
}
