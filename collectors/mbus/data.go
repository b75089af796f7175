package mbus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The data fields of a DIF.
const (
	noData    = 0x0
	real32    = 0x5
	selection = 0x8
	bcd2      = 0x9
	lvar      = 0xD
	bcd12     = 0xE
)

// fieldBytes is how long the data of each data field is; LVAR says it itself.
var fieldBytes = [16]int{0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 8: 0, 9: 1, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}

// field cuts the data of a record, with the byte in front that LVAR has.
func field(coding byte, b []byte) (data []byte, n int, err error) {
	n = fieldBytes[coding]
	if coding == lvar {
		if len(b) == 0 {
			return nil, 0, fmt.Errorf("%w before its data", errBreaksOff)
		}
		length, ok := lvarBytes(b[0])
		if !ok {
			return nil, 0, fmt.Errorf("its length %02X is reserved", b[0])
		}
		n = 1 + length
	}
	if len(b) < n {
		return nil, 0, fmt.Errorf("%w in its data: %d of %d bytes", errBreaksOff, len(b), n)
	}
	return b[:n], n, nil
}

func lvarBytes(length byte) (n int, ok bool) {
	switch {
	case length <= 0xBF:
		return int(length), true
	case length <= 0xC9:
		return int(length - 0xC0), true
	case length >= 0xD0 && length <= 0xD9:
		return int(length - 0xD0), true
	case length >= 0xE0 && length <= 0xEF:
		return int(length - 0xE0), true
	case length >= 0xF0 && length <= 0xF4:
		return 4 * int(length-0xEC), true
	case length == 0xF5:
		return 48, true
	case length == 0xF6:
		return 64, true
	}
	return 0, false
}

var (
	errNothing      = errors.New("the record holds no data")
	errNotAvailable = errors.New("the meter has no value for this now")
)

// decode turns the data of a record into a number or a text, as the quantity wants it.
func (m *meaning) decode(coding byte, data []byte, highFirst bool) (number, error) {
	if coding == noData || coding == selection {
		return number{}, errNothing
	}
	if highFirst && coding != lvar {
		data = slices.Clone(data)
		slices.Reverse(data)
	}
	switch {
	case coding == lvar:
		return m.decodeLVAR(data[0], data[1:])
	case m.kind == timePoint:
		return decodeTime(coding, data)
	case coding == real32:
		return decodeReal(data)
	case coding >= bcd2:
		return m.bcd(data, false)
	}
	return m.integer(data)
}

func (m *meaning) decodeLVAR(length byte, data []byte) (number, error) {
	switch {
	case len(data) == 0:
		return number{}, errNothing
	case length <= 0xBF:
		text, err := backwards(data)
		return number{text: strings.TrimSpace(text), isText: true}, err
	case length <= 0xC9:
		return m.bcd(data, false)
	case length <= 0xD9:
		return m.bcd(data, true)
	case len(data) <= 8:
		return m.integer(data)
	}
	data = slices.Clone(data)
	slices.Reverse(data) // as one writes a number
	return number{text: strings.ToUpper(hex.EncodeToString(data)), isText: true}, nil
}

// backwards reads a text, whose last character comes first. Meters write Latin-1.
func backwards(data []byte) (string, error) {
	var text strings.Builder
	for _, c := range slices.Backward(data) {
		switch {
		case c == 0:
			continue
		case c < 0x20 || c >= 0x7F && c < 0xA0:
			return "", fmt.Errorf("the meter sent % X, which is no text", data)
		}
		text.WriteRune(rune(c))
	}
	return text.String(), nil
}

func decodeReal(data []byte) (number, error) {
	f := math.Float32frombits(uint32(littleEndian(data)))
	if f != f {
		return number{}, errNotAvailable
	}
	if math.IsInf(float64(f), 0) {
		return number{}, fmt.Errorf("the meter sent % X, which is infinite", data)
	}
	return number{single: f, isReal: true}, nil
}

// integer is type B of the standard, type C for what is never negative and type D for bits.
func (m *meaning) integer(data []byte) (number, error) {
	n := littleEndian(data)
	if m.kind == bits || m.kind == identifier {
		return number{unsigned: n, isUnsigned: true}, nil
	}
	shift := 64 - 8*len(data)
	signed := int64(n<<shift) >> shift
	if signed == math.MinInt64>>shift {
		return number{}, errNotAvailable // the lowest number is set aside for that
	}
	return number{integer: signed}, nil
}

func littleEndian(data []byte) (n uint64) {
	for i, c := range data {
		n |= uint64(c) << (8 * i)
	}
	return n
}

// bcd is type A: a first digit of F is a minus. Any other digit above 9 is what the meter's display
// shows in place of a value.
func (m *meaning) bcd(data []byte, negative bool) (number, error) {
	digits := slices.Clone(data)
	slices.Reverse(digits)
	if m.kind == identifier && !negative {
		return number{text: strings.ToUpper(hex.EncodeToString(digits)), isText: true}, nil
	}
	if len(digits) > 0 && digits[0]>>4 == 0xF && !negative {
		if !slices.ContainsFunc(digits, func(c byte) bool { return c != 0xFF }) {
			return number{}, errNotAvailable
		}
		digits[0] &= 0x0F
		negative = true
	}
	var n int64 // at most 18 digits
	for _, c := range digits {
		if c>>4 > 9 || c&0xF > 9 {
			return number{}, fmt.Errorf("the meter shows %X instead of a number", digits)
		}
		n = n*100 + int64(c>>4)*10 + int64(c&0xF)
	}
	if negative {
		n = -n
	}
	return number{integer: n}, nil
}
