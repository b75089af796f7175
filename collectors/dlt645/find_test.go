package dlt645_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/dlt645"
	"sluice/collectors/dlt645/dlt645sim"
)

func TestMetersAreFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		options dlt645sim.Options
		mute    dlt645sim.Fault
		edition dlt645.Edition
		want    string
		fails   string
	}{
		{name: "none", mute: dlt645sim.Silence},
		{name: "one", options: dlt645sim.Options{Meters: []string{"181226034194"}, Preamble: 4}, want: "181226034194"},
		{name: "one of 1997", options: dlt645sim.Options{Meters: []string{"181226034194"}}, edition: dlt645.Edition1997, want: "181226034194"},
		{name: "three at once", options: dlt645sim.Options{Meters: []string{"181226034194", "000000000161", "123456789012"}}, want: "000000000161 123456789012 181226034194"},
		{name: "alike in the last digits", options: dlt645sim.Options{Meters: []string{"181226030061", "000000000161"}}, want: "000000000161 181226030061"},
		{name: "deaf to parts", options: dlt645sim.Options{Meters: []string{"181226034194", "000000000161"}, Fussy: true}, fails: "connect one at a time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := simulate(t, c.options)
			line.Misbehave(c.mute)
			client, err := busOn(t, line.Path()).Client("bus://line", "search")
			must(t, err)
			asked := 0
			var told []string
			found, err := dlt645.Find(t.Context(), client, dlt645.Search{
				Edition: c.edition, Timeout: 20 * time.Millisecond,
				Progress: func(n, of int) { asked = n },
				Found:    func(f dlt645.Found) { told = append(told, f.Meter.String()) },
			})
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("got %v, want %q", err, c.fails)
			}
			for _, f := range found {
				if said, ok := dlt645.Dissect(bus.In, f.Raw); !ok || !strings.Contains(said, f.Meter.String()) {
					t.Errorf("%s was found in % X", f.Meter, f.Raw)
				}
			}
			slices.Sort(told)
			if got := strings.Join(told, " "); got != c.want || len(told) != len(found) {
				t.Errorf("found %v and told of %s, want %s", found, got, c.want)
			}
			if seen := line.Seen(); seen.Requests != asked || seen.Damaged != 0 {
				t.Errorf("asked %d times, the line saw %+v", asked, seen)
			}
		})
	}
}
