package collectors

import (
	"context"
	"time"
)

// Explainer is a Device that can say what it asks in each poll, and why it asks like that.
type Explainer interface {
	// Explain gives the plan as it would be made now. It asks nobody, and may be called at any time.
	Explain() Plan
}

// Plan is what a device is asked in each poll, and what was learned from its refusals.
type Plan struct {
	Requests []Request
	Learned  []Lesson
}

// Request is one step of a Plan.
type Request struct {
	Area     string // in the words that addresses are written with
	Function byte
	Address  int // of the first, as on the wire
	Count    int
	Points   []string
	Unwanted int  // of Count: what no point needs
	Reason   Text // why it is not one with the next request; empty where there is none
	Refused  Text // the device's answer to it, which is not expected to change; empty: nothing of the kind
}

// Lesson is something that a device was found to refuse.
type Lesson struct {
	Text  Text
	Since time.Time
}

// Text is a sentence in the two languages of the page.
type Text struct{ English, Chinese string }

// Inspector is a Device whose registers can be looked at, whether or not a point lies there.
type Inspector interface {
	// Inspect reads count registers, or bits as 0 and 1, from address on in one request, in a turn of
	// its own among those of the polls. It may be called at any time, and teaches the plan nothing. What
	// cannot be asked for is a *SpanError; any other error is the line's or the device's.
	Inspect(ctx context.Context, area string, address, count int) ([]uint16, error)
}

// SpanError says what is wrong with a span before anybody is asked for it.
type SpanError struct {
	Field string // area, address or count
	Text  string
}

func (e *SpanError) Error() string { return e.Field + ": " + e.Text }

// GroupPlan is what a device is asked for one scan group; the group "" has the device's own points.
type GroupPlan struct {
	Group    string
	Interval time.Duration
	Plan
}

// Explain gives the plan of each group that has points; ok is false for a device that is no Explainer. It
// may be called at any time.
func (p *Poller) Explain() (plans []GroupPlan, ok bool) {
	if _, ok = p.Device.(Explainer); !ok {
		return nil, false
	}
	points := p.Device.Points()
	for _, g := range append([]Group{{Interval: p.Interval}}, p.Groups...) {
		var own []int
		for i := range points {
			if points[i].Policy.Group == g.Name {
				own = append(own, i)
			}
		}
		if len(own) == 0 {
			continue
		}
		asked := p.Device
		if whole, divisible := p.Device.(Divisible); divisible && len(own) < len(points) {
			asked = whole.Part(own) // never read, so it need not be closed
		}
		if explainer, able := asked.(Explainer); able {
			plans = append(plans, GroupPlan{g.Name, g.Interval, explainer.Explain()})
		}
	}
	return plans, true
}
