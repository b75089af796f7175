package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collector "sluice/collectors/hj212"
	"sluice/collectors/hj212/hj212sim"
	"sluice/gateway/config"
	"sluice/gateway/message"
)

// publishReading publishes a reading and waits until it is durable.
func publishReading(t *testing.T, g *Gateway, device string, seq uint64, at time.Time, values string, properties ...message.Property) {
	t.Helper()
	durable := make(chan error, 1)
	m := message.Message{
		Topic: "readings/site/" + device, Device: device, Seq: seq, QoS: 1, Properties: properties,
		Payload: fmt.Appendf(nil, `{"gateway":"site","device":%q,"epoch":1,"seq":%d,"ts":%d,"values":{%s}}`, device, seq, at.UnixMilli(), values),
	}
	err := g.broker.Publish(t.Context(), &m, message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err }), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-durable; err != nil {
		t.Fatal(err)
	}
}

func TestHistoryIsWhatTheUplinkForwards(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	now := time.Now()
	publishReading(t, g, "press", 1, now, `"n":1`)
	publishReading(t, g, "oven", 1, now, `"n":2`)
	publishReading(t, g, "press", 2, now, `"n":3`, message.Property{Name: message.FromUplink, Value: "bureau"})
	publishReading(t, g, "press", 3, now, `"n":4`, message.Property{Name: message.OnlyUplink, Value: "other"})
	publishReading(t, g, "press", 4, now, `"n":5`, message.Property{Name: message.OnlyUplink, Value: "bureau"})
	publishReading(t, g, "press", 5, now, `"n":60`)
	publishReading(t, g, "hidden", 1, now, `"n":7`)
	h := &history{store: g.store, readable: &g.readable, gateway: "site", uplink: config.Uplink{Name: "bureau", Forward: []config.ForwardRoute{
		{From: "readings/{gateway}/press", Payload: config.Payload{Filter: "values.n < 50"}}, {From: "readings/site/oven"}, {From: "readings/+/press"},
	}}}
	ask := func(since time.Time, devices ...string) (values string) {
		t.Helper()
		err := h.Readings(t.Context(), devices, since, func(payload []byte, r *message.Record) error {
			if r.Position == 0 || string(payload) != string(r.Payload) {
				t.Errorf("%s of %+v", payload, r)
			}
			_, rest, _ := strings.Cut(string(payload), `"n":`)
			value, _, _ := strings.Cut(rest, "}")
			values += value + " "
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	if got := ask(now.Add(-time.Hour)); got != "1 2 5 " {
		t.Errorf("all: %q", got)
	}
	if got := ask(now.Add(-time.Hour), "oven", "none"); got != "2 " {
		t.Errorf("of one device: %q", got)
	}
	if got := ask(now.Add(time.Hour)); got != "" {
		t.Errorf("of the future: %q", got)
	}
	enough := errors.New("enough")
	if err := h.Readings(t.Context(), nil, now.Add(-time.Hour), func([]byte, *message.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("what take said: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Readings(ended, nil, now.Add(-time.Hour), func([]byte, *message.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that has ended: %v", err)
	}
	h.uplink.Forward[0].Payload.Filter = "values."
	if err := h.Readings(t.Context(), nil, now, func([]byte, *message.Record) error { return nil }); err == nil {
		t.Error("a filter that cannot be")
	}
}

// A look back ends where the log ended when it began, though readings keep coming.
func TestHistoryEndsThoughTheLogGrows(t *testing.T) {
	g := newGateway(t, parse(t, t.TempDir(), "gateway: {name: site}\nweb: {listen: ''}\n"))
	start(t, g.Run)
	now := time.Now()
	const before = 3
	for seq := range uint64(before) {
		publishReading(t, g, "press", seq+1, now, `"n":1`)
	}
	h := &history{store: g.store, readable: &g.readable, gateway: "site", uplink: config.Uplink{Forward: []config.ForwardRoute{{From: "readings/#"}}}}
	seq, count := uint64(before), 0
	err := h.Readings(t.Context(), nil, now.Add(-time.Hour), func([]byte, *message.Record) error {
		seq++
		publishReading(t, g, "press", seq, now, `"n":1`)
		count++
		return nil
	})
	if err != nil || count != before {
		t.Errorf("%d readings, %v; want %d", count, err, before)
	}
}

// authority is our own collector as the server of an authority.
func startCollector(t *testing.T, listen string) (*collector.Station, func() []string) {
	t.Helper()
	driver := &collector.Driver{Log: slog.New(slog.DiscardHandler)}
	o := driver.Options().(*collector.Options)
	o.Listen, o.MN = listen, "88888880000001"
	o.Points = []collector.PointOptions{
		{Name: "cod", Factor: collector.Factor{Code: "w01018", Field: "Rtd"}},
		{Name: "cod_hour", Factor: collector.Factor{Code: "w01018", Field: "Avg"}, Period: collector.Hour},
	}
	device, err := driver.Open("authority", o)
	if err != nil {
		t.Fatal(err)
	}
	station := device.(*collector.Station)
	var mu sync.Mutex
	var taken []string
	start(t, func(ctx context.Context) error {
		return station.Report(ctx, func(_ context.Context, r *message.Reading) error {
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, fmt.Sprintf("%s %s=%s", time.UnixMilli(r.Time).UTC().Format("15:04"), r.Points[0].Name, r.Points[0].Value))
			return nil
		})
	})
	return station, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), taken...) }
}

// What an authority lost it asks for again, and has it from the log, also after the gateway was started anew.
func TestAuthorityIsAnsweredFromTheLog(t *testing.T) {
	address := freePort(t)
	station, taken := startCollector(t, address)
	dir := t.TempDir()
	text := fmt.Sprintf(`
gateway: {name: site}
store: {dir: ./data}
web: {listen: ""}
uplinks:
  - name: bureau
    driver: hj212
    address: tcp://%s
    mn: "88888880000001"
    retry: 1s
    points:
      - {device: outfall, point: cod, factor: w01018-Rtd}
      - {device: outfall, point: cod_hour, factor: w01018-Avg, period: hour}
    forward: [{from: "readings/+/outfall", to: "{topic}"}]
`, address)
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	run := func(first bool) {
		g := newGateway(t, parse(t, dir, text))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("the gateway ended with %v", err)
			}
		}()
		if first {
			for i := range 4 {
				publishReading(t, g, "outfall", uint64(i+1), midnight.Add(time.Duration(i)*time.Hour), fmt.Sprintf(`"cod_hour":%d`, i))
			}
		}
		seq := uint64(5)
		if !first {
			seq = 6
		}
		publishReading(t, g, "outfall", seq, midnight, `"cod":9`) // a server knows a site by what it says
		until(t, "the server has the new report", func() bool {
			all := taken()
			return len(all) > 0 && strings.HasSuffix(all[len(all)-1], "cod=9")
		})
		before := len(taken())
		count, err := station.History(t.Context(), collector.Hour, midnight.Add(time.Hour), midnight.Add(2*time.Hour))
		if got, want := strings.Join(taken()[before:], ", "), "01:00 cod_hour=1, 02:00 cod_hour=2"; err != nil || count != 2 || got != want {
			t.Errorf("%d reports, %v: %q; want %q", count, err, got, want)
		}
	}
	run(true)
	run(false)
}

// A second logger at the address of the first comes by a change of the configuration.
func TestLoggersComeToOneAddressOneByOne(t *testing.T) {
	dir, address := t.TempDir(), freePort(t)
	device := func(name, mn string) string {
		return fmt.Sprintf("  - {name: %s, driver: hj212, listen: %q, mn: %q, interval: 1s, points: [{name: cod, factor: w01018}]}\n", name, address, mn)
	}
	head := "gateway: {name: site}\nweb: {listen: ''}\ndevices:\n"
	g := newGateway(t, parse(t, dir, head+device("one", "MN1")))
	start(t, g.Run)
	simulate := func(mn string) {
		start(t, hj212sim.New(hj212sim.Options{Address: address, MN: mn, Interval: 20 * time.Millisecond, Redial: 20 * time.Millisecond}).Run)
	}
	readings := func(name string) func() bool {
		return func() bool { d := deviceNamed(g, name); return d != nil && d.show().Readings > 1 }
	}
	simulate("MN1")
	simulate("MN2")
	until(t, "the first reports", readings("one"))
	lines := newFieldLines(g)
	until(t, "the second is turned away", func() bool {
		all := lines.List()
		return len(all) == 1 && len(all[0].Findings) == 1 && all[0].Findings[0].Rule == "stranger-reports"
	})
	if err := g.Apply(parse(t, dir, head+device("one", "MN1")+device("two", "MN2")), "test"); err != nil {
		t.Fatal(err)
	}
	until(t, "the second reports", readings("two"))
	frames, err := lines.Frames(lines.List()[0].Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range frames {
		seen[f.Device] = true
		if f.Device != "" && (f.Protocol != "hj212" || f.Summary == "") {
			t.Errorf("a frame of %s is shown as %q", f.Device, f.Summary)
		}
	}
	if !seen["one"] || !seen["two"] || !seen[""] {
		t.Errorf("there are frames of %v", seen)
	}
	if err := g.Apply(parse(t, dir, head+device("two", "MN2")), "test"); err != nil {
		t.Fatal(err)
	}
	count := deviceNamed(g, "two").show().Readings
	until(t, "the second goes on", func() bool { return deviceNamed(g, "two").show().Readings > count+3 })
	if err := g.Apply(parse(t, dir, "gateway: {name: site}\nweb: {listen: ''}\n"), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the devices have gone, and their address is still open")
	}
	if n := len(lines.List()); n != 0 {
		t.Errorf("%d lines are shown", n)
	}
}
