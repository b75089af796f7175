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
				// What was under way has arrived when two more would have been sent; nobody listens at times.
				said, began := logger.Seen().Reports, time.Now()
				eventually(t, "it is silent", func() bool {
					return logger.Seen().Reports >= said+2 || time.Since(began) > 100*time.Millisecond
				})
				return
			}
			logger.Misbehave(hj212sim.Healthy)
		},
	})
}
