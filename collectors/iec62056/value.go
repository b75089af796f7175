package iec62056

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// As says what to make of the text between a register's parentheses.
const (
	asAuto   = ""       // a number when it has a unit or a decimal point, else text
	asNumber = "number" // always a number
	asText   = "text"   // always text
)

var errEmpty = errors.New("the meter has no value for this now (its parentheses are empty)")

// parseValue turns value or value*unit into a value in the unit that the point has; wanted is empty
// while it has none. It gives the unit that the value then has.
func parseValue(text, as, wanted string) (v message.Value, unit string, err error) {
	amount, unit, _ := strings.Cut(text, "*")
	if as == asText {
		return message.Text(strings.TrimSpace(text)), "", nil
	}
	amount, unit = strings.TrimSpace(amount), strings.TrimSpace(unit)
	if amount == "" {
		return message.Value{}, "", errEmpty
	}
	if as == asAuto && unit == "" && !strings.Contains(amount, ".") {
		return message.Text(amount), "", nil
	}
	if !decimal(amount) {
		if as == asAuto && unit == "" {
			return message.Text(amount), "", nil
		}
		return message.Value{}, "", fmt.Errorf("the meter sent %q, which is no number", text)
	}
	shift := 0
	if wanted != "" && unit != "" && wanted != unit {
		var ok bool
		if shift, ok = between(unit, wanted); !ok {
			return message.Value{}, "", fmt.Errorf("the meter sent %q, which cannot be given in %s", text, wanted)
		}
		unit = wanted
	}
	v, err = number(amount, shift)
	return v, unit, err
}

// decimal says whether text is a plain decimal number.
func decimal(text string) bool {
	text = strings.TrimLeft(text[:1], "+-") + text[1:]
	whole, fraction, _ := strings.Cut(text, ".")
	return strings.Trim(whole+fraction, "0123456789") == "" && whole != ""
}

// number gives amount times ten to the shift. ParseFloat gives the float64 nearest to what the
// digits and the exponent say together, so that 0012.345 kWh are 12345 Wh and not 12345.000000000002.
func number(amount string, shift int) (message.Value, error) {
	if shift == 0 && !strings.Contains(amount, ".") {
		if n, err := strconv.ParseInt(amount, 10, 64); err == nil {
			return message.Int(n), nil
		}
	}
	f, err := strconv.ParseFloat(amount+"e"+strconv.Itoa(shift), 64)
	if err != nil {
		return message.Value{}, fmt.Errorf("the meter sent %q, which is too large", amount)
	}
	if f == 0 {
		f = 0 // a negative nought is a nought
	}
	return message.Float64(f), nil
}

// between gives the power of ten that leads from one unit to another of the same quantity, such as
// from kWh to Wh.
func between(from, to string) (shift int, ok bool) {
	a, fromBase := prefix(from)
	b, toBase := prefix(to)
	return a - b, strings.EqualFold(fromBase, toBase)
}

// prefix takes the decimal prefix off a unit that can have one. Meters write kvarh, kVArh and kWh in
// any case; m and M differ.
func prefix(unit string) (power int, base string) {
	for _, known := range []string{"Wh", "varh", "VAh", "W", "var", "VA", "V", "A", "J", "Hz"} {
		if len(unit) == len(known) && strings.EqualFold(unit, known) {
			return 0, unit
		}
		if len(unit) == len(known)+1 && strings.EqualFold(unit[1:], known) {
			switch unit[0] {
			case 'm':
				return -3, unit[1:]
			case 'k', 'K':
				return 3, unit[1:]
			case 'M':
				return 6, unit[1:]
			case 'G':
				return 9, unit[1:]
			}
		}
	}
	return 0, strings.NewReplacer("³", "3", "°", "").Replace(unit) // m³ is what meters write as m3
}
