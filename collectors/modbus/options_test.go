package modbus

import (
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
)

func TestDeviceAddress(t *testing.T) {
	for written, want := range map[string]string{
		"tcp://127.0.0.1:5020": "Modbus TCP on tcp://127.0.0.1:5020", "tcp://plc.local": "Modbus TCP on tcp://plc.local:502",
		"tcp://[::1]:5020": "Modbus TCP on tcp://[::1]:5020", "tcp://[::1]": "Modbus TCP on tcp://[::1]:502",
		"rtu+tcp://nport:4001": "Modbus RTU on tcp://nport:4001", "ascii+tcp://[::1]:4001": "Modbus ASCII on tcp://[::1]:4001",
		"rtu://hall": "Modbus RTU on bus://hall", "ascii://hall": "Modbus ASCII on bus://hall", "tcp+bus://dtu-1": "Modbus TCP on bus://dtu-1",
		"127.0.0.1:502": "!no scheme", "udp://h:1": "!udp:// is not spoken", "rtu+tcp://h": "!has no port", "rtu://": "!names no bus",
		"rtu://h:1": "!names no bus", "rtu:///dev/ttyS1": "!names no bus", "ascii://a b": "!names no bus",
		"tcp://": "!names no host", "tcp://:502": "!names no host", "tcp://h:0": "!not a port", "tcp://h:99999": "!not a port",
		"tcp://h:": "!not a port", "tcp://a:b:c": "!not host:port", "tcp://h:1/x": "!not a port", "": "!no scheme",
	} {
		got, err := parseTarget(written)
		problem, isError := strings.CutPrefix(want, "!")
		if isError {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%q: got %+v, %v, want an error with %q", written, got, err, problem)
			}
			continue
		}
		if err != nil || spoken[got.dialect]+" on "+got.line != want {
			t.Errorf("%q: got %+v, %v, want %s", written, got, err, want)
			continue
		}
		again, err := parseTarget(got.address())
		if err != nil || again != got {
			t.Errorf("%q is written %q, which is %+v, %v", written, got.address(), again, err)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"tcp://h:1", "tcp://[::1]", "rtu://hall", "rtu+tcp://h:4001", "tcp+bus://x", "://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		got, err := parseTarget(written)
		if err != nil {
			return
		}
		if again, err := parseTarget(got.address()); err != nil || again != got {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", written, got, got.address(), again, err)
		}
	})
}

func TestValidateNamesEveryMistake(t *testing.T) {
	o := &Options{
		Address: "modbus://rs485-1", Unit: 256, Timeout: -time.Second, Write: "twice", BitWrite: "somehow",
		Limits: Limits{MaxRegisters: 126, MaxBits: -1, MaxGap: 200},
		Points: []Point{{Name: "e", Address: address("holding:0"), Order: "ACBD"}},
	}
	got := make(map[string]string)
	o.Validate(func(path, problem string) { got[path] = problem })
	for _, path := range []string{
		"address", "unit", "timeout", "write", "bit_write", "max_registers", "max_bits", "max_gap", "points[0].order",
	} {
		if got[path] == "" {
			t.Errorf("nothing about %s in %v", path, got)
		}
		delete(got, path)
	}
	if len(got) != 0 {
		t.Errorf("more than the mistakes: %v", got)
	}
	if _, err := (&Driver{}).Open("press", o); err == nil || !strings.Contains(err.Error(), "points[0].order") {
		t.Errorf("Open gave %v, want every mistake", err)
	}
}

func TestBroadcastAddressIsNoDevice(t *testing.T) {
	for scheme, mistakes := range map[string]int{"tcp://h:1": 0, "rtu+tcp://h:1": 1, "rtu://hall": 1} {
		o := options(scheme, plantPoints()...)
		o.Unit = 0
		n := 0
		o.Validate(func(string, string) { n++ })
		if n != mistakes {
			t.Errorf("%s unit 0: %d mistakes, want %d", scheme, n, mistakes)
		}
	}
}

func TestUnknownBusIsRefused(t *testing.T) {
	_, err := (&Driver{Buses: lines(t, map[string]bus.Settings{"hall": {Serial: "/dev/ttyS1"}})}).Open("press", options("rtu://yard", plantPoints()...))
	if err == nil || !strings.Contains(err.Error(), `device press: there is no bus named "yard"`) {
		t.Errorf("got %v, want that there is no such bus", err)
	}
}

func TestSharedConfigurationIsValid(t *testing.T) {
	options("tcp://127.0.0.1:5020", plantPoints()...).Validate(func(path, problem string) {
		t.Errorf("%s: %s", path, problem)
	})
	o := (&Driver{}).Options().(*Options)
	if o.Timeout != time.Second || o.Unit != 1 || o.Write != writeAuto || o.BitWrite != bitMask || o.Limits != (Limits{125, 2000, 64}) {
		t.Errorf("defaults %+v, want 1s, unit 1, auto, mask and the limits of the protocol", o)
	}
}

func TestCharacterTimeIsTheLines(t *testing.T) {
	for _, test := range []struct {
		settings bus.Settings
		want     time.Duration
	}{
		{bus.Settings{Serial: "/dev/ttyS1", Character: bus.Character{Baud: 1000, DataBits: 8, Parity: "even", StopBits: 1}}, 11 * time.Millisecond},
		{bus.Settings{Serial: "/dev/ttyS1", Character: bus.Character{Baud: 1000, DataBits: 7, Parity: "none", StopBits: 2}}, 10 * time.Millisecond},
		{bus.Settings{Dial: "h:1"}, usualCharacter},
	} {
		if got := characterTime(test.settings); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.settings, got, test.want)
		}
	}
}
