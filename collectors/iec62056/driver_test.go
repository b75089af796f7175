package iec62056

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/drivertest"
	"sluice/collectors/iec62056/iec62056sim"
	"sluice/gateway/message"
)

var noon = time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)

// fast keeps tests short: rates that a wire can do and an optical head hardly.
func fast(o iec62056sim.Options) iec62056sim.Options {
	o.Clock = func() time.Time { return noon }
	if o.Start == 0 {
		o.Start = 4800
	}
	if o.Rate == 0 {
		o.Rate = 19200
	}
	return o
}

var (
	must     = drivertest.Must
	open     = drivertest.Open
	mistakes = drivertest.Mistakes
)

// simulate runs a meter until the test ends.
func simulate(t *testing.T, o iec62056sim.Options) *iec62056sim.Line {
	t.Helper()
	line, err := iec62056sim.Open(o)
	must(t, err)
	drivertest.Simulate(t, line.Run)
	return line
}

func busOn(t *testing.T, path string) *bus.Set {
	t.Helper()
	return drivertest.Buses(t, map[string]bus.Settings{"line": {Serial: path, Silence: 2 * time.Millisecond}})
}

// options are for the meter on line, with points given as "name=code", "name=code@value" for another
// than the first, "name=code/as" or "name=code unit".
func options(t *testing.T, d *Driver, points ...string) *Options {
	t.Helper()
	o := d.Options().(*Options)
	o.Baud = 4800
	must(t, o.Address.UnmarshalText([]byte("bus://line")))
	for _, text := range points {
		o.Points = append(o.Points, pointOf(t, text))
	}
	return o
}

func pointOf(t *testing.T, text string) PointOptions {
	t.Helper()
	p := PointOptions{}
	text, p.Unit, _ = strings.Cut(text, " ")
	text, p.As, _ = strings.Cut(text, "/")
	text, value, _ := strings.Cut(text, "@")
	if value != "" {
		_, err := fmt.Sscan(value, &p.Value)
		must(t, err)
	}
	name, code, _ := strings.Cut(text, "=")
	p.Name = name
	must(t, p.Code.UnmarshalText([]byte(code)))
	return p
}

var somePoints = []string{"serial=0.0.0", "energy=1.8.0", "in_wh=1-0:1.8.0*255 Wh", "stored=1.8.0*01", "demand=1.6.0", "at=1.6.0@2", "power=16.7.0", "none=3.8.0"}

// wantedPoints are what the simulator's registers give for somePoints at noon.
func wantedPoints() string {
	s := iec62056sim.StateAt(noon)
	return fmt.Sprintf(`serial="12345678"; energy=%v; in_wh=%v; stored=%v; demand=%v; at="2611220000"; power=%v; none: the meter's readout of 17 registers has no 3.8.0`,
		s.Energy, message.Float64(float64(int64(s.Energy*1000+0.5))), s.Stored, s.Demand, s.Power)
}

func TestMetersOfEveryModeAreRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		meter  iec62056sim.Options
		adjust func(*Options)
	}{
		{"c", iec62056sim.Options{}, nil},
		{"c from 300 baud", iec62056sim.Options{Start: 300}, func(o *Options) { o.Baud = 0 }},
		{"c in full codes", iec62056sim.Options{Full: true}, nil},
		{"c with software parity", iec62056sim.Options{}, func(o *Options) { o.Parity = "software" }},
		{"c no faster than asked", iec62056sim.Options{}, func(o *Options) { o.MaxBaud = 9600 }},
		{"c at one rate", iec62056sim.Options{}, func(o *Options) { o.KeepBaud = true }},
		{"c by its address", iec62056sim.Options{Device: "4711"}, func(o *Options) { o.Device = "4711" }},
		{"c asleep", iec62056sim.Options{}, func(o *Options) { o.WakeUp = 40 }},
		{"c forced", iec62056sim.Options{}, func(o *Options) { o.Mode = "c" }},
		{"a", iec62056sim.Options{Mode: "a"}, nil},
		{"a forced", iec62056sim.Options{Mode: "a"}, func(o *Options) { o.Mode = "a" }},
		{"b", iec62056sim.Options{Mode: "b", Rate: 9600}, nil},
		{"d", iec62056sim.Options{Mode: "d", Every: 100 * time.Millisecond}, func(o *Options) { o.Mode = "d" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, fast(c.meter))
			d := &Driver{Buses: busOn(t, line.Path())}
			o := options(t, d, somePoints...)
			if c.adjust != nil {
				c.adjust(o)
			}
			device := open(t, d, o)
			for range 2 {
				if got, err := drivertest.Read(t, device); err != nil || got != wantedPoints() {
					t.Errorf("\n got %s, %v\nwant %s", got, err, wantedPoints())
				}
			}
			if seen := line.Seen(); seen.Damaged != 0 || seen.Repeats > 1 || seen.Breaks != 0 || seen.Foreign != 0 || seen.SignOns > 3 {
				t.Errorf("the meter saw %+v", seen)
			}
		})
	}
}

func TestPushedTelegramsAreRead(t *testing.T) {
	line := simulate(t, iec62056sim.Options{Mode: "p1", Every: 100 * time.Millisecond, Clock: func() time.Time { return noon }})
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, "version=1-3:0.2.8", "energy=1-0:1.8.1", "tariff=0-0:96.14.0/number", "gas=0-1:24.2.1@2", "text=0-0:96.13.0/text", "power=1.7.0 W")
	o.Mode, o.Baud = "p1", 0
	got, err := drivertest.Read(t, open(t, d, o))
	s := iec62056sim.StateAt(noon)
	want := fmt.Sprintf(`version="50"; energy=%v; tariff=2; gas=%v; text=""; power=%v`, s.Tariff[0], s.Gas, message.Float64(float64(int64(max(s.Power, 0)*1000+0.5))))
	if err != nil || got != want {
		t.Errorf("\n got %s, %v\nwant %s", got, err, want)
	}
}

func TestDamagedTelegramsAreNoReadings(t *testing.T) {
	for _, mode := range []string{"p1", "d"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, fast(iec62056sim.Options{Mode: mode, Start: 115200, Every: 50 * time.Millisecond}))
			line.Misbehave(iec62056sim.Flipped)
			d := &Driver{Buses: busOn(t, line.Path())}
			o := options(t, d, "energy=1.8.1")
			o.Mode, o.Baud, o.Wait = mode, 115200, 500*time.Millisecond
			device := open(t, d, o)
			want := "its checksum is "
			if mode == "d" {
				want = "it holds a character 00"
			}
			if got, err := drivertest.Read(t, device); err == nil || !strings.Contains(err.Error(), "no telegram within ") || !strings.Contains(err.Error(), want) {
				t.Errorf("got %s, %v; want %q", got, err, want)
			}
			line.Misbehave(iec62056sim.Healthy)
			if got, err := drivertest.Read(t, device); err != nil || got != fmt.Sprintf("energy=%v", iec62056sim.StateAt(noon).Tariff[0]) {
				t.Errorf("after the fault: got %s, %v", got, err)
			}
		})
	}
}

func TestSingleRegistersAreRead(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{Registers: map[string]string{"00:04:00": "(0007)"}}))
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, "energy=1.8.0", "again=1.8.0 Wh", "own=00:04:00/number", "none=9.9.9", "serial=0.0.0")
	o.Read = "R5"
	device := open(t, d, o)
	s := iec62056sim.StateAt(noon)
	want := fmt.Sprintf(`energy=%v; again=%v; own=7; none: the meter refused: ER03; serial="12345678"`, s.Energy, message.Float64(float64(int64(s.Energy*1000+0.5))))
	for range 2 {
		if got, err := drivertest.Read(t, device); err != nil || got != want {
			t.Errorf("\n got %s, %v\nwant %s", got, err, want)
		}
	}
	for limit := time.Now().Add(5 * time.Second); line.Seen().Breaks < 2 && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond) // nothing answers the break
	}
	if seen := line.Seen(); seen.SignOns != 2 || seen.Commands != 12 || seen.Breaks != 2 || seen.Damaged != 0 {
		t.Errorf("the meter saw %+v", seen)
	}
	part := device.(collectors.Divisible).Part([]int{4, 0})
	if got, err := drivertest.Read(t, part); err != nil || got != fmt.Sprintf(`serial="12345678"; energy=%v`, s.Energy) {
		t.Errorf("of a part got %s, %v", got, err)
	}
	if seen := line.Seen(); seen.Commands != 14 {
		t.Errorf("for a part the meter was asked %d times, want twice", seen.Commands-12)
	}
}

// What reaches the value in spite of the fault, and what is said when none does.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	for _, c := range []struct {
		fault iec62056sim.Fault
		err   string // empty: the values
	}{
		{fault: iec62056sim.BadCheckOnce},
		{fault: iec62056sim.Echo},
		{fault: iec62056sim.Garbage},
		{fault: iec62056sim.Silence, err: "meter on bus://line: no answer to the sign-on within 1s"},
		{fault: iec62056sim.Mute, err: "no readout at 19200 baud within 1s"},
		{fault: iec62056sim.BadCheck, err: "the message is damaged: its block check is "},
		{fault: iec62056sim.Flipped, err: "the message is damaged: its block check is "},
		{fault: iec62056sim.Short, err: "no readout at 19200 baud within "},
		{fault: iec62056sim.EchoOnly, err: "only the request itself was heard"},
		{fault: iec62056sim.NoSwitch, err: "no readout at 19200 baud within "},
	} {
		name := string(c.fault)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, fast(iec62056sim.Options{}))
			d := &Driver{Buses: busOn(t, line.Path())}
			o := options(t, d, somePoints...)
			if c.err != "" {
				o.Timeout = time.Second
			}
			device := open(t, d, o)
			line.Misbehave(c.fault)
			got, err := drivertest.Read(t, device)
			switch {
			case c.err == "" && (err != nil || got != wantedPoints()):
				t.Errorf("\n got %s, %v\nwant %s", got, err, wantedPoints())
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %q, %v; want the error %q", got, err, c.err)
			}
			line.Misbehave(iec62056sim.Healthy)
			var again string
			for range 3 {
				if again, err = drivertest.Read(t, device); err == nil {
					break
				}
			}
			if err != nil || again != wantedPoints() {
				t.Errorf("after the fault:\n got %s, %v\nwant %s", again, err, wantedPoints())
			}
		})
	}
}

// On a line that damages, loses and invents characters, a poll gives what the meter said or an error.
func TestNoiseOnTheLineNeverGivesAWrongValue(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{Start: 19200, Delay: 10 * time.Millisecond}))
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, somePoints...)
	o.Baud, o.Timeout, o.Parity = 19200, 300*time.Millisecond, "software"
	device := open(t, d, o)
	line.Terminal().Noise(pty.Noise{FlipBits: 0.0002, DropBytes: 0.001, RandomBytes: 0.0005, Seed: 7})
	good := 0
	for range 12 {
		got, err := drivertest.Read(t, device)
		if err != nil {
			continue
		}
		if good++; got != wantedPoints() {
			t.Errorf("\n got %s\nwant %s", got, wantedPoints())
		}
	}
	line.Terminal().Noise(pty.Noise{})
	var err error
	for range 2 { // intervals
		_, err = drivertest.Read(t, device)
	}
	if err != nil || good == 12 {
		t.Errorf("after the noise: %v; of 12 polls in it %d gave values", err, good)
	}
}

// A serial server changes no rates: both ends stay where they were.
func TestMetersBehindASerialServerAreRead(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{}))
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, somePoints...)
	must(t, o.Address.UnmarshalText([]byte("tcp://"+serialServer(t, line.Path()))))
	if got, err := drivertest.Read(t, open(t, d, o)); err != nil || got != wantedPoints() {
		t.Errorf("\n got %s, %v\nwant %s", got, err, wantedPoints())
	}
}

// serialServer carries bytes between one TCP connection at a time and a serial port at 4800 baud.
func serialServer(t *testing.T, path string) (address string) {
	t.Helper()
	port, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	must(t, err)
	raw, err := port.SyscallConn() // Fd would make the port block, and then nothing ends a Read
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		settings, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		must(t, err)
		settings.Cflag = settings.Cflag&^unix.CBAUD | unix.B4800
		must(t, unix.IoctlSetTermios(int(fd), unix.TCSETS, settings))
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var carrying sync.WaitGroup
	carrying.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		carrying.Go(func() { io.Copy(port, conn) })
		io.Copy(conn, port)
		conn.Close()
	})
	t.Cleanup(func() { listener.Close(); port.Close(); carrying.Wait() })
	return listener.Addr().String()
}

func TestARefusedRegisterTakesNoOthersWithIt(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{}))
	line.Misbehave(iec62056sim.Refuse)
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, "a=1.8.0", "b=0.0.0")
	o.Read = "R5"
	device := open(t, d, o)
	if got, err := drivertest.Read(t, device); err != nil || got != "a: the meter refused: ER03; b: the meter refused: ER03" {
		t.Errorf("got %s, %v", got, err)
	}
	// One register that is never answered costs its own time-out, two in a row the rest of them.
	o.Timeout = time.Second
	device = open(t, d, o)
	line.Misbehave(iec62056sim.Mute)
	if got, err := drivertest.Read(t, device); err == nil || !strings.Contains(err.Error(), "no programming mode at 19200 baud within 1s") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAPulledAdapterRecovers(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{}))
	d := &Driver{Buses: busOn(t, line.Path())}
	device := open(t, d, options(t, d, somePoints...))
	if got, err := drivertest.Read(t, device); err != nil || got != wantedPoints() {
		t.Fatalf("got %s, %v", got, err)
	}
	must(t, line.Terminal().Pull())
	if got, err := drivertest.Read(t, device); err == nil {
		t.Errorf("adapter pulled: got %s", got)
	}
	must(t, line.Terminal().Replug())
	var got string
	var err error
	for range 2 { // intervals
		if got, err = drivertest.Read(t, device); err == nil {
			break
		}
	}
	if err != nil || got != wantedPoints() {
		t.Errorf("adapter back: got %s, %v", got, err)
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	drivertest.FaultsAreTested(t, "iec62056sim", iec62056sim.Faults())
}

func TestContract(t *testing.T) {
	t.Parallel()
	line := simulate(t, fast(iec62056sim.Options{}))
	d := &Driver{Buses: busOn(t, line.Path())}
	drivertest.Run(t, drivertest.Case{
		Driver: d,
		Options: func() any {
			o := options(t, d, "energy=1.8.0", "voltage=32.7.0")
			o.Timeout = 900 * time.Millisecond
			return o
		},
		Points:  []string{"energy", "voltage"},
		Silence: drivertest.Silencer(line.Misbehave, iec62056sim.Silence, iec62056sim.Healthy),
	})
}

func TestUnitsStayThoseOfTheFirstReading(t *testing.T) {
	p := point{spec: collectors.Spec{Name: "energy"}, value: 1}
	for _, c := range []struct{ sent, want string }{
		{"000999.9*kWh", "999.9"}, {"00001.0*MWh", "1000"}, {"000001.5*GJ", "cannot be given in kWh"},
	} {
		got := p.take(Item{Values: []string{c.sent}}, nil)
		if text := got.Value.String() + got.Error; !strings.Contains(text, c.want) {
			t.Errorf("%s: got %s", c.sent, text)
		}
	}
}

func TestMetersAreFound(t *testing.T) {
	line := simulate(t, fast(iec62056sim.Options{Device: "4711"}))
	set := busOn(t, line.Path())
	c, err := set.Client("bus://line", "scan")
	must(t, err)
	found, err := Find(t.Context(), c, "", 4800)
	if err != nil || len(found) != 1 || found[0].Identification.String() != "/SLC6SIM-7" || found[0].Mode != "c" || found[0].Parity != "port" {
		t.Errorf("got %+v, %v", found, err)
	}
}

func TestMistakesInOptionsAreAllReported(t *testing.T) {
	for _, bad := range []string{"", "bus://", "bus://a/b", "tcp://", "tcp://a", "tcp://:1", "serial:///dev/ttyS1"} {
		if err := new(bus.Address).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	d := &Driver{Buses: busOn(t, "/dev/null")}
	if got, want := mistakes(d.Options().(*Options)), "address points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	wrong := options(t, d, "a=1.8.0", "a=1.8.0/float", "b=1.8.0/text kWh")
	wrong.Mode, wrong.Baud, wrong.MaxBaud, wrong.Device, wrong.Read, wrong.Timeout, wrong.Wait = "p1", 14400, 1, "a-b", "R5", -1, 0
	wrong.Points = append(wrong.Points, PointOptions{Value: -1})
	if got, want := mistakes(wrong), "device baud max_baud read timeout wait points[1].name points[1].as points[2].unit points[3].name points[3].code points[3].value"; got != want {
		t.Errorf("wrong: mistakes at %q, want %q", got, want)
	}
	if _, err := d.Open("m", wrong); err == nil || strings.Count(err.Error(), "\n") != 11 {
		t.Errorf("open: got %v, want all 12 mistakes", err)
	}
	other := options(t, d, "a=1.8.0")
	other.Address = "bus://other"
	if _, err := d.Open("m", other); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("open: got %v, want that the bus is unknown", err)
	}
	if o := options(t, d, "a=1.8.0"); o.Endpoint() != "bus://line" {
		t.Errorf("the endpoint is %s", o.Endpoint())
	}
}

func dissectBoth(out bool, message []byte) (string, bool) {
	return Dissect(bus.Direction(out), message)
}
