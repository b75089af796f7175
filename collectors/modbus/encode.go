package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// encode turns a command's JSON value into the bytes that the point has on the wire. What the point
// cannot hold is refused, not bent. Where the point is a part of its register the rest is zero: see
// mask.
func (p *point) encode(value json.RawMessage) ([]byte, error) {
	switch p.class {
	case characters:
		return p.encodeText(value)
	case octets:
		return p.encodeHex(value)
	case floating:
		return p.encodeFloat(value)
	}
	number, err := p.encodeWhole(value)
	if err != nil {
		return nil, err
	}
	return p.lay(number), nil
}

// lay puts a whole number, or a truth value as 0 or 1, where it belongs.
func (p *point) lay(number uint64) []byte {
	switch {
	case p.area.bits():
		return []byte{byte(number)}
	case p.class == truth:
		number <<= max(p.bit, 0)
	case p.half == 'h':
		number = number & 0xFF << 8
	case p.half == 'l':
		number &= 0xFF
	case p.class == decimal:
		number = toBCD(number)
	}
	b := binary.BigEndian.AppendUint64(nil, number)[8-2*p.count:]
	reorder(b, p.swaps)
	return b
}

func toBCD(n uint64) uint64 {
	var out uint64
	for at := 0; n != 0; at += 4 {
		out |= n % 10 << at
		n /= 10
	}
	return out
}

// mask gives the bits of the register that belong to the point, in the order of the wire. partial
// says that there are others, which a write must leave alone. The registers of a text are its own,
// even where it fills but half of each.
func (p *point) mask() (mask uint16, partial bool) {
	switch {
	case p.area.bits() || p.class == characters:
		return 0xFFFF, false
	case p.bit >= 0:
		mask = 1 << p.bit
	case p.half == 'h':
		mask = 0xFF00
	case p.half == 'l':
		mask = 0x00FF
	default:
		return 0xFFFF, false
	}
	if p.swaps&swapBytes != 0 {
		mask = mask<<8 | mask>>8
	}
	return mask, true
}

func (p *point) encodeText(value json.RawMessage) ([]byte, error) {
	s, err := textOf(value)
	if err != nil {
		return nil, err
	}
	if len(s) > p.length {
		return nil, fmt.Errorf("the text has %d bytes, %d fit", len(s), p.length)
	}
	b := make([]byte, 2*p.count)
	if p.half == 0 {
		copy(b, s)
	} else {
		for i := range len(s) {
			b[2*i+p.halfAt()] = s[i]
		}
	}
	reorder(b, p.swaps)
	return b, nil
}

func (p *point) encodeHex(value json.RawMessage) ([]byte, error) {
	s, err := textOf(value)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal", clip(value))
	}
	if len(b) != p.length {
		return nil, fmt.Errorf("the data has %d bytes, the point has %d", len(b), p.length)
	}
	return b, nil
}

func textOf(value json.RawMessage) (string, error) {
	var s *string
	if err := json.Unmarshal(value, &s); err != nil || s == nil {
		return "", fmt.Errorf("%s is not a text", clip(value))
	}
	return *s, nil
}

func (p *point) encodeFloat(value json.RawMessage) ([]byte, error) {
	f, err := p.unscale(value)
	if err != nil {
		return nil, err
	}
	narrow := float32(f)
	if math.IsInf(f, 0) || p.bytes == 4 && (math.IsInf(float64(narrow), 0) || narrow == 0 && f != 0) {
		return nil, fmt.Errorf("%s does not fit %s", clip(value), p.kind)
	}
	b := binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
	if p.bytes == 4 {
		b = binary.BigEndian.AppendUint32(nil, math.Float32bits(narrow))
	}
	reorder(b, p.swaps)
	return b, nil
}

// encodeWhole gives the number that stands for the value, in two's complement if it is negative.
func (p *point) encodeWhole(value json.RawMessage) (uint64, error) {
	switch {
	case p.names != nil && len(value) > 0 && value[0] == '"':
		s, err := textOf(value)
		if err != nil {
			return 0, err
		}
		return p.names.parse(s, p.form)
	case p.class == truth && (p.names == nil || string(value) == "true" || string(value) == "false"):
		var on bool
		if err := json.Unmarshal(value, &on); err != nil || string(value) == "null" {
			return 0, fmt.Errorf("%s is not true or false", clip(value))
		}
		if on {
			return 1, nil
		}
		return 0, nil
	case p.scale == 1 && p.offset == 0:
		return p.exact(value)
	}
	return p.nearest(value)
}

// exact takes a whole number as it is written, 42.0 and 4.2e1 too.
func (p *point) exact(value json.RawMessage) (uint64, error) {
	low, high := p.bounds()
	digits := string(value)
	if whole, zeros, found := strings.Cut(digits, "."); found && zeros != "" && strings.Trim(zeros, "0") == "" {
		digits = whole
	}
	if n, err := strconv.ParseUint(digits, 10, 64); err == nil && n <= high {
		return n, nil
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n < 0 && n >= low {
		return uint64(n), nil
	}
	f, err := p.unscale(value)
	switch {
	case err != nil:
		return 0, err
	case f < float64(low) || f >= float64(high)+1:
		return 0, fmt.Errorf("%s does not fit %s", clip(value), p.kind)
	case f != math.Trunc(f):
		return 0, fmt.Errorf("%s is not a whole number", clip(value))
	case math.Abs(f) >= 1<<53: // it stands for its neighbours too
		return 0, fmt.Errorf("%s has to be written in plain digits", clip(value))
	case f < 0:
		return uint64(int64(f)), nil
	}
	return uint64(f), nil
}

// nearest undoes scale and offset. Values come from decimal numbers and from computations, so a
// thousandth of a step is forgiven; what lies between two steps is refused.
func (p *point) nearest(value json.RawMessage) (uint64, error) {
	low, high := p.bounds()
	f, err := p.unscale(value)
	if err != nil {
		return 0, err
	}
	steps := math.Round(f)
	switch {
	case steps < float64(low) || steps >= float64(high)+1:
		return 0, fmt.Errorf("%s does not fit %s", clip(value), p.kind)
	case math.Abs(steps-f) > 0.001+math.Abs(f)*1e-15:
		return 0, fmt.Errorf("%s cannot be told exactly; the nearest that can is %v", clip(value), p.adjust(steps))
	case steps < 0:
		return uint64(int64(steps)), nil
	}
	return uint64(steps), nil
}

// unscale undoes scale and offset.
func (p *point) unscale(value json.RawMessage) (float64, error) {
	var f *float64
	if err := json.Unmarshal(value, &f); err != nil || f == nil {
		return 0, fmt.Errorf("%s is not a number", clip(value))
	}
	if inverse := math.Round(1 / p.scale); inverse > 1 && 1/inverse == p.scale {
		return (*f - p.offset) * inverse, nil
	}
	return (*f - p.offset) / p.scale, nil
}
