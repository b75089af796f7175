package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
	"sluice/web"
)

// TestCoverage compares spans with a plain set, whatever the order of what comes.
func TestCoverage(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var c coverage
		have := map[uint64]bool{}
		for range random.IntN(60) {
			seq := 1 + random.Uint64N(50)
			c.add(seq)
			have[seq] = true
		}
		first, last := 1+random.Uint64N(20), random.Uint64N(60)
		var want uint64
		for seq := first; seq <= last; seq++ {
			if !have[seq] {
				want++
			}
		}
		if got := c.missing(first, last); got != want {
			t.Fatalf("seed %d: of %d to %d %d are missing, want %d: %+v", seed, first, last, got, want, c.spans)
		}
	}
	var c coverage
	for seq := range uint64(1000) {
		c.add(2*seq + 1) // each with a hole behind it
	}
	if got := c.missing(1, 1999); len(c.spans) > mostSpans || got != 999 {
		t.Errorf("%d spans, %d missing; want at most %d and 999", len(c.spans), got, mostSpans)
	}
}

// cutConfig is a gateway with a device that reads often and an uplink to address.
func cutConfig(page, plc, cloud, order string) string {
	return fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data, limit: 768MiB}
web: {listen: "%s"}
mqtt: {listen: []}
devices:
%suplinks:
  - {name: cloud, driver: mqtt, address: "tcp://%s", retry: 1s, forward: [{from: "readings/#", to: "{topic}", order: %s}]}
`, page, deviceYAML("press", plc, 20*time.Millisecond), cloud, order)
}

func TestAnUplinkIsCutOnPurposeAndDrainsWithoutAGap(t *testing.T) {
	for _, order := range []string{"strict", "live-first"} {
		t.Run(order, func(t *testing.T) {
			plc, cloud, page := startPLC(t), startCloud(t, cloudsim.Options{}), freePort(t)
			g := newGateway(t, parse(t, t.TempDir(), cutConfig(page, plc.Addr(), cloud.Addr().String(), order)))
			start(t, g.Run)
			c := signIn(t, page)
			passes(t, g, c, func() {}, func() {
				cloud.SetUp(false)
				until(t, "the line is lost", func() bool { return g.Status().Uplinks[0].State == "waiting" })
				cloud.SetUp(true)
			})
		})
	}
}

// TestACutOfARealBrokersLineDrainsWithoutAGap is the same with mosquitto, which is killed while the uplink is
// cut, and again by the time it has begun to drain.
func TestACutOfARealBrokersLineDrainsWithoutAGap(t *testing.T) {
	plc, page, address, dir := startPLC(t), freePort(t), freePort(t), t.TempDir()
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\n", strings.TrimPrefix(address, "127.0.0.1:"))
	uplinktest.Write(t, dir+"/conf", conf)
	var process *exec.Cmd
	kill := func() {
		process.Process.Kill()
		process.Wait()
	}
	run := func() {
		process = exec.Command(uplinktest.Peer(t, "mosquitto"), "-c", dir+"/conf")
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	t.Cleanup(func() { kill() })
	g := newGateway(t, parse(t, dir, cutConfig(page, plc.Addr(), address, "strict")))
	start(t, g.Run)
	c := signIn(t, page)
	passes(t, g, c, func() { kill(); run() }, func() { kill(); run() })
}

// passes cuts the uplink for 5 seconds and waits for the verdict; between is called while it is cut,
// drains when it has begun to drain.
func passes(t *testing.T, g *Gateway, c *client, between, drains func()) {
	t.Helper()
	until(t, "the uplink forwards", func() bool { return g.Status().Uplinks[0].Sent > 20 })
	if got := asked[web.Outage](t, c, "GET", "/uplinks/cloud/outage", ""); got.Verdict != "none" || got.Active {
		t.Errorf("before any cut: %+v", got)
	}
	if status, body := c.ask("POST", "/uplinks/cloud/outage", `{"seconds":5}`); status != http.StatusCreated {
		t.Fatalf("cutting answers %d %s", status, body)
	}
	if status, _ := c.ask("POST", "/uplinks/cloud/outage", `{"seconds":5}`); status != http.StatusConflict {
		t.Errorf("a second cut answers %d, want 409", status)
	}
	until(t, "it is offline", func() bool {
		u := g.Status().Uplinks[0]
		return u.State == "waiting" && strings.Contains(u.LastError, "on purpose")
	})
	between()
	until(t, "the backlog rises", func() bool {
		got := asked[web.Outage](t, c, "GET", "/uplinks/cloud/outage", "")
		return got.Active && got.Verdict == "running" && got.Backlog > 50 && g.Status().Uplinks[0].State == "waiting"
	})
	until(t, "the cut is over", func() bool {
		return !asked[web.Outage](t, c, "GET", "/uplinks/cloud/outage", "").Active
	})
	drains()
	var got web.Outage
	until(t, "there is a verdict", func() bool {
		got = asked[web.Outage](t, c, "GET", "/uplinks/cloud/outage", "")
		return got.Verdict == "passed" || got.Verdict == "failed"
	})
	if got.Verdict != "passed" || got.Gaps != 0 || !got.Drained || got.Active || got.Checked < 100 || got.Peak < 100 {
		t.Errorf("the verdict is %+v", got)
	}
	if status, body := c.ask("DELETE", "/uplinks/cloud/outage", ""); status != http.StatusNoContent {
		t.Errorf("forgetting it answers %d %s", status, body)
	}
	for _, refused := range []struct {
		body string
		want int
	}{{`{"seconds":4}`, 422}, {`{"seconds":121}`, 422}, {`null`, 422}, {`{"seconds":1e99}`, 400}, {`[]`, 400}} {
		if status, body := c.ask("POST", "/uplinks/cloud/outage", refused.body); status != refused.want {
			t.Errorf("%s answers %d %s, want %d", refused.body, status, body, refused.want)
		}
	}
	if status, _ := c.ask("POST", "/uplinks/none/outage", `{"seconds":5}`); status != http.StatusNotFound {
		t.Errorf("an unknown uplink answers %d", status)
	}
}

// TestACutThatLosesAReadingFails has a route that cannot make a message of some readings.
func TestACutThatLosesAReadingFails(t *testing.T) {
	plc, page := startPLC(t), freePort(t)
	cloud := startCloud(t, cloudsim.Options{})
	text := strings.Replace(cutConfig(page, plc.Addr(), cloud.Addr().String(), "strict"), `order: strict`,
		`order: strict, payload: {format: template, template: "{{if eq .Seq 60 80 100 150 200 300}}{{slice .Payload 0 9999}}{{end}}x"}`, 1)
	g := newGateway(t, parse(t, t.TempDir(), text))
	start(t, g.Run)
	c := signIn(t, page)
	until(t, "the uplink forwards", func() bool { return g.Status().Uplinks[0].Sent > 20 })
	if status, body := c.ask("POST", "/uplinks/cloud/outage", `{"seconds":5}`); status != http.StatusCreated {
		t.Fatalf("cutting answers %d %s", status, body)
	}
	var got web.Outage
	until(t, "there is a verdict", func() bool {
		got = asked[web.Outage](t, c, "GET", "/uplinks/cloud/outage", "")
		return got.Verdict == "passed" || got.Verdict == "failed"
	})
	if got.Verdict != "failed" || got.Gaps == 0 || !strings.Contains(got.Error, "set aside") {
		t.Errorf("the verdict is %+v", got)
	}
}
