package modbus

import (
	"cmp"
	"slices"
)

// span is a run of registers or bits that one request reads.
type span struct {
	area         Area
	start, count int
}

func (s span) end() int { return s.start + s.count }

// request is one step of a plan: a span and the points that are cut from it, by their index.
type request struct {
	span
	points []int
	shape  shape
}

// shape says how far a request has been taken apart. Devices refuse a whole request because of one
// register in it that they do not have, so what was refused is asked in smaller pieces, and the
// plan remembers.
type shape byte

const (
	merged   shape = iota // points with gaps of registers that nobody wants between them
	adjacent              // points that were read one by one, put together without gaps
	single                // one point, or several on the same registers
)

// maxBitGap is to bits what Options.MaxGap is to registers: 16 bytes more on the wire cost less
// than a request.
const maxBitGap = 128

// makePlan covers the points with few requests, in the order of their addresses.
func makePlan(points []point, maxGap int) []request {
	all := make([]int, len(points))
	for i := range all {
		all[i] = i
	}
	return join(points, all, maxGap, merged)
}

// join merges those points whose spans are no further apart than maxGap.
func join(points []point, indexes []int, maxGap int, as shape) []request {
	slices.SortStableFunc(indexes, func(a, b int) int {
		p, q := &points[a], &points[b]
		return cmp.Or(cmp.Compare(p.area, q.area), cmp.Compare(p.start, q.start), cmp.Compare(p.count, q.count))
	})
	var plan []request
	for _, i := range indexes {
		s := points[i].span
		if n := len(plan); n > 0 && plan[n-1].take(s, i, maxGap) {
			continue
		}
		plan = append(plan, request{span: s, points: []int{i}, shape: as})
	}
	for i := range plan {
		if len(plan[i].pieces(points)) == 1 {
			plan[i].shape = single
		}
	}
	return plan
}

// take adds a point to the request if it still fits.
func (r *request) take(s span, index, maxGap int) bool {
	limit, gap := maxRegisters, maxGap
	if s.area.bits() {
		limit = maxBits
		if maxGap > 0 {
			gap = maxBitGap
		}
	}
	end := max(r.end(), s.end())
	if r.area != s.area || s.start > r.end()+gap || end-r.start > limit {
		return false
	}
	r.count = end - r.start
	r.points = append(r.points, index)
	return true
}

// pieces takes the request apart into the smallest that make sense: one for each span.
func (r *request) pieces(points []point) []request {
	var out []request
	for _, i := range r.points {
		if n := len(out); n > 0 && out[n-1].span == points[i].span {
			out[n-1].points = append(out[n-1].points, i)
			continue
		}
		out = append(out, request{span: points[i].span, points: []int{i}, shape: single})
	}
	return out
}

// replan gives what takes the place of a refused request whose pieces have been read one by one:
// the refused ones alone, and the others together without the gaps, one of which may have been
// the cause. Refused once more they stay alone.
func (r *request) replan(points []point, pieces []request, refused []bool) []request {
	if r.shape != merged {
		return pieces
	}
	var plan []request
	var good []int
	for i, piece := range pieces {
		if refused[i] {
			plan = append(plan, piece)
		} else {
			good = append(good, piece.points...)
		}
	}
	return append(plan, join(points, good, 0, adjacent)...)
}
