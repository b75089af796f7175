package collectors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// panel is a device of many points that can be read in parts. What a point shows is up to the test.
type panel struct {
	specs []Spec
	part  []int // nil: all
	*shared
}

// shared is what the parts of a panel have in common.
type shared struct {
	mu    sync.Mutex // guards what follows
	show  map[string]message.Point
	dead  error
	polls map[string][]time.Time // by the first point of the part
}

func newPanel(specs ...Spec) *panel {
	return &panel{specs: specs, shared: &shared{show: map[string]message.Point{}, polls: map[string][]time.Time{}}}
}

func (d *panel) Points() []Spec {
	if d.part == nil {
		return d.specs
	}
	specs := make([]Spec, len(d.part))
	for i, at := range d.part {
		specs[i] = d.specs[at]
	}
	return specs
}

func (d *panel) Part(points []int) Device {
	return &panel{specs: d.specs, part: points, shared: d.shared}
}

func (d *panel) Read(_ context.Context, r *message.Reading) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	specs := d.Points()
	d.polls[specs[0].Name] = append(d.polls[specs[0].Name], time.Now())
	if d.dead != nil {
		return d.dead
	}
	r.Points = r.Points[:0]
	for _, s := range specs {
		p := d.show[s.Name]
		p.Name = s.Name
		r.Points = append(r.Points, p)
	}
	return nil
}

func (d *panel) Close() error { return nil }

func (d *panel) set(name string, v any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch v := v.(type) {
	case float64:
		d.show[name] = message.Point{Value: message.Float64(v)}
	case string:
		d.show[name] = message.Point{Error: v}
	}
}

func (d *panel) times(first string) []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.polls[first])
}

func in(group, name string) Spec { return Spec{Name: name, Policy: Policy{Group: group}} }

func TestGroupsArePolledAtTheirOwnIntervalsInOneSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newPanel(in("", "a"), in("fast", "b"), in("", "c"), in("slow", "d")), &fakeSink{}
		for i, name := range []string{"a", "b", "c", "d"} {
			device.set(name, float64(i))
		}
		p := newPoller(device, sink, time.Second)
		p.Groups = []Group{{"fast", 100 * time.Millisecond}, {"slow", 10 * time.Second}, {"empty", time.Second}}
		start(t, p)
		pass(time.Minute)
		readings := sink.readings(t)
		count := map[string]int{}
		for _, r := range readings {
			count[fmt.Sprint(r.Values)]++
		}
		for values, want := range map[string]int{"map[b:1]": 600, "map[a:0 c:2]": 60, "map[d:3]": 6} {
			if got := count[values]; got < want-1 || got > want+1 {
				t.Errorf("%d readings with %s in a minute, want about %d; all: %v", got, values, want, count)
			}
		}
		if len(count) != 3 {
			t.Errorf("readings %v, want one kind a group", count)
		}
		checkSequence(t, readings, 1)
		if s := p.State(); len(s.Points) != 4 || s.Points[3].Value != message.Float64(3) || s.State != Online {
			t.Errorf("state %+v, want four points with values", s)
		}
	})
}

func TestOneScanProbesForAllWhileTheDeviceIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newPanel(in("", "a"), in("fast", "b")), &fakeSink{}
		device.dead = context.DeadlineExceeded
		p := newPoller(device, sink, time.Second)
		p.Groups = []Group{{"fast", 10 * time.Millisecond}}
		start(t, p)
		pass(10 * time.Minute)
		// As for a device without groups: about 120 tries with waits of up to 10 s.
		if tries := len(device.times("a")) + len(device.times("b")); tries < 80 || tries > 200 {
			t.Errorf("%d tries in ten minutes", tries)
		}
		device.mu.Lock()
		device.dead = nil
		device.mu.Unlock()
		device.set("a", 1.0)
		device.set("b", 2.0)
		pass(12 * time.Second)
		if n := len(sink.readings(t)); n < 100 {
			t.Errorf("%d readings after the device came back, want both groups at their pace again", n)
		}
	})
}

func TestAlignedPollsHappenAtWholeMultiples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1234 * time.Millisecond)
		device, sink := newPanel(in("", "a")), &fakeSink{}
		device.set("a", 1.0)
		p := newPoller(device, sink, 15*time.Second)
		p.Aligned = true
		start(t, p)
		pass(5 * time.Minute)
		times := device.times("a")
		if len(times) != 20 {
			t.Errorf("%d polls in 5 minutes, want 20", len(times))
		}
		for _, at := range times {
			if at.UnixNano()%int64(15*time.Second) != 0 {
				t.Fatalf("polled at %v, want a multiple of 15 s", at)
			}
		}
	})
}

func TestDerivedPointsAreComputedFromWhatWasReadLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		device, sink := newPanel(in("", "volt"), in("slow", "amp")), &fakeSink{}
		device.set("volt", 230.0)
		device.set("amp", 2.0)
		p := newPoller(device, sink, time.Second)
		p.Groups = []Group{{"slow", 5 * time.Second}}
		product := func(in []message.Value) (message.Value, error) {
			a, ok := in[0].Float()
			b, also := in[1].Float()
			if !ok || !also {
				return message.Value{}, errors.New("a factor is missing")
			}
			return message.Float64(a * b), nil
		}
		p.Derived = []Derived{
			{Spec: Spec{Name: "power", Unit: "W"}, Inputs: []string{"volt", "amp"}, Compute: product},
			{Spec: Spec{Name: "square"}, Inputs: []string{"power", "power"}, Compute: product},
		}
		start(t, p)
		pass(20 * time.Second)
		last := sink.readings(t)[len(sink.readings(t))-1]
		if last.Values["power"] == nil {
			last = sink.readings(t)[len(sink.readings(t))-2] // that was the slow group's
		}
		if last.Values["power"] != 460.0 || last.Values["square"] != 211600.0 {
			t.Errorf("reading %+v, want power 460 and its square", last)
		}
		device.set("volt", "no answer within 1s")
		pass(2 * time.Second)
		for _, r := range sink.readings(t) {
			last = r
		}
		if last.Errors["power"] != "volt: no answer within 1s" || last.Errors["square"] != "power: volt: no answer within 1s" {
			t.Errorf("errors %v, want them to name what is missing", last.Errors)
		}
	})
}

func TestGroupsAreChecked(t *testing.T) {
	var got []string
	report := func(path, problem string) { got = append(got, path+": "+problem) }
	device := newPanel(in("", "a"), in("fsat", "b"))
	derived := []Derived{
		{Spec: in("none", "x"), Inputs: []string{"a", "y"}}, {Spec: in("", "a"), Inputs: []string{"x"}},
	}
	CheckGroups(device, []Group{{"fast", time.Second}}, derived, report)
	want := []string{
		`points[1].group: "fsat" is not one of the device's groups`,
		`derived[0].group: "none" is not one of the device's groups`,
		`derived[0].expression: there is no point "y" before this one`,
		`derived[1].name: "a" is the name of an earlier point too`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got = nil
	whole := struct{ Device }{newPanel(in("fast", "a"))}
	CheckGroups(whole, []Group{{"fast", time.Second}}, nil, report)
	if len(got) != 1 || got[0] != "points[0].group: this driver reads all points of a device at once; leave it out" {
		t.Errorf("got %q for a driver that reads all at once", got)
	}
}
