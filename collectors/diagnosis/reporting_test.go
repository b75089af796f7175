package diagnosis

import (
	"slices"
	"testing"

	"sluice/collectors/bus"
)

// A line to which devices come by themselves is judged by what can be wrong there.
func TestReportingLineIsJudgedByRowsOfItsOwn(t *testing.T) {
	name := bus.VisitedName("0.0.0.0:9212")
	device := func(name string, change func(*bus.ClientStats)) bus.ClientStats {
		c := bus.ClientStats{Device: name, Exchanges: 100}
		change(&c)
		return c
	}
	good := device("good", func(*bus.ClientStats) {})
	seen := map[string]bool{}
	for _, c := range []struct {
		name string
		now  bus.Stats
		want []string
	}{
		{"well", bus.Stats{Open: true, Exchanges: 200, Clients: []bus.ClientStats{good}}, nil},
		{"nobody came", bus.Stats{LastError: "no device has connected: nobody has come to 0.0.0.0:9212 yet"}, []string{"nobody-reports"}},
		{"it hangs up after each report", bus.Stats{LastError: "no device has connected: whoever had come has gone", Exchanges: 5, Clients: []bus.ClientStats{good}}, nil},
		{"a stranger", bus.Stats{Open: true, LastError: "a logger connects that no device is configured for: MN 7", Exchanges: 200, Clients: []bus.ClientStats{good}}, []string{"stranger-reports"}},
		{"a password", bus.Stats{Open: true, Clients: []bus.ClientStats{good, device("other", func(c *bus.ClientStats) { c.Refused = 3 })}}, []string{"password-differs:other"}},
		{"damage", bus.Stats{Open: true, Clients: []bus.ClientStats{device("all", func(c *bus.ClientStats) { c.Garbled = 100 }), device("some", func(c *bus.ClientStats) { c.Garbled = 3 }), device("one", func(c *bus.ClientStats) { c.Garbled = 1 })}},
			[]string{"reports-damaged:all", "reports-damaged:some"}},
		{"a request", bus.Stats{Open: true, Clients: []bus.ClientStats{device("deaf", func(c *bus.ClientStats) { c.NoReply = 1 })}}, []string{"requests-unanswered:deaf"}},
		{"two at once", bus.Stats{Open: true, Clients: []bus.ClientStats{device("both", func(c *bus.ClientStats) { c.NoReply, c.Garbled = 1, 50 })}}, []string{"reports-damaged:both", "requests-unanswered:both"}},
	} {
		c.now.Name, c.now.Place = name, name
		e := Between(&bus.Stats{Name: name, Place: name}, &c.now)
		if e.Kind != Reporting {
			t.Fatalf("%s: it is taken for a line of kind %d", c.name, e.Kind)
		}
		all := Diagnose(&e)
		if got := found(all); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
		wholeTexts(t, all)
		for _, f := range all {
			seen[f.Row] = true
		}
	}
	for _, r := range reportingRows {
		if !seen[r.name] {
			t.Errorf("no case shows %s", r.name)
		}
	}
	// What was counted before the last look is not held against a device.
	before := bus.Stats{Name: name, Place: name, Open: true, Clients: []bus.ClientStats{{Device: "a", Exchanges: 100, Refused: 50, NoReply: 50}}}
	e := Between(&before, &before)
	if all := Diagnose(&e); len(all) != 0 {
		t.Errorf("found %q though nothing happened", found(all))
	}
}
