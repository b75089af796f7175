package modbus

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/collectors/bus"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// address reads a written address that is known to be right.
func address(written string) Address {
	var a Address
	if err := a.UnmarshalText([]byte(written)); err != nil {
		panic(err)
	}
	return a
}

// plantPoints are those of the shared configuration.
func plantPoints() []Point {
	return []Point{
		{Name: "counter", Address: address("holding:0"), Type: "uint32"},
		{Name: "temperature", Address: address("holding:2"), Type: "float32", Order: "ABCD", Unit: "°C"},
		{Name: "pressure", Address: address("holding:4"), Type: "float32", Order: "CDAB"},
		{Name: "level", Address: address("holding:6"), Type: "int16"},
		{Name: "running", Address: address("holding:7.2"), Type: "bool"},
		{Name: "total", Address: address("holding:8"), Type: "int64"},
		{Name: "ratio", Address: address("holding:12"), Type: "float64"},
		{Name: "label", Address: address("holding:16"), Type: "string", Length: 16},
		{Name: "setpoint", Address: address("holding:100"), Type: "uint16", Access: "rw"},
	}
}

// plantReading is what those points must say at count n.
func plantReading(n uint32) []message.Point {
	v := modbussim.ValuesAt(n)
	return []message.Point{
		{Name: "counter", Value: message.Uint(uint64(v.Counter))},
		{Name: "temperature", Value: message.Float32(v.Temperature)},
		{Name: "pressure", Value: message.Float32(v.Pressure)},
		{Name: "level", Value: message.Int(int64(v.Level))},
		{Name: "running", Value: message.Bool(v.Running)},
		{Name: "total", Value: message.Int(v.Total)},
		{Name: "ratio", Value: message.Float64(v.Ratio)},
		{Name: "label", Value: message.Text(v.Label)},
		{Name: "setpoint", Value: message.Uint(40)},
	}
}

func newPlant(server *modbussim.Server) *modbussim.Plant {
	server.Set(modbussim.Holdings, 100, 40)
	plant := &modbussim.Plant{Server: server}
	plant.Step()
	return plant
}

func options(address string, points ...Point) *Options {
	o := (&Driver{}).Options().(*Options)
	o.Address, o.Points = address, points
	return o
}

// pipe opens a device whose connections are pipes to server, so that time can be simulated. The
// address's scheme says what is spoken.
func pipe(t *testing.T, server *modbussim.Server, points ...Point) *device {
	t.Helper()
	return pipeTo(t, server, options("tcp://10.0.0.9:502", points...))
}

func pipeTo(t *testing.T, server serving, o *Options) *device {
	t.Helper()
	d := openOn(t, &Driver{}, newPipes(t, server), o)
	t.Cleanup(func() { d.Close() })
	return d
}

func openOn(t *testing.T, driver *Driver, w wire, o *Options) *device {
	t.Helper()
	o.Validate(func(path, problem string) { t.Fatalf("%s: %s", path, problem) })
	to, err := parseTarget(o.Address)
	if err != nil {
		t.Fatal(err)
	}
	return driver.open(o, to, w, usualCharacter)
}

// serve runs a simulator on a loopback port for the length of the test.
func serve(t testing.TB, server listening) (address string) {
	t.Helper()
	if err := server.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	return server.Addr()
}

// listening is what a Server and a Rack have in common.
type listening interface {
	Listen(address string) error
	Addr() string
	Run(ctx context.Context) error
}

// lines makes a set of lines that ends with the test.
func lines(t testing.TB, settings map[string]bus.Settings) *bus.Set {
	t.Helper()
	set, err := bus.NewSet(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Errorf("close the lines: %v", err)
		}
	})
	return set
}

// open opens a device on lines of its own.
func open(t testing.TB, o *Options) *device {
	t.Helper()
	return openWith(t, &Driver{Buses: lines(t, nil)}, o)
}

func openWith(t testing.TB, driver *Driver, o *Options) *device {
	t.Helper()
	opened, err := driver.Open("press", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened.(*device)
}

func read(t *testing.T, d *device) ([]message.Point, error) {
	t.Helper()
	var r message.Reading
	err := d.Read(t.Context(), &r)
	return r.Points, err
}

// samePoints compares by what is written into the reading, which also tells types apart.
func samePoints(got, want []message.Point) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d points, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			return fmt.Errorf("point %d is %s = %v %q, want %s = %v %q", i,
				got[i].Name, got[i].Value, got[i].Error, want[i].Name, want[i].Value, want[i].Error)
		}
	}
	return nil
}

// requirePeer finds a foreign program. Without it the test is skipped with the reason, or fails
// where peers are required.
func requirePeer(t *testing.T, path string, probe ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, probe...).CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is required here: %v: %s", path, err, out)
	}
	t.Skipf("%s is not installed: %v", path, err)
}
