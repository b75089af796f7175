package custom_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/custom"
	"sluice/collectors/custom/customsim"
	"sluice/collectors/drivertest"
)

const (
	patient = 5 * time.Second        // an answer is coming; the machine may be slow
	brief   = 300 * time.Millisecond // none is
)

var (
	must     = drivertest.Must
	open     = drivertest.Open
	mistakes = drivertest.Mistakes
)

// simulate runs an instrument behind a serial server and gives its address.
func simulate(t *testing.T, o customsim.Options) (*customsim.Instrument, string) {
	t.Helper()
	instrument := customsim.New(o)
	return instrument, drivertest.Serve(t, func(ctx context.Context, conn net.Conn) error { return instrument.Serve(ctx, conn) })
}

func newDriver(t *testing.T) *custom.Driver {
	t.Helper()
	return &custom.Driver{Buses: drivertest.Buses(t, nil)}
}

func at(n int) *int { return &n }

// scale asks for weight and temperatures in text.
func scale(t *testing.T, d *custom.Driver, address string, timeout time.Duration) *custom.Options {
	t.Helper()
	o := d.Options().(*custom.Options)
	must(t, o.Address.UnmarshalText([]byte(address)))
	o.Timeout, o.Tail = timeout, "\r\n"
	o.Requests = []custom.RequestOptions{
		{Name: "weight", Send: "W", Match: `^ST,(GS|NT),(.*)kg`},
		{Name: "state", Send: "T", Match: `^T=`},
	}
	o.Points = []custom.PointOptions{
		{Name: "weight", Capture: 2, Unit: "kg"},
		{Name: "tons", Formula: "weight / 1000"},
		{Name: "net", Formula: `captures[1] == "NT"`},
		{Name: "t", Request: "state", Find: `T=([0-9.]+)`, Unit: "°C"},
		{Name: "set", Request: "state", Find: `SP=([0-9.]+)`, Access: "rw", Write: "SP {value:.1}"},
		{Name: "state", Request: "state", Find: `S=(\w+)`, Type: "text"},
		{Name: "length", Request: "state", Formula: "len(bytes) + len(text)"},
	}
	return o
}

// controller asks in binary.
func controller(t *testing.T, d *custom.Driver, address string, timeout time.Duration) *custom.Options {
	t.Helper()
	o := d.Options().(*custom.Options)
	must(t, o.Address.UnmarshalText([]byte(address)))
	o.Timeout, o.Checksum = timeout, "sum8"
	o.Requests = []custom.RequestOptions{{Name: "all", Send: "\x02\x52", Start: "\x02\x57", LengthAt: at(2), Match: "hex:02 57 0F"}}
	o.Points = []custom.PointOptions{
		{Name: "set", At: at(3), Type: "int16", Scale: 0.1, Access: "rw", Write: "hex:02 53 {int16}"},
		{Name: "count", At: at(5), Type: "bcd", Length: 4},
		{Name: "flow", At: at(-6), Type: "float32"},
		{Name: "alarm", At: at(13), Type: "bool", Bit: at(7)},
	}
	return o
}

const (
	scaleReads      = `weight=12.5; tons=0.0125; net=false; t=21.5; set=20; state="OK"; length=42`
	controllerReads = `set=20; count=123456; flow=21.5; alarm=true`
)

func TestContract(t *testing.T) {
	instrument, address := simulate(t, customsim.Options{})
	driver := newDriver(t)
	drivertest.Run(t, drivertest.Case{
		Driver:  driver,
		Options: func() any { return scale(t, driver, address, 400*time.Millisecond) },
		Points:  []string{"weight", "tons", "net", "t", "set", "state", "length"},
		Silence: drivertest.Silencer(instrument.Misbehave, customsim.Silence, customsim.Healthy),
	})
}

// What reaches the values in spite of the fault, and what is said when none does.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	for _, c := range []struct {
		fault             customsim.Fault
		text, binary, err string
	}{
		{fault: customsim.Healthy, text: scaleReads, binary: controllerReads},
		{fault: customsim.Garbage, text: scaleReads, binary: controllerReads},
		{fault: customsim.Split, text: scaleReads, binary: controllerReads},
		{fault: customsim.Other, text: scaleReads, binary: controllerReads},
		{fault: customsim.Deaf, text: scaleReads, binary: controllerReads},
		{fault: customsim.MuteWrite, text: scaleReads, binary: controllerReads},
		{fault: customsim.Silence, err: "no answer within"},
		{fault: customsim.Short, err: "no valid answer: "},
		{fault: customsim.BadChecksum, err: "no valid answer: "}, // of text: a line end that is none
	} {
		for _, binary := range []bool{false, true} {
			name := string(c.fault) + " text"
			if binary {
				name = string(c.fault) + " binary"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				instrument, address := simulate(t, customsim.Options{})
				driver := newDriver(t)
				timeout := patient
				if c.err != "" {
					timeout = brief
				}
				o, want, healthy := scale(t, driver, address, timeout), c.text, scaleReads
				if binary {
					o, want, healthy = controller(t, driver, address, timeout), c.binary, controllerReads
				}
				device := open(t, driver, o)
				instrument.Misbehave(c.fault)
				got, err := drivertest.Read(t, device)
				if c.err == "" && (err != nil || got != want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("got %q, %v; want %q, %q", got, err, want, c.err)
				}
				instrument.Misbehave(customsim.Healthy)
				if got, err := drivertest.Read(t, device); err != nil || got != healthy {
					t.Errorf("after the fault: got %q, %v; want %q", got, err, healthy)
				}
			})
		}
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	drivertest.FaultsAreTested(t, "customsim", customsim.Faults())
}

func TestADeviceThatSpeaksByItself(t *testing.T) {
	instrument, address := simulate(t, customsim.Options{Push: 20 * time.Millisecond})
	driver := newDriver(t)
	o := scale(t, driver, address, patient)
	o.Requests[0].Send = ""
	o.Requests, o.Points = o.Requests[:1], o.Points[:2]
	device := open(t, driver, o)
	if got, err := drivertest.Read(t, device); err != nil || got != "weight=12.5; tons=0.0125" {
		t.Errorf("got %q, %v", got, err)
	}
	instrument.Load(-3)
	for range 5 { // what was on its way is heard first
		if got, err := drivertest.Read(t, device); err == nil && got == "weight=-3; tons=-0.003" {
			break
		} else if err != nil {
			t.Error(err)
		}
	}
	instrument.Misbehave(customsim.Silence)
	o.Timeout = brief
	quiet := open(t, driver, o)
	var err error
	for range 3 {
		if _, err = drivertest.Read(t, quiet); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "nothing was heard within") {
		t.Errorf("got %v", err)
	}
	if requests, _ := instrument.Seen(); requests != 0 {
		t.Errorf("it was asked %d times", requests)
	}
}

func TestOnASerialLineThatHearsItself(t *testing.T) {
	line, err := pty.Open()
	must(t, err)
	line.Pace(9600, 10)
	line.Echo(true)
	instrument := customsim.New(customsim.Options{})
	drivertest.Simulate(t, func(ctx context.Context) error { return instrument.Serve(ctx, line) })
	driver := &custom.Driver{Buses: drivertest.Buses(t, map[string]bus.Settings{"line": {Serial: line.Path()}})}
	for name, o := range map[string]*custom.Options{scaleReads: scale(t, driver, "bus://line", patient), controllerReads: controller(t, driver, "bus://line", patient)} {
		device := open(t, driver, o)
		for range 2 {
			if got, err := drivertest.Read(t, device); err != nil || got != name {
				t.Errorf("got %q, %v; want %q", got, err, name)
			}
		}
	}
}

func TestAPauseEndsAnAnswer(t *testing.T) {
	_, address := simulate(t, customsim.Options{})
	driver := newDriver(t)
	o := controller(t, driver, address, patient)
	o.Requests[0].LengthAt, o.Requests[0].Gap = nil, 60*time.Millisecond
	if got, err := drivertest.Read(t, open(t, driver, o)); err != nil || got != controllerReads {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWritesAreSentOnceAndReadBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  customsim.Fault
		value  string
		want   string
		err    string
		writes int
	}{
		{name: "taken", value: "21.5", want: "21.5", writes: 1},
		{name: "rounded", value: "21.54", want: "21.5", writes: 1},
		{name: "not acknowledged", fault: customsim.MuteWrite, value: "21.5", want: "21.5", writes: 1},
		{name: "not taken", fault: customsim.Deaf, value: "21.5", want: "20", err: "21.5 was sent, but the device reads back 20", writes: 1},
		{name: "absent", fault: customsim.Silence, value: "21.5", err: "not written: no answer"},
		{name: "no number", value: `"x"`, err: "is not a number"},
		{name: "null", value: `null`, err: "is not a number, a text"},
	} {
		for _, binary := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				instrument, address := simulate(t, customsim.Options{})
				driver := newDriver(t)
				o := scale(t, driver, address, brief)
				if binary {
					o = controller(t, driver, address, brief)
				}
				device := open(t, driver, o)
				instrument.Misbehave(c.fault)
				got, err := device.(collectors.Writer).Write(t.Context(), "set", json.RawMessage(c.value))
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				if c.want != "" && got.String() != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
				if _, writes := instrument.Seen(); writes != c.writes {
					t.Errorf("written %d times, want %d", writes, c.writes)
				}
			})
		}
	}
}

func TestOnlyWhatMayBeWrittenIs(t *testing.T) {
	_, address := simulate(t, customsim.Options{})
	driver := newDriver(t)
	device := open(t, driver, scale(t, driver, address, brief)).(collectors.Writer)
	for point, want := range map[string]string{"weight": "point weight is read-only", "none": `there is no point "none"`} {
		if _, err := device.Write(t.Context(), point, json.RawMessage("1")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", point, err, want)
		}
	}
}

func TestPartsAskForWhatTheyNeed(t *testing.T) {
	instrument, address := simulate(t, customsim.Options{})
	driver := newDriver(t)
	device := open(t, driver, scale(t, driver, address, patient))
	part := device.(interface {
		Part([]int) collectors.Device
	}).Part([]int{1})
	if got, err := drivertest.Read(t, part); err != nil || got != "tons=0.0125" {
		t.Errorf("got %q, %v", got, err)
	}
	if requests, _ := instrument.Seen(); requests != 1 {
		t.Errorf("asked %d times for a value of one answer", requests)
	}
	if specs := part.Points(); len(specs) != 1 || specs[0].Name != "tons" {
		t.Errorf("got %+v", specs)
	}
}

func TestOneRequestWithoutAnAnswerDoesNotTakeTheOthers(t *testing.T) {
	_, address := simulate(t, customsim.Options{})
	driver := newDriver(t)
	o := scale(t, driver, address, brief)
	o.Requests[0].Match = "^NEVER(.*)(.)"
	got, err := drivertest.Read(t, open(t, driver, o))
	if err != nil || !strings.HasPrefix(got, "weight: no valid answer: the answer ST,GS,+   12.50kg\\r\\n does not match ^NEVER") || !strings.Contains(got, "tons: weight has no value; ") || !strings.Contains(got, "; t=21.5; set=20") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMistakesInOptionsAreAllReported(t *testing.T) {
	var o custom.Options
	for text, good := range map[string]bool{"bus://a": true, "tcp://h:1": true, "tcp://h": false, "bus://": false, "x": false} {
		if err := o.Address.UnmarshalText([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	driver := &custom.Driver{}
	if got, want := mistakes(driver.Options().(*custom.Options)), "address requests points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	for _, c := range []struct {
		change func(o *custom.Options)
		want   string
	}{
		{func(o *custom.Options) {}, ""},
		{func(o *custom.Options) { o.Timeout, o.Checksum, o.ChecksumOrder, o.ChecksumFrom = 0, "md5", "x", -1 }, "timeout checksum checksum_order checksum_from"},
		{func(o *custom.Options) { o.Requests[1].Name = "weight" }, "requests[1].name points[3].request points[4].request points[5].request points[6].request"},
		{func(o *custom.Options) { o.Requests[0].Length, o.Requests[0].Gap = 3, 1 }, "requests[0].length"},
		{func(o *custom.Options) { o.Tail = "" }, "requests[0].length requests[1].length"},
		{func(o *custom.Options) { o.Requests[0].Trailer = 1 }, "requests[0].trailer"},
		{func(o *custom.Options) { o.Requests[1].Match = "(" }, "requests[1].match"},
		{func(o *custom.Options) { o.Points[0].Capture = 3 }, "points[0].capture"},
		{func(o *custom.Options) { o.Points[0].Capture = 0 }, "points[0].at"}, // two groups: which?
		{func(o *custom.Options) { o.Points[0].At = at(0) }, "points[0].at"},
		{func(o *custom.Options) { o.Points[0].Type = "uint16" }, "points[0].type"},
		{func(o *custom.Options) { o.Points[1].Formula = "later + 1" }, "points[1].formula"},
		{func(o *custom.Options) { o.Points[1].Scale = 2 }, "points[1].formula"},
		{func(o *custom.Options) { o.Points[3].Find = "(" }, "points[3].find"},
		{func(o *custom.Options) { o.Points[5].Scale = 2 }, "points[5].scale"},
		{func(o *custom.Options) { o.Points[4].Write = "SP" }, "points[4].write"},
		{func(o *custom.Options) { o.Points[4].Write = "" }, "points[4].write"},
		{func(o *custom.Options) { o.Points[4].Access = "" }, "points[4].access"},
		{func(o *custom.Options) { o.Requests[1].Send = "" }, "points[4].access"},
		{func(o *custom.Options) { o.Requests[1].Send, o.Requests[1].Match = "", "" }, "requests[1].match points[4].access"},
		{func(o *custom.Options) { o.Points[0] = custom.PointOptions{Name: "weight", At: at(0), Type: "float16"} }, "points[0].type"},
		{func(o *custom.Options) { o.Points[0] = custom.PointOptions{Name: "weight", At: at(0), Type: "bcd"} }, "points[0].length"},
		{func(o *custom.Options) { o.Points[0] = custom.PointOptions{Name: "weight", At: at(-1), Type: "uint16"} }, "points[0].at"},
		{func(o *custom.Options) {
			o.Points[0] = custom.PointOptions{Name: "weight", At: at(0), Type: "uint16", Bit: at(1), Order: "BA"}
		}, "points[0].order points[0].bit"},
	} {
		o := scale(t, driver, "tcp://127.0.0.1:1", brief)
		c.change(o)
		if got := mistakes(o); got != c.want {
			t.Errorf("mistakes at %q, want %q", got, c.want)
		}
		if c.want != "" {
			if _, err := driver.Open("m", o); err == nil {
				t.Errorf("%s: opened", c.want)
			}
		}
	}
}
