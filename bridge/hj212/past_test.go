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

// fakePast is a log of payloads.
type fakePast struct {
	mu      sync.Mutex // guards what follows
	records []message.Record
	devices []string // of the last question
	since   time.Time
	fail    error
	hold    chan struct{} // nil: nothing is held up
}

func (p *fakePast) Readings(ctx context.Context, devices []string, since time.Time, take func([]byte, *message.Record) error) error {
	p.mu.Lock()
	p.devices, p.since = devices, since
	records, fail, hold := p.records, p.fail, p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for i := range records {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := take(records[i].Payload, &records[i]); err != nil {
			return err
		}
	}
	return fail
}

func (p *fakePast) add(device string, at time.Time, values string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payload := fmt.Sprintf(`{"gateway":"g","device":%q,"epoch":1,"seq":%d,"ts":%d,"values":{%s}}`, device, len(p.records)+1, at.UnixMilli(), values)
	p.records = append(p.records, message.Record{Position: message.Position(len(p.records) + 1),
		Message: message.Message{Topic: "readings/g/" + device, Device: device, Time: at.UnixMilli(), Payload: []byte(payload)}})
}

func (p *fakePast) set(change func(*fakePast)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

var zone = time.FixedZone("", 8*3600)

func noon(minutes int) time.Time { return time.Date(2026, 11, 22, 12, minutes, 0, 0, zone) }

// history is the points that the tests' server gets.
var history = []PointOptions{
	{Device: "press", Point: "cod", Factor: "w01018-Rtd"},
	{Device: "press", Point: "cod_minute", Factor: "w01018-Avg"},
	{Device: "press", Point: "cod_hour", Factor: "w01018-Avg", Period: "hour"},
}

// remembering is an authority with the connected link of an uplink that has a past.
func remembering(t *testing.T, change func(*Options)) (*authority, *fakePast, bridge.Link) {
	t.Helper()
	a, past := startAuthority(t), &fakePast{}
	o := optionsFor(t, a, history...)
	if change != nil {
		change(&o)
	}
	u := newUplink(t, o)
	u.LookBack(past)
	l := connected(t, u)
	uplinktest.Eventually(t, "it is connected", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.conns) == 1 })
	return a, past, l
}

func request(qn, cn, data string) wire.Packet {
	return wire.Packet{QN: qn, ST: "32", CN: cn, MN: "88888880000001", Flag: 5, Data: data}
}

const theHour = "BeginTime=20261122120000,EndTime=20261122130000"

// told gives what the authority was told under a QN, once the result is there.
func told(t *testing.T, a *authority, qn string) []string {
	t.Helper()
	all := func() (lines []string) {
		for _, p := range a.all() {
			if p.QN == qn {
				lines = append(lines, strings.TrimSpace(p.CN+" "+p.Data))
			}
		}
		return lines
	}
	uplinktest.Eventually(t, "the result of "+qn, func() bool {
		lines := all()
		return len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], wire.Result)
	})
	return all()
}

func TestServerGetsOldReports(t *testing.T) {
	for _, edition := range []string{"2017", "2005"} {
		t.Run(edition, func(t *testing.T) {
			a, past, _ := remembering(t, func(o *Options) { o.Edition = edition })
			past.add("press", noon(-1), `"cod_minute":0`)
			past.add("press", noon(0), `"cod_minute":1`)
			past.add("press", noon(10), `"cod":1,"cod_minute":2`)
			past.add("press", noon(11), `"cod":7`)
			past.add("other", noon(20), `"cod_minute":9`)
			past.add("press", noon(30), `"cod_hour":5`)
			past.add("press", noon(60).Add(400*time.Millisecond), `"cod_minute":3`)
			past.add("press", noon(61), `"cod_minute":4`)
			past.add("press", noon(40), `"cod_minute":2.5`) // what came late stands behind
			past.set(func(p *fakePast) {
				p.records = append(p.records, message.Record{Message: message.Message{Topic: "x", Payload: []byte("no reading")}})
			})
			a.say(request("1", wire.Minute, theHour))
			before := ""
			if edition == "2005" {
				before = "QN=1;"
			}
			want := []string{
				"9011 " + before + "QnRtn=1",
				"2051 DataTime=20261122120000;w01018-Avg=1,w01018-Flag=N",
				"2051 DataTime=20261122121000;w01018-Avg=2,w01018-Flag=N",
				"2051 DataTime=20261122130000;w01018-Avg=3,w01018-Flag=N",
				"2051 DataTime=20261122124000;w01018-Avg=2.5,w01018-Flag=N",
				"9012 " + before + "ExeRtn=1",
			}
			if got := told(t, a, "1"); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("the server got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, p := range a.all() {
				if p.AckWanted() || p.MN != "88888880000001" || p.CN == wire.Minute && p.ST != "32" || p.CN != wire.Minute && p.ST != "91" {
					t.Errorf("the head is %+v", p)
				}
			}
			past.set(func(p *fakePast) {
				if len(p.devices) != 1 || p.devices[0] != "press" || !p.since.Equal(noon(0).Add(-aheadOfLog)) {
					t.Errorf("the log was asked for %q since %v", p.devices, p.since)
				}
			})
			before = strings.Replace(before, "1", "2", 1)
			a.say(request("2", wire.Hour, theHour))
			if got, want := strings.Join(told(t, a, "2"), ", "), "9011 "+before+"QnRtn=1, 2061 DataTime=20261122123000;w01018-Avg=5,w01018-Flag=N, 9012 "+before+"ExeRtn=1"; got != want {
				t.Errorf("hours: %q, want %q", got, want)
			}
		})
	}
}

func TestRequestsForThePastThatFail(t *testing.T) {
	a, past, _ := remembering(t, nil)
	past.add("press", noon(0), `"cod_minute":1`)
	for i, c := range []struct {
		cn, data string
		fail     error
		want     string
	}{
		{wire.Minute, "BeginTime=20261101000000,EndTime=20261102000000", nil, "ExeRtn=100"},
		{wire.Day, theHour, nil, "ExeRtn=100"}, // no point has that period
		{wire.Minute, "", nil, "ExeRtn=3"},
		{wire.Minute, "BeginTime=20261122120000", nil, "ExeRtn=3"},
		{wire.Minute, "BeginTime=20261122130000,EndTime=20261122120000", nil, "ExeRtn=3"},
		{wire.Minute, "BeginTime=20261001000000,EndTime=20261122120000", nil, "ExeRtn=3"},
		{wire.Minute, "BeginTime", nil, "ExeRtn=3"},
		{wire.Minute, "BeginTime=noon,EndTime=20261122120000", nil, "ExeRtn=3"},
		{wire.Minute, theHour, errors.New("the disk is gone"), "ExeRtn=6"},
		{wire.Minute, theHour, context.DeadlineExceeded, "ExeRtn=4"},
		{wire.Minute, theHour, errTooMany, "ExeRtn=3"},
		{wire.Minute, theHour, nil, "ExeRtn=1"},
	} {
		past.set(func(p *fakePast) { p.fail = c.fail })
		qn := fmt.Sprint(100 + i)
		a.say(request(qn, c.cn, c.data))
		got := told(t, a, qn)
		if got[0] != "9011 QnRtn=1" || got[len(got)-1] != "9012 "+c.want {
			t.Errorf("%s %s, %v: %q, want %s", c.cn, c.data, c.fail, got, c.want)
		}
	}
}

// One request is answered at a time: a repetition is not answered twice, another one has to wait.
func TestServerAsksAgainWhileItIsAnswered(t *testing.T) {
	a, past, _ := remembering(t, nil)
	past.add("press", noon(0), `"cod_minute":1`)
	hold := make(chan struct{})
	past.set(func(p *fakePast) { p.hold = hold })
	a.say(request("1", wire.Minute, theHour))
	uplinktest.Eventually(t, "it is accepted", func() bool { return len(a.all()) == 1 })
	a.say(request("1", wire.Minute, theHour))
	uplinktest.Eventually(t, "it is accepted again", func() bool { return len(a.all()) == 2 })
	a.say(request("2", wire.Hour, theHour))
	if got := strings.Join(told(t, a, "2"), ", "); got != "9011 QnRtn=1, 9012 ExeRtn=5" {
		t.Errorf("another one: %q", got)
	}
	close(hold)
	if got := strings.Join(told(t, a, "1"), ", "); got != "9011 QnRtn=1, 9011 QnRtn=1, 2051 DataTime=20261122120000;w01018-Avg=1,w01018-Flag=N, 9012 ExeRtn=1" {
		t.Errorf("the first: %q", got)
	}
	a.say(request("3", wire.Minute, theHour))
	if got := told(t, a, "3"); len(got) != 3 {
		t.Errorf("the next: %q", got)
	}
}

// New reports go on while old ones are sent, each acknowledged under its own number.
func TestNewReportsGoOnBesideOldOnes(t *testing.T) {
	const olds, news = 100, 5 // the old ones take two seconds at least
	a, past, live := remembering(t, nil)
	for i := range olds {
		past.add("press", noon(0).Add(time.Duration(i)*time.Second), fmt.Sprintf(`"cod_minute":%d`, i))
	}
	came := func(cn string) (n int) {
		for _, p := range a.all() {
			if p.CN == cn {
				n++
			}
		}
		return n
	}
	a.say(request("1", wire.Minute, theHour))
	uplinktest.Eventually(t, "the first old report", func() bool { return came(wire.Minute) > 0 })
	for i := range news {
		if err := send(t, live, fmt.Sprintf(`{"device":"press","ts":1795345665221,"values":{"cod":%d}}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := came(wire.Minute); n >= olds {
		t.Errorf("the new reports waited for all %d old ones", n)
	}
	told(t, a, "1")
	if came(wire.Realtime) != news || came(wire.Minute) != olds {
		t.Errorf("%d new and %d old reports came, want %d and %d", came(wire.Realtime), came(wire.Minute), news, olds)
	}
}

// A long report is spread over packets when it is old, too.
func TestLongOldReportIsSpread(t *testing.T) {
	points, payload := many(100)
	for i := range points {
		points[i].Factor = strings.Replace(points[i].Factor, "Rtd", "Avg", 1)
	}
	a, past, _ := remembering(t, func(o *Options) { o.Points = points })
	past.set(func(p *fakePast) {
		p.records = []message.Record{{Message: message.Message{Topic: "readings/g/press", Payload: []byte(payload)}}}
	})
	a.say(request("1", wire.Minute, "BeginTime=20261122190000,EndTime=20261122200000"))
	got := told(t, a, "1")
	values := 0
	for _, p := range a.all() {
		if p.CN != wire.Minute {
			continue
		}
		values += strings.Count(p.Data, "-Avg=")
		if p.PNUM != len(got)-2 || p.Flag != wire.Version2017|wire.Packetised {
			t.Errorf("a packet is %+v", p)
		}
	}
	if values != 100 || len(got) < 5 {
		t.Errorf("%d values in %d packets", values, len(got)-2)
	}
}

// A connection that ends takes the answer with it, and leaves nobody behind.
func TestAnswerEndsWithItsConnection(t *testing.T) {
	a, past, l := remembering(t, nil)
	past.set(func(p *fakePast) { p.hold = make(chan struct{}) }) // for ever
	a.say(request("1", wire.Minute, theHour))
	uplinktest.Eventually(t, "it accepts", func() bool { return len(a.all()) == 1 })
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for an answer that never ends")
	}
}

// Our own collector asks our own uplink for what it missed.
func TestOurOwnCollectorGetsOldReports(t *testing.T) {
	driver := &collector.Driver{Log: quiet()}
	theirs := driver.Options().(*collector.Options)
	theirs.Listen, theirs.MN, theirs.Password = fmt.Sprintf("127.0.0.1:%d", uplinktest.FreePort(t)), "88888880000001", "123456"
	theirs.Points = []collector.PointOptions{{Name: "cod", Factor: collector.Factor{Code: "w01018", Field: "Avg"}, Period: collector.Minute}}
	device, err := driver.Open("authority", theirs)
	if err != nil {
		t.Fatal(err)
	}
	station := device.(*collector.Station)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var mu sync.Mutex
	var readings []string
	running.Go(func() {
		err := station.Report(ctx, func(_ context.Context, r *message.Reading) error {
			mu.Lock()
			defer mu.Unlock()
			readings = append(readings, fmt.Sprintf("%s %s", time.UnixMilli(r.Time).In(zone).Format("15:04"), r.Points[0].Value))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	o := DefaultOptions()
	o.Address, o.MN, o.Points, o.PasswordFile = theirs.Listen, theirs.MN, history, t.TempDir()+"/password"
	if err := os.WriteFile(o.PasswordFile, []byte("123456"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, past := newUplink(t, o), &fakePast{}
	for i := range 5 {
		past.add("press", noon(10*i), fmt.Sprintf(`"cod_minute":%d`, i))
	}
	u.LookBack(past)
	var link bridge.Link
	uplinktest.Eventually(t, "the collector listens", func() bool { link, err = u.Connect(t.Context()); return err == nil })
	defer link.Close()
	// A logger is known by what it says, so one new report comes first.
	if err := send(t, link, `{"device":"press","ts":1795345665221,"values":{"cod":1}}`); err != nil {
		t.Fatal(err)
	}
	if count, err := station.History(t.Context(), collector.Minute, noon(0), noon(30)); err != nil || count != 4 {
		t.Errorf("%d reports came, %v; want 4", count, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := strings.Join(readings, ", "), "12:00 0, 12:10 1, 12:20 2, 12:30 3"; got != want {
		t.Errorf("readings %q, want %q", got, want)
	}
}

func FuzzMomentOf(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"gateway":"{\"ts\":1","device":"a","epoch":1,"seq":1,"ts":2,"values":{}}`))
	f.Add([]byte(`{"gateway":"g","values":{"ts":1},"ts":2}`))
	f.Add([]byte(`{"gateway":"g","ts":99999999999999999999}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		at, known := momentOf(payload)
		if !known {
			return
		}
		if at < 0 {
			t.Errorf("%q is of %d", payload, at)
		}
		r := message.Reading{Gateway: "g", Device: string(payload), Epoch: 1, Seq: 1, Time: at}
		if again, ok := momentOf(r.AppendJSON(nil)); ok && again != at {
			t.Errorf("a reading of %d is taken for one of %d", at, again)
		}
	})
}
