package mbus_test

import (
	"context"
	"net"
	"testing"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/drivertest"
	"sluice/collectors/mbus"
	"sluice/collectors/mbus/mbussim"
)

// An hour of noise gives no wrong value and takes no memory, for a meter asked by its number and one asked
// by its identity.
func TestAnHourOfNoiseMakesNoWrongValue(t *testing.T) {
	line, err := mbussim.New(mbussim.Options{
		Delay: 20 * time.Millisecond, Clock: func() time.Time { return noon },
		Meters: []mbussim.Meter{
			{Primary: 1, ID: "11490378", Maker: "ACW", Version: 14, Medium: 4},
			{Primary: 2, ID: "20000002", Maker: "ABC", Version: 2, Medium: 7},
		},
	})
	must(t, err)
	drivertest.NoisyHour{
		Interval: 2 * time.Second, Seed: 1,
		Serve: func(_ context.Context, wire net.Conn) { _ = line.Serve(wire) }, // ends with the wire
		Open: func(t *testing.T, buses *bus.Set, address string) []collectors.Device {
			driver := &mbus.Driver{Buses: buses}
			var devices []collectors.Device
			for _, meter := range []string{"1", "20000002"} {
				o := options(t, driver, meter, 500*time.Millisecond,
					"energy=energy", "volume=volume", "power=power", "supply=flow_temperature", "hours=operating_time in h", "clock=datetime", "id=header.id")
				must(t, o.Address.UnmarshalText([]byte(address)))
				devices = append(devices, open(t, driver, o))
			}
			return devices
		},
	}.Run(t)
}
