package collectors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// through runs a gate over one value a second; an error is a value in brackets. What was reported comes
// back in the same form, "-" where nothing was, with a ~ before what is held.
func through(policy Policy, values string) string {
	g := gate{policy: policy}
	at := time.Unix(0, 0)
	var out []string
	for v := range strings.FieldsSeq(values) {
		p := message.Point{Name: "p"}
		if text, bad := strings.CutPrefix(v, "("); bad {
			p.Error = strings.TrimSuffix(text, ")")
		} else {
			var f float64
			fmt.Sscan(v, &f)
			p.Value = message.Float64(f)
		}
		at = at.Add(time.Second)
		switch passed := g.pass(&p, at); {
		case !passed:
			out = append(out, "-")
		case p.Held:
			out = append(out, "~"+p.Value.String()+"("+p.Error+")")
		case p.Error != "":
			out = append(out, "("+p.Error+")")
		default:
			out = append(out, p.Value.String())
		}
	}
	return strings.Join(out, " ")
}

func TestWhatIsReportedOfAPoint(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name         string
		policy       Policy
		values, want string
	}{
		{"always, as it is", Policy{}, "1 1 2 (x) (x) 2", "1 1 2 (x) (x) 2"},
		{"always, small changes repeat", Policy{Deadband: 0.5}, "1 1.4 0.6 1.5 1.4 1.01", "1 1 1 1.5 1.5 1.5"},
		{"an error ends the repetition", Policy{Deadband: 0.5}, "1 1.4 (x) 1.4", "1 1 (x) 1.4"},
		{"percent of the last value", Policy{DeadbandPercent: 10}, "100 109 91 110 99.1 99", "100 100 100 110 110 99"},
		{"the wider of two", Policy{Deadband: 5, DeadbandPercent: 1}, "100 104 105", "100 100 105"},
		{"on change", Policy{Report: ReportChange}, "1 1 2 2 2 1", "1 - 2 - - 1"},
		{"on change by a deadband", Policy{Report: ReportChange, Deadband: 0.5}, "1 1.4 1.5 1.6 0.9", "1 - 1.5 - 0.9"},
		{"on change, errors once", Policy{Report: ReportChange}, "1 (x) (y) (x) 1 1", "1 (x) - - 1 -"},
		{"at the latest after a silence, the value of now", Policy{Report: ReportChange, Deadband: 5, MaxSilence: 3 * s}, "1 2 3 4 5 6 7", "1 - - 4 - - 7"},
		{"an error too", Policy{Report: ReportChange, MaxSilence: 2 * s}, "1 (x) (x) (x) (x)", "1 (x) - (x) -"},
		{"no more often", Policy{MinInterval: 3 * s}, "1 2 3 4 5 6 7", "1 - - 4 - - 7"},
		{"a change is told when it may be", Policy{Report: ReportChange, MinInterval: 3 * s}, "1 2 2 2 2 2", "1 - - 2 - -"},
		{"what has gone back is not told", Policy{Report: ReportChange, MinInterval: 3 * s}, "1 2 1 1 1", "1 - - - -"},
		{"bad on error", Policy{OnError: ErrorBad}, "1 (x)", "1 (x)"},
		{"hold on error", Policy{OnError: ErrorHold}, "(x) 1 (x) (y) 2", "(x) 1 ~1(x) ~1(y) 2"},
		{"hold the good value, not the repeated one", Policy{OnError: ErrorHold, Deadband: 5}, "1 2 (x)", "1 1 ~2(x)"},
	} {
		if got := through(c.policy, c.values); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.values, got, c.want)
		}
	}
}

func TestPointsThatAreNoNumbersAreComparedWhole(t *testing.T) {
	g := gate{policy: Policy{Report: ReportChange, Deadband: 5}}
	var passed []bool
	for _, v := range []message.Value{message.Text("a"), message.Text("a"), message.Text("b"), message.Int(1), message.Int(3)} {
		p := message.Point{Value: v}
		passed = append(passed, g.pass(&p, time.Unix(0, 0)))
	}
	if want := []bool{true, false, true, true, false}; !slices.Equal(passed, want) {
		t.Errorf("reported %v, want %v", passed, want)
	}
}

func TestPolicyIsChecked(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		number bool
		want   string
	}{
		{Policy{Deadband: 1, DeadbandPercent: 2, MaxSilence: time.Hour, MinInterval: time.Minute}, true, ""},
		{Policy{Deadband: 1}, false, "deadband"},
		{Policy{Deadband: -1, DeadbandPercent: -1, MaxSilence: -1, MinInterval: -1}, true, "deadband deadband_percent max_silence min_interval"},
		{Policy{MaxSilence: time.Second, MinInterval: time.Minute}, true, "min_interval"},
	} {
		var got []string
		c.policy.ValidateFor(c.number, func(key, _ string) { got = append(got, key) })
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: mistakes at %v, want %q", c.policy, got, c.want)
		}
	}
}

func TestNothingChangedIsNoReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newPanel(in("", "a"), in("", "b")), &fakeSink{}
		device.set("a", 1.0)
		device.set("b", 2.0)
		p := newPoller(device, sink, time.Second)
		p.Defaults = Policy{Report: ReportChange, MaxSilence: time.Minute}
		start(t, p)
		pass(30 * time.Second)
		device.set("b", 3.0)
		pass(45 * time.Second) // the minute since a was told of is over, b's is not
		readings := sink.readings(t)
		var got []string
		for _, r := range readings {
			got = append(got, fmt.Sprint(r.Values))
		}
		if want := []string{"map[a:1 b:2]", "map[b:3]", "map[a:1]"}; !slices.Equal(got, want) {
			t.Errorf("readings %v, want %v", got, want)
		}
		checkSequence(t, readings, 1)
		if s := p.State(); s.Polls < 70 || s.Readings != 3 {
			t.Errorf("%d polls and %d readings, want every second one and three of the other", s.Polls, s.Readings)
		}
	})
}

func TestAChangeThatTheLogLostIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newPanel(in("", "a")), &fakeSink{}
		device.set("a", 1.0)
		p := newPoller(device, sink, time.Second)
		p.Defaults = Policy{Report: ReportChange}
		start(t, p)
		pass(5 * time.Second)
		sink.set(func(s *fakeSink) { s.lose = message.ErrFailed })
		device.set("a", 2.0)
		pass(2 * time.Second)
		sink.set(func(s *fakeSink) { s.lose = nil })
		pass(10 * time.Second)
		readings := sink.readings(t)
		if len(readings) != 2 || readings[1].Values["a"] != 2.0 || readings[1].Seq != 2 {
			t.Errorf("readings %+v, want 1 and then, with the next number, 2", readings)
		}
	})
}

func TestHeldValueStandsBesideItsError(t *testing.T) {
	r := message.Reading{Points: []message.Point{
		{Name: "a", Value: message.Int(1), Error: "late", Held: true}, {Name: "b", Error: "gone"},
	}}
	want := `{"gateway":"","device":"","epoch":0,"seq":0,"ts":0,"values":{"a":1},"errors":{"a":"late","b":"gone"}}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
