package dlt645_test

import (
	"testing"
	"time"

	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
	"sluice/collectors/drivertest"
)

func TestContract(t *testing.T) {
	line := simulate(t, dlt645sim.Options{})
	driver := &dlt645.Driver{Buses: busOn(t, line.Path())}
	drivertest.Run(t, drivertest.Case{
		Driver: driver,
		Options: func() any {
			o := driver.Options().(*dlt645.Options)
			o.Address, o.Timeout = "bus://line", 500*time.Millisecond
			must(t, o.Meter.UnmarshalText([]byte(dlt645sim.DefaultMeter)))
			o.Points = []dlt645.PointOptions{point(t, "energy", "00010000"), point(t, "voltage", "02010100")}
			return o
		},
		Points:  []string{"energy", "voltage"},
		Silence: drivertest.Silencer(line.Misbehave, dlt645sim.Silence, dlt645sim.Healthy),
	})
}
