package sml

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// units are the DLMS codes that meters use, of IEC 62056-62.
var units = map[byte]string{
	1: "a", 2: "mo", 3: "wk", 4: "d", 5: "h", 6: "min", 7: "s", 8: "°", 9: "°C", 11: "m", 12: "m/s", 13: "m³",
	14: "m³", 15: "m³/h", 16: "m³/h", 17: "m³/d", 18: "m³/d", 19: "l", 20: "kg", 21: "N", 22: "Nm", 23: "Pa",
	24: "bar", 25: "J", 26: "J/h", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 33: "A",
	34: "C", 35: "V", 44: "Hz", 48: "V²h", 49: "A²h", 52: "K", 56: "%", 57: "Ah",
}

// Quirks that a meter may have.
const (
	quirkAuto = "auto" // what its number says
	quirkNone = "none"
	quirkDZG  = "dzg" // see unsignedPower
)

// powerCode is the momentary power, which the quirk is about.
var powerCode = [6]byte{1, 0, 16, 7, 0, 255}

// hasDZGQuirk knows the meters by their server id 0A 01 'D' 'Z' 'G' and the number: DVS74 of two
// series of numbers.
func hasDZGQuirk(server []byte) bool {
	if len(server) != 10 || string(server[:5]) != "\x0A\x01DZG" {
		return false
	}
	number := uint64(0)
	for _, c := range server[5:] {
		number = number<<8 | uint64(c)
	}
	return number >= 42_000_000 && number < 49_000_000 || number >= 55_000_000 && number < 59_000_000
}

// unsignedPower mends what those meters send: positive power as a signed integer of so few bytes
// that it looks negative. Negative power they send with four bytes.
func unsignedPower(e Entry) Entry {
	if e.Code.obis == powerCode && e.value.kind == signed && len(e.value.bytes) <= 3 {
		e.value.kind = unsigned
	}
	return e
}

// Value gives the entry's value in the unit wanted, or where that is empty in the meter's own, and
// the unit that it then has.
func (e Entry) Value(wanted string) (v message.Value, unit string, err error) {
	unit = units[e.Unit]
	shift := 0
	if wanted != "" && unit != "" && wanted != unit {
		var ok bool
		if shift, ok = between(unit, wanted); !ok {
			return message.Value{}, "", fmt.Errorf("the meter gives %s in %s, which cannot be given in %s", e.Code, unit, wanted)
		}
		unit = wanted
	}
	switch e.value.kind {
	case octets:
		v, err = textValue(e)
		return v, "", err
	case boolean:
		return message.Bool(e.value.bytes[0] != 0), "", nil
	case signed, unsigned:
		v, err = e.number(int(e.Scaler) + shift)
		return v, unit, err
	}
	return message.Value{}, "", fmt.Errorf("the meter sent %s as a list, not as a value", e.Code)
}

// number gives the integer times a power of ten. ParseFloat gives the float64 nearest to what digits
// and exponent say together: 1234.5, never 1234.5000000000002.
func (e Entry) number(exponent int) (message.Value, error) {
	n, _ := e.value.int()
	u, isUnsigned := e.value.uint()
	digits := strconv.FormatInt(n, 10)
	if isUnsigned {
		digits = strconv.FormatUint(u, 10)
	}
	switch {
	case exponent == 0 && isUnsigned:
		return message.Uint(u), nil
	case exponent == 0:
		return message.Int(n), nil
	}
	f, err := strconv.ParseFloat(digits+"e"+strconv.Itoa(exponent), 64)
	if err != nil {
		return message.Value{}, fmt.Errorf("the meter sent %s times ten to the %d", digits, exponent)
	}
	return message.Float64(f), nil
}

// textValue gives text where the bytes are some, else their hex digits.
func textValue(e Entry) (message.Value, error) {
	if e.value.absent() {
		return message.Value{}, fmt.Errorf("the meter has no value for %s now", e.Code)
	}
	if text := plainText(e.value.bytes); text != "" {
		return message.Text(text), nil
	}
	return message.Text(strings.ToUpper(hex.EncodeToString(e.value.bytes))), nil
}

// plainText gives b as text, or nothing where it is none.
func plainText(b []byte) string {
	for _, c := range b {
		if c < 0x20 || c > 0x7E {
			return ""
		}
	}
	return string(b)
}

// between gives the power of ten that leads from one unit to another of the same quantity, such as
// from Wh to kWh.
func between(from, to string) (shift int, ok bool) {
	a, fromBase := prefix(from)
	b, toBase := prefix(to)
	return a - b, strings.EqualFold(fromBase, toBase)
}

// prefix takes the decimal prefix off a unit that can have one.
func prefix(unit string) (power int, base string) {
	for _, known := range []string{"Wh", "varh", "VAh", "Ah", "W", "var", "VA", "V", "A", "J", "Hz"} {
		if rest, ok := strings.CutSuffix(unit, known); ok {
			switch rest {
			case "":
				return 0, known
			case "m":
				return -3, known
			case "k":
				return 3, known
			case "M":
				return 6, known
			case "G":
				return 9, known
			}
		}
	}
	return 0, unit
}
