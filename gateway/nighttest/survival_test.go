//go:build linux

package nighttest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

const uplinkWindow = 100

// long says whether the full figures are wanted in place of the short form.
func long() bool { return os.Getenv("SLUICE_LONG") == "1" }

// between gives a random moment, so that kills hit everywhere over many runs.
func between(low, high time.Duration) time.Duration {
	return low + rand.N(high-low)
}

// TestReadingsSurviveTheNight polls a foreign PLC 20 times a second towards a foreign cloud, which
// is stopped for a while, cut off once without either side noticing, and while the gateway is
// killed three times: once in quiet, once without a cloud, once while it catches up.
func TestReadingsSurviveTheNight(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	const interval = 50 * time.Millisecond
	stopFor, cutFor, calm := 8*time.Second, 6*time.Second, 3*time.Second
	if long() {
		stopFor, cutFor, calm = 60*time.Second, 40*time.Second, 50*time.Second
	}
	l := newLine(t)
	plc := newPymodbus(t, l.gateway, "127.0.0.1:5020")
	cloud := newMosquitto(t, l.cloud, cloudIP+":1883")
	g := newGateway(t, l.gateway, "127.0.0.1:8080", nightConfig(interval, cloud.address))
	n := &night{record: cloud.record, window: uplinkWindow}
	begin := time.Now()
	g.start(t)
	until(t, time.Minute, "the first readings", func() bool { return cloud.count() > 20 })

	time.Sleep(calm)
	n.killGateway(t, g)
	time.Sleep(calm + between(0, time.Second))

	// A broker that comes back hands its subscriber again what that had not yet confirmed: one
	// step back more, on the far leg.
	stopped := n.begins("cloud stopped", 2, uplinkWindow+subscriberLag)
	cloud.stop(t)
	n.silent(stopped)
	first := between(stopFor/4, stopFor/2)
	time.Sleep(first)
	n.killGateway(t, g)
	time.Sleep(stopFor - first)
	cloud.start(t)
	until(t, 2*time.Minute, "an end of the backlog", func() bool { return g.status(t).backlog() < 20 })
	time.Sleep(calm)

	cut := n.begins("line cut", 1, uplinkWindow)
	l.cut(t)
	time.Sleep(cutFor)
	l.heal(t)
	cut.over()
	time.Sleep(between(0, 3*time.Second))
	n.killGateway(t, g)
	before := cloud.count()
	until(t, 2*time.Minute, "readings after the cut", func() bool { return cloud.count() > before+20 })
	time.Sleep(calm)

	elapsed := time.Since(begin)
	served := plc.stop(t)
	end := g.drained(t, cloud.record)
	until(t, time.Minute, "the last reading at the recorder", func() bool {
		return n.judge(t).last[stream{"line-3", "press", epochOf(t, cloud.record)}] == end.seqs()["press"]
	})
	g.stop(t)

	v := n.judge(t)
	v.complete(end.seqs())
	v.report(t)
	t.Logf("%v: polls %d, %s, kills %d, down %v", elapsed.Round(time.Second), served, v.summary(), n.kills, g.down.Round(time.Millisecond))
	ideal := int((elapsed - g.down) / interval)
	if v.distinct < ideal*6/10 {
		t.Errorf("%d readings in %v without %v of downtime: less than 60 %% of %d", v.distinct, elapsed, g.down, ideal)
	}
	// A poll whose reading was not yet durable dies with the gateway, but no other may vanish.
	if lost, allowed := served-v.distinct, n.kills*20+served/20; lost > allowed {
		t.Errorf("the PLC answered %d polls, of which %d became no reading: more than %d", served, lost, allowed)
	}
	checkValues(t, cloud.record.deliveries(t), served)
}

func nightConfig(interval time.Duration, cloud string) string {
	return fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: "{dir}/data"}
web: {listen: 127.0.0.1:8080}
mqtt: {listen: [127.0.0.1:1883], anonymous: true}
devices:
  - name: press
    driver: modbus
    address: tcp://127.0.0.1:5020
    unit: 1
    interval: %v
    timeout: 1s
    points:
      - {name: counter, address: "holding:0", type: uint32}
      - {name: temperature, address: "holding:2", type: float32, order: ABCD, unit: "°C"}
      - {name: pressure, address: "holding:4", type: float32, order: CDAB}
      - {name: level, address: "holding:6", type: int16}
      - {name: running, address: "holding:7.2", type: bool}
      - {name: total, address: "holding:8", type: int64}
      - {name: ratio, address: "holding:12", type: float64}
      - {name: label, address: "holding:16", type: string, length: 16}
      - {name: setpoint, address: "holding:100", type: uint16, access: rw}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    client_id: line-3
    window: %d
    forward:
      - {from: "readings/#", to: "plants/{topic}", qos: 1}
      - {from: "replies/#", to: "plants/{topic}", qos: 1}
      - {from: "status/#", to: "plants/{topic}", qos: 1}
    receive: [{from: "plants/commands/{gateway}/+", to: "commands/{gateway}/{device}"}]
`, interval, cloud, uplinkWindow)
}

// epochOf gives the epoch of the first recorded reading; that it stays the judge watches.
func epochOf(t *testing.T, r *record) uint64 {
	t.Helper()
	for _, d := range r.deliveries(t) {
		var reading struct{ Epoch uint64 }
		if d.isReading() && json.Unmarshal(d.payload, &reading) == nil {
			return reading.Epoch
		}
	}
	return 0
}

// checkValues compares the values of every reading with what the PLC serves (testdata/plc.py): the
// counter grows with every reading, because no poll was answered twice.
func checkValues(t *testing.T, record []delivery, served int) {
	t.Helper()
	want := map[string]any{"temperature": 21.5, "pressure": 1013.25, "level": -40.0, "running": true,
		"total": -1234567890123.0, "ratio": 0.015625, "label": "press 7", "setpoint": 42.0}
	var readings, failed int
	var lastSeq, lastCount uint64
	for i, d := range record {
		if !d.isReading() {
			continue
		}
		var r struct {
			Seq    uint64
			Values map[string]any
			Errors map[string]string
		}
		if err := json.Unmarshal(d.payload, &r); err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
		if r.Seq <= lastSeq {
			continue // a repeat, and the same as the first, else the judge has said so
		}
		lastSeq = r.Seq
		readings++
		for name, value := range want {
			if got, there := r.Values[name]; there && got != value {
				t.Fatalf("seq %d: %s is %v, the PLC has %v: %s", r.Seq, name, got, value, d.payload)
			}
		}
		if len(r.Errors) > 0 || len(r.Values) != len(want)+1 {
			failed++
			continue
		}
		count, _ := r.Values["counter"].(float64)
		if uint64(count) <= lastCount || int(count) > served {
			t.Fatalf("seq %d: the counter is %v after %d, and the PLC counted to %d: %s", r.Seq, r.Values["counter"], lastCount, served, d.payload)
		}
		lastCount = uint64(count)
	}
	if failed > readings/20 {
		t.Errorf("%d of %d readings lack values, from a PLC that was always there", failed, readings)
	}
}

// TestDrainSurvivesKillsOfBothSides builds up a backlog from many devices, then lets it drain as
// fast as it can while the gateway and the cloud are killed in turn.
func TestDrainSurvivesKillsOfBothSides(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const devices, interval = 40, 20 * time.Millisecond
	fill, kills := 12*time.Second, 3
	if long() {
		fill, kills = 5*time.Minute, 12
	}
	l := newLine(t)
	plcs := newPlant(t, l.gateway, devices)
	cloud := newSink(t, l.cloud, cloudIP+":1883")
	g := newGateway(t, l.gateway, "127.0.0.1:8080", plantConfig(plcs, interval, cloud.address))
	n := &night{record: cloud.record, window: uplinkWindow}
	g.start(t)
	time.Sleep(fill)
	backlog := int(g.status(t).backlog())
	if least := int(fill/interval) * devices / 20; backlog < least {
		t.Fatalf("%d devices polled every %v for %v left a backlog of %d, less than 5 %% of the ideal", devices, interval, fill, backlog)
	}

	begin := time.Now()
	cloud.start(t)
	var hits []int
	for k := range 2 * kills {
		// Spread over the drain, each a random part of its share into it.
		at := (k*backlog + rand.N(backlog)) / (2*kills + 1)
		until(t, 2*time.Minute, fmt.Sprintf("%d of %d in the cloud", at, backlog), func() bool {
			g.process.alive(t)
			return cloud.count() >= at
		})
		hits = append(hits, cloud.count())
		if k%2 == 0 {
			killed := n.begins(fmt.Sprintf("cloud kill %d", k/2+1), 1, uplinkWindow)
			cloud.process.kill()
			n.silent(killed)
			cloud.start(t)
		} else {
			n.killGateway(t, g)
		}
	}
	until(t, 5*time.Minute, "the backlog in the cloud", func() bool { return cloud.count() >= backlog })
	took := time.Since(begin)
	plcs.stop()
	end := g.drained(t, cloud.record)
	g.stop(t)
	if code, _, err := cloud.process.terminate(30 * time.Second); code != 0 || err != nil {
		t.Errorf("the sink ended with code %d: %v", code, err)
	}

	v := n.judge(t)
	v.complete(end.seqs())
	v.report(t)
	if len(v.last) != devices {
		t.Errorf("%d devices reached the cloud, want %d", len(v.last), devices)
	}
	t.Logf("backlog %d, drained in %v, killed cloud and gateway in turn at %v, %s", backlog, took.Round(time.Millisecond), hits, v.summary())
}

func plantConfig(p *plant, interval time.Duration, cloud string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
gateway: {name: plant-1}
store: {dir: "{dir}/data"}
web: {listen: 127.0.0.1:8080}
mqtt: {listen: [127.0.0.1:1883], anonymous: true}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    client_id: plant-1
    window: %d
    forward: [{from: "readings/#", to: "plants/{topic}", qos: 1}]
devices:
`, cloud, uplinkWindow)
	for i, address := range p.addresses {
		fmt.Fprintf(&b, `  - {name: cell-%d, driver: modbus, address: "tcp://%s", unit: 1, interval: %v, timeout: 1s, points: [{name: counter, address: "holding:0", type: uint32}, {name: two, address: "holding:2", type: uint16}]}
`, i+1, address, interval)
	}
	return b.String()
}
