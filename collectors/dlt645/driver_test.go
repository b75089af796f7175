package dlt645_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/drivertest"
	"sluice/gateway/message"
)

var noon = time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)

// atNoon is a line whose meters' clock stands still.
func atNoon(o dlt645sim.Options) dlt645sim.Options {
	o.Clock = func() time.Time { return noon }
	return o
}

var (
	must     = drivertest.Must
	mistakes = drivertest.Mistakes
)

// simulate runs a line until the test ends.
func simulate(t *testing.T, o dlt645sim.Options) *dlt645sim.Line {
	t.Helper()
	line, err := dlt645sim.Open(o)
	must(t, err)
	drivertest.Simulate(t, line.Run)
	return line
}

func busOn(t *testing.T, path string) *bus.Set {
	t.Helper()
	return drivertest.Buses(t, map[string]bus.Settings{
		"line": {Serial: path, Character: bus.Character{Baud: 115200, Parity: "even"}, Silence: 2 * time.Millisecond},
	})
}

// open makes a device with points given as "name=id", "name=id/format" or "name=id@byte/format".
func open(t *testing.T, d *dlt645.Driver, meter string, timeout time.Duration, points ...string) collectors.Device {
	t.Helper()
	return openWith(t, d, meter, timeout, func(*dlt645.Options) {}, points...)
}

func openWith(t *testing.T, d *dlt645.Driver, meter string, timeout time.Duration, change func(*dlt645.Options), points ...string) collectors.Device {
	t.Helper()
	o := d.Options().(*dlt645.Options)
	o.Timeout = timeout
	must(t, o.Address.UnmarshalText([]byte("bus://line")))
	must(t, o.Meter.UnmarshalText([]byte(meter)))
	for _, text := range points {
		name, id, _ := strings.Cut(text, "=")
		id, format, explicit := strings.Cut(id, "/")
		id, place, placed := strings.Cut(id, "@")
		p := dlt645.PointOptions{Name: name}
		must(t, p.ID.UnmarshalText([]byte(id)))
		if explicit {
			must(t, p.Format.UnmarshalText([]byte(format)))
		}
		if placed {
			at, err := strconv.Atoi(place)
			must(t, err)
			p.At = &at
		}
		o.Points = append(o.Points, p)
	}
	change(o)
	return drivertest.Open(t, d, o)
}

const (
	patient = 5 * time.Second        // an answer is coming; the machine may be slow
	brief   = 500 * time.Millisecond // none is
)

func TestMeterIsRead(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Preamble: 4, Delay: 5 * time.Millisecond}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := open(t, driver, "000000000161", patient,
		"energy=00010000", "voltage_a=02010100", "voltage_c=02010300", "power=02030000", "reactive=02040000",
		"temperature=02800007", "number=04000402", "rated=04000404", "date=04000101", "time=04000102", "none=02070100")
	got, err := drivertest.Read(t, device)
	must(t, err)
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf(`energy=%v; voltage_a=%v; voltage_c=%v; power=%v; reactive=%v; temperature=%v; number="000000000161"; rated="220V"; date="2026-11-22"; time="12:00:01"; none: the meter refused: no such data (error byte 02)`,
		float64(s.Energy)/100, float64(s.Voltage[0])/10, float64(s.Voltage[2])/10, float64(s.Power)/1e4, float64(s.Reactive)/1e4, float64(s.Temperature)/10)
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if seen := line.Seen(); seen != (dlt645sim.Counts{Requests: 11, Answers: 11}) {
		t.Errorf("the meter saw %+v", seen)
	}
}

func TestMeterOf1997IsRead(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path()), Edition: dlt645.Edition1997}
	got, err := drivertest.Read(t, open(t, driver, "000000000161", patient, "energy=9010", "voltage=B611", "number=C032", "none=B640/XX.XX"))
	must(t, err)
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf(`energy=%v; voltage=%v; number="000000000161"; none: the meter refused: no such identifier (error byte 02)`, float64(s.Energy)/100, s.Voltage[0]/10)
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// What reaches the value in spite of the fault, and what is said when none does.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf("energy=%v; voltage=%v", float64(s.Energy)/100, float64(s.Voltage[0])/10)
	for _, c := range []struct {
		fault       dlt645sim.Fault
		points, err string // how each point's error, or the device's, must read; both empty: the value
	}{
		{fault: dlt645sim.Healthy},
		{fault: dlt645sim.Garbage},
		{fault: dlt645sim.Split},
		{fault: dlt645sim.Echo},
		{fault: dlt645sim.Sequence},
		{fault: dlt645sim.Deaf},
		{fault: dlt645sim.MuteWrite},
		{fault: dlt645sim.Silence, err: "meter 000000000161 on bus line: no answer within 500ms"},
		{fault: dlt645sim.BadChecksum, err: "the frame is damaged: its checksum is "},
		{fault: dlt645sim.WrongMeter, err: "no valid answer: meter 000000000160 answered"},
		{fault: dlt645sim.WrongID, err: "the meter sent data 02010101, asked was 02010100"},
		{fault: dlt645sim.EchoOnly, err: "only the request was heard on the line"},
		{fault: dlt645sim.Short, err: "the frame is cut short: "},
		{fault: dlt645sim.Refuse, points: "the meter refused: no such data (error byte 02)"},
		{fault: dlt645sim.NotDecimal, points: "which is not decimal as "},
		{fault: dlt645sim.NotAvailable, points: "the meter has no value for this now"},
		{fault: dlt645sim.Endless, points: "the answer does not end after 10 frames"},
	} {
		name := string(c.fault)
		if c.fault == dlt645sim.Healthy {
			name = "healthy"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, atNoon(dlt645sim.Options{Preamble: 2}))
			timeout := patient
			if c.err != "" {
				timeout = brief
			}
			device := open(t, &dlt645.Driver{Buses: busOn(t, line.Path())}, "000000000161", timeout, "energy=00010000", "voltage=02010100")
			line.Misbehave(c.fault)
			got, err := drivertest.Read(t, device)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %q, %v; want the device error %q", got, err, c.err)
				}
			case c.points != "":
				if err != nil || strings.Count(got, c.points) != 2 || strings.Contains(got, "=") {
					t.Errorf("got %q, %v; want twice the point error %q", got, err, c.points)
				}
			case err != nil || got != want:
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			if seen := line.Seen(); seen.Overlaps != 0 || seen.Damaged != 0 || seen.Foreign != 0 || seen.Requests == 0 {
				t.Errorf("the meter saw %+v", seen)
			}
			line.Misbehave(dlt645sim.Healthy)
			if got, err := drivertest.Read(t, device); err != nil || got != want {
				t.Errorf("after the fault: got %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	drivertest.FaultsAreTested(t, "dlt645sim", dlt645sim.Faults())
}

func TestSignsAndStatusWords(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{}))
	line.Set(0x02030000, []byte{0x34, 0x12, 0x85}) // top bit: delivered, not drawn
	line.Set(0x04000501, []byte{0x01, 0x80})
	line.Set(0x0F0E0D0C, []byte{0x21, 0x43})
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	got, err := drivertest.Read(t, open(t, driver, "000000000161", patient, "power=02030000", "status=04000501", "own=0F0E0D0C/XX.XX", "long=0F0E0D0C/XXXXXX"))
	must(t, err)
	if want := "power=-5.1234; status=32769; own=43.21; long: the meter sent 2 bytes where XXXXXX has 3"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Two meters and two pollers on one line: requests never overlap, and nobody's answer is taken for
// another's.
func TestDevicesOnOneBusTakeTurns(t *testing.T) {
	meters := []string{"000000000161", "123456789012"}
	line := simulate(t, atNoon(dlt645sim.Options{Meters: meters, Delay: 5 * time.Millisecond}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	var polls sync.WaitGroup
	for _, number := range meters {
		device := open(t, driver, number, patient, "a=04000402", "b=04000401", "c=04000402")
		polls.Go(func() {
			for range 5 {
				got, err := drivertest.Read(t, device)
				if want := fmt.Sprintf("a=%[1]q; b=%[1]q; c=%[1]q", number); err != nil || got != want {
					t.Errorf("meter %s: got %q, %v; want %q", number, got, err, want)
				}
			}
		})
	}
	polls.Wait()
	if seen := line.Seen(); seen != (dlt645sim.Counts{Requests: 20, Answers: 20}) {
		t.Errorf("the line saw %+v", seen)
	}
}

func TestPulledAdapterRecovers(t *testing.T) {
	link := filepath.Join(t.TempDir(), "meter")
	first, err := dlt645sim.Open(atNoon(dlt645sim.Options{Link: link}))
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		if err := first.Run(context.Background()); err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	device := open(t, &dlt645.Driver{Buses: busOn(t, link)}, "000000000161", patient, "number=04000402")
	if got, err := drivertest.Read(t, device); err != nil || got != `number="000000000161"` {
		t.Fatalf("got %q, %v", got, err)
	}
	must(t, first.Close())
	running.Wait()
	if _, err := drivertest.Read(t, device); !errors.Is(err, bus.ErrHungUp) {
		t.Errorf("adapter pulled: got %v, want %v", err, bus.ErrHungUp)
	}
	if _, err := drivertest.Read(t, device); err == nil || !strings.Contains(err.Error(), "open "+link+": no such file") {
		t.Errorf("adapter still out: got %v", err)
	}
	simulate(t, atNoon(dlt645sim.Options{Link: link}))
	if got, err := drivertest.Read(t, device); err != nil || got != `number="000000000161"` {
		t.Errorf("adapter back: got %q, %v", got, err)
	}
}

// Some meters do not refuse what they do not have, they are silent about it. An absent meter costs
// two requests a poll; one that is there is found by the next poll all the same.
func TestSilentPointsDoNotHideTheMeter(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Mute: []uint32{0x0F000001, 0x0F000002, 0x0F000003}}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := open(t, driver, "000000000161", brief, "a=0F000001/XX", "b=0F000002/XX", "c=04000402", "d=0F000003/XX")
	if got, err := drivertest.Read(t, device); err == nil {
		t.Errorf("first poll: got %q, want that nothing answers", got)
	}
	if seen := line.Seen(); seen.Requests != 2 {
		t.Errorf("an absent meter was asked %d times, want 2", seen.Requests)
	}
	silence := "no answer within 500ms"
	want := fmt.Sprintf(`a: %[1]s; b: %[1]s; c="000000000161"; d: %[1]s`, silence)
	for poll := range 2 {
		if got, err := drivertest.Read(t, device); err != nil || got != want {
			t.Errorf("poll %d: got %q, %v; want %q", poll+2, got, err, want)
		}
	}
}

func TestTimeForAPollRunsOut(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Mute: []uint32{0x0F000001}}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := open(t, driver, "000000000161", time.Minute/2, "a=04000402", "b=0F000001/XX", "c=04000401")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var r message.Reading
	must(t, device.Read(ctx, &r))
	if r.Points[0].Error != "" || !strings.HasPrefix(r.Points[1].Error, "no answer within ") || r.Points[2].Error != "not asked: the time for the poll was over" {
		t.Errorf("got %+v", r.Points)
	}
	cancel()
	if err := device.Read(ctx, &r); err == nil {
		t.Error("a poll without time succeeded")
	}
}

func TestALateAnswerIsNotTakenForTheNext(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Delay: 300 * time.Millisecond}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	hasty := open(t, driver, "000000000161", 100*time.Millisecond, "voltage=02010100")
	if got, err := drivertest.Read(t, hasty); err == nil {
		t.Errorf("got %q, want no answer in time", got)
	}
	// The answer about the voltage arrives while this one waits for its own.
	if got, err := drivertest.Read(t, open(t, driver, "000000000161", patient, "number=04000402")); err != nil || got != `number="000000000161"` {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMistakesInOptionsAreAllReported(t *testing.T) {
	var o dlt645.Options
	for _, c := range []struct {
		into interface{ UnmarshalText([]byte) error }
		text string
	}{
		{&o.Address, "tcp://127.0.0.1"}, {&o.Address, "bus://"}, {&o.Address, "bus://a/b"}, {&o.Address, "serial:///dev/ttyS1"},
		{&o.Meter, "161"}, {&o.Meter, "00000000016A"}, {&o.Meter, "0000000000161"}, {&o.Meter, ""},
	} {
		if err := c.into.UnmarshalText([]byte(c.text)); err == nil {
			t.Errorf("%q was accepted as %T", c.text, c.into)
		}
	}

	driver := &dlt645.Driver{}
	empty := driver.Options().(*dlt645.Options)
	if got, want := mistakes(empty), "address meter points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	wrong := driver.Options().(*dlt645.Options)
	wrong.Address, wrong.Timeout = "bus://line", -1
	must(t, wrong.Meter.UnmarshalText([]byte("999999999999")))
	wrong.Points = []dlt645.PointOptions{point(t, "", "00010000"), point(t, "a", "9010"), point(t, "a", "0F000001"), {Name: "b"}}
	if got, want := mistakes(wrong), "meter timeout points[0].name points[1].id points[2].name points[2].format points[3].id"; got != want {
		t.Errorf("wrong: mistakes at %q, want %q", got, want)
	}
	if _, err := driver.Open("m", wrong); err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("open: got %v, want all 7 mistakes", err)
	}

	driver.Buses = busOn(t, "/dev/null")
	right := driver.Options().(*dlt645.Options)
	right.Address = "bus://other"
	must(t, right.Meter.UnmarshalText([]byte("000000000161")))
	right.Points = []dlt645.PointOptions{point(t, "a", "00010000")}
	if _, err := driver.Open("m", right); err == nil || !strings.Contains(err.Error(), `there is no bus named "other"`) {
		t.Errorf("open: got %v, want that the bus is unknown", err)
	}
}

func point(t *testing.T, name, id string) dlt645.PointOptions {
	t.Helper()
	p := dlt645.PointOptions{Name: name}
	must(t, p.ID.UnmarshalText([]byte(id)))
	return p
}

func TestAnAbsentMeterIsNamedWhenTheTimeRunsOut(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{}))
	line.Misbehave(dlt645sim.Silence)
	device := open(t, &dlt645.Driver{Buses: busOn(t, line.Path())}, "000000000161", time.Minute, "a=04000402", "b=00010000")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := device.Read(ctx, new(message.Reading))
	if err == nil || !strings.Contains(err.Error(), "meter 000000000161 on bus line: no answer within ") {
		t.Errorf("got %v", err)
	}
}

func TestUnitsAndForeignOptions(t *testing.T) {
	driver := &dlt645.Driver{Buses: busOn(t, "/dev/null")}
	o := driver.Options().(*dlt645.Options)
	o.Address = "bus://line"
	must(t, o.Meter.UnmarshalText([]byte("000000000161")))
	o.Points = []dlt645.PointOptions{point(t, "a", "00010000")}
	o.Points[0].Unit = "kWh"
	device, err := driver.Open("m", o)
	must(t, err)
	if specs := device.Points(); len(specs) != 1 || specs[0].Name != "a" || specs[0].Unit != "kWh" {
		t.Errorf("got %+v", specs)
	}
	if _, err := driver.Open("m", struct{}{}); err == nil {
		t.Error("foreign options were taken")
	}
}
