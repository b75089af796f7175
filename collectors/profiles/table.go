package profiles

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

var headings = map[string]string{
	"power-meter": "Power meters", "inverter": "Inverters", "drive": "Drives", "temperature-controller": "Temperature controllers",
	"sensor": "Sensors", "plc": "PLCs", "water-meter": "Water meters", "heat-meter": "Heat meters", "gas-meter": "Gas meters", "simulated": "Simulated",
}

const introduction = `# Device profiles

A profile knows what a model of a device is asked for: points, types, units, byte order, limits. A device needs three values more:

` + "```yaml" + `
devices:
  - {name: m1, profile: eastron-sdm630, address: "tcp://10.0.0.7:502", unit: 3, interval: 10s}
` + "```" + `

What the device says itself goes before what the profile says. Points are merged by name: a point with a name of the profile's changes
the keys that it has and keeps the others, one with another name is added.

` + "```yaml" + `
  - name: m2
    profile: eastron-sdm630
    address: tcp://10.0.0.8:502
    only: [power, energy_import]          # of the profile's points no others
    points:
      - {name: power, deadband: 5}        # the profile's point with a deadband
      - {name: demand, address: "input:84", type: float32, unit: W}   # one more
` + "```" + `

Names and units are the same in all power meters: ` + "`power` in W, `energy_import` in kWh, `voltage_l1` in V" + `. Nothing is written by a profile:
where commands may write, say ` + "`access: rw`" + ` at the point.

**What the word profile does not promise.** The registers are those of the sources named in each file; no device was at hand. Each file says
under ` + "`unverified`" + ` what is open. Compare the first readings with the display. ` + "`Golden`" + ` tells where the check reading of a profile
comes from: computed from plausible values, or published by somebody who had the device.

A new profile is one file in collectors/profiles/models and a golden reading in it: no Go. The test that reads them all is
` + "`go test ./gateway -run Profile`" + `, and with ` + "`-update`" + ` it writes this page.
`

// WriteTable writes docs/profiles.md.
func WriteTable(w io.Writer) error {
	byKind := map[string][]*Profile{}
	for _, name := range Names() {
		p, err := Open(name)
		if err != nil {
			return err
		}
		byKind[p.Kind] = append(byKind[p.Kind], p)
	}
	var b bytes.Buffer
	b.WriteString(introduction)
	for _, kind := range Kinds() {
		if len(byKind[kind]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| profile | maker | models | driver | points | line | golden | sources |\n|---|---|---|---|---|---|---|---|\n", headings[kind])
		for _, p := range byKind[kind] {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d | %s | %s | %s |\n", p.Name, cell(p.Maker), cell(p.Model), p.Driver, len(p.Points),
				cell(p.Line), origin(p.Golden.Origin), cell(strings.Join(p.Source, "; ")))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func origin(s string) string {
	word, _, _ := strings.Cut(s, ":")
	return cell(word)
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
