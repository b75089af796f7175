package iec62056

import (
	"context"
	"net"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/drivertest"
	"sluice/collectors/iec62056/iec62056sim"
)

// An hour of noise gives no wrong value and takes no memory. A readout of 500 characters hardly ever comes
// through whole, single registers do.
func TestAnHourOfNoiseMakesNoWrongValue(t *testing.T) {
	drivertest.NoisyHour{
		Interval: 5 * time.Second, Seed: 1,
		Serve: func(ctx context.Context, wire net.Conn) {
			line, err := iec62056sim.OpenOn(wire, fast(iec62056sim.Options{Delay: 20 * time.Millisecond}))
			must(t, err)
			_ = line.Run(ctx) // ends with the wire
		},
		Open: func(t *testing.T, buses *bus.Set, address string) []collectors.Device {
			d := &Driver{Buses: buses}
			var devices []collectors.Device
			for _, read := range []string{readWhole, "R5"} {
				o := options(t, d, "serial=0.0.0", "energy=1.8.0", "demand=1.6.0", "power=16.7.0")
				o.Read, o.Timeout, o.Parity = read, time.Second, paritySoftware
				must(t, o.Address.UnmarshalText([]byte(address)))
				devices = append(devices, open(t, d, o))
			}
			return devices
		},
	}.Run(t)
}
