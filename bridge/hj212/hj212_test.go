package hj212

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/uplinktest"
	collector "sluice/collectors/hj212"
	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

// readings lets the contract's messages be readings: HJ 212 carries nothing else.
type readings struct{ bridge.Uplink }

func (r readings) Connect(ctx context.Context) (bridge.Link, error) {
	l, err := r.Uplink.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return readingLink{l}, nil
}

type readingLink struct{ bridge.Link }

func (l readingLink) Send(ctx context.Context, o *bridge.Outgoing, done func(error)) error {
	numbered := *o
	number := strings.TrimPrefix(string(o.Payload), "message ")
	numbered.Payload = fmt.Appendf(nil, `{"device":"press","ts":1795345665221,"values":{"n":%s}}`, number)
	return l.Link.Send(ctx, &numbered, done)
}

func TestContract(t *testing.T) {
	uplinktest.Run(t, func(t *testing.T) uplinktest.Harness {
		a := startAuthority(t)
		return uplinktest.Harness{
			Uplink: readings{newUplink(t, optionsFor(t, a))},
			Received: func() (all []string) {
				for _, p := range a.all() {
					_, rest, _ := strings.Cut(p.Data, "w01018-Rtd=")
					number, _, _ := strings.Cut(rest, ",")
					all = append(all, "message "+number)
				}
				return all
			},
			Mute:  func(mute bool) { a.set(func(a *authority) { a.mute = mute }) },
			SetUp: a.setUp,
			Refuse: func(payload string) {
				a.set(func(a *authority) {
					a.refuse = ""
					if number, ok := strings.CutPrefix(payload, "message "); ok {
						a.refuse = "w01018-Rtd=" + number + ","
					}
				})
			},
		}
	})
}

// send gives what becomes of one payload.
func send(t *testing.T, l bridge.Link, payload string) error {
	t.Helper()
	outcome := make(chan error, 1)
	r := message.Record{Position: 7, Message: message.Message{Topic: "readings/g/press", Device: "press", Time: 1795345665221}}
	o := bridge.Outgoing{Topic: r.Topic, Key: r.Topic, Origin: "g-1", Payload: []byte(payload), QoS: 1, Record: &r}
	if err := l.Send(t.Context(), &o, func(err error) { outcome <- err }); err != nil {
		return err
	}
	select {
	case err := <-outcome:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("no outcome")
		return nil
	}
}

const full = `{"gateway":"g","device":"press","epoch":1,"seq":42,"ts":1795345665221,"values":{"cod":45.2,"low":1e-7,"on":true,"name":"A","bad name":"a;b","none":null,"flow":3,"held":9},"errors":{"ph":"no answer","flow":"calibration (flag C)","held":"no answer"}}`

func TestReadingBecomesReports(t *testing.T) {
	points := []PointOptions{
		{Point: "cod", Factor: "w01018"}, {Point: "low", Factor: "w21003-Rtd", Device: "press"}, {Point: "on", Factor: "w1-Rtd"},
		{Point: "ph", Factor: "w01001-Rtd"}, {Point: "cod", Factor: "w01018-Avg"}, {Point: "low", Factor: "w01018-Min"},
		{Point: "cod", Factor: "w01018-Avg", Period: "hour"}, {Point: "name", Factor: "w2-Info", Period: "realtime"},
		{Point: "bad name", Factor: "w3-Rtd"}, {Point: "none", Factor: "w4-Rtd"}, {Point: "cod", Factor: "w5-Rtd", Device: "other"},
		{Point: "flow", Factor: "w00000"}, {Point: "held", Factor: "w6"},
	}
	for _, c := range []struct {
		faults, edition string
		want            []string
	}{
		{"omit", "2017", []string{
			"2011 5 DataTime=20261122190745;w01018-Rtd=45.2,w01018-Flag=N;w21003-Rtd=0.0000001,w21003-Flag=N;w1-Rtd=1,w1-Flag=N;w2-Info=A,w2-Flag=N",
			"2051 5 DataTime=20261122190745;w01018-Avg=45.2,w01018-Min=0.0000001,w01018-Flag=N",
			"2061 5 DataTime=20261122190745;w01018-Avg=45.2,w01018-Flag=N",
		}},
		{"flag", "2005", []string{
			"2011 1 DataTime=20261122190745;w01018-Rtd=45.2,w01018-Flag=N;w21003-Rtd=0.0000001,w21003-Flag=N;w1-Rtd=1,w1-Flag=N;w01001-Flag=B;w2-Info=A,w2-Flag=N;w00000-Rtd=3,w00000-Flag=C;w6-Flag=B",
			"2051 1 DataTime=20261122190745;w01018-Avg=45.2,w01018-Min=0.0000001,w01018-Flag=N",
			"2061 1 DataTime=20261122190745;w01018-Avg=45.2,w01018-Flag=N",
		}},
	} {
		a := startAuthority(t)
		o := optionsFor(t, a, points...)
		o.Faults, o.Edition, o.PasswordFile = c.faults, c.edition, t.TempDir()+"/password"
		if err := os.WriteFile(o.PasswordFile, []byte("123456\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := send(t, connected(t, newUplink(t, o)), full); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range a.all() {
			got = append(got, fmt.Sprintf("%s %d %s", p.CN, p.Flag, p.Data))
			if p.ST != "32" || p.PW != "123456" || p.MN != o.MN || len(p.QN) != 17 {
				t.Errorf("the head is %+v", p)
			}
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("faults %s, edition %s:\n got %q\nwant %q", c.faults, c.edition, got, c.want)
		}
	}
}

func TestReadingWithoutReportedPointsIsDone(t *testing.T) {
	a := startAuthority(t)
	l := connected(t, newUplink(t, optionsFor(t, a)))
	if err := send(t, l, `{"device":"press","ts":1,"values":{"other":1}}`); err != nil {
		t.Error(err)
	}
	for _, payload := range []string{"", "text", "[]", `{"state":"online"}`, `{"values":7}`} {
		if refused, ok := errors.AsType[*bridge.RefusedError](send(t, l, payload)); !ok || refused.Retry {
			t.Errorf("%q: %v, want a refusal for good", payload, refused)
		}
	}
	if n := len(a.all()); n != 0 {
		t.Errorf("%d packets were sent", n)
	}
}

// many gives points that fill several packets, and a reading of them.
func many(n int) (points []PointOptions, payload string) {
	var values []string
	for i := range n {
		points = append(points, PointOptions{Point: fmt.Sprintf("p%d", i), Factor: fmt.Sprintf("w%05d-Rtd", i)})
		values = append(values, fmt.Sprintf(`"p%d":%d`, i, i))
	}
	return points, `{"device":"press","ts":1795345665221,"values":{` + strings.Join(values, ",") + `}}`
}

func TestLongReportIsSpreadOverPackets(t *testing.T) {
	for _, c := range []struct {
		ack      string
		perParts bool
		problem  string
	}{
		{ackPacket, true, ""},
		{ackReport, false, ""},
		{ackNone, true, ""},
		{ackPacket, false, "acknowledges 1 of "},
	} {
		points, payload := many(100)
		a := startAuthority(t)
		a.perParts = c.perParts
		o := optionsFor(t, a, points...)
		o.Ack, o.ReCount = c.ack, 1
		if c.problem != "" {
			o.OverTime = 100 * time.Millisecond
		}
		err := send(t, connected(t, newUplink(t, o)), payload)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("ack %s: %v, want %q", c.ack, err, c.problem)
			}
			continue
		}
		if err != nil {
			t.Errorf("ack %s: %v", c.ack, err)
			continue
		}
		uplinktest.Eventually(t, "all packets are there", func() bool { all := a.all(); return len(all) > 0 && len(all) == all[0].PNUM })
		values := 0
		for i, p := range a.all() {
			values += strings.Count(p.Data, "-Rtd=")
			if p.PNO != i+1 || p.QN != a.all()[0].QN || p.Flag&wire.Packetised == 0 || !strings.HasPrefix(p.Data, "DataTime=20261122190745;") || len(p.Data) > 950 {
				t.Errorf("packet %d is %+v", i+1, p)
			}
		}
		if values != 100 || len(a.all()) < 3 {
			t.Errorf("%d values in %d packets", values, len(a.all()))
		}
	}
}

func TestUnansweredReportIsSentAgainWithItsNumber(t *testing.T) {
	a := startAuthority(t)
	o := optionsFor(t, a)
	o.OverTime, o.ReCount = 50*time.Millisecond, 3
	u := newUplink(t, o)
	a.set(func(a *authority) { a.mute = true })
	payload := `{"device":"press","ts":1795345665221,"values":{"n":1}}`
	err := send(t, connected(t, u), payload)
	if err == nil || !strings.Contains(err.Error(), "sent 4 times") {
		t.Errorf("a server that acknowledges nothing: %v", err)
	}
	a.set(func(a *authority) {
		a.mute = false
		if len(a.taken) != 1 || a.again != 3 {
			t.Errorf("%d reports came and %d again, want 1 and 3", len(a.taken), a.again)
		}
	})
	if err := send(t, connected(t, u), payload); err != nil {
		t.Fatal(err)
	}
	if len(a.all()) != 1 {
		t.Errorf("over a new connection it has another number: %+v", a.all())
	}
	if err := send(t, connected(t, u), payload); err != nil || len(a.all()) != 2 {
		t.Errorf("a number is used again after the report was acknowledged: %v, %d", err, len(a.all()))
	}
}

func TestRefusalsInPlainWords(t *testing.T) {
	for code, want := range map[string]struct {
		text           string
		refused, retry bool
	}{
		"2":   {"the request was refused", true, true},
		"100": {"unknown error", true, true},
		"3":   {"the password (PW) is wrong; see password_file", false, false},
		"4":   {"the number (MN) is wrong", false, false},
	} {
		a := startAuthority(t)
		a.refuse, a.code = "w01018", code
		err := send(t, connected(t, newUplink(t, optionsFor(t, a))), `{"ts":1,"values":{"n":1}}`)
		refused, ok := errors.AsType[*bridge.RefusedError](err)
		if err == nil || !strings.Contains(err.Error(), want.text) || ok != want.refused || ok && refused.Retry != want.retry {
			t.Errorf("QnRtn %s: %v", code, err)
		}
	}
}

func TestServerAsks(t *testing.T) {
	a := startAuthority(t)
	o := optionsFor(t, a)
	connected(t, newUplink(t, o))
	uplinktest.Eventually(t, "it is connected", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.conns) == 1 })
	ask := func(p wire.Packet, answers int) string {
		before := len(a.all())
		a.say(p)
		uplinktest.Eventually(t, "the request is answered", func() bool { return len(a.all()) >= before+answers })
		var texts []string
		for _, got := range a.all()[before:] {
			if got.QN != p.QN || got.MN != o.MN {
				t.Errorf("answer %+v", got)
			}
			texts = append(texts, got.CN+" "+got.Data)
		}
		return strings.Join(texts, ", ")
	}
	got := ask(wire.Packet{QN: "1", ST: "32", CN: wire.GetClock, MN: o.MN, Flag: 5}, 3)
	if want := "9011 QnRtn=1, 1011 SystemTime=20"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ", 9012 ExeRtn=1") {
		t.Errorf("the clock: %q", got)
	}
	for want, p := range map[string]wire.Packet{
		"9011 QnRtn=2": {QN: "2", ST: "32", CN: wire.Minute, MN: o.MN, Flag: 5, Data: "BeginTime=20260101000000,EndTime=20260102000000"},
		"9011 QnRtn=4": {QN: "3", ST: "32", CN: wire.GetClock, MN: "other", Flag: 5},
	} {
		if got := ask(p, 1); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

func TestProbeShowsTheSteps(t *testing.T) {
	a := startAuthority(t)
	u := newUplink(t, optionsFor(t, a))
	var steps []string
	report := func(s bridge.Step) { steps = append(steps, s.Name) }
	if err := u.Probe(t.Context(), report); err != nil || strings.Join(steps, ",") != "port open" {
		t.Errorf("steps %q, %v", steps, err)
	}
	a.setUp(false)
	if err := u.Probe(t.Context(), report); err == nil || !strings.Contains(err.Error(), "nobody listens") {
		t.Errorf("nobody is there: %v", err)
	}
	if len(a.all()) != 0 {
		t.Error("the test sent something")
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	good := func() Options {
		o := DefaultOptions()
		o.Address, o.MN, o.Points = "tcp://authority.example:9001", "1", []PointOptions{{Point: "a", Factor: "w"}}
		return o
	}
	for _, c := range []struct {
		change func(*Options)
		want   []string
	}{
		{func(*Options) {}, nil},
		{func(o *Options) { o.Address = "authority.example:9001" }, nil},
		{func(o *Options) { o.Address = "ssl://authority.example:9001" }, nil},
		{func(o *Options) { o.Address = "" }, []string{"address"}},
		{func(o *Options) { o.Address = "http://a:1" }, []string{"address"}},
		{func(o *Options) { o.Address = "tcp://a:1/path" }, []string{"address"}},
		{func(o *Options) { o.MN, o.ST = "", "3;2" }, []string{"mn", "st"}},
		{func(o *Options) { o.Edition, o.Ack, o.Faults = "1999", "all", "hide" }, []string{"edition", "ack", "faults"}},
		{func(o *Options) { o.TimeZone, o.OverTime, o.ReCount = "Mars", 0, -1 }, []string{"time_zone", "over_time", "re_count"}},
		{func(o *Options) { o.Points = nil }, []string{"points"}},
		{func(o *Options) { o.Points = []PointOptions{{Factor: "w-"}, {Point: "a", Factor: "w", Period: "week"}} }, []string{"points[0].point", "points[0].factor", "points[1].period"}},
		{func(o *Options) { o.Points = []PointOptions{{Point: "a", Factor: "w"}, {Point: "b", Factor: "w-Rtd"}} }, []string{"points[1].factor"}},
		{func(o *Options) { o.ConnectTimeout = 0 }, []string{"connect_timeout"}},
	} {
		o := good()
		c.change(&o)
		_, made := New(o, quiet())
		uplinktest.Complaints(t, o, o.Validate, made, c.want)
	}
}

// What the uplink sends our own collector understands: one value, there and back.
func TestOurOwnCollectorTakesIt(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", uplinktest.FreePort(t))
	points, payload := many(60)
	driver := &collector.Driver{Log: quiet()}
	theirs := driver.Options().(*collector.Options)
	theirs.Listen, theirs.MN, theirs.Password = address, "88888880000001", "123456"
	for i := range points {
		code, _, _ := strings.Cut(points[i].Factor, "-")
		theirs.Points = append(theirs.Points, collector.PointOptions{Name: points[i].Point, Factor: collector.Factor{Code: code, Field: "Rtd"}})
	}
	device, err := driver.Open("authority", theirs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	took := make(chan message.Reading, 1)
	running.Go(func() {
		err := device.(*collector.Station).Report(ctx, func(_ context.Context, r *message.Reading) error { took <- *r; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	o := DefaultOptions()
	o.Address, o.MN, o.Points, o.PasswordFile = address, theirs.MN, points, t.TempDir()+"/password"
	if err := os.WriteFile(o.PasswordFile, []byte("123456"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newUplink(t, o)
	var link bridge.Link
	uplinktest.Eventually(t, "the collector listens", func() bool { link, err = u.Connect(t.Context()); return err == nil })
	defer link.Close()
	if err := send(t, link, payload); err != nil {
		t.Fatal(err)
	}
	r := <-took
	if r.Time != 1795345665000 || len(r.Points) != 60 {
		t.Fatalf("%d points of %d", len(r.Points), r.Time)
	}
	for i, p := range r.Points {
		if f, ok := p.Value.Float(); !ok || f != float64(i) || p.Error != "" {
			t.Errorf("point %d is %+v", i, p)
		}
	}
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"values":{"cod":"\u0000;"}}`))
	o := DefaultOptions()
	o.Address, o.MN, o.Faults = "tcp://a:1", "1", "flag"
	for _, name := range []string{"cod", "low", "on", "name", "ph"} {
		o.Points = append(o.Points, PointOptions{Point: name, Factor: "c" + name})
	}
	u, err := New(o, quiet())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		all, err := u.reports(payload, &message.Record{})
		if err != nil {
			return
		}
		for i := range all {
			packets, err := u.packets(&all[i], "20260101000000000", "123456")
			if err != nil {
				return // one value is too long
			}
			for _, p := range packets {
				again, err := wire.Decode(p.Append(nil))
				if err != nil || again != p {
					t.Errorf("%q becomes %+v, which is read as %+v, %v", payload, p, again, err)
				}
				if _, err := wire.Pairs(again.Data); err != nil {
					t.Errorf("%q: %v", payload, err)
				}
			}
		}
	})
}
