package sml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/drivertest"
	"sluice/collectors/sml/smlsim"
	"sluice/gateway/message"
)

var noon = time.Date(2026, 11, 22, 12, 0, 1, 0, time.UTC)

var (
	must     = drivertest.Must
	open     = drivertest.Open
	mistakes = drivertest.Mistakes
)

// simulate runs a meter whose clock stands still until the test ends.
func simulate(t *testing.T, o smlsim.Options) *smlsim.Line {
	t.Helper()
	o.Clock, o.Baud = func() time.Time { return noon }, 115200
	if o.Every == 0 {
		o.Every = 150 * time.Millisecond
	}
	line, err := smlsim.Open(o)
	must(t, err)
	drivertest.Simulate(t, line.Run)
	return line
}

func busOn(t *testing.T, path string) *bus.Set {
	t.Helper()
	return drivertest.Buses(t, map[string]bus.Settings{"line": {Serial: path, Silence: 2 * time.Millisecond}})
}

// options are for the meter on line, with points given as "name=code" or "name=code unit".
func options(t *testing.T, d *Driver, points ...string) *Options {
	t.Helper()
	o := d.Options().(*Options)
	o.Baud = 115200
	must(t, o.Address.UnmarshalText([]byte("bus://line")))
	for _, text := range points {
		p := PointOptions{}
		text, p.Unit, _ = strings.Cut(text, " ")
		name, code, _ := strings.Cut(text, "=")
		p.Name = name
		must(t, p.Code.UnmarshalText([]byte(code)))
		o.Points = append(o.Points, p)
	}
	return o
}

var somePoints = []string{
	"maker=1-0:96.50.1*1", "energy=1-0:1.8.0*255", "in_kwh=1.8.0 kWh", "reverse=2.8.0", "power=1-0:16.7.0*255",
	"voltage=32.7.0", "current=0100470700FF", "frequency=14.7.0", "key=129-129:199.130.5*255", "flag=96.11.0*1", "odd=1-0:96.90.255*1",
}

func tenths(n uint64) string { return message.Float64(float64(n) / 10).String() }

// wantedPoints are what the simulated meter tells at noon.
func wantedPoints() string {
	s := smlsim.StateAt(noon)
	return fmt.Sprintf(`maker="SLC"; energy=%s; in_kwh=%v; reverse=%s; power=%v; voltage=%s; current=%v; frequency=50; key="E82E3051EF18A388DC0B4605DBFF2F27B9CBCB80A3B295FD9C7A5016D42774B2D086DBB1573CBE193842429840EDDB06"; flag=true; odd="1B1B1B1B1A001B"`,
		tenths(s.Energy), message.Float64(float64(s.Energy)/1e4), tenths(s.Reverse), message.Float64(float64(s.Power)/100), tenths(s.Voltage[0]), message.Float64(float64(s.Current[2])/100))
}

func TestMetersAreRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		meter  smlsim.Options
		adjust func(*Options)
	}{
		{"push", smlsim.Options{}, nil},
		{"push, the meter known", smlsim.Options{}, func(o *Options) { must(t, o.Server.UnmarshalText([]byte(smlsim.DefaultServer))) }},
		{"request", smlsim.Options{Asked: true}, func(o *Options) { o.Mode = "request" }},
		{"Kermit", smlsim.Options{Kermit: true}, nil},
		{"Kermit within", smlsim.Options{KermitMessages: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, c.meter)
			d := &Driver{Buses: busOn(t, line.Path())}
			o := options(t, d, somePoints...)
			if c.adjust != nil {
				c.adjust(o)
			}
			device := open(t, d, o)
			for range 3 {
				if got, err := drivertest.Read(t, device); err != nil || got != wantedPoints() {
					t.Errorf("\n got %s, %v\nwant %s", got, err, wantedPoints())
				}
			}
			if part := device.(collectors.Divisible).Part([]int{7, 0}); part != nil {
				if got, err := drivertest.Read(t, part); err != nil || got != `frequency=50; maker="SLC"` {
					t.Errorf("of a part got %s, %v", got, err)
				}
			}
		})
	}
}

// What is read is never older than the poll: telegrams that came while nobody listened are thrown
// away.
func TestTheNewestTelegramCounts(t *testing.T) {
	line := simulate(t, smlsim.Options{})
	d := &Driver{Buses: busOn(t, line.Path())}
	device := open(t, d, options(t, d, "maker=1-0:96.50.1*1"))
	for range 2 {
		if _, err := drivertest.Read(t, device); err != nil {
			t.Fatal(err)
		}
		before := line.Seen().Telegrams
		for line.Seen().Telegrams < before+2 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	time.Sleep(70 * time.Millisecond) // until the last one is on the line as a whole
	before := line.Seen().Telegrams
	if _, err := drivertest.Read(t, device); err != nil {
		t.Fatal(err)
	}
	if after := line.Seen().Telegrams; after == before {
		t.Error("the reading came from a telegram that was sent before the poll")
	}
}

func TestOldDZGMetersAreReadRight(t *testing.T) {
	line := simulate(t, smlsim.Options{OldDZG: true})
	d := &Driver{Buses: busOn(t, line.Path())}
	power := float64(smlsim.StateAt(noon).Power) / 100
	for _, quirk := range []string{"auto", "dzg"} {
		o := options(t, d, "power=16.7.0")
		o.Quirk = quirk
		if got, err := drivertest.Read(t, open(t, d, o)); err != nil || got != fmt.Sprintf("power=%v", message.Float64(power)) {
			t.Errorf("quirk %s: got %s, %v; want %v", quirk, got, err, power)
		}
	}
}

func TestALockedMeterSaysWhatIsMissing(t *testing.T) {
	line := simulate(t, smlsim.Options{Locked: true})
	d := &Driver{Buses: busOn(t, line.Path())}
	got, err := drivertest.Read(t, open(t, d, options(t, d, "power=16.7.0", "maker=1-0:96.50.1*1")))
	if err != nil || !strings.Contains(got, "only after their PIN was entered; maker=") {
		t.Errorf("got %s, %v", got, err)
	}
}

// What reaches the value in spite of the fault, and what is said when none does.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	for _, c := range []struct {
		fault smlsim.Fault
		asked bool
		err   string // empty: the values
	}{
		{fault: smlsim.Garbage},
		{fault: smlsim.Silence, err: "meter on bus://line: no telegram within 700ms"},
		{fault: smlsim.BadChecksum, err: "the telegram is damaged: its checksum is "},
		{fault: smlsim.BadMessage, err: "the telegram is damaged: the checksum of a message is wrong"},
		{fault: smlsim.Flipped, err: "the telegram is damaged: its checksum is "},
		{fault: smlsim.Dropped, err: "the telegram is damaged: bytes got lost from it"},
		{fault: smlsim.Short, err: "the telegram is "},
		{fault: smlsim.NoList, err: "it holds no list of values"},
		{fault: smlsim.Refuse, asked: true, err: "the meter refused: no such list (attention 8181C7C7FE01)"},
		{fault: smlsim.Silence, asked: true, err: "no telegram within 700ms"},
		{fault: smlsim.BadChecksum, asked: true, err: "the telegram is damaged: its checksum is "},
	} {
		t.Run(fmt.Sprintf("%s %v", c.fault, c.asked), func(t *testing.T) {
			t.Parallel()
			line := simulate(t, smlsim.Options{Asked: c.asked})
			d := &Driver{Buses: busOn(t, line.Path())}
			o := options(t, d, somePoints...)
			if c.err != "" {
				o.Wait = 700 * time.Millisecond
			}
			if c.asked {
				o.Mode = "request"
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
			line.Misbehave(smlsim.Healthy)
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

// On a line that damages, loses and invents bytes, a poll gives what the meter said or an error.
func TestNoiseOnTheLineNeverGivesAWrongValue(t *testing.T) {
	t.Parallel()
	line := simulate(t, smlsim.Options{Every: 60 * time.Millisecond})
	d := &Driver{Buses: busOn(t, line.Path())}
	o := options(t, d, somePoints...)
	o.Wait = 500 * time.Millisecond
	device := open(t, d, o)
	line.Terminal().Noise(pty.Noise{FlipBits: 0.0005, DropBytes: 0.001, RandomBytes: 0.001, Seed: 7})
	for range 20 {
		if got, err := drivertest.Read(t, device); err == nil && got != wantedPoints() {
			t.Errorf("\n got %s\nwant %s", got, wantedPoints())
		}
	}
	line.Terminal().Noise(pty.Noise{})
	var got string
	var err error
	for range 2 { // intervals
		got, err = drivertest.Read(t, device)
	}
	if err != nil || got != wantedPoints() {
		t.Errorf("after the noise: %s, %v", got, err)
	}
}

func TestAPulledAdapterRecovers(t *testing.T) {
	t.Parallel()
	line := simulate(t, smlsim.Options{})
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
	drivertest.FaultsAreTested(t, "smlsim", smlsim.Faults())
}

func TestContract(t *testing.T) {
	line := simulate(t, smlsim.Options{})
	d := &Driver{Buses: busOn(t, line.Path())}
	drivertest.Run(t, drivertest.Case{
		Driver: d,
		Options: func() any {
			o := options(t, d, "energy=1.8.0", "power=16.7.0")
			o.Wait = 800 * time.Millisecond
			return o
		},
		Points:  []string{"energy", "power"},
		Silence: drivertest.Silencer(line.Misbehave, smlsim.Silence, smlsim.Healthy),
	})
}

func TestMetersAreFound(t *testing.T) {
	line := simulate(t, smlsim.Options{})
	c, err := busOn(t, line.Path()).Client("bus://line", "scan")
	must(t, err)
	found, err := Find(t.Context(), c, 3*time.Second, 115200)
	if err != nil || len(found) != 1 || found[0].Server != smlsim.DefaultServer || len(found[0].Codes) != 17 || found[0].Codes[2] != "1-0:1.8.0*255" {
		t.Errorf("got %+v, %v", found, err)
	}
	line.Misbehave(smlsim.Silence)
	if found, err := Find(t.Context(), c, 300*time.Millisecond, 115200, 9600); err != nil || len(found) != 0 {
		t.Errorf("of a silent line got %+v, %v", found, err)
	}
}

func TestMistakesInOptionsAreAllReported(t *testing.T) {
	for _, bad := range []string{"", "bus://", "bus://a/b", "tcp://", "tcp://a", "tcp://:1", "serial:///dev/ttyS1"} {
		if err := new(bus.Address).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if err := new(Octets).UnmarshalText([]byte("0A0")); err == nil {
		t.Error("half a byte was accepted")
	}
	d := &Driver{Buses: busOn(t, "/dev/null")}
	if got, want := mistakes(d.Options().(*Options)), "address points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	wrong := options(t, d, "a=1.8.0", "a=1.8.0")
	wrong.Mode, wrong.Baud, wrong.List, wrong.Quirk, wrong.Wait = "poll", 14400, "x", "odd", 0
	wrong.Points = append(wrong.Points, PointOptions{})
	if got, want := mistakes(wrong), "mode baud list quirk wait points[1].name points[2].name points[2].code"; got != want {
		t.Errorf("wrong: mistakes at %q, want %q", got, want)
	}
	if _, err := d.Open("m", wrong); err == nil || strings.Count(err.Error(), "\n") != 7 {
		t.Errorf("open: got %v, want all 8 mistakes", err)
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

func dissectBoth(out bool, frame []byte) (string, bool) { return Dissect(bus.Direction(out), frame) }
