package cjt188_test

import (
	"context"
	"net"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/cjt188"
	"sluice/collectors/cjt188/cjt188sim"
	"sluice/collectors/drivertest"
)

// An hour of noise gives no wrong value and takes no memory.
func TestAnHourOfNoiseMakesNoWrongValue(t *testing.T) {
	line, err := cjt188sim.New(cjt188sim.Options{Preamble: 3, Delay: 20 * time.Millisecond, Clock: func() time.Time { return noon }})
	must(t, err)
	drivertest.NoisyHour{
		Interval: 2 * time.Second, Seed: 1,
		Serve: func(ctx context.Context, wire net.Conn) { _ = line.Serve(ctx, wire) }, // ends with the wire
		Open: func(t *testing.T, buses *bus.Set, address string) []collectors.Device {
			driver := &cjt188.Driver{Buses: buses}
			return []collectors.Device{
				open(t, driver, options(t, driver, address, water, "water", time.Second, "volume", "clock", "valve")),
				open(t, driver, options(t, driver, address, heat, "heat", time.Second, "heat", "power", "flow", "volume", "supply_temperature", "hours")),
			}
		},
	}.Run(t)
}
