package modbus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/modbus/modbussim"
)

func TestUnitsAreFound(t *testing.T) {
	for _, gateway := range []bool{false, true} {
		for i, way := range dialects {
			t.Run(way.scheme, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					plain, without, late := &modbussim.Server{}, &modbussim.Server{}, &modbussim.Server{}
					plain.Set(modbussim.Holdings, 0, 42)
					without.Remove(modbussim.Holdings, 0, 1)
					late.Always(modbussim.Fault{Kind: modbussim.Slow, Delay: 350 * time.Millisecond})
					rack := &modbussim.Rack{Dialect: way.spoken, Gateway: gateway, Devices: map[byte]*modbussim.Server{3: plain, 9: without, 11: late}}
					steps := 0
					got, err := find(t.Context(), newPipes(t, rack), Search{
						Protocol: protocols[i+1], Units: []byte{1, 2, 3, 8, 9, 10, 11, 12},
						Progress: func(unit byte, done, all int) {
							if done != steps || all != 8 {
								t.Errorf("unit %d: %d of %d done, want %d of 8", unit, done, all, steps)
							}
							steps++
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					var found []string
					for _, one := range got {
						if len(one.Raw) == 0 {
							t.Errorf("unit %d was found without a frame", one.Unit)
						}
						found = append(found, string('0'+rune(one.Unit))+" "+one.Answer)
					}
					want := []string{"3 holding:0 = 42", "9 exception 2: illegal data address"}
					if !slices.Equal(found, want) {
						t.Errorf("found %q, want %q", found, want)
					}
				})
			})
		}
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rack := &modbussim.Rack{Dialect: modbussim.RTU, Devices: map[byte]*modbussim.Server{1: {}}}
		started := time.Now()
		got, err := find(ctx, newPipes(t, rack), Search{Protocol: "modbus-rtu"})
		if !errors.Is(err, context.DeadlineExceeded) || len(got) != 1 || time.Since(started) > time.Second {
			t.Errorf("got %v, %v after %v, want what was found within a second", got, err, time.Since(started))
		}
	})
}

func TestSearchOfAnUnknownProtocolIsRefused(t *testing.T) {
	for _, protocol := range []string{"", "modbus", "dlt645"} {
		if _, err := find(t.Context(), newPipes(t, &modbussim.Server{}), Search{Protocol: protocol}); err == nil {
			t.Errorf("%q was searched for", protocol)
		}
	}
}

func TestSearchOnASharedLine(t *testing.T) {
	rack, _ := twoPlants(modbussim.RTU)
	_, set, devices := hall(t, "rtu", rack, bus.Settings{}, 1)
	c, err := set.Client("bus://hall", "search")
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), c, Search{Protocol: "modbus-rtu", Units: []byte{1, 2, 3}, Timeout: 50 * time.Millisecond})
	if err != nil || len(found) != 2 || !strings.HasPrefix(found[1].Answer, "holding:0 = ") {
		t.Errorf("found %+v, %v, want units 1 and 2", found, err)
	}
	good(t, devices[0], plantReading(1))
}
