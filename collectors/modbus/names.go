package modbus

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// names says in words what numbers, or their bits, stand for.
type names struct {
	bits   bool              // the names are those of bits
	text   map[uint64]string // by number, negative ones in two's complement, or by bit
	number map[string]uint64
}

const bitSeparator = ", "

// enumNames reads what the numbers of an enumeration are called.
func enumNames(written map[string]string, form form, problem func(string)) *names {
	low, high := form.bounds()
	return newNames(written, false, low, high, problem)
}

// bitNames reads what the bits of a number are called.
func bitNames(written map[string]string, form form, problem func(string)) *names {
	n := newNames(written, true, 0, uint64(8*form.bytes-1), problem)
	for _, text := range slices.Sorted(maps.Values(written)) {
		if strings.ContainsRune(text, ',') {
			problem(fmt.Sprintf("%q has a comma, which stands between names", text))
		}
		if _, is := numberedBit(text); is {
			problem(fmt.Sprintf("%q is what a bit without a name is called", text))
		}
	}
	return n
}

func newNames(written map[string]string, ofBits bool, low int64, high uint64, problem func(string)) *names {
	n := &names{bits: ofBits, text: make(map[uint64]string), number: make(map[string]uint64)}
	for _, key := range slices.Sorted(maps.Keys(written)) {
		number, ok := parseWhole(key, low, high)
		text := written[key]
		switch _, taken := n.number[text]; {
		case !ok:
			problem(fmt.Sprintf("%q is not a whole number from %d to %d", key, low, high))
			continue
		case text == "" || text != strings.TrimSpace(text):
			problem(fmt.Sprintf("%s stands for %q; write a name that neither begins nor ends with a space", key, text))
		case isWhole(text):
			problem(fmt.Sprintf("%s stands for %q, which is a number itself", key, text))
		case n.text[number] != "":
			problem(fmt.Sprintf("%s is there twice", key))
		case taken:
			problem(fmt.Sprintf("%q is the name of two", text))
		}
		n.text[number], n.number[text] = text, number
	}
	if len(written) == 0 {
		problem("is empty; name something or leave it out")
	}
	return n
}

// parseWhole reads a whole number, decimal or 0x1F, between two bounds. Negative ones come in two's
// complement.
func parseWhole(s string, low int64, high uint64) (uint64, bool) {
	digits, base := s, 10
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		digits, base = hex, 16
	}
	if n, err := strconv.ParseUint(digits, base, 64); err == nil {
		return n, n <= high
	}
	n, err := strconv.ParseInt(digits, base, 64)
	return uint64(n), err == nil && base == 10 && n < 0 && n >= low
}

func isWhole(s string) bool {
	_, is := parseWhole(s, math.MinInt64, math.MaxUint64)
	return is
}

// show gives the text for a number of a form: an unknown number in digits, an unknown bit as "bit 7".
func (n *names) show(number uint64, f form) string {
	if !n.bits {
		if text, ok := n.text[number]; ok {
			return text
		}
		if f.class == signed {
			return strconv.FormatInt(int64(number), 10)
		}
		return strconv.FormatUint(number, 10)
	}
	var set []string
	for rest := number; rest != 0; rest &= rest - 1 {
		bit := uint64(bits.TrailingZeros64(rest))
		text, ok := n.text[bit]
		if !ok {
			text = "bit " + strconv.FormatUint(bit, 10)
		}
		set = append(set, text)
	}
	return strings.Join(set, bitSeparator)
}

// parse is show's inverse. Bits that are not named are cleared.
func (n *names) parse(text string, f form) (uint64, error) {
	low, high := f.bounds()
	if number, ok := parseWhole(text, low, high); ok {
		return number, nil
	}
	if !n.bits {
		if number, ok := n.number[text]; ok {
			return number, nil
		}
		return 0, fmt.Errorf("%q is none of %s", clipText(text), strings.Join(slices.Sorted(maps.Keys(n.number)), ", "))
	}
	var number uint64
	if strings.TrimSpace(text) == "" {
		return 0, nil
	}
	for each := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(each)
		bit, ok := n.number[name]
		if !ok {
			bit, ok = numberedBit(name)
		}
		if !ok || bit >= uint64(8*f.bytes) {
			return 0, fmt.Errorf("%q is none of %s, nor bit 0 to bit %d", clipText(name), strings.Join(slices.Sorted(maps.Keys(n.number)), ", "), 8*f.bytes-1)
		}
		number |= 1 << bit
	}
	return number, nil
}

// numberedBit reads what a bit without a name is called.
func numberedBit(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, "bit ")
	bit, err := strconv.ParseUint(digits, 10, 6)
	return bit, ok && err == nil
}

// clipText keeps what somebody wrote short in an error.
func clipText(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
