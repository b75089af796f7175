package hj212

import (
	"testing"
	"time"

	"sluice/collectors/drivertest"
	"sluice/collectors/hj212/hj212sim"
)

func TestContract(t *testing.T) {
	driver := &Driver{Log: quiet()}
	address := freeAddress(t)
	logger := simulate(t, hj212sim.Options{Address: address, Interval: 10 * time.Millisecond})
	drivertest.Run(t, drivertest.Case{
		Driver: driver,
		Options: func() any {
			o := options(driver, address)
			o.Points, o.Silence = o.Points[:2], 500*time.Millisecond
			return o
		},
		Points: []string{"cod", "ph"},
		Silence: func(silent bool) {
			if silent {
				logger.Misbehave(hj212sim.Silence)
				said := logger.Seen().Reports // what was under way arrives before two more would have been sent
				eventually(t, "it is silent", func() bool { return logger.Seen().Reports >= said+2 })
				return
			}
			logger.Misbehave(hj212sim.Healthy)
		},
	})
}
