package dlt645

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// ID is a data identifier: four bytes in the edition of 2007, two in that of 1997. The word clock
// stands for date and time together, of which each has an identifier of its own.
type ID struct {
	code  uint32
	bytes int
}

// clockID is date and time together.
var clockID = ID{bytes: -1}

// UnmarshalText takes eight or four hex digits, the highest byte first, as the standard prints them,
// or the word clock.
func (id *ID) UnmarshalText(text []byte) error {
	if string(text) == "clock" {
		*id = clockID
		return nil
	}
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != 4 && len(b) != 2 {
		return fmt.Errorf("%q is not an identifier: 8 hex digits such as 00010000, or 4 in the edition of 1997", text)
	}
	*id = ID{bytes: len(b)}
	for _, c := range b {
		id.code = id.code<<8 | uint32(c)
	}
	return nil
}

// String gives the hex digits, or the word clock.
func (id ID) String() string {
	if id == clockID {
		return "clock"
	}
	return fmt.Sprintf("%0*X", 2*id.bytes, id.code)
}

// wire gives the identifier as it is sent, low byte first.
func (id ID) wire() []byte {
	b := make([]byte, id.bytes)
	for i := range b {
		b[i] = byte(id.code >> (8 * i))
	}
	return b
}

// Format says what the bytes behind an identifier mean, in the standard's own notation:
// "XXXXXX.XX" is a number, "-XX.XXXX" one whose top bit is its sign, "NNNNNNNNNNNN" digits that are
// no quantity, "YYMMDDWW" a date, "hhmmss" a time, "YYMMDDhhmm" and its like both, "ascii:6" text,
// "bits:2" a status word.
type Format struct {
	kind     kind
	bytes    int
	decimals int
	signed   bool
	text     string
}

type kind byte

const (
	unknown kind = iota
	number
	digits
	date
	clock
	moment
	characters
	bits
)

const (
	maxNumberBytes = 7  // 14 digits: every such decimal survives the way through a float64
	maxTextBytes   = 64 // longer than any text of the standard
	maxBitsBytes   = 4
)

// UnmarshalText refuses what is none of the notations.
func (f *Format) UnmarshalText(text []byte) error {
	parsed, ok := parseFormat(string(text))
	if !ok {
		return fmt.Errorf("%q is not a format: write XXXXXX.XX (- in front when the top bit is a sign), NNNN, YYMMDDWW, hhmmss, YYMMDDhhmm, ascii:6 or bits:2", text)
	}
	*f = parsed
	return nil
}

// String gives the notation.
func (f Format) String() string { return f.text }

func parseFormat(text string) (Format, bool) {
	switch text {
	case "YYMMDDWW":
		return Format{kind: date, bytes: 4, text: text}, true
	case "hhmmss":
		return Format{kind: clock, bytes: 3, text: text}, true
	case "YYMMDDhhmm", "YYMMDDhhmmss", "YYMMDDWWhhmmss", "MMDDhhmm", "hhmm":
		return Format{kind: moment, bytes: len(text) / 2, text: text}, true
	}
	if length, ok := strings.CutPrefix(text, "ascii:"); ok {
		n, err := strconv.Atoi(length)
		return Format{kind: characters, bytes: n, text: text}, err == nil && n >= 1 && n <= maxTextBytes
	}
	if length, ok := strings.CutPrefix(text, "bits:"); ok {
		n, err := strconv.Atoi(length)
		return Format{kind: bits, bytes: n, text: text}, err == nil && n >= 1 && n <= maxBitsBytes
	}
	if text != "" && strings.Trim(text, "N") == "" {
		return Format{kind: digits, bytes: len(text) / 2, text: text}, len(text)%2 == 0 && len(text) <= maxTextBytes
	}
	return parseNumber(text)
}

func parseNumber(text string) (Format, bool) {
	picture, signed := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(picture, ".")
	places := len(whole) + len(fraction)
	switch {
	case whole == "" || strings.Trim(whole+fraction, "X") != "":
		return Format{}, false
	case point && fraction == "":
		return Format{}, false
	case places%2 != 0 || places/2 > maxNumberBytes:
		return Format{}, false
	}
	return Format{kind: number, bytes: places / 2, decimals: len(fraction), signed: signed, text: text}, true
}

// errNotAvailable is what a meter says by filling a field with FF.
var errNotAvailable = errors.New("the meter has no value for this now (it sent only FF)")

// Value turns the bytes of an answer, low byte first as they came, into a value. It refuses what
// the format does not allow rather than guess.
func (f Format) Value(data []byte) (message.Value, error) {
	if len(data) != f.bytes {
		return message.Value{}, fmt.Errorf("the meter sent %d bytes where %s has %d", len(data), f, f.bytes)
	}
	data = slices.Clone(data)
	slices.Reverse(data)
	if f.kind == bits {
		return message.Uint(bigEndian(data)), nil // all ones is a state like any other
	}
	if !slices.ContainsFunc(data, func(c byte) bool { return c != 0xFF }) {
		return message.Value{}, errNotAvailable
	}
	if f.kind == characters {
		return textValue(data)
	}
	negative := f.signed && data[0]&0x80 != 0
	if negative {
		data[0] &^= 0x80
	}
	for _, c := range data {
		if !isBCD(c) {
			return message.Value{}, fmt.Errorf("the meter sent % X, which is not decimal as %s demands", data, f)
		}
	}
	switch f.kind {
	case number:
		return f.decimal(data, negative), nil
	case date:
		return dateValue(data)
	case clock:
		return clockValue(data)
	case moment:
		return f.moment(data)
	case digits:
		return message.Text(hex.EncodeToString(data)), nil
	}
	panic("bug: a format without a kind")
}

// decimal divides one integer by one power of ten, both exact in a float64, so that the quotient is
// the float64 nearest to the decimal and prints as it: 1234.56, never 1234.5600000000002.
func (f Format) decimal(data []byte, negative bool) message.Value {
	var n int64
	for _, c := range data {
		n = n*100 + int64(c>>4)*10 + int64(c&0xF)
	}
	if negative {
		n = -n // an integer has no negative zero to show
	}
	if f.decimals == 0 {
		return message.Int(n)
	}
	return message.Float64(float64(n) / math.Pow10(f.decimals))
}

func bigEndian(data []byte) (n uint64) {
	for _, c := range data {
		n = n<<8 | uint64(c)
	}
	return n
}

func textValue(data []byte) (message.Value, error) {
	text := strings.Trim(string(data), "\x00 ")
	for _, c := range []byte(text) {
		if c < 0x20 || c > 0x7E {
			return message.Value{}, fmt.Errorf("the meter sent % X, which is not ASCII text", data)
		}
	}
	return message.Text(text), nil
}

func dateValue(data []byte) (message.Value, error) {
	if data[1] < 0x01 || data[1] > 0x12 || data[2] < 0x01 || data[2] > 0x31 || data[3] > 0x07 {
		return message.Value{}, fmt.Errorf("the meter sent % X, which is no date", data)
	}
	return message.Text(fmt.Sprintf("20%02x-%02x-%02x", data[0], data[1], data[2])), nil
}

func clockValue(data []byte) (message.Value, error) {
	if data[0] > 0x23 || data[1] > 0x59 || data[2] > 0x59 {
		return message.Value{}, fmt.Errorf("the meter sent % X, which is no time of day", data)
	}
	return message.Text(fmt.Sprintf("%02x:%02x:%02x", data[0], data[1], data[2])), nil
}
