package modbus

import (
	"fmt"
	"time"
)

// cause says why a request is not longer than it is.
type cause byte

const (
	lastOfArea   cause = iota // there is nothing behind it
	wideGap                   // what nobody wants is more than may be read along
	dearGap                   // it would take longer than a request
	full                      // together with the next points it would be more than a request may read
	refusedPart               // together with the next points it would contain what the device refuses
	refusedAlone              // the device refuses these points, or something that lies in them
	tooLong                   // the point alone is more than is read with others
)

// ending is a cause with its particulars.
type ending struct {
	cause   cause
	gap     int // what nobody wants, before the next point
	limit   int
	refused int // the limit comes from so much at once having been refused; 0: from the options
	hole    refusal
}

// reason says in words why the request is not one with the next.
func (r *request) reason() string {
	e := &r.ending
	switch e.cause {
	case wideGap:
		return fmt.Sprintf("gap of %s; at most %d are read along", many(r.area, e.gap), e.limit)
	case dearGap:
		return fmt.Sprintf("gap of %s, which takes longer than a request", many(r.area, e.gap))
	case full:
		text := fmt.Sprintf("limit of %s", many(r.area, e.limit))
		if e.refused > 0 {
			text += fmt.Sprintf("; the device refuses %d", e.refused)
		}
		if e.gap > 0 {
			text += fmt.Sprintf(", cut where %d need not be read", e.gap)
		}
		return text
	case refusedPart:
		return e.hole.why()
	case refusedAlone:
		if e.hole.span == r.span {
			return e.hole.why() + ", so it is asked alone and only now and then"
		}
		return e.hole.why() + ", which lies within, so this is asked alone and only now and then"
	case tooLong:
		return fmt.Sprintf("more than %s, so it is asked alone", many(r.area, e.limit))
	}
	return ""
}

func (r refusal) why() string {
	if r.count == 1 {
		return fmt.Sprintf("%s is refused with %v", r.span, r.code)
	}
	return fmt.Sprintf("%s together are refused with %v", r.span, r.code)
}

// cellNames are what areas consist of, in people's words.
var cellNames = [...]string{Coil: "coil", Discrete: "discrete input", Input: "input register", Holding: "holding register"}

// String gives "holding registers 17 to 20".
func (s span) String() string {
	if s.count == 1 {
		return fmt.Sprintf("%s %d", cellNames[s.area], s.start)
	}
	return fmt.Sprintf("%ss %d to %d", cellNames[s.area], s.start, s.end()-1)
}

func many(area Area, n int) string {
	if n == 1 {
		return "1 " + cellNames[area]
	}
	return fmt.Sprintf("%d %ss", n, cellNames[area])
}

// Plan is what a device is asked in each poll, for people: which points share a request, and why not
// all of them do.
type Plan struct {
	Requests []PlannedRequest `json:"requests"`
	Learned  []Hole           `json:"learned,omitempty"`
}

// PlannedRequest is one request of a Plan.
type PlannedRequest struct {
	Function byte     `json:"function"`
	Start    string   `json:"start"`    // holding:0
	Numbered string   `json:"numbered"` // the same as 40001
	Count    int      `json:"count"`
	Points   []string `json:"points"`
	Unwanted int      `json:"unwanted"`          // of Count: what no point needs
	Reason   string   `json:"reason,omitempty"`  // why it is not one with the next request
	Refused  string   `json:"refused,omitempty"` // the device's answer to it, which is not expected to change
}

// Hole is something that the device refuses: addresses, or a count of them at once.
type Hole struct {
	Start string    `json:"start,omitempty"`
	Count int       `json:"count"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

// PlanOf gives the plan for a device on a network of which nothing was learned yet. The points have
// to be valid.
func PlanOf(points []Point, limits Limits) Plan {
	ready := make([]point, len(points))
	for i := range points {
		ready[i] = newPoint(&points[i])
	}
	return newPlanner(ready, limits.with(overheadTCP), &holes{}).Plan()
}

// Plan describes the plan as it would be made now. It may be called at any time.
func (p *planner) Plan() Plan {
	var out Plan
	for _, r := range makePlan(p.points, p.limits, p.known) {
		start := Address{Area: r.area, Number: uint16(r.start)}
		planned := PlannedRequest{
			Function: readFunctions[r.area], Start: start.String(), Numbered: start.Numbered(), Count: r.count,
			Unwanted: r.count - p.wanted(&r), Reason: r.reason(),
		}
		if r.refused != 0 {
			planned.Refused = r.refused.Error()
		}
		for _, i := range r.points {
			planned.Points = append(planned.Points, p.points[i].name)
		}
		out.Requests = append(out.Requests, planned)
	}
	known := p.known.look()
	for area := Coil; area <= Holding; area++ {
		out.Learned = append(out.Learned, known.of(area).describe(area)...)
	}
	return out
}

// readFunctions are those that read, by area [MODBUS Application Protocol V1.1b3, 6.1 to 6.4].
var readFunctions = [...]byte{Coil: 1, Discrete: 2, Input: 4, Holding: 3}

// wanted counts what the points of a request need.
func (p *planner) wanted(r *request) int {
	needed := make([]bool, r.count)
	n := 0
	for _, i := range r.points {
		for at := p.points[i].start; at < p.points[i].end(); at++ {
			if !needed[at-r.start] {
				needed[at-r.start] = true
				n++
			}
		}
	}
	return n
}

func (t *tract) describe(area Area) []Hole {
	var out []Hole
	for _, r := range t.refused {
		start := Address{Area: area, Number: uint16(r.start)}
		out = append(out, Hole{Start: start.String(), Count: r.count, Text: r.why(), Since: r.at})
	}
	if t.bad != 0 {
		out = append(out, Hole{Count: t.bad, Text: t.limitText(area), Since: t.at})
	}
	return out
}

func (t *tract) limitText(area Area) string {
	return fmt.Sprintf("%s at once are refused, %d are not", many(area, t.bad), t.good)
}
