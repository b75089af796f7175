package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/bridge/cloudsim"
	"sluice/collectors/modbus/modbussim"
	"sluice/gateway/broker"
	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/store"
	"sluice/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// until polls for something that another goroutine brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never came true: %s", what)
		}
	}
}

// start runs a component until the test ends, and waits for it.
func start(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with: %v", err)
		}
	})
}

func startPLC(t *testing.T) *modbussim.Server {
	t.Helper()
	plc := &modbussim.Server{}
	if err := plc.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	start(t, plc.Run)
	return plc
}

// freePort gives an address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func parse(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	c, err := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), Kinds())
	if err != nil {
		t.Fatalf("the test's configuration: %v", err)
	}
	return c
}

func newGateway(t *testing.T, c *config.Config) *Gateway {
	t.Helper()
	g, err := New(Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func deviceYAML(name, address string, interval time.Duration) string {
	return fmt.Sprintf("  - {name: %s, driver: modbus, address: tcp://%s, interval: %s, points: [{name: a, address: \"holding:0\"}]}\n",
		name, address, interval)
}

func deviceNamed(g *Gateway, name string) *device {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.placed {
		if d, ok := p.part.(*device); ok && d.config.Name == name {
			return d
		}
	}
	return nil
}

func TestReadingsReachTheCloudInOrder(t *testing.T) {
	plc := startPLC(t)
	checker := &cloudsim.Checker{}
	cloud, err := cloudsim.Listen("127.0.0.1:0", cloudsim.Options{Checker: checker})
	if err != nil {
		t.Fatal(err)
	}
	start(t, cloud.Run)
	g := newGateway(t, parse(t, t.TempDir(), fmt.Sprintf(`
gateway: {name: line-3}
store: {dir: ./data}
web: {listen: ""}
devices:
%suplinks:
  - {name: cloud, driver: mqtt, address: "tcp://%s", forward: [{from: "readings/#", to: "plants/{topic}"}, {from: "status/#", to: "plants/{topic}"}]}
`, deviceYAML("press", plc.Addr(), 10*time.Millisecond), cloud.Addr())))
	start(t, g.Run)

	until(t, "the cloud has 100 readings", func() bool { return checker.Report().Received >= 100 })
	cloud.SetUp(false)
	until(t, "a backlog of 50", func() bool { s := g.Status(); return len(s.Uplinks) == 1 && s.Uplinks[0].Backlog >= 50 })
	cloud.SetUp(true)
	before := checker.Report().Received
	until(t, "the backlog is gone", func() bool {
		return checker.Report().Received > before+50 && g.Status().Uplinks[0].Backlog < 20
	})
	r := checker.Report()
	if r.Gaps != 0 || r.Reordered != 0 || r.Streams[0].LongestRepeat > 100 || r.Other == 0 {
		t.Errorf("the cloud saw %+v; want no gap, nothing reordered, at most a window repeated, and the device's status", r)
	}
	s := g.Status()
	if d := s.Devices[0]; d.State != "online" || d.Seq < 100 || len(d.Points) != 1 {
		t.Errorf("status says of the device %+v", d)
	}
	if err := g.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestApplyLeavesTheUnchangedAlone(t *testing.T) {
	plc := startPLC(t)
	dir, page, listen := t.TempDir(), freePort(t), freePort(t)
	text := func(anonymous bool, devices ...string) string {
		return fmt.Sprintf("store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: %q}\nmqtt: {listen: [%q], anonymous: %v}\ndevices:\n%s",
			page, listen, anonymous, strings.Join(devices, ""))
	}
	stays := deviceYAML("stays", plc.Addr(), 10*time.Millisecond)
	g := newGateway(t, parse(t, dir, text(true, stays, deviceYAML("changes", plc.Addr(), 10*time.Millisecond))))
	start(t, g.Run)
	until(t, "both devices are online", func() bool {
		for _, d := range g.Status().Devices {
			if d.State != "online" {
				return false
			}
		}
		return true
	})
	before, changes := deviceNamed(g, "stays"), deviceNamed(g, "changes")

	if err := g.Apply(parse(t, dir, text(false, stays, deviceYAML("changes", plc.Addr(), 20*time.Millisecond), deviceYAML("new", plc.Addr(), 10*time.Millisecond))), "admin"); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if deviceNamed(g, "stays") != before {
		t.Error("the unchanged device was replaced")
	}
	if deviceNamed(g, "changes") == changes {
		t.Error("the changed device was not replaced")
	}
	until(t, "the new device is online", func() bool { return deviceNamed(g, "new").poller.State().State == "online" })
	if conn, err := net.Dial("tcp", listen); err != nil {
		t.Errorf("the listener whose options changed is not there: %v", err)
	} else {
		conn.Close()
	}
	seq := changes.poller.State().Seq
	until(t, "the changed device goes on counting", func() bool { return deviceNamed(g, "changes").poller.State().Seq > seq })

	if err := g.Apply(parse(t, dir, text(false, stays)), "admin"); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if got := len(g.Status().Devices); got != 1 {
		t.Errorf("%d devices run after two were taken out, want 1", got)
	}
}

func TestApplyThatFailsLeavesTheOldRunning(t *testing.T) {
	plc := startPLC(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	text := "store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: %q}\ndevices:\n" + deviceYAML("press", plc.Addr(), 10*time.Millisecond)
	old := parse(t, dir, fmt.Sprintf(text, freePort(t)))
	g := newGateway(t, old)
	start(t, g.Run)
	err = g.Apply(parse(t, dir, fmt.Sprintf(text, taken.Addr())), "admin")
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("Apply with a port in use: %v, want an error that names it", err)
	}
	if g.Config() != old {
		t.Error("the configuration that failed is the one that runs")
	}
	seq := g.Status().Devices[0].Seq
	until(t, "the device goes on", func() bool { return g.Status().Devices[0].Seq > seq })

	err = g.Apply(parse(t, dir, strings.Replace(fmt.Sprintf(text, freePort(t)), "./data", "./other", 1)), "admin")
	if err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("Apply with another store: %v, want to be told to restart", err)
	}
}

func TestSequenceSurvivesARestart(t *testing.T) {
	plc := startPLC(t)
	dir := t.TempDir()
	text := "store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: \"\"}\ndevices:\n" + deviceYAML("press", plc.Addr(), 10*time.Millisecond)
	var epoch, seq uint64
	for range 3 {
		g := newGateway(t, parse(t, dir, text))
		wasEpoch, wasSeq, err := g.broker.Sequence("press")
		if err != nil || wasSeq < seq || epoch != 0 && wasEpoch != epoch {
			t.Fatalf("after a restart the sequence is %d of epoch %d, %v; want at least %d of %d", wasSeq, wasEpoch, err, seq, epoch)
		}
		if shown := g.Status().Devices[0].Seq; shown != wasSeq {
			t.Errorf("before its first poll the device shows seq %d, want %d", shown, wasSeq)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		until(t, "ten more readings", func() bool { return g.Status().Devices[0].Seq >= seq+10 })
		epoch, seq = wasEpoch, g.Status().Devices[0].Seq
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

func TestFreshGatewayHasAPasswordOrACode(t *testing.T) {
	dir := t.TempDir()
	text := "store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: \"\"}\n"
	var code string
	fresh := func(password string) *Gateway {
		code = ""
		g, err := New(Options{
			Config: parse(t, dir, text), Log: slog.New(slog.DiscardHandler), AdminPassword: password,
			SetupCode: func(c string) { code = c },
		})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := fresh("")
	if len(code) < 8 {
		t.Errorf("a fresh gateway without a password printed the code %q", code)
	}
	g.Close()
	g = fresh("correct horse")
	if hash, role, found, err := (accounts{g.admin, g.forgetCode}).Password(Administrator); err != nil || !found || role != "administrator" || len(hash) == 0 || code != "" {
		t.Errorf("the administrator is %q, %v, %v, with the code %q", role, found, err, code)
	}
	g.Close()
	g = fresh("another one")
	defer g.Close()
	if code != "" {
		t.Error("a gateway with a password printed a code")
	}
}

func TestGapTakesItsPlaceInTheStream(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "store: {dir: ./data}\ngateway: {name: g}\nweb: {listen: \"\"}\n"))
	start(t, g.Run)
	s := g.broker.Subscribe(broker.FromNow)
	defer s.Close()
	s.Add("alarms/#")
	g.gaps.put(store.Gap{Messages: 5, Devices: []store.DeviceGap{{Device: "press", From: 3, To: 7}}})
	records, err := s.Next(t.Context(), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got gapAlarm
	if err := json.Unmarshal(records[0].Payload, &got); err != nil {
		t.Fatal(err)
	}
	if records[0].Topic != "alarms/g/press" || got.From != 3 || got.To != 7 || got.Alarm != "gap" || got.Epoch == 0 {
		t.Errorf("on %s: %+v", records[0].Topic, got)
	}
}

func TestGapsThatNobodyHasHeardOfYetJoin(t *testing.T) {
	q := newGaps(slog.New(slog.DiscardHandler))
	for from := uint64(1); from < 100; from += 10 {
		q.put(store.Gap{Messages: 10, Devices: []store.DeviceGap{{Device: "a", From: from, To: from + 9}}})
	}
	if got, want := q.waiting["a"], (gap{1, 100}); len(q.waiting) != 1 || got != want || q.dropped != 100 {
		t.Errorf("waiting %v of %d, want %v of 100", q.waiting, q.dropped, want)
	}
}

func TestPartThatEndsByItselfEndsTheGateway(t *testing.T) {
	s := newSupervisor(slog.New(slog.DiscardHandler))
	s.start("sound", func(ctx context.Context) error { <-ctx.Done(); return nil })
	s.start("weak", func(context.Context) error { return message.ErrFailed })
	err := <-s.died
	if err == nil || !strings.Contains(err.Error(), "weak") {
		t.Errorf("died of %v, want the weak part named", err)
	}
	until(t, "the weak part is named among the dead", func() bool { return slices.Equal(s.dead(), []string{"weak"}) })
	s.stopAll()
	if got := s.dead(); len(got) != 0 {
		t.Errorf("after stopAll dead are %v", got)
	}
}

func TestTrendIsTheChangeASecond(t *testing.T) {
	var tr trend
	now := time.Unix(0, 0)
	if tr.slope() != 0 {
		t.Error("a trend without samples has a slope")
	}
	for i := range 20 {
		tr.add(now.Add(time.Duration(i)*time.Second), float64(3*i))
	}
	if got := tr.slope(); got != 3 {
		t.Errorf("slope %v, want 3", got)
	}
	if len(tr.samples) > 7 {
		t.Errorf("%d samples are kept, want those of %v", len(tr.samples), rateSpan)
	}
}

var _ web.Gateway = (*Gateway)(nil)
