package modbus

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// encode turns a command's JSON value into the bytes that the point has on the wire. What the point
// cannot hold is refused, not bent.
func (p *point) encode(value json.RawMessage) ([]byte, error) {
	switch p.kind {
	case "bool":
		var on bool
		if err := json.Unmarshal(value, &on); err != nil || string(value) == "null" {
			return nil, fmt.Errorf("%s is not true or false", clip(value))
		}
		return p.encodeBool(on), nil
	case "string":
		return p.encodeText(value)
	case "float32", "float64":
		return p.encodeFloat(value)
	}
	return p.encodeInteger(value)
}

func (p *point) encodeBool(on bool) []byte {
	b := make([]byte, 2)
	if on {
		b[1] = 1
	}
	if p.area.bits() {
		return b[1:]
	}
	p.reorder(b)
	return b
}

func (p *point) encodeText(value json.RawMessage) ([]byte, error) {
	var s *string
	if err := json.Unmarshal(value, &s); err != nil || s == nil {
		return nil, fmt.Errorf("%s is not a text", clip(value))
	}
	if len(*s) > p.length {
		return nil, fmt.Errorf("the text has %d bytes, %d fit", len(*s), p.length)
	}
	b := make([]byte, 2*p.count)
	copy(b, *s)
	if p.order == "BADC" || p.order == "DCBA" {
		swapBytes(b)
	}
	return b, nil
}

func (p *point) encodeFloat(value json.RawMessage) ([]byte, error) {
	f, err := p.unscale(value)
	if err != nil {
		return nil, err
	}
	var b []byte
	if p.kind == "float64" {
		b = binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
	} else {
		if math.IsInf(float64(float32(f)), 0) {
			return nil, fmt.Errorf("%s does not fit %s", clip(value), p.kind)
		}
		b = binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f)))
	}
	p.reorder(b)
	return b, nil
}

func (p *point) encodeInteger(value json.RawMessage) ([]byte, error) {
	n, err := p.integer(value)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint64(nil, n)[8-2*p.count:]
	p.reorder(b)
	return b, nil
}

// integer gives the value in two's complement, exactly where the point is not scaled.
func (p *point) integer(value json.RawMessage) (uint64, error) {
	bits := 16 * p.count
	unsigned := strings.HasPrefix(string(p.kind), "u")
	written := string(value)
	if !p.scaled() {
		if unsigned {
			if n, err := strconv.ParseUint(written, 10, bits); err == nil {
				return n, nil
			}
		} else if n, err := strconv.ParseInt(written, 10, bits); err == nil {
			return uint64(n), nil
		}
	}
	f, err := p.unscale(value)
	if err != nil {
		return 0, err
	}
	rounded := math.Round(f)
	if !p.scaled() && rounded != f {
		return 0, fmt.Errorf("%s is not a whole number", clip(value))
	}
	low, high := -math.Ldexp(1, bits-1), math.Ldexp(1, bits-1)
	if unsigned {
		low, high = 0, math.Ldexp(1, bits)
	}
	if rounded < low || rounded >= high {
		return 0, fmt.Errorf("%s does not fit %s", clip(value), p.kind)
	}
	if unsigned {
		return uint64(rounded), nil
	}
	return uint64(int64(rounded)), nil
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
