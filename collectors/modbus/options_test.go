package modbus

import (
	"strings"
	"testing"
	"time"
)

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
		Address: "rtu://rs485-1", Unit: 256, Timeout: -time.Second,
		Limits: Limits{MaxRegisters: 126, MaxBits: -1, MaxGap: 200},
		Points: []Point{{Name: "e", Address: address("holding:0"), Order: "ACBD"}},
	}
	got := make(map[string]string)
	o.Validate(func(path, problem string) { got[path] = problem })
	for _, path := range []string{"address", "unit", "timeout", "max_registers", "max_bits", "max_gap", "points[0].order"} {
		if got[path] == "" {
			t.Errorf("nothing about %s in %v", path, got)
		}
		delete(got, path)
	}
	if len(got) != 0 {
		t.Errorf("more than the mistakes: %v", got)
	}
	if _, err := (Driver{}).Open("press", o); err == nil || !strings.Contains(err.Error(), "points[0].order") {
		t.Errorf("Open gave %v, want every mistake", err)
	}
}

func TestSharedConfigurationIsValid(t *testing.T) {
	options("tcp://127.0.0.1:5020", plantPoints()...).Validate(func(path, problem string) {
		t.Errorf("%s: %s", path, problem)
	})
	o := Driver{}.Options().(*Options)
	if o.Timeout != time.Second || o.Unit != 1 || o.Limits != (Limits{125, 2000, 64}) {
		t.Errorf("defaults %+v, want 1s, unit 1 and the limits of the protocol", o)
	}
}
