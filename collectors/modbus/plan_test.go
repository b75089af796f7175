package modbus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func readyPoints(written ...string) []point {
	var points []point
	for _, w := range written {
		at, kind, _ := strings.Cut(w, " ")
		points = append(points, newPoint(&Point{Name: w, Address: address(at), Type: Type(kind)}))
	}
	return points
}

func describe(plan []request) string {
	var b strings.Builder
	for _, r := range plan {
		fmt.Fprintf(&b, "%s:%d+%d%v ", r.area, r.start, r.count, r.points)
	}
	return strings.TrimSpace(b.String())
}

// cheap is a request that costs next to nothing, as it is for a reason to read only what is wanted.
const cheap = 0

func TestPlanMergesNeighbours(t *testing.T) {
	for _, test := range []struct {
		name   string
		points []string
		gap    int
		want   string
	}{
		{"one", []string{"holding:5 uint32"}, 16, "holding:5+2[0]"},
		{"adjacent, in any order", []string{"holding:7 int16", "holding:5 uint32"}, 16, "holding:5+3[1 0]"},
		{"gap within the limit", []string{"holding:0 int16", "holding:17 int16"}, 16, "holding:0+18[0 1]"},
		{"gap beyond the limit", []string{"holding:0 int16", "holding:18 int16"}, 16, "holding:0+1[0] holding:18+1[1]"},
		{"no gaps wanted", []string{"holding:0 int16", "holding:1 int16", "holding:3 int16"}, 0, "holding:0+2[0 1] holding:3+1[2]"},
		{"areas apart", []string{"holding:0 int16", "input:0 int16", "coil:0", "discrete:0"}, 16, "coil:0+1[2] discrete:0+1[3] input:0+1[1] holding:0+1[0]"},
		{"bits of one register", []string{"holding:7.2 bool", "holding:7.3 bool"}, 16, "holding:7+1[0 1]"},
		{"bytes of one register", []string{"holding:7.h int8", "holding:7.l uint8"}, 16, "holding:7+1[0 1]"},
		{"overlap", []string{"holding:0 uint64", "holding:1 int16"}, 16, "holding:0+4[0 1]"},
		{"a long point over a gap", []string{"holding:0 uint64", "holding:0 int16", "holding:3 int16"}, 0, "holding:0+4[1 0 2]"},
		{"at most 125 registers", []string{"holding:0 uint16", "holding:16 int64", "holding:32 int64", "holding:48 int64", "holding:64 int64", "holding:80 int64", "holding:96 int64", "holding:112 int64", "holding:123 uint32", "holding:124 int16"}, 16,
			"holding:0+125[0 1 2 3 4 5 6 7 8 9]"},
		{"one more, cut at the widest gap", []string{"holding:0 uint16", "holding:16 int64", "holding:32 int64", "holding:48 int64", "holding:64 int64", "holding:80 int64", "holding:96 int64", "holding:112 int64", "holding:124 uint32"}, 16,
			"holding:0+1[0] holding:16+110[1 2 3 4 5 6 7 8]"},
		{"coils", []string{"coil:0", "coil:128", "coil:400"}, 16, "coil:0+129[0 1] coil:400+1[2]"},
	} {
		l := Limits{MaxGap: test.gap}
		if got := describe(makePlan(readyPoints(test.points...), l.with(overheadTCP), nil)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestPlanKeepsTheLimitsOfTheDevice(t *testing.T) {
	var points []string
	for i := range 10 {
		points = append(points, fmt.Sprintf("holding:%d uint32", 2*i), fmt.Sprintf("coil:%d", i))
	}
	l := Limits{MaxRegisters: 7, MaxBits: 4, MaxGap: 16}
	want := "coil:0+4 coil:4+4 coil:8+2 holding:0+6 holding:6+6 holding:12+6 holding:18+2"
	var got []string
	for _, r := range makePlan(readyPoints(points...), l.with(overheadTCP), nil) {
		got = append(got, fmt.Sprintf("%s:%d+%d", r.area, r.start, r.count))
	}
	if len(got) != 7 {
		t.Errorf("got %v, want as many requests as %s", got, want)
	}
	for _, each := range got {
		var area string
		var start, count int
		if _, err := fmt.Sscanf(strings.NewReplacer(":", " ", "+", " ").Replace(each), "%s %d %d", &area, &start, &count); err != nil {
			t.Fatal(err)
		}
		if area == "coil" && count > 4 || area == "holding" && count > 7 {
			t.Errorf("%s is more than the device takes", each)
		}
	}
}

// What is read along depends on what a request costs there: at 9600 baud one is worth some 15
// registers, at 115200 with a slow device many more, over a network any number.
func TestGapsAreReadAlongWhenARequestCostsMore(t *testing.T) {
	character := 11 * time.Second / 9600
	slow := 11 * time.Second / 115200
	for _, test := range []struct {
		name     string
		overhead int
		gap      int
		want     int // requests
	}{
		{"9600 baud, small gap", overheadRTU(character, 7*character+5*time.Millisecond), 11, 1},
		{"9600 baud, wide gap", overheadRTU(character, 7*character+5*time.Millisecond), 14, 2},
		{"115200 baud, wide gap", overheadRTU(slow, 7*slow+20*time.Millisecond), 64, 1},
		{"ASCII", overheadASCII(character, 20*time.Millisecond), 11, 1},
		{"ASCII, wide gap", overheadASCII(character, 20*time.Millisecond), 12, 2},
		{"network", overheadTCP, 64, 1},
	} {
		points := readyPoints("holding:0 uint16", fmt.Sprintf("holding:%d uint16", 1+test.gap))
		plan := makePlan(points, defaultLimits().with(test.overhead), nil)
		if len(plan) != test.want {
			t.Errorf("%s: a request costs as much as %d bytes, gap of %d: %s, want %d requests", test.name, test.overhead, test.gap, describe(plan), test.want)
		}
	}
}

// refusals makes knowledge from spans.
func refusals(spans ...span) *holes {
	h := &holes{}
	for _, s := range spans {
		h.refuse(s, 2)
	}
	return h
}

func TestPlanAvoidsWhatIsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		points []string
		known  *holes
		want   string
	}{
		{"a hole in a gap", []string{"holding:0 int16", "holding:5 int16"}, refusals(span{Holding, 3, 1}), "holding:0+1[0] holding:5+1[1]"},
		{"in another area", []string{"holding:0 int16", "holding:5 int16"}, refusals(span{Input, 3, 1}), "holding:0+6[0 1]"},
		{"the border of a block", []string{"holding:0 int16", "holding:9 int16", "holding:10 int16", "holding:11 int16"}, refusals(span{Holding, 9, 2}), "holding:0+10[0 1] holding:10+2[2 3]"},
		{"a point", []string{"holding:0 int16", "holding:1 int32", "holding:3 int16"}, refusals(span{Holding, 1, 2}), "holding:0+1[0] holding:1+2[1] holding:3+1[2]"},
		{"a point over others", []string{"holding:0 int16", "holding:0 int64", "holding:3 int16"}, refusals(span{Holding, 0, 4}), "holding:0+1[0] holding:0+4[1] holding:3+1[2]"},
		{"a point over a hole", []string{"holding:0 int16", "holding:0 int64", "holding:1 int16"}, refusals(span{Holding, 2, 1}), "holding:0+2[0 2] holding:0+4[1]"},
		{"points on one register stay together", []string{"holding:1.0", "holding:1.1", "holding:2"}, refusals(span{Holding, 1, 1}), "holding:1+1[0 1] holding:2+1[2]"},
	} {
		if got := describe(makePlan(readyPoints(test.points...), defaultLimits().with(overheadTCP), test.known)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// randomPoints gives points that overlap, touch and lie apart.
func randomPoints(random *rand.Rand, n, room int, areas ...Area) []point {
	points := make([]point, n)
	for i := range points {
		p := Point{Name: fmt.Sprint(i), Address: Address{Area: areas[random.IntN(len(areas))], Number: uint16(random.IntN(room))}}
		if !p.Address.Area.bits() {
			p.Type = []Type{"int16", "uint32", "float64", "string"}[random.IntN(4)]
			if p.Type == "string" {
				p.Length = 2 + random.IntN(20)
			}
		}
		points[i] = newPoint(&p)
	}
	return points
}

// randomHoles gives refusals of one register and of several.
func randomHoles(random *rand.Rand, n, room int, areas ...Area) *holes {
	h := &holes{}
	for range n {
		h.refuse(span{areas[random.IntN(len(areas))], random.IntN(room), 1 + random.IntN(3)}, 2)
	}
	return h
}

// However points and holes lie, each point is covered by exactly one request within the limits, and
// none reads what is refused or what nobody wants beyond the limit unless a point needs it.
func TestPlanCoversEveryPointOnce(t *testing.T) {
	areas := []Area{Coil, Discrete, Input, Holding}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		points := randomPoints(random, 1+random.IntN(200), 1000, areas...)
		known := randomHoles(random, random.IntN(20), 1000, areas...)
		l := Limits{MaxRegisters: 11 + random.IntN(115), MaxBits: 1 + random.IntN(2000), MaxGap: random.IntN(50)}.with(random.IntN(100))
		covered := make([]int, len(points))
		for _, r := range makePlan(points, l, known) {
			if r.count < 1 || r.count > l.most(r.area) {
				t.Fatalf("seed %d: request for %v", seed, r.span)
			}
			wanted := make(map[int]bool)
			alone := true
			for _, i := range r.points {
				covered[i]++
				if !r.contains(points[i].span) {
					t.Fatalf("seed %d: point %v is not inside %v", seed, points[i].span, r.span)
				}
				alone = alone && points[i].span == r.span
			}
			for i := range points {
				for at := points[i].start; points[i].area == r.area && at < points[i].end(); at++ {
					wanted[at] = true
				}
			}
			run := 0
			for at := r.start; at < r.end(); at++ {
				run++
				if wanted[at] {
					run = 0
				}
				if run > l.widest(r.area) {
					t.Fatalf("seed %d: %v reads %d in a row that nobody wants, at most %d may be", seed, r.span, run, l.widest(r.area))
				}
			}
			areaKnown := known.look()
			if _, refused := areaKnown.of(r.area).within(r.span); refused != (r.refused != 0) || refused && !alone {
				t.Fatalf("seed %d: %v contains what is refused: %v; it is taken as %d and has points %v", seed, r.span, refused, r.refused, r.points)
			}
		}
		for i, n := range covered {
			if n != 1 {
				t.Fatalf("seed %d: point %d is read %d times", seed, i, n)
			}
		}
	}
}

// price is what a plan costs.
func price(plan []request, l limits) int {
	cost := 0
	for _, r := range plan {
		cost += l.cost(r.area, r.count)
	}
	return cost
}

// bruteForce tries every way to share points of one area out among requests. It knows the rules by
// itself: a request reads from its first point to the end of its last, within the limit, without
// runs that no point at all wants, and contains nothing that is refused unless it is one point's own.
func bruteForce(points []point, l limits, refused []refusal) int {
	spans := make(map[span]bool)
	bad := func(s span) bool {
		return slices.ContainsFunc(refused, func(r refusal) bool { return s.start <= r.start && r.start+r.count <= s.start+s.count })
	}
	wanted := make(map[int]bool)
	for i := range points {
		spans[points[i].span] = true
		if !bad(points[i].span) {
			for at := range points[i].count {
				wanted[points[i].start+at] = true
			}
		}
	}
	var all []span
	for s := range spans {
		all = append(all, s)
	}
	cost := func(group []span) int {
		low, high := math.MaxInt, 0
		for _, s := range group {
			low, high = min(low, s.start), max(high, s.start+s.count)
		}
		whole := span{group[0].area, low, high - low}
		if len(group) > 1 {
			if whole.count > l.most(whole.area) || bad(whole) {
				return -1
			}
			run := 0
			for at := low; at < high; at++ {
				if run++; wanted[at] {
					run = 0
				}
				if run > l.widest(whole.area) {
					return -1
				}
			}
		}
		return l.cost(whole.area, whole.count)
	}
	best := math.MaxInt
	var groups [][]span
	var try func(i int)
	try = func(i int) {
		if i == len(all) {
			sum := 0
			for _, g := range groups {
				c := cost(g)
				if c < 0 {
					return
				}
				sum += c
			}
			best = min(best, sum)
			return
		}
		for g := range groups {
			groups[g] = append(groups[g], all[i])
			try(i + 1)
			groups[g] = groups[g][:len(groups[g])-1]
		}
		groups = append(groups, []span{all[i]})
		try(i + 1)
		groups = groups[:len(groups)-1]
	}
	try(0)
	return best
}

func TestPlanIsTheCheapestThereIs(t *testing.T) {
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 2))
		area := []Area{Coil, Holding}[random.IntN(2)]
		points := randomPoints(random, 1+random.IntN(7), 60, area)
		known := randomHoles(random, random.IntN(4), 60, area)
		l := Limits{MaxRegisters: 11 + random.IntN(40), MaxBits: 1 + random.IntN(60), MaxGap: random.IntN(30)}.with([]int{cheap, 5, 25, 40, overheadTCP}[random.IntN(5)])
		plan := makePlan(points, l, known)
		refused := known.look()
		got := price(plan, l)
		if want := bruteForce(points, l, refused.of(area).refused); got != want {
			t.Errorf("seed %d: %s costs %d, the cheapest plan %d", seed, describe(plan), got, want)
		}
	}
}

// scattered are n registers of 16 bits at different places among room.
func scattered(seed uint64, n, room int) []Point {
	random := rand.New(rand.NewPCG(seed, 3))
	points := make([]Point, n)
	for i, at := range random.Perm(room)[:n] {
		points[i] = Point{Name: fmt.Sprint(at), Address: Address{Area: Holding, Number: uint16(at)}}
	}
	return points
}

// fewest is the least number of requests, whatever they read: each begins at the first register that
// is left, and takes as much as it can.
func fewest(points []Point, most int) int {
	var at []int
	for i := range points {
		at = append(at, int(points[i].Address.Number))
	}
	slices.Sort(at)
	n, end := 0, -1
	for _, a := range at {
		if a >= end {
			n, end = n+1, a+most
		}
	}
	return n
}

// 1,000 points scattered over 5,000 registers are read with as few requests as is possible at all,
// and among those ways with the fewest registers.
func TestScatteredPointsTakeTheFewestRequests(t *testing.T) {
	for seed := range uint64(20) {
		points := scattered(seed, 1000, 5000)
		plan := PlanOf(points, defaultLimits())
		registers := 0
		for _, r := range plan.Requests {
			registers += r.Count
		}
		if got, want := len(plan.Requests), fewest(points, maxRegisters); got != want {
			t.Errorf("seed %d: %d requests, %d are enough", seed, got, want)
		}
		if seed == 0 {
			t.Logf("seed 0: %d requests for %d registers; no gaps at all: %d requests", len(plan.Requests), registers,
				len(PlanOf(points, Limits{}).Requests))
		}
	}
}

func TestPlanOfNothing(t *testing.T) {
	if plan := makePlan(nil, defaultLimits().with(overheadTCP), nil); len(plan) != 0 {
		t.Errorf("a plan for no points is %v", plan)
	}
}

func BenchmarkPlan1000Points(b *testing.B) {
	var points []point
	for _, p := range scattered(1, 1000, 5000) {
		points = append(points, newPoint(&p))
	}
	l := defaultLimits().with(overheadTCP)
	b.ReportAllocs()
	for b.Loop() {
		makePlan(points, l, nil)
	}
}
