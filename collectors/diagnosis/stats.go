package diagnosis

import (
	"strings"

	"sluice/collectors/bus"
)

// Between gives the evidence of what a line did from one look at its statistics to the next. What they
// do not tell is left for others to fill in: damaged frames apart from garbled ones, exceptions by
// their codes, decoded values, dialects, time-outs.
func Between(before, now *bus.Stats) Evidence {
	e := Evidence{Kind: kindOf(now.Place), Busy: now.Busy}
	if !now.Open && now.LastError != "" {
		e.Problem, e.OpenText = problemOf(now.LastError), now.LastError
	}
	earlier := make(map[string]bus.ClientStats, len(before.Clients))
	for _, c := range before.Clients {
		earlier[c.Device] = c
	}
	for _, c := range now.Clients {
		was := earlier[c.Device]
		if c.Exchanges < was.Exchanges {
			was = bus.ClientStats{} // it was opened anew
		}
		d := Device{
			Name:      c.Device,
			Exchanges: int(c.Exchanges - was.Exchanges), // #nosec G115 -- of a few minutes
			Silent:    int(c.NoReply - was.NoReply),     // #nosec G115 -- as above
			Garbled:   int(c.Garbled - was.Garbled),     // #nosec G115 -- as above
			RTTMean:   c.Mean,
			RTTMax:    c.Slowest,
		}
		d.Answers = max(0, d.Exchanges-d.Silent-d.Garbled)
		e.Devices = append(e.Devices, d)
	}
	if bus.IsVisited(now.Name) {
		asReported(&e, before, now)
	}
	return e
}

// kindOf tells a serial port from an address.
func kindOf(place string) Kind {
	if strings.HasPrefix(place, "/") {
		return Serial
	}
	return Dialled
}

// problems are known by words that the bus or the system uses. The first that fits counts.
var problems = []struct {
	words   string
	problem OpenProblem
}{
	{"no device has connected", NobodyCame},
	{"in use by another program", Taken},
	{"resource busy", Taken},
	{"no such file", Missing},
	{"no such device", Missing},
	{"permission denied", Forbidden},
	{"operation not permitted", Forbidden},
	{"refused", Refused},
	{"nobody listens", Refused},
	{"no route", Unreachable},
	{"unreachable", Unreachable},
	{"no connection within", Unreachable},
	{"timed out", Unreachable},
}

func problemOf(text string) OpenProblem {
	for _, p := range problems {
		if strings.Contains(text, p.words) {
			return p.problem
		}
	}
	return NotOpen
}
