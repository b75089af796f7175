package modbus

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// refusing is a device that refuses what real ones do: addresses that it does not have, requests
// across the border of a block, and more at once than it has room for.
type refusing struct {
	missing map[int]bool // of every area
	border  int          // no request reads what lies on both sides; 0: none
	most    int          // 0: any number
	broken  error        // answers everything

	asked   []span
	refused int
	answers map[int]string // by point: "" for a value, else its error
}

func (d *refusing) ask(r *request) error {
	d.asked = append(d.asked, r.span)
	err := d.answer(r.span)
	if err != nil {
		d.refused++
	}
	for _, i := range r.points {
		d.answers[i] = ""
		if err != nil {
			d.answers[i] = err.Error()
		}
	}
	return err
}

func (d *refusing) answer(s span) error {
	if d.broken != nil {
		return d.broken
	}
	if d.most > 0 && s.count > d.most {
		return exception(3)
	}
	if d.border > 0 && s.start < d.border && s.end() > d.border {
		return exception(2)
	}
	for at := s.start; at < s.end(); at++ {
		if d.missing[at] {
			return exception(2)
		}
	}
	return nil
}

func (d *refusing) fail(r *request, err error) {
	for _, i := range r.points {
		d.answers[i] = err.Error()
	}
}

// poll does one poll and gives how many requests it took.
func (d *refusing) poll(p *planner) int {
	d.asked, d.refused, d.answers = nil, 0, make(map[int]string)
	p.poll(d.ask, d.fail)
	return len(d.asked)
}

// settle polls until nothing new is learned.
func (d *refusing) settle(t *testing.T, p *planner) (polls int) {
	t.Helper()
	for polls = 1; polls <= 200; polls++ {
		d.poll(p)
		if p.known.changes() == p.changes {
			return polls
		}
	}
	t.Fatalf("after 200 polls something new is still learned: %+v", p.Plan())
	return 0
}

// check says what is wrong with the answers of the last poll: a point has a value exactly if the
// device would give it alone.
func (d *refusing) check(p *planner) error {
	for i := range p.points {
		got, asked := d.answers[i]
		alone := d.answer(p.points[i].span)
		switch {
		case !asked:
			return fmt.Errorf("point %d at %v was left out", i, p.points[i].span)
		case alone == nil && got != "":
			return fmt.Errorf("point %d at %v has the error %q of another", i, p.points[i].span, got)
		case alone != nil && got != alone.Error():
			return fmt.Errorf("point %d at %v has %q, want %v", i, p.points[i].span, got, alone)
		}
	}
	return nil
}

func newTestPlanner(points ...string) *planner {
	return newPlanner(readyPoints(points...), defaultLimits().with(overheadTCP), &holes{})
}

func TestRefusedRegisterIsFoundAndLeftOut(t *testing.T) {
	var points []string
	for i := range 60 {
		points = append(points, fmt.Sprintf("holding:%d uint16", 2*i))
	}
	for _, test := range []struct {
		name    string
		missing int
		learned string
		later   int // requests of a later poll
	}{
		{"a point", 40, "holding register 40 is refused with exception 2: illegal data address", 3},
		{"a gap", 41, "holding registers 40 to 42 together are refused with exception 2: illegal data address", 2},
		{"the first", 0, "holding register 0 is refused with exception 2: illegal data address", 2},
		{"the last", 118, "holding register 118 is refused with exception 2: illegal data address", 2},
	} {
		p := newTestPlanner(points...)
		d := &refusing{missing: map[int]bool{test.missing: true}}
		first := d.poll(p)
		if first > 1+maxExtra {
			t.Errorf("%s: the first poll took %d requests", test.name, first)
		}
		if err := d.check(p); err != nil {
			t.Errorf("%s: in the first poll already: %v", test.name, err)
		}
		for range 5 {
			if later := d.poll(p); later != test.later {
				t.Errorf("%s: a later poll took %d requests, want %d: %v", test.name, later, test.later, d.asked)
			}
			if err := d.check(p); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if plan := p.Plan(); len(plan.Learned) != 1 || plan.Learned[0].Text != test.learned {
			t.Errorf("%s: learned %+v, want %q", test.name, plan.Learned, test.learned)
		}
	}
}

func TestBorderOfABlockIsFound(t *testing.T) {
	var points []string
	for i := range 50 {
		points = append(points, fmt.Sprintf("holding:%d uint32", 2*i))
	}
	p := newTestPlanner(points...)
	d := &refusing{border: 34}
	d.settle(t, p)
	d.poll(p)
	if err := d.check(p); err != nil {
		t.Error(err)
	}
	if got := describeSpans(d.asked); got != "holding registers 0 to 33, holding registers 34 to 99" {
		t.Errorf("asked for %s", got)
	}
	if reason := p.Plan().Requests[0].Reason; reason != "holding registers 32 to 35 together are refused with exception 2: illegal data address" {
		t.Errorf("the reason is %q", reason)
	}
}

func describeSpans(spans []span) string {
	var all []string
	for _, s := range spans {
		all = append(all, s.String())
	}
	return strings.Join(all, ", ")
}

// What a device takes at once is found by the plans themselves, and no point is without a value
// meanwhile.
func TestSizeThatTheDeviceTakesIsFound(t *testing.T) {
	var points []string
	for i := range 500 {
		points = append(points, fmt.Sprintf("holding:%d uint16", i))
	}
	for _, most := range []int{124, 100, 64, 60, 32, 16, 9, 1} {
		p := newTestPlanner(points...)
		d := &refusing{most: most}
		for poll := range 12 {
			d.poll(p)
			if err := d.check(p); err != nil && (poll > 0 || most > 9) {
				t.Errorf("at most %d at once, poll %d: %v", most, poll, err)
			}
		}
		if n, want := d.poll(p), (500+most-1)/most; n != want || d.refused != 0 {
			t.Errorf("at most %d at once: %d requests, of which %d were refused, want %d", most, n, d.refused, want)
		}
	}
	p := newTestPlanner(points...)
	d := &refusing{most: 100}
	d.settle(t, p)
	if reason := p.Plan().Requests[0].Reason; reason != "limit of 100 holding registers; the device refuses 101" {
		t.Errorf("the reason is %q", reason)
	}
}

// Of the points that are refused one is asked in each poll; when it has an answer all of them are, so
// that a device that was not ready is read whole two polls after it is.
func TestRefusedPointsComeBack(t *testing.T) {
	var points []string
	for i := range 20 {
		points = append(points, fmt.Sprintf("holding:%d uint16", i))
	}
	p := newTestPlanner(points...)
	d := &refusing{missing: make(map[int]bool)}
	for i := range 10 {
		d.missing[i] = true
	}
	d.settle(t, p)
	seen := make(map[span]int)
	for range 20 {
		if n := d.poll(p); n != 2 {
			t.Errorf("a poll took %d requests, want one and one for a refused point", n)
		}
		for _, s := range d.asked {
			seen[s]++
		}
		if err := d.check(p); err != nil {
			t.Error(err)
		}
	}
	for i := range 10 {
		if n := seen[span{Holding, i, 1}]; n != 2 {
			t.Errorf("in 20 polls refused point %d was asked %d times, want twice", i, n)
		}
	}
	clear(d.missing)
	d.poll(p)
	d.poll(p)
	if err := d.check(p); err != nil {
		t.Errorf("two polls after the device came back: %v", err)
	}
	if n := d.poll(p); n != 1 {
		t.Errorf("then a poll takes %d requests, want 1", n)
	}
}

func TestWhenAllPointsAreRefusedTheDeviceIsStillAsked(t *testing.T) {
	p := newTestPlanner("holding:0", "holding:1", "input:5")
	d := &refusing{missing: map[int]bool{0: true, 1: true, 5: true}}
	d.settle(t, p)
	for range 3 {
		if n := d.poll(p); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		if err := d.check(p); err != nil {
			t.Error(err)
		}
	}
}

// Somebody may have changed the device, and nothing asks for a hole in a gap: it is forgotten.
func TestRefusalsAreForgottenAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPlanner("holding:0", "holding:10", "holding:20")
		d := &refusing{missing: map[int]bool{15: true}}
		d.settle(t, p)
		if n := d.poll(p); n != 2 {
			t.Fatalf("%d requests, want 2", n)
		}
		clear(d.missing)
		time.Sleep(memory - time.Minute)
		if n := d.poll(p); n != 2 {
			t.Errorf("%d requests within the day, want 2", n)
		}
		time.Sleep(2 * time.Minute)
		if n := d.poll(p); n != 1 {
			t.Errorf("%d requests after it, want 1: %+v", n, p.Plan())
		}
	})
}

func TestWhatOnePartLearnedTheOthersKnow(t *testing.T) {
	known := &holes{}
	l := defaultLimits().with(overheadTCP)
	fast := newPlanner(readyPoints("holding:0", "holding:10"), l, known)
	slow := newPlanner(readyPoints("holding:0", "holding:10", "holding:30"), l, known)
	d := &refusing{missing: map[int]bool{5: true}}
	d.settle(t, fast)
	if n := d.poll(slow); n != 2 || d.refused != 0 {
		t.Errorf("%d requests, %d refused, want 2 and none", n, d.refused)
	}
	if n := d.poll(fast); n != 2 || d.refused != 0 {
		t.Errorf("%d requests, %d refused, want 2 and none", n, d.refused)
	}
}

// Only exceptions 2 and 3 say that a part may succeed. After anything else the plan stays.
func TestOtherErrorsTeachNothing(t *testing.T) {
	for _, broken := range []error{exception(1), exception(4), exception(6), errors.New("no answer within 1s")} {
		p := newTestPlanner("holding:0", "holding:10", "holding:20")
		d := &refusing{broken: broken}
		for range 3 {
			if n := d.poll(p); n != 1 {
				t.Errorf("%v: %d requests, want 1", broken, n)
			}
			for i, got := range d.answers {
				if got != broken.Error() {
					t.Errorf("%v: point %d has %q", broken, i, got)
				}
			}
		}
		if learned := p.Plan().Learned; len(learned) != 0 {
			t.Errorf("%v: learned %v", broken, learned)
		}
	}
}

// A request may be refused once for reasons that nobody knows. What is concluded from that does no
// lasting harm: all values stay, and what is asked grows back or is a request more for a day.
func TestOneUnfoundedRefusalDoesNoHarm(t *testing.T) {
	p := newTestPlanner("holding:0", "holding:10", "holding:20", "holding:30")
	d := &refusing{broken: exception(2)}
	d.poll(p)
	d.broken = nil
	for range 3 {
		d.poll(p)
	}
	if err := d.check(p); err != nil {
		t.Error(err)
	}
	if n := d.poll(p); n > 2 {
		t.Errorf("%d requests: %+v", n, p.Plan())
	}
}

// A value that one refusal keeps from being found out about says so, in this poll only.
func TestFindingOutIsBounded(t *testing.T) {
	var points []string
	for i := range 120 {
		points = append(points, fmt.Sprintf("holding:%d uint16", i))
	}
	p := newTestPlanner(points...)
	d := &refusing{missing: make(map[int]bool)}
	for i := range 40 {
		d.missing[3*i] = true
	}
	if n := d.poll(p); n != 1+maxExtra {
		t.Errorf("the first poll took %d requests, want %d", n, 1+maxExtra)
	}
	pending := 0
	for i, got := range d.answers {
		if strings.Contains(got, "which of them it is is being found out") {
			pending++
		} else if got != "" && !d.missing[i] {
			t.Errorf("point %d has the error %q", i, got)
		}
	}
	if pending == 0 || len(d.answers) != 120 {
		t.Errorf("%d of %d points wait for the next poll", pending, len(d.answers))
	}
	polls := d.settle(t, p)
	if polls > 15 {
		t.Errorf("40 of 120 were found in %d polls", polls)
	}
	if err := d.check(p); err != nil {
		t.Error(err)
	}
}

// Whatever a device refuses, the points end up with what they would get alone, no poll takes more
// than the plan and the bound, and in the end nothing is asked that is refused but one point a poll.
func TestPlannerLearnsAnyDevice(t *testing.T) {
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 4))
		area := []Area{Coil, Holding}[random.IntN(2)]
		points := randomPoints(random, 1+random.IntN(120), 400, area)
		d := &refusing{missing: make(map[int]bool)}
		for range random.IntN(8) {
			d.missing[random.IntN(400)] = true
		}
		if random.IntN(3) == 0 {
			d.border = random.IntN(400)
		}
		if random.IntN(3) == 0 {
			d.most = 11 + random.IntN(60)
		}
		l := Limits{MaxGap: random.IntN(65)}.with([]int{20, overheadTCP}[random.IntN(2)])
		p := newPlanner(points, l, &holes{})
		d.settle(t, p)
		for range 5 {
			planned := len(makePlan(points, l, p.known))
			n := d.poll(p)
			if err := d.check(p); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			if d.refused > 1 || n > planned {
				t.Errorf("seed %d: %d requests of which %d were refused, %d were planned", seed, n, d.refused, planned)
			}
		}
	}
}

// A device that falls silent while a refusal is being looked into had a reason of another kind: the
// plan stays.
func TestRefusalInTroubleTeachesNothing(t *testing.T) {
	p := newTestPlanner("holding:0", "holding:10", "holding:20")
	d := &refusing{answers: make(map[int]string)}
	n := 0
	p.poll(func(r *request) error {
		n++
		switch n {
		case 1:
			d.broken = exception(2)
		case 2:
			d.broken = nil
		default:
			d.broken = errors.New("no answer within 1s")
		}
		return d.ask(r)
	}, d.fail)
	d.broken = nil
	if n := d.poll(p); n != 1 || len(p.Plan().Learned) != 0 {
		t.Errorf("%d requests, learned %v", n, p.Plan().Learned)
	}
}

func TestReasons(t *testing.T) {
	known := refusals(span{Holding, 203, 1})
	known.refuse(span{Input, 5, 2}, 3)
	points := readyPoints("holding:0", "holding:100 float64", "holding:200", "holding:207",
		"holding:300", "holding:420", "holding:426", "input:4 uint64", "coil:0", "coil:3000")
	p := newPlanner(points, Limits{MaxRegisters: 125, MaxGap: 120}.with(overheadTCP), known)
	var got []string
	for _, r := range p.Plan().Requests {
		got = append(got, fmt.Sprintf("%d %s %s+%d %v %d: %s|%s", r.Function, r.Start, r.Numbered, r.Count, r.Points, r.Unwanted, r.Reason, r.Refused))
	}
	want := []string{
		"1 coil:0 00001+1 [coil:0] 0: gap of 2999 coils; at most 1920 are read along|",
		"1 coil:3000 03001+1 [coil:3000] 0: |",
		"4 input:4 30005+4 [input:4 uint64] 0: input registers 5 to 6 together are refused with exception 3: illegal data value, which lies within, so this is asked alone and only now and then|exception 3: illegal data value",
		"3 holding:0 40001+1 [holding:0] 0: limit of 125 holding registers, cut where 99 need not be read|",
		"3 holding:100 40101+101 [holding:100 float64 holding:200] 96: holding register 203 is refused with exception 2: illegal data address|",
		"3 holding:207 40208+94 [holding:207 holding:300] 92: limit of 125 holding registers, cut where 119 need not be read|",
		"3 holding:420 40421+7 [holding:420 holding:426] 5: |",
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("request %d:\n got %s\nwant %s", i, slicesAt(got, i), slicesAt(want, i))
		}
	}
	serial := newPlanner(readyPoints("coil:0", "coil:1", "holding:0", "holding:30"), defaultLimits().with(25), &holes{})
	if reason := serial.Plan().Requests[1].Reason; reason != "gap of 29 holding registers, which takes longer than a request" {
		t.Errorf("the reason is %q", reason)
	}
}

func slicesAt(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "nothing"
}
