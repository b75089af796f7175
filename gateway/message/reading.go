package message

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// Reading is the outcome of one poll of one device: a value or an error for each point.
type Reading struct {
	Gateway, Device string
	Epoch, Seq      uint64
	Time            int64 // Unix milliseconds of the poll
	Unsynced        bool  // the clock was not trusted yet when Time was taken
	Points          []Point
}

// Point is one point's share of a reading. Error, when not empty, says in plain words why there is
// no value; with Held, Value is the last good one, which stands in for it.
type Point struct {
	Name  string
	Value Value
	Error string
	Held  bool
}

// Value is a typed value without an allocation for numbers. The zero Value is "absent".
type Value struct {
	kind kind
	bits uint64
	text string
}

type kind byte

const (
	absent kind = iota
	boolean
	signed
	unsigned
	single
	double
	text
)

// Bool, Int, Uint, Float32, Float64 and Text make values. Float32 keeps the shortest decimal form
// of a 32-bit float, so that 21.3 is not shown as 21.299999237060547.
func Bool(b bool) Value {
	if b {
		return Value{kind: boolean, bits: 1}
	}
	return Value{kind: boolean}
}

// Int makes a signed integer value.
func Int(n int64) Value { return Value{kind: signed, bits: uint64(n)} }

// Uint makes an unsigned integer value.
func Uint(n uint64) Value { return Value{kind: unsigned, bits: n} }

// Float32 makes a value that prints as a 32-bit float.
func Float32(f float32) Value { return Value{kind: single, bits: math.Float64bits(float64(f))} }

// Float64 makes a value that prints as a 64-bit float.
func Float64(f float64) Value { return Value{kind: double, bits: math.Float64bits(f)} }

// Text makes a string value.
func Text(s string) Value { return Value{kind: text, text: s} }

// Absent says that there is no value.
func (v Value) Absent() bool { return v.kind == absent }

// Finite says whether the value can be written as JSON: NaN and the infinities cannot.
func (v Value) Finite() bool {
	if v.kind != single && v.kind != double {
		return true
	}
	f := math.Float64frombits(v.bits)
	return !math.IsNaN(f) && !math.IsInf(f, 0)
}

// Float gives the value as a number; ok is false for text and absent values.
func (v Value) Float() (f float64, ok bool) {
	switch v.kind {
	case boolean, unsigned:
		return float64(v.bits), true
	case signed:
		return float64(int64(v.bits)), true
	case single, double:
		return math.Float64frombits(v.bits), true
	}
	return 0, false
}

// AsText gives the value of a text; ok is false for everything else.
func (v Value) AsText() (s string, ok bool) { return v.text, v.kind == text }

// Any gives the value as a bool, float64 or string; nil when absent. Integers beyond 2^53 lose digits.
func (v Value) Any() any {
	switch v.kind {
	case absent:
		return nil
	case boolean:
		return v.bits != 0
	case text:
		return v.text
	}
	f, _ := v.Float()
	return f
}

// AppendJSON appends the value as JSON: null when absent or not finite.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case boolean:
		return strconv.AppendBool(b, v.bits != 0)
	case signed:
		return strconv.AppendInt(b, int64(v.bits), 10)
	case unsigned:
		return strconv.AppendUint(b, v.bits, 10)
	case single, double:
		return v.appendFloat(b)
	case text:
		return appendString(b, v.text)
	}
	return append(b, "null"...)
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// String gives the value as it stands in JSON.
func (v Value) String() string { return string(v.AppendJSON(nil)) }

func (v Value) appendFloat(b []byte) []byte {
	if !v.Finite() {
		return append(b, "null"...)
	}
	f, bits := math.Float64frombits(v.bits), 64
	if v.kind == single {
		bits = 32
	}
	format := byte('f')
	if magnitude := math.Abs(f); magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21) {
		format = 'e' // as encoding/json does: plain digits where they stay readable
	}
	return strconv.AppendFloat(b, f, format, -1, bits)
}

// AppendJSON appends the reading in the form that goes to the cloud. It allocates only when b must
// grow. A value that JSON cannot hold becomes an error. A held value stands under values, and what is
// wrong under errors.
func (r *Reading) AppendJSON(b []byte) []byte {
	b = append(b, `{"gateway":`...)
	b = appendString(b, r.Gateway)
	b = append(b, `,"device":`...)
	b = appendString(b, r.Device)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendUint(b, r.Epoch, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, r.Seq, 10)
	b = append(b, `,"ts":`...)
	b = strconv.AppendInt(b, r.Time, 10)
	if r.Unsynced {
		b = append(b, `,"clock":"unsynced"`...)
	}
	b = append(b, `,"values":{`...)
	first := true
	for i := range r.Points {
		p := &r.Points[i]
		if p.problem() != "" && !p.Held {
			continue
		}
		b = appendKey(b, p.Name, &first)
		b = p.Value.AppendJSON(b)
	}
	b = append(b, '}')
	first = true
	for i := range r.Points {
		p := &r.Points[i]
		problem := p.problem()
		if problem == "" {
			continue
		}
		if first {
			b = append(b, `,"errors":{`...)
		}
		b = appendKey(b, p.Name, &first)
		b = appendString(b, problem)
	}
	if !first {
		b = append(b, '}')
	}
	return append(b, '}')
}

func (p *Point) problem() string {
	switch {
	case p.Error != "":
		return p.Error
	case p.Value.Absent():
		return "no value"
	case !p.Value.Finite():
		return "the device sent " + strconv.FormatFloat(math.Float64frombits(p.Value.bits), 'g', -1, 64)
	}
	return ""
}

func appendKey(b []byte, name string, first *bool) []byte {
	if !*first {
		b = append(b, ',')
	}
	*first = false
	b = appendString(b, name)
	return append(b, ':')
}

// appendString appends s as a JSON string. Plain text, which is nearly all there is, costs no
// allocation; anything that needs escaping goes through encoding/json.
func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c == 0x7f {
			return appendEscaped(b, s)
		}
	}
	if !utf8.ValidString(s) {
		return appendEscaped(b, s)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("bug: a string cannot fail to marshal: " + err.Error())
	}
	return append(b, quoted...)
}
