package collectors

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/gateway/message"
)

// Group is a scan group: points that are polled at an interval of their own.
type Group struct {
	Name     string
	Interval time.Duration
}

// Derived is a point that is computed from others. Its Spec's Policy names the group with which it
// is computed, from the values that its inputs had last.
type Derived struct {
	Spec
	Inputs []string // points of the device, or derived ones before this
	// Compute gets the inputs in that order, absent ones for those that could not be read.
	Compute func(inputs []message.Value) (message.Value, error)
}

// scan is what is polled together: the points of one group, in the device's order, and the derived
// ones behind them.
type scan struct {
	device  Device // the whole, or the part that has these points
	name    string // of the group; "" for the device's own
	points  []int  // where they stand on the board
	derived []int  // likewise
	gates   []gate // for points, then derived
	grid    schedule
	next    time.Time
}

// CheckGroups reports points that cannot be polled as they ask, and derived points that ask for what
// is not there. Paths begin at the device's section.
func CheckGroups(device Device, groups []Group, derived []Derived, report func(path, problem string)) {
	points := device.Points()
	known := func(group string) bool {
		return group == "" || slices.ContainsFunc(groups, func(g Group) bool { return g.Name == group })
	}
	names := make(map[string]bool)
	_, divisible := device.(Divisible)
	for i, p := range points {
		names[p.Name] = true
		switch at := fmt.Sprintf("points[%d].group", i); {
		case !known(p.Policy.Group):
			report(at, fmt.Sprintf("%q is not one of the device's groups", p.Policy.Group))
		case p.Policy.Group != "" && !divisible:
			report(at, "this driver reads all points of a device at once; leave it out")
		}
	}
	for i, d := range derived {
		at := fmt.Sprintf("derived[%d]", i)
		if names[d.Name] {
			report(at+".name", fmt.Sprintf("%q is the name of an earlier point too", d.Name))
		}
		if !known(d.Policy.Group) {
			report(at+".group", fmt.Sprintf("%q is not one of the device's groups", d.Policy.Group))
		}
		for _, input := range d.Inputs {
			if len(points) > 0 && !names[input] {
				report(at+".expression", fmt.Sprintf("there is no point %q before this one", input))
			}
		}
		names[d.Name] = true
	}
}

// newScans divides the device's points into groups; a group without points is none.
func (p *Poller) newScans(points []Spec, now time.Time) []*scan {
	groups := append([]Group{{Interval: p.Interval}}, p.Groups...)
	var scans []*scan
	for _, g := range groups {
		s := &scan{device: p.Device, name: g.Name}
		for i, spec := range points {
			if spec.Policy.Group == g.Name {
				s.points = append(s.points, i)
				s.gates = append(s.gates, gate{policy: spec.Policy.under(p.Defaults)})
			}
		}
		for i, d := range p.Derived {
			if d.Policy.Group == g.Name {
				s.derived = append(s.derived, i)
				s.gates = append(s.gates, gate{policy: d.Policy.under(p.Defaults)})
			}
		}
		if len(s.points) == 0 {
			continue
		}
		if part, ok := p.Device.(Divisible); ok && len(s.points) < len(points) {
			s.device = part.Part(s.points)
		}
		if p.Aligned {
			s.grid = newAligned(g.Interval, now)
		} else {
			s.grid = newSchedule(p.Name+"/"+g.Name, g.Interval, now)
			if g.Name == "" {
				s.grid = newSchedule(p.Name, g.Interval, now)
			}
		}
		s.next = s.grid.first
		scans = append(scans, s)
	}
	return scans
}

// earliest is the scan that is due first; of several the one with the shortest interval.
func earliest(scans []*scan) *scan {
	return slices.MinFunc(scans, func(a, b *scan) int {
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.grid.interval, b.grid.interval))
	})
}

// read polls the scan's points into r, computes what is derived from them and shows all of it on the
// board.
func (s *scan) read(ctx context.Context, w *work) error {
	r := &w.reading
	if err := s.device.Read(ctx, r); err != nil {
		return err
	}
	if len(r.Points) != len(s.points) {
		return fmt.Errorf("the driver gave %d points, there are %d", len(r.Points), len(s.points))
	}
	nameFaults(r.Points)
	w.board.keep(s.points, r.Points)
	for _, i := range s.derived {
		d := &w.Derived[i]
		point := message.Point{Name: d.Name}
		value, err := w.compute(d)
		if err != nil {
			point.Error = err.Error()
		} else {
			point.Value = value
		}
		r.Points = append(r.Points, point)
		nameFaults(r.Points[len(r.Points)-1:])
		w.board.keep([]int{w.count + i}, r.Points[len(r.Points)-1:])
	}
	return nil
}

// compute asks the board for the inputs: some of them belong to other groups.
func (w *work) compute(d *Derived) (message.Value, error) {
	w.inputs = w.inputs[:0]
	var missing error
	for _, name := range d.Inputs {
		value, problem := w.board.last(name)
		if value.Absent() && problem == "" {
			problem = "not read yet"
		}
		if problem != "" {
			value = message.Value{}
			if missing == nil {
				missing = fmt.Errorf("%s: %s", name, problem)
			}
		}
		w.inputs = append(w.inputs, value)
	}
	value, err := d.Compute(w.inputs)
	if err != nil && missing != nil {
		return value, missing
	}
	return value, err
}

// sift leaves in r what the points' policies let through, and says whether that is anything.
func (s *scan) sift(r *message.Reading, now time.Time) bool {
	passed := r.Points[:0]
	for i := range r.Points {
		p := r.Points[i]
		if s.gates[i].pass(&p, now) {
			passed = append(passed, p)
		}
	}
	r.Points = passed
	return len(passed) > 0
}

// forget makes everything news again: a reading that was counted as reported did not last.
func (w *work) forget() {
	for _, s := range w.scans {
		for i := range s.gates {
			s.gates[i].forget()
		}
	}
}
