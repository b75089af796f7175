package dlt645_test

import (
	"context"
	"net"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/drivertest"
)

// An hour of noise gives no wrong value and takes no memory.
func TestAnHourOfNoiseMakesNoWrongValue(t *testing.T) {
	drivertest.NoisyHour{
		Interval: 2 * time.Second, Seed: 1,
		Serve: func(ctx context.Context, wire net.Conn) {
			line, err := dlt645sim.OpenOn(wire, atNoon(dlt645sim.Options{
				Meters: []string{"000000000161", "000000000162"}, Preamble: 4, Delay: 20 * time.Millisecond,
			}))
			must(t, err)
			_ = line.Run(ctx) // ends with the wire
		},
		Open: func(t *testing.T, buses *bus.Set, address string) []collectors.Device {
			driver := &dlt645.Driver{Buses: buses}
			var devices []collectors.Device
			for _, meter := range []string{"000000000161", "000000000162"} {
				devices = append(devices, openWith(t, driver, meter, time.Second, func(o *dlt645.Options) {
					must(t, o.Address.UnmarshalText([]byte(address)))
				}, "energy=00010000", "voltage_a=02010100", "voltage_c=02010300", "power=02030000", "number=04000402", "date=04000101"))
			}
			return devices
		},
	}.Run(t)
}
