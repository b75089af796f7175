package nighttest

import (
	"fmt"
	"strings"
	"testing"
)

// TestVerdictTellsGoodStreamsFromBad gives the judge records made by hand. A token is DEVICE SEQ,
// with a "!" when the content differs from what that seq should hold, or an epoch behind "@".
func TestVerdictTellsGoodStreamsFromBad(t *testing.T) {
	killed := func(after, repeats int) outage {
		return outage{name: "kill", after: after, until: after + 100, rewinds: 1, repeats: repeats}
	}
	for _, c := range []struct {
		name    string
		record  string
		outages []outage
		problem string // what the first problem says; empty: none
		rewinds []int
	}{
		{name: "straight", record: "a1 a2 b1 a3 b2"},
		{name: "nothing", record: ""},
		{name: "replay after a kill", record: "a1 b1 a2 b2 b1 a2 b2 a3", outages: []outage{killed(4, 3)}, rewinds: []int{3}},
		{name: "replay of everything", record: "a1 a2 a1 a2 a3", outages: []outage{killed(2, 5)}, rewinds: []int{2}},
		{name: "two kills, the second in the replay", record: "a1 a2 a3 a4 a2 a3 a2 a3 a4 a5",
			outages: []outage{killed(4, 3), killed(6, 3)}, rewinds: []int{3, 2}},
		{name: "large step is kept for the large excuse", record: "a1 a2 a3 a4 a4 a1 a2 a3 a4",
			outages: []outage{killed(2, 9), killed(2, 1)}, rewinds: []int{1, 4}},
		{name: "other topics are not readings", record: "a1 status a2"},

		{name: "gap", record: "a1 a2 a4", problem: "seq 3 to 3 of g/a epoch 1 are missing"},
		{name: "gap at the start", record: "a2 a3", problem: "seq 1 to 1"},
		{name: "gap of one device", record: "a1 b1 b2 a2 b4 a3", problem: "seq 3 to 3 of g/b"},
		{name: "gap behind a kill", record: "a1 a2 a3 a2 a3 a5", outages: []outage{killed(3, 5)}, problem: "seq 4 to 4"},
		{name: "seq 0", record: "a0 a1", problem: "g/a epoch 1 seq 0 comes late"},
		{name: "swapped", record: "a1 a3 a2 a4", problem: "missing"},
		{name: "late", record: "a1 a3 a2", outages: []outage{killed(0, 9)}, problem: "missing"},
		{name: "repeat without an outage", record: "a1 a2 a2 a3", problem: "1 repeats that no outage explains"},
		{name: "repeat before the outage", record: "a1 a2 a2 a3 a4", outages: []outage{killed(3, 9)}, problem: "no outage explains"},
		{name: "repeat long after the outage", record: "a1 a2 a3 a4 a4",
			outages: []outage{{name: "kill", after: 1, until: 3, rewinds: 1, repeats: 9}}, problem: "no outage explains"},
		{name: "two replays for one kill", record: "a1 a2 a2 a3 a3", outages: []outage{killed(2, 9)}, problem: "no outage explains"},
		{name: "too many repeats", record: "a1 a2 a3 a4 a1 a2 a3 a4", outages: []outage{killed(4, 3)}, problem: "4 repeats after \"kill\", at most 3"},
		{name: "replay in another order", record: "a1 b1 a2 b1 a1", outages: []outage{killed(3, 9)}, problem: "2 repeats that no outage explains"},
		{name: "record ends in a replay", record: "a1 a2 a3 a2", outages: []outage{killed(3, 9)}, problem: "ends in a replay that lacks 1"},
		{name: "replay swaps neighbours", record: "a1 a2 a3 a4 a2 a4 a3 a5", outages: []outage{killed(4, 9)}, problem: "the replay leaves out 1 readings"},
		{name: "replay with a hole", record: "a1 a2 a3 a4 a2 a4", outages: []outage{killed(4, 9)}, problem: "leaves out"},
		{name: "replay not finished", record: "a1 a2 a3 a4 a2 a3 a5", outages: []outage{killed(4, 9)}, problem: "although the replay lacks 1"},
		{name: "one seq for two readings", record: "a1 a2 a2! a3", outages: []outage{killed(2, 9)}, problem: "given to two different readings"},
		{name: "epoch changes", record: "a1 a2 a1@2", outages: []outage{killed(2, 9)}, problem: "from 1 to 2"},
		{name: "not JSON", record: "a1 garbage a2", problem: "is not a reading"},
		{name: "wrong topic", record: "a1 elsewhere", problem: "came on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(handMade(c.record), c.outages)
			switch {
			case c.problem == "" && len(v.problems) > 0:
				t.Errorf("%s: found fault: %q", c.record, v.problems)
			case c.problem != "" && len(v.problems) == 0:
				t.Errorf("%s: found no fault, want %q", c.record, c.problem)
			case c.problem != "" && !strings.Contains(v.problems[0], c.problem):
				t.Errorf("%s: the first fault is %q, want %q", c.record, v.problems[0], c.problem)
			}
			var rewinds []int
			for _, r := range v.rewinds {
				rewinds = append(rewinds, r.repeats)
			}
			if c.problem == "" && fmt.Sprint(rewinds) != fmt.Sprint(c.rewinds) {
				t.Errorf("%s: repeats %v, want %v", c.record, rewinds, c.rewinds)
			}
		})
	}
}

func TestVerdictMissesTheEnd(t *testing.T) {
	v := judge(handMade("a1 a2 b1"), nil)
	v.complete(map[string]uint64{"a": 2, "b": 1})
	if len(v.problems) > 0 {
		t.Errorf("complete streams: found fault: %q", v.problems)
	}
	v.complete(map[string]uint64{"a": 2, "b": 2, "c": 1})
	if len(v.problems) != 2 {
		t.Errorf("b and c lack their last reading: got %q", v.problems)
	}
}

func TestVerdictBoundsWhatItPrints(t *testing.T) {
	var tokens []string
	for seq := 2; seq < 400; seq += 2 {
		tokens = append(tokens, fmt.Sprintf("a%d", seq))
	}
	v := judge(handMade(strings.Join(tokens, " ")), nil)
	if len(v.problems) != mostProblems || v.withheld != len(tokens)-mostProblems {
		t.Errorf("%d gaps: printed %d, withheld %d", len(tokens), len(v.problems), v.withheld)
	}
}

func handMade(record string) []delivery {
	var made []delivery
	for _, token := range strings.Fields(record) {
		switch token {
		case "status":
			made = append(made, delivery{"plants/status/g/a", []byte("online")})
			continue
		case "garbage":
			made = append(made, delivery{"plants/readings/g/a", []byte("{")})
			continue
		case "elsewhere":
			made = append(made, delivery{"plants/readings/g/b", []byte(`{"gateway":"g","device":"a","epoch":1,"seq":2}`)})
			continue
		}
		token, changed := strings.CutSuffix(token, "!")
		token, epoch, other := strings.Cut(token, "@")
		if !other {
			epoch = "1"
		}
		device, seq := token[:1], token[1:]
		made = append(made, delivery{"plants/readings/g/" + device, fmt.Appendf(nil,
			`{"gateway":"g","device":%q,"epoch":%s,"seq":%s,"values":{"changed":%t}}`, device, epoch, seq, changed)})
	}
	return made
}
