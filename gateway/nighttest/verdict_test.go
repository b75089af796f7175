package nighttest

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"
)

// delivery is one message that the cloud recorded; a record is a slice of them in order of arrival.
type delivery struct {
	topic   string // empty when the cloud does not record it
	payload []byte
}

// isReading tells readings from status and other messages, by the topic or, where that was not
// recorded, by being JSON at all.
func (d delivery) isReading() bool {
	return strings.Contains(d.topic, "/readings/") || d.topic == "" && len(d.payload) > 0 && d.payload[0] == '{'
}

// outage is one thing that was done to the gateway, its line or its cloud. It may excuse repeats,
// and only those that follow it.
type outage struct {
	name    string
	after   int // deliveries already recorded when it began
	until   int // deliveries recorded by the time it no longer explains anything
	rewinds int // how often the stream may step back because of it
	repeats int // how many messages one step back may repeat
}

// rewind is one step back in the stream: the repeats messages before it come again.
type rewind struct {
	at      int // index of the first repeated delivery
	repeats int
	outage  string
}

// stream is what has one sequence: a device of a gateway in one epoch.
type stream struct {
	gateway, device string
	epoch           uint64
}

// verdict is what a record amounts to. It holds the contract when problems is empty.
type verdict struct {
	readings int // deliveries that were readings
	distinct int
	last     map[stream]uint64
	rewinds  []rewind
	problems []string
	withheld int // problems beyond those worth printing
}

const mostProblems = 20

// judge compares a record with the delivery contract: every stream begins at seq 1 and has no gap;
// first deliveries come in order; a repeat is the very same message, and repeats come only as a
// replay of the end of the stream, exactly as it was, after an outage and no longer than that
// outage excuses. The log is one sequence, so all devices step back together.
func judge(record []delivery, outages []outage) *verdict {
	j := judgement{
		verdict: &verdict{last: map[stream]uint64{}},
		seen:    map[place]int{},
		excuses: append([]outage(nil), outages...),
		epochs:  map[[2]string]uint64{},
		seed:    maphash.MakeSeed(),
	}
	for i, d := range record {
		if d.isReading() {
			j.take(i, d)
		}
	}
	if j.next < len(j.order) {
		j.problem("the record ends in a replay that lacks %d more", len(j.order)-j.next)
	}
	j.verdict.distinct = len(j.order)
	return j.verdict
}

// judgement is the state of judge: the readings in order of first delivery, and how far the
// present replay has come in it (len(order) when there is none).
type judgement struct {
	verdict *verdict
	order   []uint64 // a hash of each payload
	seen    map[place]int
	next    int
	excuses []outage
	epochs  map[[2]string]uint64
	seed    maphash.Seed
}

type place struct {
	stream
	seq uint64
}

func (j *judgement) take(i int, d delivery) {
	var r struct {
		Gateway, Device string
		Epoch, Seq      uint64
	}
	if err := json.Unmarshal(d.payload, &r); err != nil {
		j.problem("delivery %d on %s is not a reading: %v: %.100q", i, d.topic, err, d.payload)
		return
	}
	j.verdict.readings++
	s := stream{r.Gateway, r.Device, r.Epoch}
	if d.topic != "" && !strings.HasSuffix(d.topic, "/readings/"+s.gateway+"/"+s.device) {
		j.problem("delivery %d: a reading of %s/%s came on %s", i, s.gateway, s.device, d.topic)
	}
	hash := maphash.Bytes(j.seed, d.payload)
	if at, repeated := j.seen[place{s, r.Seq}]; repeated {
		j.repeat(i, at, hash, place{s, r.Seq})
	} else {
		j.first(i, hash, place{s, r.Seq})
	}
}

func (j *judgement) first(i int, hash uint64, p place) {
	v := j.verdict
	device := [2]string{p.gateway, p.device}
	if epoch, known := j.epochs[device]; known && epoch != p.epoch {
		j.problem("delivery %d: the epoch of %s/%s went from %d to %d", i, p.gateway, p.device, epoch, p.epoch)
	}
	j.epochs[device] = p.epoch
	if j.next < len(j.order) {
		j.problem("delivery %d: new %v although the replay lacks %d more", i, p, len(j.order)-j.next)
	}
	switch want := v.last[p.stream] + 1; {
	case p.seq > want:
		j.problem("delivery %d: seq %d to %d of %v are missing", i, want, p.seq-1, p.stream)
	case p.seq < want:
		j.problem("delivery %d: %v comes late, behind seq %d", i, p, want-1)
	}
	v.last[p.stream] = max(v.last[p.stream], p.seq)
	j.seen[p] = len(j.order)
	j.order = append(j.order, hash)
	j.next = len(j.order)
}

func (j *judgement) repeat(i, at int, hash uint64, p place) {
	if j.order[at] != hash {
		j.problem("delivery %d: %v was given to two different readings", i, p)
	}
	switch {
	case at < j.next:
		j.rewind(i, j.next-at)
	case at > j.next:
		j.problem("delivery %d: the replay leaves out %d readings before %v", i, at-j.next, p)
	}
	j.next = at + 1
}

// rewind looks for an outage that excuses a step back: of those that apply the smallest that is
// large enough, so that the larger remain for larger steps.
func (j *judgement) rewind(i, repeats int) {
	var best *outage
	for k := range j.excuses {
		o := &j.excuses[k]
		if o.rewinds == 0 || i < o.after || i > o.until {
			continue
		}
		if best == nil || best.repeats < repeats && o.repeats > best.repeats ||
			o.repeats >= repeats && o.repeats < best.repeats {
			best = o
		}
	}
	switch {
	case best == nil:
		j.problem("delivery %d: %d repeats that no outage explains", i, repeats)
		j.verdict.rewinds = append(j.verdict.rewinds, rewind{i, repeats, "no outage"})
		return
	case best.repeats < repeats:
		j.problem("delivery %d: %d repeats after %q, at most %d are allowed", i, repeats, best.name, best.repeats)
	}
	best.rewinds--
	j.verdict.rewinds = append(j.verdict.rewinds, rewind{i, repeats, best.name})
}

func (j *judgement) problem(format string, args ...any) {
	if len(j.verdict.problems) == mostProblems {
		j.verdict.withheld++
		return
	}
	j.verdict.problems = append(j.verdict.problems, fmt.Sprintf(format, args...))
}

// complete adds a problem for every stream of the gateway that does not end where it should: want
// holds the last seq of each device.
func (v *verdict) complete(want map[string]uint64) {
	got := map[string]uint64{}
	for s, last := range v.last {
		got[s.device] = max(got[s.device], last)
	}
	for device, last := range want {
		if got[device] != last {
			v.problems = append(v.problems, fmt.Sprintf("%s ends at seq %d in the cloud, at %d in the gateway", device, got[device], last))
		}
	}
}

func (s stream) String() string { return fmt.Sprintf("%s/%s epoch %d", s.gateway, s.device, s.epoch) }

func (p place) String() string { return fmt.Sprintf("%v seq %d", p.stream, p.seq) }

// summary tells the repeats of every step back, for the line that a test prints.
func (v *verdict) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "received %d, distinct %d, repeats", v.readings, v.distinct)
	for _, r := range v.rewinds {
		fmt.Fprintf(&b, " %d (%s)", r.repeats, r.outage)
	}
	if len(v.rewinds) == 0 {
		b.WriteString(" none")
	}
	return b.String()
}
