package main

import (
	"errors"
	"testing"
	"time"
)

func rated(rates ...float64) (list []outcome) {
	for _, r := range rates {
		var o outcome
		o.Published, o.Arrived = r, r
		if r == 0 {
			o.wrong = errors.New("it broke")
		}
		list = append(list, o)
	}
	return list
}

func TestRatiosPairRoundsAndLeaveOutWhatFailed(t *testing.T) {
	k := loadCase{name: "window100"}
	got := spreadOf(ratios(rated(300, 100, 0, 50), rated(100, 0, 100, 100), k.rate), digits)
	if want := "3.00 (0.50 to 3.00)"; got != want {
		t.Errorf("ratios are %s, want %s", got, want)
	}
}

func TestSpreadCountsFailures(t *testing.T) {
	k := loadCase{name: "window100"}
	for _, c := range []struct {
		of   []outcome
		want string
	}{
		{rated(20_000, 10_000, 30_000), "20.0 k (10.0 k to 30.0 k)"},
		{rated(1_500_000), "1.50 M"},
		{rated(0, 9_999), "9999, 1 of 2 failed"},
		{rated(0), "–, 1 of 1 failed"},
	} {
		if got := spread(c.of, k.rate, short); got != c.want {
			t.Errorf("%v: %q, want %q", c.of, got, c.want)
		}
	}
}

func TestAGoalIsJudgedByWhatWasMeasured(t *testing.T) {
	judge := func(ours, peer []outcome, lost uint64) goal {
		all := results{"fanin": {"sluice": ours, "nats": peer}}
		for i := range ours {
			ours[i].Lost = lost
		}
		return all.failed(all.nothingLost(all.timesPeer(loadCase{name: "fanin"}, 1.5, "nats")))
	}
	for _, c := range []struct {
		what       string
		ours, peer []outcome
		lost       uint64
		want       state
	}{
		{"enough", rated(150), rated(100), 0, reached},
		{"too little", rated(149), rated(100), 0, missed},
		{"enough, but one was lost", rated(150), rated(100), 1, missed},
		{"the peer is not there", rated(150), nil, 0, unknown},
		{"we failed", rated(0), rated(100), 0, missed},
	} {
		if g := judge(c.ours, c.peer, c.lost); g.state != c.want {
			t.Errorf("%s: %v (%s), want %v", c.what, g.state, g.measured, c.want)
		}
	}
}

func TestRateIsWhatACaseIsAbout(t *testing.T) {
	var o outcome
	o.Published, o.Arrived = 10, 500
	for _, k := range loadCases {
		want := 10.0
		if k.name == "qos0" || k.name == "fanout" {
			want = 500
		}
		if got := k.rate(o); got != want {
			t.Errorf("%s: the rate is %v, want %v", k.name, got, want)
		}
	}
}

func TestDiskFigures(t *testing.T) {
	var d disk
	for i := range 100 {
		d.took = append(d.took, time.Duration(100-i)*time.Microsecond)
	}
	if p50, p99 := d.quantile(.5), d.quantile(.99); p50 != 51 || p99 != 100 {
		t.Errorf("p50 %v p99 %v, want 51 and 100", p50, p99)
	}
	if got := d.rate(); got < 19_801 || got > 19_803 {
		t.Errorf("%v appends a second, want 100 in 5.05 ms", got)
	}
}
