package curve

import "slices"

// Rhythm tells from the times of a point's readings where some are missing. Its zero value knows nothing
// yet.
type Rhythm struct {
	Last    int64 // time of the reading before, 0 for none
	Typical int64 // milliseconds from one reading to the next, 0 while that is not known

	recent [9]int64
	n      int
}

// What counts as missing: several readings, and not what a busy line makes late.
const (
	missed    = 3
	lateAtAll = 500 // milliseconds
)

// Step takes the time of the next reading. missing is true when readings are missing before it; from is
// where the first of them would have been.
func (r *Rhythm) Step(at int64) (from int64, missing bool) {
	last := r.Last
	if last != 0 && at <= last {
		return 0, false // out of order, or twice
	}
	r.Last = at
	if last == 0 {
		return 0, false
	}
	distance := at - last
	if r.Typical > 0 && distance > missed*r.Typical && distance > r.Typical+lateAtAll {
		from, missing = last+r.Typical, true
	}
	r.learn(distance)
	return from, missing
}

// learn keeps what is typical the middle of the last few distances: a gap does not change it, another
// interval soon does.
func (r *Rhythm) learn(distance int64) {
	r.recent[r.n%len(r.recent)] = distance
	r.n++
	if r.n < 3 || distance == r.Typical {
		return
	}
	sorted := r.recent
	list := sorted[:min(r.n, len(sorted))]
	slices.Sort(list)
	r.Typical = list[(len(list)-1)/2]
}
