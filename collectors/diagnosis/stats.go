package diagnosis

import (
	"strings"

	"sluice/collectors/bus"
)

// Between gives the evidence of what a line did from one look at its statistics to the next. How many
// points were decoded, and whether in the right order, is left for others to fill in.
func Between(before, now *bus.Stats) Evidence {
	e := Evidence{
		Kind: kindOf(now.Place), Busy: now.Busy,
		HangUps: grown(before.HangUps, now.HangUps), EchoOff: now.EchoOff,
		EchoOnly: grown(before.EchoOnly, now.EchoOnly), Echoes: grown(before.Echoes, now.Echoes),
		ForeignRequests: grown(before.Foreign, now.Foreign), Unasked: grown(before.Unasked, now.Unasked),
		Parity: grown(before.Flaws, now.Flaws),
	}
	if !now.Open && now.OpenError != "" {
		e.Problem, e.OpenText = problemOf(now.OpenError), now.OpenError
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
		e.SpeaksTCP += grown(was.AsTCP, c.AsTCP)
		e.SpeaksRTU += grown(was.AsRTU, c.AsRTU)
		e.SpeaksASCII += grown(was.AsASCII, c.AsASCII)
		e.Devices = append(e.Devices, deviceBetween(&was, &c))
	}
	if bus.IsVisited(now.Name) {
		asReported(&e, before, now)
	}
	return e
}

func deviceBetween(was, now *bus.ClientStats) Device {
	d := Device{
		Name: now.Device, Answers: grown(was.Answers, now.Answers), Silent: grown(was.NoReply, now.NoReply),
		Garbled: grown(was.Garbled+was.AsTCP+was.AsRTU+was.AsASCII, now.Garbled+now.AsTCP+now.AsRTU+now.AsASCII),
		Damaged: grown(was.Damaged, now.Damaged), WrongUnit: grown(was.WrongUnit, now.WrongUnit),
		Unrelated: grown(was.Unrelated, now.Unrelated), Late: grown(was.Late, now.Late),
		RTTMean: now.Mean, RTTMax: now.Slowest, Timeout: now.Timeout,
	}
	// Not what was broken off, by a line that went or by the gateway itself.
	d.Exchanges = d.Answers + d.Silent + d.Garbled + d.Damaged + d.WrongUnit + d.Unrelated
	d.Denied = grown(was.Refused, now.Refused)
	for _, r := range now.Refusals {
		before := uint64(0)
		for _, w := range was.Refusals {
			if w.Code == r.Code {
				before = w.Count
			}
		}
		if n := grown(before, r.Count); n > 0 {
			if d.Refused == nil {
				d.Refused = make(map[int]int)
			}
			d.Refused[int(r.Code)] = n
			d.Denied -= n
		}
	}
	d.Denied = max(0, d.Denied)
	return d
}

// grown is how much a figure grew. A driver may correct what was counted before it had its say, so that a
// figure may also shrink by one.
func grown(before, now uint64) int {
	return max(0, int(now-before)) // #nosec G115 -- of a few minutes
}

// kindOf tells a serial port from an address.
func kindOf(place string) Kind {
	switch {
	case strings.HasPrefix(place, "/"):
		return Serial
	case strings.HasPrefix(place, "listen://"):
		return DialledIn
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
