package mbus_test

import (
	"testing"

	"sluice/collectors/drivertest"
	"sluice/collectors/mbus"
	"sluice/collectors/mbus/mbussim"
)

func TestContract(t *testing.T) {
	for _, meter := range []string{"1", "11490378"} {
		t.Run("meter "+meter, func(t *testing.T) {
			line := simulate(t)
			driver := &mbus.Driver{Buses: busOn(t, line)}
			drivertest.Run(t, drivertest.Case{
				Driver:  driver,
				Options: func() any { return options(t, driver, meter, brief, "energy=energy", "supply=flow_temperature") },
				Points:  []string{"energy", "supply"},
				Silence: drivertest.Silencer(line.Misbehave, mbussim.Silence, mbussim.Healthy),
			})
		})
	}
}
