package mqtt5

import (
	"fmt"
	"testing"

	"sluice/bridge/uplinktest"
)

// BenchmarkDrain sends readings of so many devices to mosquitto, with one message of a topic under
// way, which keeps the order whatever the broker refuses, and with the whole window.
func BenchmarkDrain(b *testing.B) {
	const window = 1000
	cloud := uplinktest.StartMosquitto(b, "max_topic_alias 0\n")
	shortening := uplinktest.StartMosquitto(b, fmt.Sprintf("max_topic_alias %d\n", maxAliases))
	for _, devices := range []int{1, 10, 1000} {
		for _, perTopic := range []int{1, window} {
			for _, m := range []*uplinktest.Mosquitto{cloud, shortening} {
				name := fmt.Sprintf("devices=%d/in_flight_per_topic=%d/aliases=%v", devices, perTopic, m == shortening)
				b.Run(name, func(b *testing.B) {
					uplinktest.Drain(b, uplink(b, "tcp://"+m.Address, func(o *Options) { o.PerTopic = perTopic }), devices, window)
				})
			}
		}
	}
}
