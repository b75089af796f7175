package custom

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// sizes tells how many bytes a type fills; 0: as many as the point's length says.
var sizes = map[string]int{
	"bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint24": 3, "int24": 3, "uint32": 4, "int32": 4,
	"uint64": 8, "int64": 8, "float32": 4, "float64": 8,
	"bcd": 0, "number": 0, "text": 0, "hex": 0,
}

// texts are the types that a found text may have.
var texts = map[string]bool{"number": true, "decimal-comma": true, "text": true, "hex": true}

// value is a point's value, as readings have it and as formulas do.
type value struct {
	shown   message.Value
	operand any // float64, bool or string
}

func integer(n int64) value          { return value{message.Int(n), float64(n)} }
func floating(f float64) value       { return value{message.Float64(f), f} }
func textual(s string) value         { return value{message.Text(s), s} }
func unsignedInteger(n uint64) value { return value{message.Uint(n), float64(n)} }

// codec turns bytes at a place into a value.
type codec struct {
	kind  string
	order string // ABCD, CDAB, BADC, DCBA; empty: ABCD
	bit   int    // of a bool; -1: any bit of the byte
	scaling
}

// scaling turns what is on the wire into what is meant.
type scaling struct{ scale, offset float64 }

func (s scaling) is() bool { return s.scale != 1 || s.offset != 0 }

// apply divides by 10 rather than multiply by 0.1, which is not a binary number.
func (s scaling) apply(v value) value {
	f, ok := v.operand.(float64)
	if !ok || !s.is() {
		return v
	}
	if inverse := math.Round(1 / s.scale); inverse > 1 && 1/inverse == s.scale {
		return floating(f/inverse + s.offset)
	}
	return floating(f*s.scale + s.offset)
}

// undo is apply backwards.
func (s scaling) undo(f float64) float64 {
	if inverse := math.Round(1 / s.scale); inverse > 1 && 1/inverse == s.scale {
		return (f - s.offset) * inverse
	}
	return (f - s.offset) / s.scale
}

// decode reads the value that b is.
func (c *codec) decode(b []byte) (value, error) {
	v, err := c.plain(b)
	if err != nil {
		return value{}, err
	}
	return c.apply(v), nil
}

func (c *codec) plain(raw []byte) (value, error) {
	switch c.kind {
	case "text":
		return textual(strings.Trim(latin(raw), "\x00 \r\n\t")), nil
	case "hex":
		return textual(strings.ToUpper(hex.EncodeToString(raw))), nil
	case "number":
		return parseNumber(latin(raw))
	case "bool":
		if c.bit >= 0 {
			on := raw[0]>>c.bit&1 != 0
			return value{message.Bool(on), on}, nil
		}
		return value{message.Bool(raw[0] != 0), raw[0] != 0}, nil
	}
	b := slices.Clone(raw)
	reorder(b, c.order)
	if c.kind == "bcd" {
		return decimalDigits(b)
	}
	n := wide(b)
	switch c.kind {
	case "uint8", "uint16", "uint24", "uint32", "uint64":
		return unsignedInteger(n), nil
	case "int8", "int16", "int24", "int32", "int64":
		unused := 64 - 8*len(b)
		return integer(int64(n<<unused) >> unused), nil
	case "float32":
		f := math.Float32frombits(uint32(n))
		return finite(value{message.Float32(f), widen(f)})
	case "float64":
		return finite(floating(math.Float64frombits(n)))
	}
	panic("bug: no decoder for " + c.kind)
}

var errNotFinite = errors.New("the device sent a float that is no number")

func finite(v value) (value, error) {
	if !v.shown.Finite() {
		return value{}, errNotFinite
	}
	return v, nil
}

// widen keeps the decimal digits of a 32-bit float: 21.3 stays 21.3.
func widen(f float32) float64 {
	wide, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return wide
}

func wide(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// decimalDigits reads packed digits, the highest first.
func decimalDigits(b []byte) (value, error) {
	var n int64
	for _, c := range b {
		if c>>4 > 9 || c&0xF > 9 {
			return value{}, fmt.Errorf("the device sent % X, which is not decimal", b)
		}
		n = n*100 + int64(c>>4)*10 + int64(c&0xF)
	}
	return integer(n), nil
}

// reorder turns bytes from the wire into big endian, or back: it is its own inverse.
func reorder(b []byte, order string) {
	if order == "CDAB" || order == "DCBA" {
		slices.Reverse(b)
	}
	if (order == "CDAB" || order == "BADC") && len(b)%2 == 0 { // three bytes have no halves
		for i := 0; i+1 < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}
}

// parse reads a text that was found.
func parse(kind, text string) (value, error) {
	switch kind {
	case "text":
		return textual(strings.Trim(text, "\x00 \r\n\t")), nil
	case "hex":
		n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return value{}, fmt.Errorf("%q is not a hexadecimal number", text)
		}
		return unsignedInteger(n), nil
	case "decimal-comma":
		if strings.Contains(text, ".") || strings.Count(text, ",") > 1 {
			return value{}, fmt.Errorf("%q is not a number with a decimal comma", text)
		}
		return parseNumber(strings.Replace(text, ",", ".", 1))
	}
	return parseNumber(text)
}

// parseNumber reads a decimal number as instruments print them: "+   12.50 " is 12.5.
func parseNumber(text string) (value, error) {
	trimmed := strings.Trim(text, "\x00 \r\n\t")
	if sign := trimmed[:min(1, len(trimmed))]; sign == "+" || sign == "-" {
		trimmed = sign + strings.TrimLeft(trimmed[1:], " ")
	}
	if n, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
		return integer(n), nil
	}
	f, err := strconv.ParseFloat(trimmed, 64)
	if err != nil || strings.Trim(trimmed, "+-.0123456789eE") != "" {
		return value{}, fmt.Errorf("%q is not a number", text)
	}
	return floating(f), nil
}

// encode is the inverse of plain for numbers; what does not fit is refused.
func encode(kind, order string, f float64) ([]byte, error) {
	size := sizes[kind]
	var n uint64
	switch kind {
	case "float32":
		if math.IsInf(float64(float32(f)), 0) {
			return nil, fmt.Errorf("%v does not fit %s", f, kind)
		}
		n = uint64(math.Float32bits(float32(f)))
	case "float64":
		n = math.Float64bits(f)
	default:
		rounded := math.Round(f)
		low, high := 0.0, math.Ldexp(1, 8*size)
		if strings.HasPrefix(kind, "int") {
			low, high = -high/2, high/2
		}
		if rounded < low || rounded >= high {
			return nil, fmt.Errorf("%v does not fit %s", f, kind)
		}
		n = uint64(int64(rounded))
		if rounded >= 1<<63 {
			n = uint64(rounded)
		}
	}
	b := binary.BigEndian.AppendUint64(nil, n)[8-size:]
	reorder(b, order)
	return b, nil
}

// encodeDigits packs a whole number into so many bytes of two digits.
func encodeDigits(size int, order string, f float64) ([]byte, error) {
	rounded := math.Round(f)
	if rounded < 0 || rounded >= math.Pow10(2*size) {
		return nil, fmt.Errorf("%v does not fit %d digits", f, 2*size)
	}
	n := uint64(rounded)
	b := make([]byte, size)
	for i := size - 1; i >= 0; i-- {
		b[i] = byte(n%10 | n/10%10<<4)
		n /= 100
	}
	reorder(b, order)
	return b, nil
}
