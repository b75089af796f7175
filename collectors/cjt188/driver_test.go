package cjt188_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/cjt188"
	"sluice/collectors/cjt188/cjt188sim"
	"sluice/collectors/drivertest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)

const (
	water = "00201510270588"
	heat  = "42590008210438"
	gas   = "78330011223344"

	patient = 5 * time.Second        // an answer is coming; the machine may be slow
	brief   = 300 * time.Millisecond // none is
)

var (
	must     = drivertest.Must
	open     = drivertest.Open
	mistakes = drivertest.Mistakes
)

// simulate runs a line behind a serial server and gives its address.
func simulate(t *testing.T, o cjt188sim.Options) (*cjt188sim.Line, string) {
	t.Helper()
	if o.Clock == nil {
		o.Clock = func() time.Time { return noon }
	}
	line, err := cjt188sim.New(o)
	must(t, err)
	return line, drivertest.Serve(t, func(ctx context.Context, conn net.Conn) error { return line.Serve(ctx, conn) })
}

func newDriver(t *testing.T) *cjt188.Driver {
	t.Helper()
	return &cjt188.Driver{Buses: drivertest.Buses(t, nil)}
}

// options are for a meter with points given as "name", "name=item" or "name=item/unit", rw in front
// of a name that may be written.
func options(t *testing.T, d *cjt188.Driver, address, meter, kind string, timeout time.Duration, points ...string) *cjt188.Options {
	t.Helper()
	o := d.Options().(*cjt188.Options)
	o.Timeout = timeout
	must(t, o.Address.UnmarshalText([]byte(address)))
	must(t, o.Meter.UnmarshalText([]byte(meter)))
	must(t, o.Type.UnmarshalText([]byte(kind)))
	for _, text := range points {
		name, rw := strings.CutPrefix(text, "rw ")
		name, unit, _ := strings.Cut(name, "/")
		name, what, _ := strings.Cut(name, "=")
		p := cjt188.PointOptions{Name: name, Item: what, Unit: strings.ReplaceAll(unit, "|", "/")}
		if rw {
			p.Access = "rw"
		}
		o.Points = append(o.Points, p)
	}
	return o
}

func TestContract(t *testing.T) {
	line, address := simulate(t, cjt188sim.Options{})
	driver := newDriver(t)
	drivertest.Run(t, drivertest.Case{
		Driver:  driver,
		Options: func() any { return options(t, driver, address, heat, "heat", 400*time.Millisecond, "heat", "flow") },
		Points:  []string{"heat", "flow"},
		Silence: drivertest.Silencer(line.Misbehave, cjt188sim.Silence, cjt188sim.Healthy),
	})
}

func TestMetersOfEveryKindAreRead(t *testing.T) {
	meters := append(cjt188sim.DefaultMeters(), cjt188sim.Meter{Number: "00000000000007", Type: 0x40, Serial: 0})
	line, address := simulate(t, cjt188sim.Options{Meters: meters, Preamble: 3, Delay: 2 * time.Millisecond})
	driver := newDriver(t)
	s := cjt188sim.StateAt(noon)
	hundredths := func(n uint64) float64 { return float64(n) / 100 }
	for _, c := range []struct {
		meter, kind string
		points      []string
		want        string
		requests    int
	}{
		{water, "water", []string{"volume", "litres=volume/L", "clock", "valve", "battery_low", "s0=status.0", "last=history_2"},
			fmt.Sprintf(`volume=%v; litres=%v; clock="2026-11-22T12:00:01"; valve="open"; battery_low=false; s0=false; last=20`, hundredths(s.Volume), s.Volume*10), 2},
		{heat, "heat", []string{"heat", "gj=heat/GJ", "power", "flow", "lph=flow/L|h", "volume", "supply_temperature", "return_temperature", "hours", "status"},
			fmt.Sprintf(`heat=%v; gj=%v; power=%v; flow=%v; lph=%v; volume=%v; supply_temperature=70.25; return_temperature=50.25; hours=%d; status=0`,
				hundredths(s.Energy), float64(s.Energy*9)/250000, hundredths(s.Power), float64(s.Flow)/1e4, float64(s.Flow)/10, hundredths(s.Volume), s.Hours), 1},
		{gas, "gas", []string{"volume"}, fmt.Sprintf("volume=%v", hundredths(s.Volume)), 2}, // the first in an order that it does not know
		{"00000000000007", "electricity", []string{"energy", "mwh=energy/MWh"}, fmt.Sprintf("energy=%v; mwh=%v", hundredths(s.Volume), float64(s.Volume)/1e5), 1},
	} {
		t.Run(c.kind, func(t *testing.T) {
			timeout := patient
			if c.kind == "gas" {
				timeout = brief
			}
			before := line.Seen().Requests
			device := open(t, driver, options(t, driver, address, c.meter, c.kind, timeout, c.points...))
			for poll := range 2 {
				if got, err := drivertest.Read(t, device); err != nil || got != c.want {
					t.Errorf("poll %d:\n got %s, %v\nwant %s", poll, got, err, c.want)
				}
			}
			asked := line.Seen().Requests - before
			if want := c.requests * 2; asked != want && (c.kind != "gas" || asked != 3) { // what it knows is learned
				t.Errorf("%d requests, want %d", asked, want)
			}
		})
	}
	if seen := line.Seen(); seen.Damaged != 0 || seen.Foreign != 0 {
		t.Errorf("the line saw %+v", seen)
	}
}

// What reaches the value in spite of the fault, and what is said when none does.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	s := cjt188sim.StateAt(noon)
	want := fmt.Sprintf("heat=%v; volume=%v", float64(s.Energy)/100, float64(s.Volume)/100)
	for _, c := range []struct {
		fault       cjt188sim.Fault
		points, err string // what the first point's error, or the device's, has in it; both empty: the value
	}{
		{fault: cjt188sim.Healthy},
		{fault: cjt188sim.Garbage},
		{fault: cjt188sim.Split},
		{fault: cjt188sim.Echo},
		{fault: cjt188sim.StuckValve},
		{fault: cjt188sim.MuteWrite},
		{fault: cjt188sim.Silence, err: "no answer within"},
		{fault: cjt188sim.BadChecksum, err: "the frame is damaged: its checksum is "},
		{fault: cjt188sim.WrongMeter, err: "meter 42590008210439 answered"},
		{fault: cjt188sim.WrongID, err: "the meter sent data 911F, asked was 901F"},
		{fault: cjt188sim.WrongType, err: "the meter says that it is cold-water and not heat"},
		{fault: cjt188sim.EchoOnly, err: "only the request was heard"},
		{fault: cjt188sim.Short, err: "the frame is cut short: "},
		{fault: cjt188sim.Refuse, points: "heat: the meter refused 901F (status 00 00)"},
		{fault: cjt188sim.LessData, points: "heat: the meter sent 42 bytes for 901F where a heat meter has 43"},
		{fault: cjt188sim.NotAvailable, points: "heat: the meter has no value for this now"},
		{fault: cjt188sim.UnknownUnit, points: "heat: the meter sent the unit byte 7E, which is no unit of heat"},
		{fault: cjt188sim.NotDecimal, points: "settlement: the meter sent "},
	} {
		name := string(c.fault)
		if c.fault == cjt188sim.Healthy {
			name = "healthy"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line, address := simulate(t, cjt188sim.Options{Preamble: 2})
			driver := newDriver(t)
			timeout := patient
			if c.err != "" {
				timeout = brief
			}
			points := []string{"heat", "volume"}
			if c.fault == cjt188sim.NotDecimal {
				points = []string{"settlement=settlement_heat", "heat", "volume"}
			}
			o := options(t, driver, address, heat, "heat", timeout, points...)
			o.IDOrder = "901F"
			device := open(t, driver, o)
			line.Misbehave(c.fault)
			got, err := drivertest.Read(t, device)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "meter "+heat+" on tcp://") {
					t.Errorf("got %q, %v; want the device error %q", got, err, c.err)
				}
			case c.points != "":
				if err != nil || !strings.HasPrefix(got, c.points) {
					t.Errorf("got %q, %v; want the point error %q", got, err, c.points)
				}
			case err != nil || got != want:
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			line.Misbehave(cjt188sim.Healthy)
			if got, err := drivertest.Read(t, device); err != nil || !strings.HasSuffix(got, want) {
				t.Errorf("after the fault: got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	drivertest.FaultsAreTested(t, "cjt188sim", cjt188sim.Faults())
}

func TestValveIsSwitchedOnceAndReadBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  cjt188sim.Fault
		value  string
		want   string // the value that is given back
		err    string
		writes int
	}{
		{name: "closes", value: `"closed"`, want: `"closed"`, writes: 1},
		{name: "opens", value: `true`, want: `"open"`, writes: 1},
		{name: "stuck", fault: cjt188sim.StuckValve, value: `"closed"`, want: `"open"`, err: `its valve is "open" and not closed`, writes: 1},
		{name: "mute", fault: cjt188sim.MuteWrite, value: `"closed"`, err: "outcome unknown", writes: 1},
		{name: "absent", fault: cjt188sim.Silence, value: `"closed"`, err: "not written: meter " + gas},
		{name: "refused", fault: cjt188sim.Refuse, value: `"closed"`, err: "not written: the meter refused 901F"},
		{name: "nonsense", value: `"half"`, err: `neither "open" nor "closed"`},
		{name: "number", value: `1`, err: `neither "open" nor "closed"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line, address := simulate(t, cjt188sim.Options{})
			driver := newDriver(t)
			o := options(t, driver, address, gas, "gas", brief, "rw valve", "volume")
			o.ValveTime = 0
			device := open(t, driver, o)
			line.Misbehave(c.fault)
			got, err := device.(collectors.Writer).Write(t.Context(), "valve", json.RawMessage(c.value))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if c.want != "" && got.String() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			if seen := line.Seen(); seen.Writes != c.writes {
				t.Errorf("the valve was moved %d times, want %d", seen.Writes, c.writes)
			}
		})
	}
}

func TestASlowValveIsWaitedFor(t *testing.T) {
	meters := []cjt188sim.Meter{{Number: water, Serial: -1, ValveTime: 200 * time.Millisecond}}
	line, address := simulate(t, cjt188sim.Options{Meters: meters, Clock: time.Now})
	driver := newDriver(t)
	o := options(t, driver, address, water, "water", patient, "rw valve", "volume")
	o.ValveTime = 500 * time.Millisecond
	device := open(t, driver, o)
	got, err := device.(collectors.Writer).Write(t.Context(), "valve", json.RawMessage(`"closed"`))
	if err != nil || got.String() != `"closed"` {
		t.Errorf("got %v, %v", got, err)
	}
	if seen := line.Seen(); seen.Writes != 1 || seen.Requests < 4 {
		t.Errorf("the line saw %+v", seen)
	}
	for point, want := range map[string]string{"volume": "point volume is read-only", "none": `there is no point "none"`} {
		if _, err := device.(collectors.Writer).Write(t.Context(), point, json.RawMessage(`"open"`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", point, err, want)
		}
	}
}

func TestOnASerialLine(t *testing.T) {
	wire, err := pty.Open()
	must(t, err)
	wire.Pace(2400, 11)
	line, err := cjt188sim.New(cjt188sim.Options{Preamble: 4, Clock: func() time.Time { return noon }})
	must(t, err)
	drivertest.Simulate(t, func(ctx context.Context) error { return line.Serve(ctx, wire) })
	driver := &cjt188.Driver{Buses: drivertest.Buses(t, map[string]bus.Settings{
		"line": {Serial: wire.Path(), Character: bus.Character{Baud: 2400, Parity: "even"}},
	})}
	s := cjt188sim.StateAt(noon)
	first := open(t, driver, options(t, driver, "bus://line", heat, "heat", patient, "heat"))
	second := open(t, driver, options(t, driver, "bus://line", water, "water", patient, "volume"))
	for range 2 {
		if got, err := drivertest.Read(t, first); err != nil || got != fmt.Sprintf("heat=%v", float64(s.Energy)/100) {
			t.Errorf("got %q, %v", got, err)
		}
		if got, err := drivertest.Read(t, second); err != nil || got != fmt.Sprintf("volume=%v", float64(s.Volume)/100) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	line.Misbehave(cjt188sim.Silence)
	o := options(t, driver, "bus://line", water, "water", brief, "volume")
	if _, err := drivertest.Read(t, open(t, driver, o)); err == nil || !strings.Contains(err.Error(), "meter "+water+" on bus line: no answer within 300ms") {
		t.Errorf("got %v", err)
	}
	if seen := line.Seen(); seen.Damaged != 0 || seen.Requests != 6 {
		t.Errorf("the line saw %+v", seen)
	}
}

func TestPartsAreReadAlone(t *testing.T) {
	line, address := simulate(t, cjt188sim.Options{})
	driver := newDriver(t)
	device := open(t, driver, options(t, driver, address, water, "water", patient, "volume", "last=history_1", "clock"))
	part := device.(interface {
		Part([]int) collectors.Device
	}).Part([]int{2})
	got, err := drivertest.Read(t, part)
	if err != nil || got != `clock="2026-11-22T12:00:01"` {
		t.Errorf("got %q, %v", got, err)
	}
	if seen := line.Seen(); seen.Requests != 1 {
		t.Errorf("the line saw %+v", seen)
	}
	if specs := device.Points(); len(specs) != 3 || specs[0].Unit != "m3" || specs[1].Name != "last" || specs[2].Unit != "" {
		t.Errorf("got %+v", specs)
	}
}

func TestMetersAreFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		meters []cjt188sim.Meter
		want   string
		fails  string
	}{
		{"of another type", []cjt188sim.Meter{{Number: "00000000000001", Type: 0x48, Serial: -1, Fussy: true}}, "00000000000001", ""},
		{"one", []cjt188sim.Meter{{Number: heat, Type: 0x20}}, heat, ""},
		{"that wants its type", []cjt188sim.Meter{{Number: heat, Type: 0x20, OwnType: true}}, heat, ""},
		{"that wants the low byte first", []cjt188sim.Meter{{Number: gas, Type: 0x30, LowFirst: true}}, gas, ""},
		{"three at once", cjt188sim.DefaultMeters(), heat + " " + water + " " + gas, ""}, // the last by itself: it wants the low byte first
		{"alike in the last digits", []cjt188sim.Meter{{Number: "11223344550055"}, {Number: "11223344550155"}}, "11223344550055 11223344550155", ""},
		{"deaf to parts", []cjt188sim.Meter{{Number: "11223344550055", Fussy: true}, {Number: "11223344550156", Fussy: true}}, "", "connect one at a time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line, address := simulate(t, cjt188sim.Options{Meters: c.meters})
			client, err := drivertest.Buses(t, nil).Client(address, "search")
			must(t, err)
			defer client.Rest()
			asked, told := 0, 0
			found, err := cjt188.Find(t.Context(), client, cjt188.Search{
				Timeout:  40 * time.Millisecond,
				Progress: func(n, of int) { asked = n },
				Found:    func(cjt188.Found) { told++ },
			})
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("got %v, want %q", err, c.fails)
			}
			var names []string
			for _, f := range found {
				names = append(names, f.Meter.String())
				if told, ok := cjt188.Dissect(bus.In, f.Raw); !ok || !strings.Contains(told, f.Meter.String()) {
					t.Errorf("%s was found in % X", f.Meter, f.Raw)
				}
			}
			if got := strings.Join(names, " "); got != c.want || told != len(found) {
				t.Errorf("found %s and told of %d, want %s", got, told, c.want)
			}
			if seen := line.Seen(); seen.Requests != asked {
				t.Errorf("asked %d times, the line saw %+v", asked, seen)
			}
		})
	}
}

func TestMistakesInOptionsAreAllReported(t *testing.T) {
	var o cjt188.Options
	for _, c := range []struct {
		into interface{ UnmarshalText([]byte) error }
		text string
		good bool
	}{
		{&o.Address, "bus://line", true}, {&o.Address, "tcp://10.0.0.7:4001", true},
		{&o.Address, "tcp://10.0.0.7", false}, {&o.Address, "tcp://:1", false}, {&o.Address, "bus://", false}, {&o.Address, "bus://a/b", false}, {&o.Address, "/dev/ttyS1", false},
		{&o.Meter, "0000000000000A", true}, {&o.Meter, "161", false}, {&o.Meter, "0000000000000G", false},
		{&o.Type, "heat", true}, {&o.Type, "0x25", true}, {&o.Type, "11", true}, {&o.Type, "50", false}, {&o.Type, "beer", false},
	} {
		if err := c.into.UnmarshalText([]byte(c.text)); (err == nil) != c.good {
			t.Errorf("%q as %T: got %v", c.text, c.into, err)
		}
	}
	driver := &cjt188.Driver{}
	empty := driver.Options().(*cjt188.Options)
	if got, want := mistakes(empty), "address meter points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	wrong := driver.Options().(*cjt188.Options)
	wrong.Address, wrong.Timeout, wrong.IDOrder, wrong.UnitPosition, wrong.Serial = "bus://a", -1, "x", "y", 256
	must(t, wrong.Meter.UnmarshalText([]byte("AAAAAAAAAAAAAA")))
	nine := 9
	wrong.Points = []cjt188.PointOptions{
		{Name: ""}, {Name: "volume", Unit: "kWh"}, {Name: "volume", Access: "rw"}, {Name: "beer"}, {Name: "x", Item: "heat"},
		{Name: "clock", Unit: "h", Decimals: &nine}, {Name: "valve", Access: "w"},
	}
	want := "meter timeout serial id_order unit_position points[0].name points[1].unit points[2].name points[2].access points[3].name points[4].item points[5].unit points[5].decimals points[6].access"
	if got := mistakes(wrong); got != want {
		t.Errorf("wrong: mistakes at %q, want %q", got, want)
	}
	if _, err := driver.Open("m", wrong); err == nil || strings.Count(err.Error(), "\n") != 13 {
		t.Errorf("open: got %v, want all 14 mistakes", err)
	}
	right := options(t, driver, "bus://other", water, "water", patient, "volume")
	if _, err := newDriver(t).Open("m", right); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("open: got %v, want that the bus is unknown", err)
	}
}
