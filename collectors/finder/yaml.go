package finder

import (
	"encoding/hex"
	"fmt"
	"strings"

	"sluice/collectors/bus"
)

// newFound describes what answered.
func newFound(place string, p *Protocol, settings string, a Answer) Found {
	guesses := a.Guesses
	if guesses == nil {
		guesses = []Guess{}
	}
	return Found{
		Place: place, Protocol: p.Name, Settings: settings, Unit: a.Unit, Answer: a.Text, Raw: hex.EncodeToString(a.Raw),
		Guesses: guesses,
	}
}

// lineName is what a line is called that has no name in the configuration yet.
const lineName = "line"

// configure writes what the configuration needs for a device on the line, the line itself included
// where it has none for it.
func (r *lineRun) configure(now *step, a Answer) string {
	var b strings.Builder
	name, hints := r.Bus, []string(nil)
	own := now.character != nil && now.protocol.Own
	switch {
	case name == "":
		name = lineName
		fmt.Fprintf(&b, "buses:\n  - {name: %s, serial: %s%s}\n", name, quoted(r.Path), lineKeys(now.character, own))
	case now.character != nil && !own && *now.character != r.Now:
		hints = append(hints, fmt.Sprintf("the bus %s is set to %s; this device needs%s", name, Name(r.Now), strings.TrimPrefix(lineKeys(now.character, false), ",")))
	}
	if own {
		a.Keys = append(a.Keys[:len(a.Keys):len(a.Keys)], Key{"baud", fmt.Sprint(now.character.Baud)})
	}
	b.WriteString(device(a.Driver, now.protocol.LineScheme+"://"+name, now.protocol, a, hints))
	return b.String()
}

// lineKeys are the keys of a bus that differ from what it has without them.
func lineKeys(c *bus.Character, own bool) string {
	if c == nil || own {
		return ""
	}
	text := fmt.Sprintf(", baud: %d", c.Baud)
	if c.DataBits != 8 {
		text += fmt.Sprintf(", data_bits: %d", c.DataBits)
	}
	text += ", parity: " + c.Parity
	if c.StopBits != 1 {
		text += fmt.Sprintf(", stop_bits: %d", c.StopBits)
	}
	return text
}

// certain is the score from which on a guess is put into the configuration.
const certain = 0.7

// device writes one device: by its profile where one is certain, else by its driver and points.
func device(name, address string, p *Protocol, a Answer, hints []string) string {
	var b strings.Builder
	for _, h := range hints {
		fmt.Fprintf(&b, "# %s\n", h)
	}
	b.WriteString("devices:\n")
	interval, profile := p.Interval, ""
	if len(a.Guesses) > 0 && a.Guesses[0].Score >= certain {
		profile = a.Guesses[0].Profile
		name = profile
		if a.Guesses[0].Interval != "" {
			interval = a.Guesses[0].Interval
		}
	}
	fmt.Fprintf(&b, "  - name: %s\n", deviceName(name, a.Unit))
	if profile != "" {
		fmt.Fprintf(&b, "    profile: %s\n", profile)
	} else {
		fmt.Fprintf(&b, "    driver: %s\n", a.Driver)
	}
	fmt.Fprintf(&b, "    address: %s\n", quoted(address))
	for _, k := range a.Keys {
		fmt.Fprintf(&b, "    %s: %s\n", k.Name, k.Value)
	}
	fmt.Fprintf(&b, "    interval: %s\n", interval)
	if profile == "" {
		b.WriteString("    points:\n")
		for _, point := range a.Points {
			fmt.Fprintf(&b, "      - %s\n", point)
		}
	}
	return b.String()
}

// deviceName makes a name that a device may have, of what it is and which.
func deviceName(what, unit string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, strings.TrimRight(what+"-"+unit, "-"))
	return name
}

// quoted writes a text that may have colons in it.
func quoted(s string) string { return fmt.Sprintf("%q", s) }
