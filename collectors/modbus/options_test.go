package modbus

import (
	"strings"
	"testing"
	"time"
)

func TestAddressForms(t *testing.T) {
	for written, want := range map[string]string{
		"holding:0": "holding:0", "holding:65535": "holding:65535", "holding:7.2": "holding:7.2",
		"input:10": "input:10", "coil:0": "coil:0", "discrete:3": "discrete:3",
		"40001": "holding:0", "49999": "holding:9998", "400001": "holding:0", "465536": "holding:65535",
		"30011": "input:10", "300011": "input:10", "10004": "discrete:3", "100004": "discrete:3",
		"00001": "coil:0", "000001": "coil:0", "40008.2": "holding:7.2", "input:1.15": "input:1.15",
	} {
		var a Address
		if err := a.UnmarshalText([]byte(written)); err != nil {
			t.Errorf("%q: %v", written, err)
			continue
		}
		text, err := a.MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%q is %s (%v), want %s", written, text, err, want)
		}
	}
}

func TestAddressMistakes(t *testing.T) {
	for written, want := range map[string]string{
		"": "digits", "holding": "digits", "holding:": "number from 0", "holding:65536": "number from 0",
		"holding:-1": "number from 0", "holding:+1": "number from 0", "registers:1": `no area "registers"`,
		"holding:7.16": "bits of a register", "holding:7.": "bits of a register", "holding:7.-1": "bits of a register",
		"coil:7.1": "has no bits", "40000": "count from 1", "465537": "count from 1", "20001": "not the digit of an area",
		"4001": "digits", "4000001": "digits", "4x001": "count from 1",
	} {
		var a Address
		err := a.UnmarshalText([]byte(written))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", written, a, err, want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"holding:7.2", "40001", "000001", "coil:0", "input:1.15", "465536"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		var a, again Address
		if a.UnmarshalText([]byte(written)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%q is %s, which is read as %s: %v", written, a, again, err)
		}
	})
}

func TestDeviceAddress(t *testing.T) {
	for written, want := range map[string]string{
		"tcp://127.0.0.1:5020": "127.0.0.1:5020", "tcp://plc.local": "plc.local:502",
		"tcp://[::1]:5020": "[::1]:5020", "tcp://[::1]": "[::1]:502",
		"127.0.0.1:502": "!no scheme", "rtu+tcp://h:1": "!rtu+tcp:// is not spoken", "rtu://bus": "!rtu:// is not spoken",
		"tcp://": "!names no host", "tcp://:502": "!names no host", "tcp://h:0": "!not a port", "tcp://h:99999": "!not a port",
		"tcp://h:": "!not a port", "tcp://a:b:c": "!not host:port", "tcp://h:1/x": "!not a port", "": "!no scheme",
	} {
		got, err := hostPort(written)
		problem, isError := strings.CutPrefix(want, "!")
		if isError && (err == nil || !strings.Contains(err.Error(), problem)) || !isError && (err != nil || got != want) {
			t.Errorf("%q: got %q, %v, want %s", written, got, err, want)
		}
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	o := &Options{
		Address: "rtu://rs485-1", Unit: 256, Timeout: -time.Second, MaxGap: 200,
		Points: []Point{
			{Name: "", Address: address("holding:0")},
			{Name: "a", Address: address("coil:0"), Type: "uint16"},
			{Name: "a", Address: address("holding:0"), Type: "int24"},
			{Name: "b", Access: "rw"},
			{Name: "c", Address: address("holding:65534"), Type: "float64"},
			{Name: "d", Address: address("holding:0"), Type: "string"},
			{Name: "e", Address: address("holding:0"), Type: "uint16", Length: 4, Order: "ACBD", Access: "w"},
			{Name: "f", Address: address("input:0"), Access: "rw"},
			{Name: "g", Address: address("holding:0.3"), Access: "rw"},
			{Name: "h", Address: address("holding:0.3"), Type: "int16"},
			{Name: "i", Address: address("coil:0"), Scale: 2},
			{Name: "j", Address: address("holding:0"), Deadband: -1},
			{Name: "k", Address: address("holding:0"), Type: "string", Length: 251},
		},
	}
	got := make(map[string]string)
	o.Validate(func(path, problem string) { got[path] = problem })
	for _, path := range []string{
		"address", "unit", "timeout", "max_gap", "points[0].name", "points[1].type", "points[2].name",
		"points[2].type", "points[3].address", "points[4].address", "points[5].length", "points[6].length",
		"points[6].order", "points[6].access", "points[7].access", "points[8].access", "points[9].type",
		"points[10].type", "points[11].deadband", "points[12].length",
	} {
		if got[path] == "" {
			t.Errorf("nothing about %s in %v", path, got)
		}
		delete(got, path)
	}
	if len(got) != 0 {
		t.Errorf("more than the mistakes: %v", got)
	}
	if _, err := (Driver{}).Open("press", o); err == nil || !strings.Contains(err.Error(), "points[6].order") {
		t.Errorf("Open gave %v, want every mistake", err)
	}
}

func TestSharedConfigurationIsValid(t *testing.T) {
	options("tcp://127.0.0.1:5020", plantPoints()...).Validate(func(path, problem string) {
		t.Errorf("%s: %s", path, problem)
	})
	o := Driver{}.Options().(*Options)
	if o.Timeout != time.Second || o.Unit != 1 || o.MaxGap != 16 {
		t.Errorf("defaults %+v, want 1s, unit 1 and gaps of 16", o)
	}
}
