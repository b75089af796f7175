package main

import (
	"errors"
	"testing"

	"sluice/bench/measure"
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

func TestAGoalIsJudgedByWhatWasMeasured(t *testing.T) {
	judge := func(ours, peer []outcome, lost uint64) measure.Goal {
		all := results{"fanin": {"sluice": ours, "nats": peer}}
		for i := range ours {
			ours[i].Lost = lost
		}
		return measure.Settle(all.nothingLost(all.timesPeer(loadCase{name: "fanin"}, 1.5, "nats")), ours)
	}
	for _, c := range []struct {
		what       string
		ours, peer []outcome
		lost       uint64
		want       measure.State
	}{
		{"enough", rated(150), rated(100), 0, measure.Reached},
		{"too little", rated(149), rated(100), 0, measure.Missed},
		{"enough, but one was lost", rated(150), rated(100), 1, measure.Missed},
		{"the peer is not there", rated(150), nil, 0, measure.Unknown},
		{"we failed", rated(0), rated(100), 0, measure.Missed},
	} {
		if g := judge(c.ours, c.peer, c.lost); g.State != c.want {
			t.Errorf("%s: %v (%s), want %v", c.what, g.State, g.Measured, c.want)
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
