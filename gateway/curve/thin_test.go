package curve

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestThinnedAgreesWithAModel keeps everything and looks what of each column the chart must have.
func TestThinnedAgreesWithAModel(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		from := random.Int64N(1 << 41)
		to := from + 1 + random.Int64N(1<<random.IntN(36))
		columns := 1 + random.IntN(40)
		thin := NewThinned(from, to, columns)
		type entry struct {
			at    int64
			value float64 // NaN: a hole
		}
		all := make([][]entry, columns)
		count, errors, sum := 0, 0, 0.0
		lowest, highest := math.Inf(1), math.Inf(-1)
		at := from - 2
		for range random.IntN(400) {
			at += 1 + random.Int64N((to-from)/200+2)
			value := float64(random.IntN(2000)-1000) / 8
			if random.IntN(12) == 0 {
				value = math.NaN()
			}
			if math.IsNaN(value) {
				thin.Fail(at)
			} else {
				thin.Add(at, value)
			}
			if at < from || at >= to {
				continue
			}
			i := int(float64(at-from) / float64(to-from) * float64(columns))
			all[min(i, columns-1)] = append(all[min(i, columns-1)], entry{at, value})
			if math.IsNaN(value) {
				errors++
				continue
			}
			count, sum, lowest, highest = count+1, sum+value, min(lowest, value), max(highest, value)
		}
		if thin.Count != count || thin.Errors != errors || count > 0 && (thin.Min != lowest || thin.Max != highest || math.Abs(thin.Mean()-sum/float64(count)) > 1e-9) {
			t.Fatalf("round %d: %d values, %d errors, %v to %v, mean %v; want %d, %d, %v to %v", round, thin.Count, thin.Errors, thin.Min, thin.Max, thin.Mean(), count, errors, lowest, highest)
		}
		times, values := thin.Course()
		if len(times) > 6*columns {
			t.Fatalf("round %d: %d entries for %d columns", round, len(times), columns)
		}
		has := map[int64]float64{}
		for i, at := range times {
			if i > 0 && at <= times[i-1] {
				t.Fatalf("round %d: time goes from %d to %d", round, times[i-1], at)
			}
			has[at] = values[i]
		}
		for _, list := range all {
			var first, last, low, high *entry
			for i := range list {
				e := &list[i]
				if math.IsNaN(e.value) {
					continue
				}
				if first == nil {
					first, low, high = e, e, e
				}
				last = e
				if e.value < low.value {
					low = e
				}
				if e.value > high.value {
					high = e
				}
			}
			for _, e := range []*entry{first, last, low, high} {
				if e == nil {
					continue
				}
				if got, kept := has[e.at]; !kept || got != e.value {
					t.Fatalf("round %d: %v at %d is kept as %v, %v", round, e.value, e.at, got, kept)
				}
			}
		}
		// Where a line is drawn from one column to another, nothing failed between its ends.
		for _, list := range all {
			for _, e := range list {
				if !math.IsNaN(e.value) {
					continue
				}
				if drawnOver(times, values, e.at) && !sameColumn(from, to, columns, times, e.at) {
					t.Fatalf("round %d: a line is drawn over the failure at %d", round, e.at)
				}
			}
		}
	}
}

// drawnOver says whether the two entries around a time are both values.
func drawnOver(times []int64, values []float64, at int64) bool {
	for i := 1; i < len(times); i++ {
		if times[i-1] < at && at < times[i] {
			return !math.IsNaN(values[i-1]) && !math.IsNaN(values[i])
		}
	}
	return false
}

// sameColumn says whether the entries around a time share a column: what lies between them is thinner
// than a pixel.
func sameColumn(from, to int64, columns int, times []int64, at int64) bool {
	column := func(at int64) int { return int(float64(at-from) / float64(to-from) * float64(columns)) }
	for i := 1; i < len(times); i++ {
		if times[i-1] < at && at < times[i] {
			return column(times[i-1]) == column(times[i])
		}
	}
	return false
}

func TestAnErrorBesideItsStandInEndsTheLine(t *testing.T) {
	thin := NewThinned(0, 100, 1)
	thin.Add(10, 1)
	thin.Fail(10)
	thin.Add(20, 2)
	times, values := thin.Course()
	if len(times) != 3 || times[1] != 11 || !math.IsNaN(values[1]) {
		t.Errorf("got %v %v", times, values)
	}
}

func TestRhythmTellsWhereReadingsAreMissing(t *testing.T) {
	var r Rhythm
	var holes []int64
	at := int64(1_000_000)
	step := func(by int64) {
		at += by
		if from, missing := r.Step(at); missing {
			holes = append(holes, from)
		}
	}
	for range 20 {
		step(1000 + at%7)
	}
	step(2100) // one that was lost
	before := at
	step(60_000) // an outage
	if len(holes) != 1 || holes[0] < before+900 || holes[0] > before+1100 {
		t.Fatalf("an outage of a minute from %d on is seen at %v", before, holes)
	}
	holes = nil
	for range 20 {
		step(60_000) // another interval from now on
	}
	if len(holes) > 5 || r.Typical != 60_000 {
		t.Errorf("a new interval is taken for %d gaps, and %d ms for typical", len(holes), r.Typical)
	}
	if _, missing := r.Step(at - 5); missing || r.Last != at {
		t.Error("a reading that comes late moves the clock back")
	}
}
