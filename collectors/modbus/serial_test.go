package modbus

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/bus/pty"
	"sluice/collectors/modbus/modbussim"
)

// hall opens a rack's units on one serial line.
func hall(t *testing.T, scheme string, rack *modbussim.Rack, settings bus.Settings, units ...int) (*pty.Line, *bus.Set, []*device) {
	t.Helper()
	line := serveLine(t, rack)
	settings.Serial = line.Path()
	if settings.Baud == 0 {
		settings.Baud = 115200
	}
	set := lines(t, map[string]bus.Settings{"hall": settings})
	driver := &Driver{Buses: set}
	var devices []*device
	for _, unit := range units {
		o := options(scheme+"://hall", plantPoints()...)
		o.Unit, o.Timeout = unit, 200*time.Millisecond
		devices = append(devices, openWith(t, driver, o))
	}
	return line, set, devices
}

func twoPlants(spoken modbussim.Dialect) (*modbussim.Rack, []*modbussim.Plant) {
	rack := &modbussim.Rack{Dialect: spoken, Devices: map[byte]*modbussim.Server{1: {}, 2: {}}}
	return rack, []*modbussim.Plant{newPlant(rack.Devices[1]), newPlant(rack.Devices[2])}
}

// long is for what is worth more time in a night.
func long(short, long time.Duration) time.Duration {
	if os.Getenv("SLUICE_LONG") == "1" {
		return long
	}
	return short
}

// However bad the line, what is read is right or missing. The checksum of RTU lets one in 65,536
// damaged answers through, so the damage is bounded; ASCII's sum is weaker still and is tried with
// bytes that are lost and come from nowhere.
func TestNoiseOnTheLineMakesNoWrongValue(t *testing.T) {
	for _, test := range []struct {
		scheme string
		spoken modbussim.Dialect
		noise  pty.Noise
	}{
		{"rtu", modbussim.RTU, pty.Noise{FlipBits: 0.003, DropBytes: 0.003, RandomBytes: 0.003, Seed: 7}},
		{"ascii", modbussim.ASCII, pty.Noise{DropBytes: 0.002, RandomBytes: 0.002, Seed: 7}},
	} {
		t.Run(test.scheme, func(t *testing.T) {
			rack, plants := twoPlants(test.spoken)
			line, _, devices := hall(t, test.scheme, rack, bus.Settings{Gap: 10 * time.Millisecond}, 1, 2)
			for _, d := range devices {
				good(t, d, plantReading(1))
			}
			line.Noise(test.noise)
			values, missing := 0, 0
			for count, end := uint32(1), time.Now().Add(long(3*time.Second, 10*time.Minute)); time.Now().Before(end); count++ {
				for i, d := range devices {
					lost := notWrong(t, d, plantReading(count))
					missing += lost
					values += len(plantPoints()) - lost
					plants[i].Step()
				}
			}
			if values < 100 || missing == 0 {
				t.Errorf("%d values were read and %d were missing, want some of both", values, missing)
			}
			t.Logf("%d values right, %d missing", values, missing)
			line.Noise(pty.Noise{})
			for i, d := range devices {
				plants[i].Set(3)
				read(t, d)
				read(t, d)
				good(t, d, plantReading(3))
			}
		})
	}
}

func TestAdapterMayBePulledAndPutBack(t *testing.T) {
	rack, plants := twoPlants(modbussim.RTU)
	line, set, devices := hall(t, "rtu", rack, bus.Settings{}, 1)
	good(t, devices[0], plantReading(1))
	port, err := set.Port("hall")
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		before := port.Stats()
		if err := line.Pull(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			started := time.Now()
			if got, err := read(t, devices[0]); err == nil {
				t.Errorf("read %v from an adapter that is out", got)
			}
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("noticed after %v", took)
			}
		}
		if rows := finds(port, before); !slices.Equal(rows, []string{"port-missing"}) {
			t.Errorf("while the adapter is out: found %q", rows)
		}
		if err := line.Replug(); err != nil {
			t.Fatal(err)
		}
		plants[0].Step()
		want := plantReading(uint32(round + 2))
		if notWrong(t, devices[0], want) > 0 {
			good(t, devices[0], want)
		}
		if rows := finds(port, before); !slices.Contains(rows, "adapter-unplugged") {
			t.Errorf("with the adapter back: found %q", rows)
		}
	}
}

// Two units on one line are polled from two goroutines while a command overtakes them.
func TestUnitsShareALine(t *testing.T) {
	rack, _ := twoPlants(modbussim.RTU)
	line, set, devices := hall(t, "rtu", rack, bus.Settings{}, 1, 2)
	line.Pace(115200, 10)
	var polling sync.WaitGroup
	for _, d := range devices {
		polling.Go(func() {
			for range 20 {
				got, err := read(t, d)
				if err != nil {
					t.Error(err)
					return
				}
				got[8].Value = plantReading(1)[8].Value // the setpoint, which is written meanwhile
				if problem := samePoints(got, plantReading(1)); problem != nil {
					t.Error(problem)
				}
			}
		})
	}
	for i := range 10 {
		value := fmt.Sprint(i)
		if got, err := devices[i%2].Write(t.Context(), "setpoint", []byte(value)); err != nil || got.String() != value {
			t.Errorf("write %d: %v, %v", i, got, err)
		}
	}
	polling.Wait()
	port, err := set.Port("hall")
	if err != nil {
		t.Fatal(err)
	}
	if stats := port.Stats(); stats.Failures != 0 || stats.Exchanges < 80 {
		t.Errorf("statistics %+v, want no failure", stats)
	}
	for _, f := range port.Recent(0) {
		if text, ok := DissectRTU(f.Direction, f.Bytes); !ok || !strings.HasPrefix(text, "unit ") {
			t.Errorf("the monitor shows % x as %q", f.Bytes, text)
		}
	}
}

func TestComplaint20EchoOfAnAdapterIsPassedOver(t *testing.T) {
	for scheme, spoken := range map[string]modbussim.Dialect{"rtu": modbussim.RTU, "ascii": modbussim.ASCII} {
		t.Run(scheme, func(t *testing.T) {
			rack, _ := twoPlants(spoken)
			line, _, devices := hall(t, scheme, rack, bus.Settings{}, 1)
			line.Echo(true)
			good(t, devices[0], plantReading(1))
			for _, value := range []string{"41", "42"} {
				got, err := devices[0].Write(t.Context(), "setpoint", []byte(value))
				if err != nil || got.String() != value {
					t.Errorf("wrote %s, got %v, %v", value, got, err)
				}
			}
			// Nobody answers, and the echo of a write, which looks like its answer, is none.
			rack.Devices[1].Misbehave(modbussim.Fault{}, modbussim.Fault{Kind: modbussim.Silence}, modbussim.Fault{Kind: modbussim.Silence})
			if got, err := devices[0].Write(t.Context(), "setpoint", []byte("43")); err == nil {
				t.Errorf("a write that nobody answered gave %v", got)
			}
		})
	}
}

// The pause before a request is a line's setting, because what strict timing asks for USB adapters
// cannot give.
func TestComplaint16PauseBeforeRequestsIsKept(t *testing.T) {
	rack, _ := twoPlants(modbussim.RTU)
	_, set, devices := hall(t, "rtu", rack, bus.Settings{Silence: 30 * time.Millisecond}, 1, 2)
	for range 2 {
		for _, d := range devices {
			good(t, d, plantReading(1))
		}
	}
	port, err := set.Port("hall")
	if err != nil {
		t.Fatal(err)
	}
	var ended time.Time
	for _, f := range port.Recent(0) {
		if f.Direction == bus.Out && !ended.IsZero() && f.At.Sub(ended) < 30*time.Millisecond {
			t.Errorf("a request %v after the answer before it, want 30ms", f.At.Sub(ended))
		}
		ended = f.At
	}
}
