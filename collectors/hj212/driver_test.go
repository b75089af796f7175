package hj212

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/collectors/hj212/hj212sim"
	wire "sluice/gateway/hj212"
	"sluice/gateway/message"
)

func TestReportsBecomeReadings(t *testing.T) {
	for _, edition := range []int{2017, 2005} {
		t.Run(fmt.Sprint(edition), func(t *testing.T) {
			d := &Driver{Log: quiet()}
			o := options(d, freeAddress(t))
			if edition == 2005 {
				o.Points[0].Factor.Code, o.Points[1].Factor.Code = "011", "001"
			}
			s := open(t, d, o)
			var got book
			run(t, got.report(s))
			logger := simulate(t, hj212sim.Options{Address: o.Listen, Edition: edition})
			eventually(t, "ten reports are acknowledged", func() bool { return logger.Seen().Acked >= 10 })
			if trouble := s.Trouble(); trouble != "" {
				t.Errorf("there is trouble: %s", trouble)
			}
			for _, r := range got.all() {
				if got, want := text(r.Points), wanted(r); got != want {
					t.Errorf("reading %q, want %q", got, want)
				}
				if age := time.Since(time.UnixMilli(r.Time)); age < 0 || age > time.Minute {
					t.Errorf("a reading's time is %v old", age)
				}
			}
			if c := logger.Seen(); c.Repeated != 0 || c.Damaged != 0 || c.GivenUp != 0 {
				t.Errorf("the logger saw %+v", c)
			}
		})
	}
}

// What a faulty logger must lead to: readings that are right, none, or an error at the point.
func TestFaultsNeverGiveAWrongValue(t *testing.T) {
	for _, c := range []struct {
		fault   hj212sim.Fault
		none    bool   // no reading may come of it
		points  string // how each point's error must read, instead of a value
		trouble string // what the station comes to say
	}{
		{fault: hj212sim.Silence, none: true},
		{fault: hj212sim.BadChecksum, none: true, trouble: "damaged"},
		{fault: hj212sim.LowerCase},
		{fault: hj212sim.Fragments},
		{fault: hj212sim.Glued},
		{fault: hj212sim.Noise, trouble: "damaged"},
		{fault: hj212sim.CutShort, trouble: "damaged"},
		{fault: hj212sim.WrongPassword, none: true, trouble: "password"},
		{fault: hj212sim.WrongNumber, none: true},
		{fault: hj212sim.Packets},
		{fault: hj212sim.OwnQN},
		{fault: hj212sim.RawCut},
		{fault: hj212sim.LostPacket, none: true, trouble: "of the 3 packets of a message only 2 came"},
		{fault: hj212sim.Repeat},
		{fault: hj212sim.Deaf},
		{fault: hj212sim.Faulty, points: "analyser fault (flag D)"},
		{fault: hj212sim.NotANumber, points: `the logger sent "--`},
		{fault: hj212sim.GBK},
		{fault: hj212sim.NoDataTime, none: true, trouble: "values come before their DataTime"},
		{fault: hj212sim.NoAnswer},
		{fault: hj212sim.Refuse},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			d := &Driver{Log: quiet()}
			o := options(d, freeAddress(t))
			s := open(t, d, o)
			var before, got book
			stop := run(t, before.report(s))
			logger := simulate(t, hj212sim.Options{Address: o.Listen, OverTime: 40 * time.Millisecond, ReCount: 1})
			eventually(t, "a reading came", func() bool { return len(before.all()) > 0 })
			stop()
			logger.Misbehave(c.fault)
			run(t, got.report(s))
			sent := logger.Seen().Reports
			if c.none {
				eventually(t, "ten reports were sent", func() bool { return logger.Seen().Reports >= sent+10 })
			} else {
				eventually(t, "ten readings came", func() bool { return len(got.all()) >= 10 })
			}
			if c.trouble != "" {
				eventually(t, "the trouble is told", func() bool { return strings.Contains(s.Trouble(), c.trouble) })
			}
			all := got.all()
			if c.none && len(all) > 0 {
				t.Errorf("reading %q came", text(all[0].Points))
			}
			for _, r := range all {
				switch got := text(r.Points); {
				case c.points != "" && !strings.Contains(got, "cod: "+c.points):
					t.Errorf("reading %q, want cod: %s", got, c.points)
				case c.points == "" && got != wanted(r):
					t.Errorf("reading %q, want %q", got, wanted(r))
				}
			}
			repetitions(t, logger, all)
			logger.Misbehave(hj212sim.Healthy)
			count := len(got.all())
			eventually(t, "it is read again", func() bool { return len(got.all()) > count })
		})
	}
}

// repetitions wants no report to be delivered twice.
func repetitions(t *testing.T, logger *hj212sim.Logger, all []message.Reading) {
	t.Helper()
	if sent := logger.Seen().Reports; len(all) > sent {
		t.Errorf("%d readings came of %d reports", len(all), sent)
	}
}

func TestEveryFaultIsTested(t *testing.T) {
	source, err := os.ReadFile("driver_test.go")
	must(t, err)
	for _, fault := range hj212sim.Faults() {
		name := ""
		for _, word := range strings.Split(string(fault), "-") {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		name = strings.NewReplacer("OwnQn", "OwnQN", "Gbk", "GBK", "NotANumber", "NotANumber").Replace(name)
		if !strings.Contains(string(source), "fault: hj212sim."+name) {
			t.Errorf("no test for %s (%s)", fault, name)
		}
	}
}

// A flagged value is kept beside its error, and a report tells its own points only.
func TestFlaggedValueIsKept(t *testing.T) {
	d := &Driver{Log: quiet()}
	s := open(t, d, options(d, "127.0.0.1:0"))
	all, err := reports(wire.Packet{CN: wire.Realtime, Data: "DataTime=20261123120000;w01018-Rtd=12.5,w01018-Flag=C;w01001-Flag=B"}, s.zone)
	must(t, err)
	points := all[0].fill(s.points, nil)
	if got, want := text(points), "cod: calibration (flag C); ph: the logger does not reach the analyser (flag B)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if f, ok := points[0].Value.Float(); !ok || f != 12.5 || !points[0].Held || points[1].Held {
		t.Errorf("the value beside the error is %v", points[0].Value)
	}
	all, err = reports(wire.Packet{CN: wire.Hour, Data: "DataTime=20261123120000;w01018-Min=1,w01018-Avg=12.25"}, s.zone)
	must(t, err)
	if got, want := text(all[0].fill(s.points, nil)), "cod_hour=12.25"; got != want {
		t.Errorf("hour: got %q, want %q", got, want)
	}
	if got := text(all[0].fillAll(s.points, nil)); !strings.HasPrefix(got, "cod: comes with the report of each realtime only; ") {
		t.Errorf("all points: got %q", got)
	}
}

func TestAcknowledgedOnlyWhenTaken(t *testing.T) {
	d := &Driver{Log: quiet()}
	o := options(d, freeAddress(t))
	s := open(t, d, o)
	var got book
	got.refuse(true)
	run(t, got.report(s))
	logger := simulate(t, hj212sim.Options{Address: o.Listen, OverTime: 30 * time.Millisecond, ReCount: 1000})
	eventually(t, "reports were sent again", func() bool { return logger.Seen().Repeated > 5 })
	if c := logger.Seen(); c.Acked != 0 {
		t.Fatalf("%d reports were acknowledged that nobody took", c.Acked)
	}
	sent := logger.Seen().Reports
	got.refuse(false)
	eventually(t, "all of them are acknowledged", func() bool { return logger.Seen().Acked > sent })
	seen := map[int64]int{}
	for _, r := range got.all() {
		seen[r.Time/1000]++
	}
	if len(got.all()) > logger.Seen().Reports {
		t.Errorf("%d readings of %d reports", len(got.all()), logger.Seen().Reports)
	}
}

func TestLoggersShareAnAddress(t *testing.T) {
	d := &Driver{Log: quiet()}
	address := freeAddress(t)
	var books [3]book
	var loggers []*hj212sim.Logger
	var stops []func()
	for i := range books {
		o := options(d, address)
		o.MN = fmt.Sprintf("MN%d", i)
		stops = append(stops, run(t, books[i].report(open(t, d, o))))
		loggers = append(loggers, simulate(t, hj212sim.Options{Address: address, MN: o.MN}))
	}
	for i, l := range loggers {
		eventually(t, fmt.Sprintf("logger %d is heard", i), func() bool { return l.Seen().Acked > 3 })
	}
	twin := options(d, address)
	twin.MN = "MN1"
	other, err := d.Open("twin", twin)
	must(t, err)
	if err := other.(*Station).Report(t.Context(), books[0].take); err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("a second device for one logger: %v", err)
	}
	stops[1]()
	acked := loggers[2].Seen().Acked
	eventually(t, "the others go on", func() bool { return loggers[2].Seen().Acked > acked+3 })
	stops[0]()
	stops[2]()
	if d.mu.Lock(); len(d.listeners) != 0 {
		t.Error("the address is open though nobody needs it")
	}
	d.mu.Unlock()
}

func TestClockIsReadAndSet(t *testing.T) {
	for _, edition := range []Edition{Edition2017, Edition2005} {
		d := &Driver{Log: quiet()}
		o := options(d, freeAddress(t))
		o.Edition = edition
		s := open(t, d, o)
		if _, err := s.Write(t.Context(), "clock", []byte(`"now"`)); err == nil || !strings.Contains(err.Error(), "not connected") {
			t.Errorf("without a logger: %v", err)
		}
		var got book
		run(t, got.report(s))
		logger := simulate(t, hj212sim.Options{Address: o.Listen, Edition: int(edition)})
		logger.SetClock(-3 * time.Hour)
		eventually(t, "the logger is heard", func() bool { return logger.Seen().Acked > 0 })
		said, err := s.Clock(t.Context())
		must(t, err)
		if off := time.Until(said); off.Abs() < 2*time.Hour {
			t.Errorf("the clock is %v off, want three hours", off)
		}
		value, err := s.Write(t.Context(), "clock", []byte(`"now"`))
		must(t, err)
		set, err := time.Parse(`"`+time.RFC3339+`"`, value.String())
		must(t, err)
		if off := time.Until(set); off.Abs() > 5*time.Second {
			t.Errorf("after it was set the clock is %v off", off)
		}
	}
}

// heard is a session that waits so long for answers, and the logger that it has heard.
func heard(t *testing.T, timeout time.Duration) (*Station, *hj212sim.Logger) {
	d := &Driver{Log: quiet()}
	o := options(d, freeAddress(t))
	o.Timeout = timeout
	s := open(t, d, o)
	var got book
	run(t, got.report(s))
	logger := simulate(t, hj212sim.Options{Address: o.Listen})
	eventually(t, "the logger is heard", func() bool { return logger.Seen().Acked > 0 })
	return s, logger
}

func TestAnAnswerThatDoesNotComeLeavesTheOutcomeUnknown(t *testing.T) {
	s, logger := heard(t, 100*time.Millisecond)
	logger.Misbehave(hj212sim.NoAnswer)
	if value, err := s.Write(t.Context(), "clock", []byte(`"now"`)); err == nil || !strings.Contains(err.Error(), "no answer within 100ms: outcome unknown") {
		t.Errorf("answered with %v, %v", value, err)
	}
}

func TestRequestsFailInPlainWords(t *testing.T) {
	s, logger := heard(t, 20*time.Second) // each of these is answered
	for _, c := range []struct {
		fault        hj212sim.Fault
		point, value string
		want         string
	}{
		{hj212sim.Refuse, "clock", `"now"`, "the logger refused: the request was refused"},
		{hj212sim.Healthy, "clock", `"noon"`, "neither"},
		{hj212sim.Healthy, "clock", `12`, "set to"},
		{hj212sim.Healthy, "cod", `12`, "cannot be written"},
		{hj212sim.Healthy, "history", `"hour"`, "is not of the form"},
		{hj212sim.Healthy, "history", `{"period":"week"}`, "no period"},
		{hj212sim.Healthy, "history", `{"period":"realtime"}`, "cannot be asked for"},
		{hj212sim.Healthy, "history", `{"period":"hour","from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}`, "ends before"},
		{hj212sim.Healthy, "history", `{"period":"hour","from":"2026-01-02T00:00:00Z","to":"2026-03-01T00:00:00Z"}`, "longer than 31 days"},
		{hj212sim.Healthy, "history", `{"period":"hour","from":"2026-01-02T00:10:00Z","to":"2026-01-02T00:20:00Z"}`, "there are no data"},
	} {
		logger.Misbehave(c.fault)
		if value, err := s.Write(t.Context(), c.point, []byte(c.value)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s of a logger with %q: %v, %v; want %q", c.point, c.value, c.fault, value, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Clock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a request whose context has ended: %v", err)
	}
}

func TestHistoryIsAskedFor(t *testing.T) {
	d := &Driver{Log: quiet()}
	o := options(d, freeAddress(t))
	s := open(t, d, o)
	var got book
	run(t, got.report(s))
	logger := simulate(t, hj212sim.Options{Address: o.Listen})
	eventually(t, "the logger is heard", func() bool { return logger.Seen().Acked > 0 })
	value, err := s.Write(t.Context(), "history", []byte(`{"period":"hour","from":"2026-01-01T08:30:00+08:00","to":"2026-01-01T12:00:00+08:00"}`))
	must(t, err)
	if value.String() != "4" {
		t.Errorf("%s reports came, want 4", value)
	}
	zone := time.FixedZone("", 8*3600)
	want := time.Date(2026, 1, 1, 9, 0, 0, 0, zone)
	for _, r := range got.all() {
		if len(r.Points) != 1 {
			continue // a real-time report
		}
		if !time.UnixMilli(r.Time).Equal(want) || text(r.Points) != fmt.Sprintf("cod_hour=%v", message.Float64(hj212sim.StateAt(want).COD)) {
			t.Errorf("reading %q of %v, want that of %v", text(r.Points), time.UnixMilli(r.Time).In(zone), want)
		}
		want = want.Add(time.Hour)
	}
	if want.Hour() != 13 {
		t.Errorf("the readings end before %v", want)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	d := &Driver{}
	o := d.Options().(*Options)
	var paths []string
	o.Validate(func(path, _ string) { paths = append(paths, path) })
	if got, want := strings.Join(paths, " "), "listen mn points"; got != want {
		t.Errorf("empty: mistakes at %q, want %q", got, want)
	}
	o.Listen, o.MN, o.Password, o.TimeZone, o.Silence = "9212", "a;b", "1;2", "Mars", -1
	o.Points = []PointOptions{{}, {Name: "a", Factor: Factor{"w", "Rtd"}}, {Name: "a", Factor: Factor{"w", "Avg"}}, {Name: "clock", Factor: Factor{"w", "Rtd"}}}
	paths = nil
	o.Validate(func(path, problem string) {
		paths = append(paths, path)
		if strings.Contains(problem, "1;2") {
			t.Errorf("the password is shown: %s", problem)
		}
	})
	if got, want := strings.Join(paths, " "), "listen mn password time_zone silence points[0].name points[0].factor points[2].name points[3].name"; got != want {
		t.Errorf("mistakes at %q, want %q", got, want)
	}
	if _, err := d.Open("s", o); err == nil || strings.Count(err.Error(), "\n") != 8 {
		t.Errorf("open: %v, want all 9 mistakes", err)
	}
	for _, c := range []struct {
		into interface{ UnmarshalText([]byte) error }
		text string
	}{
		{new(Factor), "w01018-"}, {new(Factor), "-Rtd"}, {new(Factor), ""}, {new(Factor), "a b-Rtd"},
		{new(Period), "week"}, {new(Period), ""}, {new(Edition), "2011"},
	} {
		if err := c.into.UnmarshalText([]byte(c.text)); err == nil {
			t.Errorf("%q was accepted as %T", c.text, c.into)
		}
	}
}

func TestAddressThatIsTaken(t *testing.T) {
	d := &Driver{Log: quiet()}
	o := options(d, freeAddress(t))
	first := open(t, d, o)
	var got book
	run(t, got.report(first))
	logger := simulate(t, hj212sim.Options{Address: o.Listen})
	eventually(t, "the address is open", func() bool { return logger.Seen().Acked > 0 })
	other := &Driver{Log: quiet()}
	device, err := other.Open("other", options(other, o.Listen))
	must(t, err)
	if err := device.(*Station).Report(t.Context(), got.take); err == nil || !strings.Contains(err.Error(), "cannot listen for loggers") {
		t.Errorf("report: %v", err)
	}
	if err := device.Read(t.Context(), &message.Reading{}); err == nil {
		t.Error("it was read")
	}
}

func TestSpecsHaveUnits(t *testing.T) {
	d := &Driver{}
	o := options(d, "127.0.0.1:9212")
	o.Points[1].Unit = "own"
	specs := open(t, d, o).Points()
	if len(specs) != 3 || specs[0].Unit != "mg/L" || specs[1].Unit != "own" || specs[0].Name != "cod" {
		t.Errorf("points are %+v", specs)
	}
	for i, k := range Table() {
		if i > 0 && Table()[i-1].Code >= k.Code {
			t.Errorf("%s stands behind %s", k.Code, Table()[i-1].Code)
		}
		if found, ok := Lookup(k.Code); !ok || found != k || k.English == "" || k.Chinese == "" {
			t.Errorf("%s: found %+v", k.Code, found)
		}
	}
	if _, ok := Lookup("w99999"); ok {
		t.Error("an unknown code is known")
	}
}
