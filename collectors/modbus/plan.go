package modbus

import (
	"cmp"
	"math"
	"slices"
)

// span is a run of registers or bits that one request reads.
type span struct {
	area         Area
	start, count int
}

func (s span) end() int { return s.start + s.count }

func (s span) contains(o span) bool {
	return s.area == o.area && s.start <= o.start && o.end() <= s.end()
}

// join is the span from the beginning of the one to the end of the other.
func (s span) join(o span) span {
	start := min(s.start, o.start)
	return span{s.area, start, max(s.end(), o.end()) - start}
}

// request is one step of a plan: a span and the points that are cut from it, by their index.
type request struct {
	span
	points  []int
	refused exception // what the device is known to answer; 0: nothing of the kind
	ending  ending    // why the next request is not part of this one
}

// piece is what no request reads in parts: one span and the points that lie there.
type piece struct {
	span
	points []int
}

// makePlan covers the points with the requests that take the least time together, in the order of
// their addresses. No request is larger than the limits, reads more in a row that nobody wants, or
// contains what the device is known to refuse; what holds such a thing itself is asked alone.
func makePlan(points []point, limits limits, known *holes) []request {
	all := make([]int, len(points))
	for i := range all {
		all[i] = i
	}
	return planFor(points, all, limits, known.look())
}

// planFor makes a plan for some of the points.
func planFor(points []point, indexes []int, limits limits, known knowledge) []request {
	var plan []request
	rest := pieces(points, indexes)
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].area == rest[0].area {
			n++
		}
		c := cover{limits: limits, known: known.of(rest[0].area)}
		plan = append(plan, c.plan(rest[:n])...)
		rest = rest[n:]
	}
	return plan
}

// pieces puts points of the same span together, in the order of addresses.
func pieces(points []point, indexes []int) []piece {
	sorted := slices.Clone(indexes)
	slices.SortStableFunc(sorted, func(a, b int) int {
		p, q := &points[a], &points[b]
		return cmp.Or(cmp.Compare(p.area, q.area), cmp.Compare(p.start, q.start), cmp.Compare(p.count, q.count))
	})
	var out []piece
	for i, index := range sorted {
		if n := len(out); n > 0 && out[n-1].span == points[index].span {
			out[n-1].points = append(out[n-1].points, index)
			continue
		}
		out = append(out, piece{points[index].span, sorted[i : i+1 : i+1]})
	}
	return out
}

// cover plans one area.
type cover struct {
	limits limits
	known  *tract
	most   int // one request

	pieces []piece
	gaps   []int // before each piece: how much of what lies there nobody wants
	walls  []int // for each piece: no request that begins there may reach this far
}

// plan takes pieces of one area in the order of their addresses.
func (c *cover) plan(all []piece) []request {
	area := all[0].area
	c.most = min(c.limits.most(area), c.known.most())
	var plan []request
	for _, p := range all {
		refusal, bad := c.known.within(p.span)
		switch {
		case bad:
			// Whatever contains it is refused too.
			plan = append(plan, request{span: p.span, points: p.points, refused: refusal.code, ending: ending{cause: refusedAlone, hole: refusal}})
		case p.count > c.most:
			plan = append(plan, request{span: p.span, points: p.points, ending: ending{cause: tooLong, limit: c.most}})
		default:
			c.pieces = append(c.pieces, p)
		}
	}
	c.survey()
	plan = append(plan, c.join()...)
	slices.SortStableFunc(plan, func(a, b request) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.count, b.count))
	})
	return plan
}

func (c *cover) survey() {
	reach := math.MaxInt // the end of all pieces so far: one of them may be long
	for i, p := range c.pieces {
		c.gaps = append(c.gaps, max(0, p.start-reach))
		if i == 0 {
			reach = 0
		}
		reach = max(reach, p.end())
		wall := math.MaxInt
		if refusal, found := c.known.next(p.start); found {
			wall = refusal.end()
		}
		c.walls = append(c.walls, wall)
	}
}

// obstacle says why one request must not read s, which begins with the piece first and has got as
// far as the piece last.
func (c *cover) obstacle(first, last int, s span) ending {
	switch gap := c.gaps[last]; {
	case gap > c.limits.widest(s.area):
		return ending{cause: wideGap, gap: gap, limit: c.limits.widest(s.area)}
	case s.end() >= c.walls[first]:
		refusal, _ := c.known.next(s.start)
		return ending{cause: refusedPart, hole: refusal}
	case s.count > c.most:
		return ending{cause: full, gap: gap, limit: c.most, refused: c.refusedSize()}
	}
	return ending{}
}

// refusedSize is how much at once the device is known to refuse, when that is what counts.
func (c *cover) refusedSize() int {
	if c.most < c.limits.most(c.pieces[0].area) {
		return c.known.bad
	}
	return 0
}

// way is the best way to cover all pieces from one on: what it costs, and where its second request
// begins.
type way struct {
	cost     int64
	requests int
	next     int
}

// join finds the cheapest cover. Requests that take the pieces in their order are enough: of two
// that overlap, each piece can be given to the later one that begins before it, and one that lies
// inside another can be left out. So the best cover of the pieces from one on is a first request of
// some length and the best cover of the rest.
func (c *cover) join() []request {
	n := len(c.pieces)
	best := make([]way, n+1)
	for first := n - 1; first >= 0; first-- {
		best[first].cost = math.MaxInt64
		s := c.pieces[first].span
		for last := first; last < n; last++ {
			s = s.join(c.pieces[last].span)
			if last > first && c.obstacle(first, last, s).cause != 0 {
				break // and so would everything be that is longer
			}
			w := way{int64(c.limits.cost(s.area, s.count)) + best[last+1].cost, 1 + best[last+1].requests, last + 1}
			if b := best[first]; w.cost < b.cost || w.cost == b.cost && w.requests < b.requests {
				best[first] = w
			}
		}
	}
	var plan []request
	for first := 0; first < n; first = best[first].next {
		next := best[first].next
		r := request{span: c.hull(first, next)}
		for _, p := range c.pieces[first:next] {
			r.points = append(r.points, p.points...)
		}
		if next < n {
			r.ending = c.ending(first, next, best[next].next)
		}
		plan = append(plan, r)
	}
	return plan
}

// hull spans the pieces from first to the one before next.
func (c *cover) hull(first, next int) span {
	s := c.pieces[first].span
	for _, p := range c.pieces[first+1 : next] {
		s = s.join(p.span)
	}
	return s
}

// ending says why the request for the pieces from first on ends before the piece next, where the
// request begins that ends before after.
func (c *cover) ending(first, next, after int) ending {
	s := c.hull(first, next+1)
	if e := c.obstacle(first, next, s); e.cause != 0 {
		return e
	}
	if e := c.obstacle(first, next, s.join(c.hull(next, after))); e.cause != 0 {
		return e // it must end somewhere, and this is the best place
	}
	return ending{cause: dearGap, gap: c.gaps[next]}
}
