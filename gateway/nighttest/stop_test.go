//go:build linux

package nighttest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestStopWithin5Seconds stops a busy gateway in order, again and again: at random moments of load,
// just after it has come alive, while its cloud hangs, and always with one device that never
// answers. Each time it ends by itself, and what it had acknowledged reaches the cloud later.
func TestStopWithin5Seconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes tens of seconds")
	}
	rounds := 4
	if long() {
		rounds = 40
	}
	here := site{}
	plcs := newPlant(t, here, 1)
	cloud := newSink(t, here, freeAddress(t))
	cloud.start(t)
	web, mqtt := freeAddress(t), freeAddress(t)
	g := newGateway(t, here, web, stopConfig(plcs.addresses[0], muteDevice(t), web, mqtt, cloud.address))
	n := &night{record: cloud.record, window: uplinkWindow}

	var publishers []*publisher
	var slowest time.Duration
	for round := range rounds {
		early, hung := round%4 == 1, round%4 == 2
		var load sync.WaitGroup
		if early {
			g.process = g.launch(t)
			until(t, time.Minute, "signs of life", func() bool {
				g.process.alive(t)
				code, _, err := g.request(t.Context(), http.MethodGet, "/healthz", nil)
				return err == nil && code == http.StatusOK
			})
		} else {
			g.start(t)
			time.Sleep(between(0, 2*time.Second))
			for k := range 4 {
				p := &publisher{topic: "load", label: fmt.Sprintf("round-%d-client-%d", round, k)}
				conn, err := here.dial(t.Context(), "tcp", mqtt)
				if err != nil {
					t.Fatal(err)
				}
				publishers = append(publishers, p)
				load.Go(func() { p.run(conn) })
			}
			time.Sleep(between(50*time.Millisecond, 400*time.Millisecond))
		}
		if hung {
			cloud.process.cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(between(0, time.Second))
		}
		stopped := n.begins(fmt.Sprintf("stop %d", round+1), 1, uplinkWindow)
		code, took, err := g.process.terminate(5 * time.Second)
		if code != 0 || err != nil {
			t.Errorf("round %d (just alive: %t, cloud hangs: %t): SIGTERM: exit code %d after %v: %v", round, early, hung, code, took, err)
		}
		if hung {
			cloud.process.cmd.Process.Signal(syscall.SIGCONT)
		}
		n.silent(stopped)
		g.token = ""
		slowest = max(slowest, took)
		load.Wait()
	}
	g.start(t)
	until(t, time.Minute, "a reading since the last start", func() bool { return g.status(t).seqs()["press"] > 0 })
	plcs.stop()
	end := g.drained(t, cloud.record)
	g.stop(t)

	acked := 0
	for _, p := range publishers {
		acked += p.acked
		if p.err != nil {
			t.Errorf("%s: %v", p.label, p.err)
		}
	}
	if acked == 0 {
		t.Error("no message was acknowledged: there was no load")
	}
	record := cloud.deliveries(t)
	missing, unordered := arrived(record, "", publishers)
	if missing > 0 || unordered > 0 {
		t.Errorf("of %d acknowledged messages %d never reached the cloud and %d came out of order", acked, missing, unordered)
	}
	v := n.judge(t)
	seqs := end.seqs()
	delete(seqs, "mute") // it has no reading
	v.complete(seqs)
	v.report(t)
	t.Logf("%d stops, the slowest took %v, acknowledged %d, %s", rounds+1, slowest.Round(time.Millisecond), acked, v.summary())
}

// muteDevice gives the address of a device that takes connections and never answers.
func muteDevice(t *testing.T) string {
	t.Helper()
	listener := site{}.listen(t, "127.0.0.1:0")
	var conns []net.Conn
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func stopConfig(plc, mute, web, mqtt, cloud string) string {
	return fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: "{dir}/data"}
web: {listen: "%s"}
mqtt: {listen: ["%s"], anonymous: true}
devices:
  - {name: press, driver: modbus, address: "tcp://%s", unit: 1, interval: 20ms, timeout: 1s, points: [{name: counter, address: "holding:0", type: uint32}]}
  - {name: mute, driver: modbus, address: "tcp://%s", unit: 1, interval: 100ms, timeout: 20s, points: [{name: counter, address: "holding:0", type: uint32}]}
uplinks:
  - name: cloud
    driver: mqtt
    address: tcp://%s
    client_id: line-3
    window: %d
    forward:
      - {from: "readings/#", to: "plants/{topic}", qos: 1}
      - {from: load, to: "plants/{topic}", qos: 1}
`, web, mqtt, plc, mute, cloud, uplinkWindow)
}
