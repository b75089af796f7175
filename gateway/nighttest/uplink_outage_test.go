//go:build linux

package nighttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	outageDevices  = 10
	outageInterval = 25 * time.Millisecond
	// week is the simulated week: as many readings of each device as one a minute makes in seven
	// days, every one of them polled, numbered and stored by the gateway, only 2,400 times as fast.
	// Their times are the true ones: a reading's ts is the moment of its poll.
	week = 7 * 24 * 60
)

// TestUplinkSurvivesEveryOutage leads a gateway through everything that may happen between it and
// its cloud, with kill -9 in between, and compares what the cloud has at the end with the delivery
// contract. The long form lasts for a week of readings and takes every cloud with either order.
func TestUplinkSurvivesEveryOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about a minute")
	}
	walks := []struct{ cloud, order string }{{"sink", "strict"}, {"mosquitto", "live-first"}, {"rocketmq", "strict"}}
	if long() {
		walks = append(walks, []struct{ cloud, order string }{{"sink", "live-first"}, {"mosquitto", "strict"}, {"rocketmq", "live-first"}}...)
	}
	for _, c := range walks {
		t.Run(c.cloud+" "+c.order, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			w := newWalk(t, c.cloud, c.order)
			for _, p := range w.phases() {
				w.run(t, p)
			}
			if w.long {
				until(t, 20*time.Minute, "a week of readings", func() bool {
					w.g.process.alive(t)
					devices := w.status(t).Devices
					return !slices.ContainsFunc(devices, func(d device) bool { return d.Seq < week })
				})
			}
			w.verdict(t, c.order)
		})
	}
}

func newWalk(t *testing.T, cloud, order string) *walk {
	t.Helper()
	w := &walk{long: long(), line: newLine(t), papers: newPapers(t)}
	need(t, "tc")
	w.plcs = newPlant(t, w.line.gateway, outageDevices)
	w.cloud = farClouds[cloud](t, w.line.cloud)
	w.record = w.cloud.records()
	w.door = w.cloud.front(t, manners{certificate: w.papers.good})
	w.n = &night{record: w.record, window: uplinkWindow}
	w.g = newGateway(t, w.line.gateway, "127.0.0.1:8080", w.config(order))
	w.g.start(t)
	until(t, time.Minute, "the first readings", func() bool { return w.record.count() > 20 })
	return w
}

func (w *walk) config(order string) string {
	to, retry, connect := "plants/{topic}", time.Second, 2*time.Second
	if order == "live-first" {
		to = "plants/{lane}/{topic}"
	}
	if w.long {
		retry, connect = 5*time.Second, 5*time.Second
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
gateway: {name: line-3}
store: {dir: "{dir}/data"}
web: {listen: 127.0.0.1:8080}
mqtt: {listen: []}
uplinks:
  - name: cloud
    %s
    tls: {ca: %q}
    window: %d
    retry: %v
    connect_timeout: %v
    forward: [{from: "readings/#", to: %q, qos: 1, order: %s}]
devices:
`, strings.Join(w.cloud.uplink(), "\n    "), w.papers.ca, uplinkWindow, retry, connect, to, order)
	for i, address := range w.plcs.addresses {
		fmt.Fprintf(&b, `  - {name: cell-%d, driver: modbus, address: "tcp://%s", unit: 1, interval: %v, timeout: 1s, points: [{name: counter, address: "holding:0", type: uint32}, {name: two, address: "holding:2", type: uint16}]}
`, i+1, address, outageInterval)
	}
	return b.String()
}
