package modbus

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/gateway/message"
)

// point is a Point made ready: where it lies and how its bytes become a value.
type point struct {
	span
	name     string
	kind     Type
	order    Order
	bit      int // of a register; -1 for none
	length   int // bytes of a string
	scale    float64
	offset   float64
	deadband float64
	unit     string
	writable bool

	reported      message.Value // last, for the deadband
	reportedFloat float64
	hasReported   bool
	raw, decoded  string // last string, which seldom changes
}

func newPoint(p *Point) point {
	out := point{
		span: span{area: p.Address.Area, start: int(p.Address.Number), count: registers[p.kind()]},
		name: p.Name, kind: p.kind(), order: p.Order, bit: -1, length: p.Length,
		scale: p.Scale, offset: p.Offset, deadband: p.Deadband,
		unit: p.Unit, writable: p.Access == "rw",
	}
	if out.scale == 0 {
		out.scale = 1
	}
	if p.Address.HasBit {
		out.bit = int(p.Address.Bit)
	}
	if out.kind == "string" {
		out.count = (p.Length + 1) / 2
	}
	return out
}

// cut finds the point's bytes in the data of a request that covers it. A single bit becomes a byte
// in scratch.
func (p *point) cut(data []byte, from span, scratch *[1]byte) []byte {
	at := p.start - from.start
	if !p.area.bits() {
		return data[2*at : 2*(at+p.count)]
	}
	scratch[0] = data[at/8] >> (at % 8) & 1
	return scratch[:]
}

// report decodes the point's bytes and holds small changes back.
func (p *point) report(raw []byte) message.Value {
	v := p.value(raw)
	if p.deadband <= 0 {
		return v
	}
	f, ok := v.Float()
	if !ok || !v.Finite() {
		return v
	}
	if p.hasReported && math.Abs(f-p.reportedFloat) < p.deadband {
		return p.reported
	}
	p.reported, p.reportedFloat, p.hasReported = v, f, true
	return v
}

// value decodes the point's bytes as they came from the wire.
func (p *point) value(raw []byte) message.Value {
	if p.area.bits() {
		return message.Bool(raw[0] != 0)
	}
	if p.kind == "string" {
		return message.Text(p.text(raw))
	}
	var buffer [8]byte
	b := buffer[:len(raw)]
	copy(b, raw)
	p.reorder(b)
	switch p.kind {
	case "bool":
		register := binary.BigEndian.Uint16(b)
		if p.bit >= 0 {
			return message.Bool(register>>p.bit&1 != 0)
		}
		return message.Bool(register != 0)
	case "int16":
		return p.signed(int64(int16(binary.BigEndian.Uint16(b))))
	case "int32":
		return p.signed(int64(int32(binary.BigEndian.Uint32(b))))
	case "int64":
		return p.signed(int64(binary.BigEndian.Uint64(b)))
	case "uint16":
		return p.unsigned(uint64(binary.BigEndian.Uint16(b)))
	case "uint32":
		return p.unsigned(uint64(binary.BigEndian.Uint32(b)))
	case "uint64":
		return p.unsigned(binary.BigEndian.Uint64(b))
	case "float32":
		f := math.Float32frombits(binary.BigEndian.Uint32(b))
		if p.scaled() {
			return message.Float64(p.scaledFloat(widen(f)))
		}
		return message.Float32(f)
	case "float64":
		f := math.Float64frombits(binary.BigEndian.Uint64(b))
		if p.scaled() {
			f = p.scaledFloat(f)
		}
		return message.Float64(f)
	}
	panic("bug: no decoder for " + string(p.kind))
}

func (p *point) signed(n int64) message.Value {
	if p.scaled() {
		return message.Float64(p.scaledFloat(float64(n)))
	}
	return message.Int(n)
}

func (p *point) unsigned(n uint64) message.Value {
	if p.scaled() {
		return message.Float64(p.scaledFloat(float64(n)))
	}
	return message.Uint(n)
}

func (p *point) scaled() bool { return p.scale != 1 || p.offset != 0 }

// scaledFloat divides by 10 rather than multiply by 0.1, which is not a binary number: 3 with a
// scale of 0.1 is 0.3, not 0.30000000000000004.
func (p *point) scaledFloat(f float64) float64 {
	if inverse := math.Round(1 / p.scale); inverse > 1 && 1/inverse == p.scale {
		return f/inverse + p.offset
	}
	return f*p.scale + p.offset
}

// widen keeps the decimal digits of a 32-bit float: 21.3 stays 21.3.
func widen(f float32) float64 {
	var buffer [32]byte
	wide, err := strconv.ParseFloat(string(strconv.AppendFloat(buffer[:0], float64(f), 'g', -1, 32)), 64)
	if err != nil {
		return float64(f) // NaN and infinities parse too, so this is for safety only
	}
	return wide
}

// reorder turns bytes from the wire into big endian, or back: it is its own inverse.
func (p *point) reorder(b []byte) {
	if p.order == "CDAB" || p.order == "DCBA" {
		slices.Reverse(b) // words and bytes
	}
	if p.order == "CDAB" || p.order == "BADC" {
		swapBytes(b)
	}
}

func swapBytes(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
}

// text decodes a string. Devices fill it up with NUL or spaces, and some put the low byte first.
func (p *point) text(raw []byte) string {
	if p.raw == string(raw) && p.raw != "" {
		return p.decoded
	}
	b := slices.Clone(raw)
	if p.order == "BADC" || p.order == "DCBA" {
		swapBytes(b)
	}
	s := strings.TrimRight(string(b[:min(len(b), p.length)]), "\x00 ")
	p.raw, p.decoded = string(raw), strings.ToValidUTF8(s, "\uFFFD")
	return p.decoded
}
