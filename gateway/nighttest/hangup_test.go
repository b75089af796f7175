//go:build linux

package nighttest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHangUpAppliesTheChangedFile edits the configuration of a running gateway by hand: a good
// change runs after SIGHUP without a client losing its connection, a bad one leaves the old running.
func TestHangUpAppliesTheChangedFile(t *testing.T) {
	here := site{}
	plant := newPlant(t, here, 2)
	web, mqtt, nobody := freeAddress(t), freeAddress(t), freeAddress(t)
	text := func(devices int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "gateway: {name: line-3}\nstore: {dir: ./data}\nweb: {listen: %q}\nmqtt: {listen: [%q], anonymous: true}\ndevices:\n", web, mqtt)
		for i := range devices {
			fmt.Fprintf(&b, "  - {name: d%d, driver: modbus, address: \"tcp://%s\", interval: 50ms, points: [{name: a, address: \"holding:0\"}]}\n", i, plant.addresses[i])
		}
		fmt.Fprintf(&b, "uplinks: [{name: cloud, driver: mqtt, address: \"tcp://%s\", forward: [{from: \"readings/#\", to: \"{topic}\"}]}]\n", nobody)
		return b.String()
	}
	g := newGateway(t, here, web, text(1))
	g.start(t)
	conn, err := here.dial(t.Context(), "tcp", mqtt)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := &publisher{topic: "load", label: "client"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(conn)
	}()

	change := func(text string) {
		t.Helper()
		if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := g.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	before := g.status(t).seqs()["d0"]
	change(text(2))
	until(t, 20*time.Second, "readings of the new device", func() bool { return g.status(t).seqs()["d1"] > 0 })

	change(strings.Replace(text(1), "interval: 50ms", "interval: fast", 1))
	until(t, 20*time.Second, "a complaint about the mistake", func() bool {
		return bytes.Contains(tail(g.process.output, 5), []byte("is not a duration"))
	})
	after := g.status(t)
	if len(after.Devices) != 2 {
		t.Errorf("after a bad change %d devices run, want both", len(after.Devices))
	}
	until(t, 20*time.Second, "more readings of the device that was there all the time", func() bool {
		return g.status(t).seqs()["d0"] > max(before, after.seqs()["d0"])
	})
	conn.Close()
	<-done
	if p.acked == 0 || p.err != nil {
		t.Errorf("the client that was connected all the time: %d acknowledged, %v", p.acked, p.err)
	}
}
