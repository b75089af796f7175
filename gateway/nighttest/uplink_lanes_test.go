package nighttest

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
)

// lanes are those of a live-first route.
var lanes = []string{"plants/live/", "plants/backfill/"}

// judgeLanes compares the record of a live-first route, or of a cloud that knows an order for each device
// alone, with the delivery contract: every stream has each seq from 1 on, in whichever lane; what comes
// for the first time is in order within its lane; a repeat is the very same message, and there are no
// more of them than outages excuse. Which lane repeats what the other had begun is left to the gateway.
// A lane is what topics begin with.
func judgeLanes(record []delivery, outages []outage, lanes ...string) *verdict {
	j := laneJudgement{
		lanes:   lanes,
		verdict: &verdict{last: map[stream]uint64{}},
		seen:    map[place]laneDelivery{},
		highest: map[laneStream]uint64{},
		epochs:  map[[2]string]uint64{},
		excuses: slices.Clone(outages),
		taken:   make([]int, len(outages)),
		seed:    maphash.MakeSeed(),
	}
	for i, d := range record {
		if d.isReading() {
			j.take(i, d)
		}
	}
	for s, last := range j.verdict.last {
		for seq := uint64(1); seq <= last; seq++ {
			if _, there := j.seen[place{s, seq}]; !there {
				j.problem("%v seq %d is missing", s, seq)
			}
		}
	}
	j.verdict.distinct = len(j.seen)
	for k, n := range j.taken {
		if n > 0 {
			j.verdict.rewinds = append(j.verdict.rewinds, rewind{j.excuses[k].after, n, j.excuses[k].name})
		}
	}
	return j.verdict
}

type laneJudgement struct {
	lanes   []string
	verdict *verdict
	seen    map[place]laneDelivery
	highest map[laneStream]uint64
	epochs  map[[2]string]uint64
	excuses []outage
	taken   []int // repeats that each has excused
	seed    maphash.Seed
}

type laneDelivery struct {
	hash uint64 // of the payload
	at   int    // the index of the last delivery
}

type laneStream struct {
	lane string
	stream
}

func (j *laneJudgement) take(i int, d delivery) {
	var r struct {
		Gateway, Device string
		Epoch, Seq      uint64
	}
	if err := json.Unmarshal(d.payload, &r); err != nil {
		j.problem("delivery %d on %s is not a reading: %v: %.100q", i, d.topic, err, d.payload)
		return
	}
	j.verdict.readings++
	at := slices.IndexFunc(j.lanes, func(lane string) bool { return strings.HasPrefix(d.topic, lane) })
	if at < 0 || !strings.HasSuffix(d.topic, "/readings/"+r.Gateway+"/"+r.Device) {
		j.problem("delivery %d: a reading of %s/%s came on %s", i, r.Gateway, r.Device, d.topic)
		return
	}
	p := place{stream{r.Gateway, r.Device, r.Epoch}, r.Seq}
	device := [2]string{r.Gateway, r.Device}
	if epoch, known := j.epochs[device]; known && epoch != r.Epoch {
		j.problem("delivery %d: the epoch of %s/%s went from %d to %d", i, r.Gateway, r.Device, epoch, r.Epoch)
	}
	j.epochs[device] = r.Epoch
	hash := maphash.Bytes(j.seed, d.payload)
	if before, again := j.seen[p]; again {
		if before.hash != hash {
			j.problem("delivery %d: %v was given to two different readings", i, p)
		}
		j.excuse(before.at, i, p)
		j.seen[p] = laneDelivery{hash, i}
		return
	}
	lane := laneStream{j.lanes[at], p.stream}
	if p.seq <= j.highest[lane] {
		j.problem("delivery %d: %v comes late on %s, behind seq %d", i, p, lane.lane, j.highest[lane])
	}
	j.highest[lane] = max(j.highest[lane], p.seq)
	j.seen[p] = laneDelivery{hash, i}
	j.verdict.last[p.stream] = max(j.verdict.last[p.stream], p.seq)
}

// excuse looks for an outage between the last delivery of a message and its repeat: of those that
// apply the one that ends first, so that the later ones remain. How long after an outage the repeat
// comes says nothing: what was in flight in the live lane is left to the backfill, which has to catch
// up first.
func (j *laneJudgement) excuse(before, i int, p place) {
	best := -1
	for k, o := range j.excuses {
		if before > o.until || i < o.after || j.taken[k] >= o.rewinds*o.repeats {
			continue
		}
		if best < 0 || o.until < j.excuses[best].until {
			best = k
		}
	}
	if best < 0 {
		j.problem("delivery %d: %v comes again, and no outage explains it", i, p)
		return
	}
	j.taken[best]++
}

func (j *laneJudgement) problem(format string, args ...any) {
	if len(j.verdict.problems) == mostProblems {
		j.verdict.withheld++
		return
	}
	j.verdict.problems = append(j.verdict.problems, fmt.Sprintf(format, args...))
}

// TestVerdictOnLanes gives the judge records made by hand: "l" stands before what came in the live
// lane, "b" before the backfill.
func TestVerdictOnLanes(t *testing.T) {
	cut := func(after, until, repeats int) outage {
		return outage{name: "cut", after: after, until: until, rewinds: 1, repeats: repeats}
	}
	for _, c := range []struct {
		name    string
		record  string
		outages []outage
		problem string // what the first problem says; empty: none
	}{
		{"straight", "l-a1 l-a2 l-c1", nil, ""},
		{"backfill between", "l-a1 l-a5 b-a2 l-a6 b-a3 b-a4 l-a7", nil, ""},
		{"live repeated as backfill", "l-a1 l-a2 l-a9 b-a2 b-a3 b-a4 b-a5 b-a6 b-a7 b-a8", []outage{cut(2, 5, 1)}, ""},
		{"a seq in neither lane", "l-a1 l-a5 b-a2 b-a4", nil, "seq 3 is missing"},
		{"the first seq missing", "l-a2", nil, "seq 1 is missing"},
		{"live out of order", "l-a1 l-a3 l-a2", nil, "comes late on plants/live/"},
		{"backfill out of order", "l-a4 b-a1 b-a3 b-a2", nil, "comes late on plants/backfill/"},
		{"repeat without outage", "l-a1 l-a1", nil, "no outage explains"},
		{"repeat before the outage", "l-a1 l-a1", []outage{cut(2, 9, 5)}, "no outage explains"},
		{"left to a backfill that is far behind", "l-a1 l-a9 b-a2 b-a3 b-a4 b-a5 b-a6 b-a7 b-a8 b-a9", []outage{cut(2, 3, 1)}, ""},
		{"first delivered after the outage", "l-a1 l-a2 l-a3 l-a3", []outage{cut(0, 1, 5)}, "no outage explains"},
		{"too many repeats", "l-a1 l-a2 b-a1 b-a2", []outage{cut(0, 9, 1)}, "no outage explains"},
		{"one seq for two readings", "l-a1 b-a1!", []outage{cut(0, 9, 9)}, "two different readings"},
		{"another epoch", "l-a1 l-a1@2", nil, "the epoch of g/a went from 1 to 2"},
		{"no lane", "x-a1", nil, "came on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var record []delivery
			for _, token := range strings.Fields(c.record) {
				lane, rest, _ := strings.Cut(token, "-")
				d := handMade(rest)[0]
				prefix := map[string]string{"l": lanes[0], "b": lanes[1], "x": "plants/other/"}[lane]
				d.topic = prefix + strings.TrimPrefix(d.topic, "plants/")
				record = append(record, d)
			}
			v := judgeLanes(record, c.outages, lanes...)
			switch {
			case c.problem == "" && len(v.problems) > 0:
				t.Errorf("%s: found fault: %q", c.record, v.problems)
			case c.problem != "" && (len(v.problems) == 0 || !strings.Contains(v.problems[0], c.problem)):
				t.Errorf("%s: found %q, want %q first", c.record, v.problems, c.problem)
			}
		})
	}
}
