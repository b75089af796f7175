package dlt645_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
)

// withBlocks makes a device that asks for blocks, else as open does.
func withBlocks(t *testing.T, d *dlt645.Driver, timeout time.Duration, points ...string) collectors.Device {
	t.Helper()
	return openWith(t, d, "000000000161", timeout, func(o *dlt645.Options) { o.Blocks = true }, points...)
}

func TestNeighboursComeInOneRequest(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Blocks: true}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := withBlocks(t, driver, patient, "a=02010100", "b=02010200", "c=02010300", "energy=00010000", "tariff2=00010200", "ia=02020100", "ic=02020300", "factor=02060000")
	s := dlt645sim.StateAt(noon)
	volts := func(n uint64) float64 { return float64(n) / 10 }
	want := fmt.Sprintf("a=%v; b=%v; c=%v; energy=%v; tariff2=%v; ia=%v; ic=%v; factor=%v", volts(s.Voltage[0]), volts(s.Voltage[1]), volts(s.Voltage[2]),
		float64(s.Energy)/100, float64(s.Energy/3)/100, float64(s.Current[0])/1000, float64(s.Current[2])/1000, float64(s.Factor)/1000)
	for poll := range 2 {
		if got, err := read(t, device); err != nil || got != want {
			t.Errorf("poll %d:\n got %s, %v\nwant %s", poll, got, err, want)
		}
	}
	if seen := line.Seen(); seen.Requests != 8 {
		t.Errorf("%d requests for two polls, want 8", seen.Requests)
	}
}

func TestAMeterWithoutBlocksIsAskedForEach(t *testing.T) {
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf("a=%v; b=%v", float64(s.Voltage[0])/10, float64(s.Voltage[1])/10)
	for _, c := range []struct {
		name     string
		options  dlt645sim.Options
		requests [3]int // after so many polls
		absent   bool   // at the first poll
	}{
		{"refused", dlt645sim.Options{}, [3]int{3, 5, 7}, false},
		{"silent", dlt645sim.Options{Mute: []uint32{0x0201FF00}}, [3]int{1, 4, 6}, true}, // asked once more when it is known to be there
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, atNoon(c.options))
			driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
			device := withBlocks(t, driver, brief, "a=02010100", "b=02010200")
			for poll, requests := range c.requests {
				got, err := read(t, device)
				if poll == 0 && c.absent {
					if err == nil {
						t.Errorf("poll 0: got %q", got)
					}
				} else if err != nil || got != want {
					t.Errorf("poll %d: got %q, %v; want %q", poll, got, err, want)
				}
				if seen := line.Seen(); seen.Requests != requests {
					t.Errorf("poll %d: %d requests, want %d", poll, seen.Requests, requests)
				}
			}
		})
	}
}

func TestAnAbsentMeterKeepsItsBlocks(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Blocks: true}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := withBlocks(t, driver, brief, "a=02010100", "b=02010200")
	line.Misbehave(dlt645sim.Silence)
	for range 2 {
		if got, err := read(t, device); err == nil {
			t.Errorf("got %q", got)
		}
	}
	line.Misbehave(dlt645sim.Healthy)
	var requests [4]int
	for poll := range requests {
		if _, err := read(t, device); err != nil {
			t.Error(err)
		}
		requests[poll] = line.Seen().Requests
	}
	if asked := requests[3] - requests[2]; asked != 1 {
		t.Errorf("%d requests for a block that answers again", asked)
	}
}

func TestABlockThatLacksAValueIsAskedNoMore(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Blocks: true}))
	line.Set(0x0201FF00, []byte{0x05, 0x23}) // a meter of one phase
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf("a=%v; b=%v", float64(s.Voltage[0])/10, float64(s.Voltage[1])/10)
	device := withBlocks(t, driver, patient, "a=02010100", "b=02010200")
	for range 2 {
		if got, err := read(t, device); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if seen := line.Seen(); seen.Requests != 5 {
		t.Errorf("%d requests, want 5", seen.Requests)
	}
}

func TestPartsOfAnAnswer(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{Blocks: true}))
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	device := open(t, driver, "000000000161", patient, "frozen=05060101", "tariff1=05060101@4", "when=05060001", "demand=01010000", "at=01010000@3/YYMMDDhhmm", "far=01010000@7/XXXX")
	got, err := read(t, device)
	must(t, err)
	s := dlt645sim.StateAt(noon)
	want := fmt.Sprintf(`frozen=%v; tariff1=%v; when="2026-11-22T00:00"; demand=24; at="2026-11-22T10:15"; far: the answer is too short: it has 8 bytes, the value would be at byte 7`,
		float64(s.Energy-100)/100, float64(s.Energy/2-100)/100)
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if seen := line.Seen(); seen.Requests != 3 {
		t.Errorf("%d requests, want 3", seen.Requests)
	}
}

func TestAnswersOf1997InSeveralFrames(t *testing.T) {
	line := simulate(t, atNoon(dlt645sim.Options{}))
	line.Misbehave(dlt645sim.Sequence)
	driver := &dlt645.Driver{Buses: busOn(t, line.Path()), Edition: dlt645.Edition1997}
	s := dlt645sim.StateAt(noon)
	if got, err := read(t, open(t, driver, "000000000161", patient, "energy=9010")); err != nil || got != fmt.Sprintf("energy=%v", float64(s.Energy)/100) {
		t.Errorf("got %q, %v", got, err)
	}
	line.Misbehave(dlt645sim.Endless)
	if got, err := read(t, open(t, driver, "000000000161", patient, "energy=9010")); err != nil || !strings.Contains(got, "sent a part of the answer twice") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestClockIsDateAndTime(t *testing.T) {
	for _, edition := range []dlt645.Edition{dlt645.Edition2007, dlt645.Edition1997} {
		for _, at := range []time.Time{noon, time.Date(2026, 11, 23, 0, 0, 3, 0, time.UTC)} {
			line := simulate(t, dlt645sim.Options{Clock: func() time.Time { return at }})
			driver := &dlt645.Driver{Buses: busOn(t, line.Path()), Edition: edition}
			got, err := read(t, open(t, driver, "000000000161", patient, "clock=clock"))
			if want := fmt.Sprintf("clock=%q", at.Format("2006-01-02T15:04:05")); err != nil || got != want {
				t.Errorf("%d: got %q, %v; want %q", edition, got, err, want)
			}
		}
	}
}
