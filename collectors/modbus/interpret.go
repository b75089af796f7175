package modbus

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/message"
)

// Interpretation is what registers mean when they are read as one type in one byte order.
type Interpretation struct {
	Type      Type          `json:"type"`
	Order     Order         `json:"order,omitempty"`
	Byte      string        `json:"byte,omitempty"` // h or l, as behind an address
	Registers int           `json:"registers"`      // how many of those given
	Value     message.Value `json:"value"`
	Plausible bool          `json:"plausible"` // a device may well mean this
}

// Interpretations reads registers in every way there is, from the first on, so that whoever knows
// what the meter's display says finds the way that is right. A way that gives no value, such as
// digits above 9 in a decimal number, is left out.
func Interpretations(registers []uint16) []Interpretation {
	var out []Interpretation
	for _, t := range types {
		if t.form.class == truth || t.form.class == octets {
			continue // they tell nothing about the order
		}
		for _, order := range ordersOf(t.form) {
			if t.form.bytes == 1 {
				out = append(out, interpret(registers, Point{Type: t.name, Address: Address{Area: Holding, Byte: 'h'}})...)
				out = append(out, interpret(registers, Point{Type: t.name, Address: Address{Area: Holding, Byte: 'l'}})...)
				continue
			}
			p := Point{Type: t.name, Order: order, Address: Address{Area: Holding}}
			if t.form.long() {
				p.Length = 2 * min(len(registers), maxRegisters)
			}
			out = append(out, interpret(registers, p)...)
		}
	}
	return out
}

// ordersOf gives each order once, the usual one first, and by the shorter of its names.
func ordersOf(f form) []Order {
	switch f.bytes {
	case 1:
		return []Order{""}
	case 2:
		return []Order{"AB", "BA"}
	case 4:
		return []Order{"ABCD", "CDAB", "BADC", "DCBA"}
	}
	return []Order{"ABCD", "CDAB", "BADC", "DCBA", "EFGHABCD", "CDABGHEF", "FEHGBADC", "DCBAHGFE"}
}

func interpret(registers []uint16, as Point) []Interpretation {
	p := newPoint(&as)
	if p.count == 0 || p.count > len(registers) {
		return nil
	}
	var raw []byte
	for _, r := range registers[:p.count] {
		raw = binary.BigEndian.AppendUint16(raw, r)
	}
	v, err := p.decode(raw)
	if err != nil {
		return nil
	}
	out := Interpretation{Type: as.Type, Order: as.Order, Registers: p.count, Value: v}
	if as.Address.Byte != 0 {
		out.Byte = string(as.Address.Byte)
	}
	if p.class == characters {
		out.Plausible = isPlausibleText(p.text(raw))
	} else {
		out.Plausible = isPlausible(v, p.form, registers[:p.count])
	}
	return []Interpretation{out}
}

// What instruments measure, in whatever unit, lies between these. A float in the wrong order is
// mostly far away, since what should be its last digits is its exponent; a whole number is mostly
// more, since what should be its last digits comes first.
const (
	leastFloat = 1e-4
	mostFloat  = 1e9
	mostWhole  = 1e9 // of 32 and 64 bits
	mostShort  = 1e4 // of 16 bits
)

// isPlausible guesses. Registers that are all zero are zero in every way and prove none wrong.
func isPlausible(v message.Value, f form, registers []uint16) bool {
	number, isNumber := v.Float()
	magnitude := math.Abs(number)
	switch {
	case !slices.ContainsFunc(registers, func(r uint16) bool { return r != 0 }):
		return true
	case !isNumber || !v.Finite():
		return false
	case f.class == floating:
		return magnitude >= leastFloat && magnitude <= mostFloat
	case f.bytes <= 2:
		return magnitude <= mostShort
	}
	return magnitude <= mostWhole
}

func isPlausibleText(s string) bool {
	strange := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
	return !strange && utf8.RuneCountInString(s) >= 2
}
