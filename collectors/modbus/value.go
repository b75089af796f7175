package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sluice/collectors"
	"sluice/gateway/message"
)

// point is a Point made ready: where it lies and how its bytes become a value.
type point struct {
	span
	form
	name      string
	kind      Type
	swaps     int
	bit       int  // of a register; -1 for none
	half      byte // 'h' or 'l': one byte of each register counts
	length    int  // bytes of a text
	scale     float64
	offset    float64
	precision int // digits behind the decimal point; -1 for all
	names     *names
	spec      collectors.Spec
	writable  bool

	shown    string // the text of the bytes in shownRaw, which seldom change
	shownRaw string
}

func newPoint(p *Point) point {
	kind := p.kind()
	form := kind.form()
	out := point{
		span: p.span(), form: form, name: p.Name, kind: kind, swaps: p.Order.swaps(form.bytes),
		bit: -1, half: p.Address.Byte, length: p.Length, scale: p.Scale, offset: p.Offset, precision: -1,
		spec: collectors.Spec{Name: p.Name, Unit: p.Unit, Policy: p.Policy, Writable: p.Access == "rw"}, writable: p.Access == "rw",
	}
	if out.scale == 0 {
		out.scale = 1
	}
	if p.Precision != nil {
		out.precision = *p.Precision
	}
	if p.Address.HasBit {
		out.bit = int(p.Address.Bit)
	}
	if form.bytes == 1 && out.half == 0 {
		out.half = 'l'
	}
	validated := func(string) {}
	switch {
	case len(p.Enum) > 0:
		out.names = enumNames(p.Enum, form, validated)
	case len(p.Bits) > 0:
		out.names = bitNames(p.Bits, form, validated)
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

// written gives the point's bytes for people: registers in hex digits, a bit as 0 or 1.
func (p *point) written(raw []byte) string {
	if p.area.bits() {
		return strconv.Itoa(int(raw[0]))
	}
	var b []byte
	for at := 0; at+1 < len(raw); at += 2 {
		if at > 0 {
			b = append(b, ' ')
		}
		b = fmt.Appendf(b, "%02X%02X", raw[at], raw[at+1])
	}
	return string(b)
}

// fill gives the point's share of a reading: its value, or why its bytes are none.
func (p *point) fill(out *message.Point, raw []byte) {
	v, err := p.decode(raw)
	if err != nil {
		out.Value, out.Error = message.Value{}, err.Error()
		return
	}
	out.Value, out.Error = v, ""
}

// value is decode's for those who only show it: absent when the bytes are no value.
func (p *point) value(raw []byte) message.Value {
	v, err := p.decode(raw)
	if err != nil {
		return message.Value{}
	}
	return v
}

// decode makes a value of the point's bytes as they came from the wire.
func (p *point) decode(raw []byte) (message.Value, error) {
	switch p.class {
	case characters:
		return message.Text(p.remembered(raw, p.text)), nil
	case octets:
		return message.Text(p.remembered(raw, hex.EncodeToString)), nil
	case floating:
		return p.float(raw), nil
	}
	number, err := p.number64(raw)
	switch {
	case err != nil:
		return message.Value{}, err
	case p.names != nil:
		return message.Text(p.remembered(raw, func([]byte) string { return p.names.show(number, p.form) })), nil
	case p.class == truth:
		return message.Bool(number != 0), nil
	case p.class == signed && p.plain():
		return message.Int(int64(number)), nil
	case p.class == signed:
		return message.Float64(p.adjust(float64(int64(number)))), nil
	case p.plain():
		return message.Uint(number), nil
	}
	return message.Float64(p.adjust(float64(number))), nil
}

// number64 gives a whole number, in two's complement if it is negative, or a truth value as 0 or 1.
func (p *point) number64(raw []byte) (uint64, error) {
	if len(raw) == 1 { // a coil
		return uint64(raw[0]), nil
	}
	n := p.bigEndian(raw)
	switch {
	case p.class == truth && p.bit >= 0:
		return n >> p.bit & 1, nil
	case p.class == truth:
		return min(n, 1), nil
	case p.half == 'h':
		n >>= 8
	case p.half == 'l':
		n &= 0xFF
	}
	switch p.class {
	case signed:
		unused := 64 - 8*p.bytes
		return uint64(int64(n<<unused) >> unused), nil
	case decimal:
		return fromBCD(n, p.bytes)
	}
	return n, nil
}

// bigEndian puts up to eight bytes from the wire in order.
func (p *point) bigEndian(raw []byte) uint64 {
	var buffer [8]byte
	b := buffer[:len(raw)]
	copy(b, raw)
	reorder(b, p.swaps)
	switch len(b) {
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

func fromBCD(n uint64, bytes int) (uint64, error) {
	var out uint64
	for at := 8*bytes - 4; at >= 0; at -= 4 {
		digit := n >> at & 0xF
		if digit > 9 {
			return 0, fmt.Errorf("the device sent %0*X, which is not a decimal number", 2*bytes, n)
		}
		out = 10*out + digit
	}
	return out, nil
}

func (p *point) float(raw []byte) message.Value {
	n := p.bigEndian(raw)
	if p.bytes == 8 {
		return message.Float64(p.adjust(math.Float64frombits(n)))
	}
	f := math.Float32frombits(uint32(n))
	if p.plain() {
		return message.Float32(f)
	}
	return message.Float64(p.adjust(widen(f)))
}

// plain says that the number is taken as it comes.
func (p *point) plain() bool { return p.scale == 1 && p.offset == 0 && p.precision < 0 }

// adjust divides by 10 rather than multiply by 0.1, which is not a binary number: 3 with a scale of
// 0.1 is 0.3, not 0.30000000000000004.
func (p *point) adjust(f float64) float64 {
	if inverse := math.Round(1 / p.scale); inverse > 1 && 1/inverse == p.scale {
		f = f/inverse + p.offset
	} else {
		f = f*p.scale + p.offset
	}
	if p.precision < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	f = reparse(f, 'f', p.precision, 64)
	if f == 0 {
		return 0 // and not -0
	}
	return f
}

// widen keeps the decimal digits of a 32-bit float: 21.3 stays 21.3.
func widen(f float32) float64 { return reparse(float64(f), 'g', -1, 32) }

// reparse gives the number that f is when it is written so.
func reparse(f float64, format byte, digits, bits int) float64 {
	var buffer [32]byte
	again, err := strconv.ParseFloat(string(strconv.AppendFloat(buffer[:0], f, format, digits, bits)), 64)
	if err != nil {
		return f // NaN and infinities parse too, so this is for safety only
	}
	return again
}

// remembered spares the making of a text as long as its bytes are those of the last time.
func (p *point) remembered(raw []byte, show func([]byte) string) string {
	if p.shownRaw != string(raw) {
		p.shown, p.shownRaw = show(raw), string(raw)
	}
	return p.shown
}

// text decodes a string. Devices fill it up with NUL or spaces, some put the low byte first and some
// one character into each register.
func (p *point) text(raw []byte) string {
	b := slices.Clone(raw)
	reorder(b, p.swaps)
	if p.half != 0 {
		for i := range p.count {
			b[i] = b[2*i+p.halfAt()]
		}
	}
	s := strings.TrimRight(string(b[:min(len(b), p.length)]), "\x00 ")
	return strings.ToValidUTF8(s, "\uFFFD")
}

// halfAt tells which of a register's bytes, in order, is the one that counts.
func (p *point) halfAt() int {
	if p.half == 'l' {
		return 1
	}
	return 0
}
