package mbus

import (
	"fmt"
	"slices"
	"strconv"
)

const (
	vifPlain        = 0x7C // the meter's own word follows
	vifFirst        = 0xFD // the first extension table
	vifSecond       = 0xFB // the second
	vifManufacturer = 0x7F
)

// kind is what the data of a quantity is taken for.
type kind byte

const (
	amount     kind = iota // a number with a sign
	bits                   // a number without one, or flags
	identifier             // digits that count nothing: zeros in front matter
	timePoint
)

// meaning is what VIF and VIFE say about a record.
type meaning struct {
	quantity  string
	modifiers []string
	scale     scale
	kind      kind
	problem   error // the meter marks the value as none
}

// entry is one line of a table of VIF.
type entry struct {
	quantity string
	exponent int
	unit     string
	kind     kind
}

// durations are what the two bits nn mean in every VIF of a time span, and months and years where
// the code goes on.
var durations = [...]string{"s", "min", "h", "d", "month", "year"}

// meaningOf follows the tables of EN 13757-3, clause 6.4. What they reserve is given as a plain number
// under a name that holds the code.
func meaningOf(vif []byte, plain string) meaning {
	first, rest := vif[0], vif[1:]
	var e entry
	ok := true
	switch {
	case first == vifFirst && len(rest) > 0:
		e, rest, ok = firstExtension(rest)
	case first == vifSecond && len(rest) > 0:
		e, ok = secondExtension(rest[0] &^ extension)
		rest = rest[1:]
	case first&^extension == vifPlain:
		e = entry{quantity: strconv.Quote(plain)}
	case first&^extension == vifManufacturer:
		m := meaning{quantity: "manufacturer"}
		m.ownWay(rest)
		return m
	default:
		e, ok = primaryVIF(first &^ extension)
	}
	if !ok {
		code := slices.Clone(vif[:len(vif)-len(rest)])
		code[len(code)-1] &^= extension
		e = entry{quantity: fmt.Sprintf("reserved_%X", code)}
	}
	m := meaning{quantity: e.quantity, kind: e.kind, scale: scale{e.exponent, mustUnit(e.unit)}}
	m.modify(rest)
	return m
}

// primaryVIF is table 10: the codes without an extension table.
func primaryVIF(v byte) (entry, bool) {
	n3, n2 := int(v&7), int(v&3)
	switch v >> 3 {
	case 0x00 >> 3:
		return entry{quantity: "energy", exponent: n3 - 3, unit: "Wh"}, true
	case 0x08 >> 3:
		return entry{quantity: "energy", exponent: n3, unit: "J"}, true
	case 0x10 >> 3:
		return entry{quantity: "volume", exponent: n3 - 6, unit: "m3"}, true
	case 0x18 >> 3:
		return entry{quantity: "mass", exponent: n3 - 3, unit: "kg"}, true
	case 0x28 >> 3:
		return entry{quantity: "power", exponent: n3 - 3, unit: "W"}, true
	case 0x30 >> 3:
		return entry{quantity: "power", exponent: n3, unit: "J/h"}, true
	case 0x38 >> 3:
		return entry{quantity: "volume_flow", exponent: n3 - 6, unit: "m3/h"}, true
	case 0x40 >> 3:
		return entry{quantity: "volume_flow", exponent: n3 - 7, unit: "m3/min"}, true
	case 0x48 >> 3:
		return entry{quantity: "volume_flow", exponent: n3 - 9, unit: "m3/s"}, true
	case 0x50 >> 3:
		return entry{quantity: "mass_flow", exponent: n3 - 3, unit: "kg/h"}, true
	}
	switch v >> 2 {
	case 0x20 >> 2:
		return entry{quantity: "on_time", unit: durations[n2]}, true
	case 0x24 >> 2:
		return entry{quantity: "operating_time", unit: durations[n2]}, true
	case 0x58 >> 2:
		return entry{quantity: "flow_temperature", exponent: n2 - 3, unit: "°C"}, true
	case 0x5C >> 2:
		return entry{quantity: "return_temperature", exponent: n2 - 3, unit: "°C"}, true
	case 0x60 >> 2:
		return entry{quantity: "temperature_difference", exponent: n2 - 3, unit: "K"}, true
	case 0x64 >> 2:
		return entry{quantity: "external_temperature", exponent: n2 - 3, unit: "°C"}, true
	case 0x68 >> 2:
		return entry{quantity: "pressure", exponent: n2 - 3, unit: "bar"}, true
	case 0x70 >> 2:
		return entry{quantity: "averaging_duration", unit: durations[n2]}, true
	case 0x74 >> 2:
		return entry{quantity: "actuality_duration", unit: durations[n2]}, true
	}
	e, ok := singleVIF[v]
	return e, ok
}

var singleVIF = map[byte]entry{
	0x6C: {quantity: "date", kind: timePoint},
	0x6D: {quantity: "datetime", kind: timePoint},
	0x6E: {quantity: "hca_units"},
	0x78: {quantity: "fabrication_number", kind: identifier},
	0x79: {quantity: "identification", kind: identifier},
	0x7A: {quantity: "bus_address", kind: bits},
	0x7E: {quantity: "any"},
}

// secondExtension is table 14: the codes behind FB.
func secondExtension(v byte) (entry, bool) {
	n3, n2, n1 := int(v&7), int(v&3), int(v&1)
	if v >= 0x78 {
		return entry{quantity: "cumulated_maximum_power", exponent: n3 - 3, unit: "W"}, true
	}
	switch v >> 2 {
	case 0x0C >> 2:
		return entry{quantity: "energy", exponent: n2 - 1, unit: "Mcal"}, true
	case 0x14 >> 2:
		return entry{quantity: "reactive_power", exponent: n2 - 3, unit: "kvar"}, true
	case 0x2C >> 2:
		return entry{quantity: "frequency", exponent: n2 - 3, unit: "Hz"}, true
	case 0x34 >> 2:
		return entry{quantity: "apparent_power", exponent: n2 - 3, unit: "kVA"}, true
	case 0x58 >> 2: // degrees Fahrenheit: codes of older editions
		return entry{quantity: "flow_temperature", exponent: n2 - 3, unit: "°F"}, true
	case 0x5C >> 2:
		return entry{quantity: "return_temperature", exponent: n2 - 3, unit: "°F"}, true
	case 0x60 >> 2:
		return entry{quantity: "temperature_difference", exponent: n2 - 3, unit: "Δ°F"}, true
	case 0x64 >> 2:
		return entry{quantity: "external_temperature", exponent: n2 - 3, unit: "°F"}, true
	case 0x70 >> 2:
		return entry{quantity: "temperature_limit", exponent: n2 - 3, unit: "°F"}, true
	case 0x74 >> 2:
		return entry{quantity: "temperature_limit", exponent: n2 - 3, unit: "°C"}, true
	}
	switch v >> 1 {
	case 0x00 >> 1:
		return entry{quantity: "energy", exponent: n1 - 1, unit: "MWh"}, true
	case 0x02 >> 1:
		return entry{quantity: "reactive_energy", exponent: n1, unit: "kvarh"}, true
	case 0x04 >> 1:
		return entry{quantity: "apparent_energy", exponent: n1, unit: "kVAh"}, true
	case 0x08 >> 1:
		return entry{quantity: "energy", exponent: n1 - 1, unit: "GJ"}, true
	case 0x10 >> 1:
		return entry{quantity: "volume", exponent: n1 + 2, unit: "m3"}, true
	case 0x18 >> 1:
		return entry{quantity: "mass", exponent: n1 + 2, unit: "t"}, true
	case 0x1A >> 1:
		return entry{quantity: "relative_humidity", exponent: n1 - 1, unit: "%"}, true
	case 0x22 >> 1:
		return entry{quantity: "volume", exponent: n1 - 1, unit: "gal"}, true
	case 0x28 >> 1:
		return entry{quantity: "power", exponent: n1 - 1, unit: "MW"}, true
	case 0x30 >> 1:
		return entry{quantity: "power", exponent: n1 - 1, unit: "GJ/h"}, true
	}
	e, ok := singleSecond[v]
	return e, ok
}

var singleSecond = map[byte]entry{
	0x20: {quantity: "volume", unit: "ft3"},
	0x21: {quantity: "volume", exponent: -1, unit: "ft3"},
	0x24: {quantity: "volume_flow", exponent: -3, unit: "gal/min"},
	0x25: {quantity: "volume_flow", unit: "gal/min"},
	0x26: {quantity: "volume_flow", unit: "gal/h"},
	0x2A: {quantity: "phase_angle_voltage", exponent: -1, unit: "°"}, // between voltages
	0x2B: {quantity: "phase_angle", exponent: -1, unit: "°"},         // between voltage and current
}
