package modbus

import (
	"errors"
	"fmt"
)

// maxExtra bounds the requests that one poll makes to find out what it is that a device refuses. It
// is enough to find one among 2,000 coils, so that every poll gets somewhere.
const maxExtra = 24

// planner asks for the points of a device, or of a part of it, and learns.
type planner struct {
	points []point
	limits limits
	known  *holes

	requests []request
	changes  uint64 // of known, when the requests were planned
	next     int    // which of the refused points is asked in the next poll
	eager    bool   // all of them are: one is refused no longer
}

func newPlanner(points []point, limits limits, known *holes) *planner {
	p := &planner{points: points, limits: limits, known: known, changes: known.changes()}
	p.requests = makePlan(points, limits, known)
	return p
}

// poll asks for every point. ask does one request and gives its points, if any, values or the error
// that it returns; fail gives them an error without asking. What the device refuses with exception 2
// or 3 is taken apart, so that a poll or some later no point has an error but those that the device
// refuses alone. Of these one is asked anew in each poll, and all once it has an answer: a device
// that has come to its senses is read whole two polls later, and one that has not is not bothered.
func (p *planner) poll(ask func(*request) error, fail func(*request, error)) {
	if changes := p.known.changes(); changes != p.changes {
		p.requests, p.changes = makePlan(p.points, p.limits, p.known), changes
	}
	s := survey{planner: p, ask: ask, fail: fail, extra: maxExtra}
	all := p.eager
	p.eager = false
	due, refused := -1, 0
	for i := range p.requests {
		if p.requests[i].refused != 0 {
			refused++
		}
	}
	if refused > 0 {
		due = p.next % refused
		p.next = due + 1
	}
	for i := range p.requests {
		r := &p.requests[i]
		if r.refused == 0 {
			s.read(r)
			continue
		}
		if due == 0 || all {
			p.eager = s.read(r) || p.eager
		} else {
			fail(r, r.refused)
		}
		due--
	}
}

// survey is one poll on its way through the plan.
type survey struct {
	*planner
	ask   func(*request) error
	fail  func(*request, error)
	extra int // requests that may still be made to find out

	trouble int // requests that failed in a way that says nothing about what was asked for
}

// read asks for a request and for its parts if need be. It says whether the whole was answered.
func (s *survey) read(r *request) bool {
	if s.known.forbids(r.span) && !s.isPiece(r) {
		// That was learned since the plan was made.
		for _, part := range planFor(s.points, r.points, s.limits, s.known.look()) {
			if part.refused != 0 {
				s.fail(&part, part.refused)
			} else {
				s.read(&part)
			}
		}
		return false
	}
	code, err := s.try(r)
	if err == nil {
		return true
	}
	if code != 0 && !s.isPiece(r) {
		s.divide(r, code)
	}
	return false
}

// try asks and notes what the answer says. The exception is 0 if taking the request apart is of no
// use.
func (s *survey) try(r *request) (exception, error) {
	err := s.ask(r)
	if err == nil {
		s.known.answered(r.span)
		return 0, nil
	}
	code, is := errors.AsType[exception](err)
	if !is || !code.divisible() {
		s.trouble++
		return 0, err
	}
	s.known.refuse(r.span, code)
	return code, err
}

// isPiece says that all points of the request lie on the same span, which cannot be read in parts.
func (s *survey) isPiece(r *request) bool {
	for _, i := range r.points {
		if s.points[i].span != r.span {
			return false
		}
	}
	return true
}

// divide asks for the halves of what was refused.
func (s *survey) divide(r *request, code exception) {
	if s.extra < 2 {
		s.fail(r, &unsettledError{r.span, code})
		return
	}
	s.extra -= 2
	parts := pieces(s.points, r.points)
	middle := len(parts) / 2
	left, right := together(parts[:middle]), together(parts[middle:])
	before := s.trouble
	// Both, whatever the first says: each has points of its own.
	leftRead := s.read(&left)
	rightRead := s.read(&right)
	switch {
	case s.trouble != before:
		s.known.doubt(r.span) // who was in trouble may have refused for that reason
	case leftRead && rightRead:
		s.blame(r, parts, middle, max(left.count, right.count))
	}
}

func together(parts []piece) request {
	r := request{span: parts[0].span}
	for _, p := range parts {
		r.span = r.span.join(p.span)
		r.points = append(r.points, p.points...)
	}
	return r
}

// blame finds out why a request is refused whose halves are not: because of what lies between them,
// be it a hole or the border of a block, or because it was too much at once. good is how much was not.
func (s *survey) blame(r *request, parts []piece, middle, good int) {
	if s.known.limited(r.area, r.count) {
		s.known.tooMuch(r.area, r.count, good) // as others before it
		return
	}
	last := parts[0]
	for _, p := range parts[:middle] {
		if p.end() >= last.end() {
			last = p
		}
	}
	bridge := request{span: last.span.join(parts[middle].span)}
	switch {
	case bridge.span != r.span && s.extra == 0:
		return // the next poll gets further
	case bridge.span != r.span:
		s.extra--
		if _, err := s.try(&bridge); err == nil {
			s.known.tooMuch(r.area, r.count, max(good, bridge.count))
		}
	case parts[middle].start <= last.end() && s.known.largest(r.area) < r.count:
		s.known.tooMuch(r.area, r.count, good) // with nothing between them, and nothing as large ever read
	}
	// Else it is known already that these two do not go together.
}

// unsettledError is a point's whose fault it may or may not be that a request was refused.
type unsettledError struct {
	span
	code exception
}

func (e *unsettledError) Error() string {
	return fmt.Sprintf("%s together: %v; which of them it is is being found out", e.span, e.code)
}
