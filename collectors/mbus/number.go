package mbus

import (
	"math"
	"strconv"

	"sluice/gateway/message"
)

// number is what a record's data says before its unit: an integer, a 32-bit float, or a text.
type number struct {
	integer    int64
	unsigned   uint64
	single     float32
	text       string
	isUnsigned bool
	isReal     bool
	isText     bool
}

// scale is what a VIF says about a number: its unit and a power of ten.
type scale struct {
	exponent int
	unit     unit
}

// in gives the number in a unit of the same dimension. All decimal factors are gathered into one
// multiplication or division of exact numbers, so that the result is the float64 nearest to the
// decimal and prints as it: 54.321, never 54.321000000000005.
func (n number) in(s scale, to unit) (message.Value, error) {
	if n.isText {
		return message.Text(n.text), nil
	}
	multiply, divide := s.unit.times*to.per, s.unit.per*to.times
	common := gcd(multiply, divide)
	multiply, divide = multiply/common, divide/common
	exponent := s.exponent + s.unit.exponent - to.exponent
	if multiply == 1 && divide == 1 && exponent == 0 && s.unit.zero == to.zero {
		return n.plain(), nil
	}
	if v, ok := n.whole(multiply, divide, exponent); ok && s.unit.zero == to.zero {
		return v, nil
	}
	v := n.float()
	if s.unit.zero != to.zero {
		// Degrees: through the common zero, in units of the source.
		v += s.unit.zero / math.Pow10(s.exponent)
	}
	v = ratio(v, multiply, divide, exponent)
	if s.unit.zero != to.zero {
		v = math.Round((v-to.zero)*1e9) / 1e9
	}
	return message.Float64(v), nil
}

func ratio(v float64, multiply, divide int64, exponent int) float64 {
	v *= float64(multiply)
	d := float64(divide)
	if exponent >= 0 {
		return v * math.Pow10(exponent) / d
	}
	return v / (d * math.Pow10(-exponent))
}

// plain is the number as it came.
func (n number) plain() message.Value {
	switch {
	case n.isReal:
		return message.Float32(n.single)
	case n.isUnsigned:
		return message.Uint(n.unsigned)
	}
	return message.Int(n.integer)
}

// whole gives the result as an integer when it is one and cannot be too large.
func (n number) whole(multiply, divide int64, exponent int) (message.Value, bool) {
	const most = 1 << 53
	if n.isReal || n.isUnsigned || divide != 1 || exponent < 0 || exponent > 15 {
		return message.Value{}, false
	}
	factor := float64(multiply) * math.Pow10(exponent)
	if product := float64(n.integer) * factor; math.Abs(product) > most || factor > most {
		return message.Value{}, false
	}
	return message.Int(n.integer * int64(factor)), true
}

// float gives the number as a float64. A 32-bit float counts as the shortest decimal that it stands
// for, which is what the meter shows.
func (n number) float() float64 {
	switch {
	case n.isReal:
		f, err := strconv.ParseFloat(strconv.FormatFloat(float64(n.single), 'g', -1, 32), 64)
		if err != nil {
			return float64(n.single)
		}
		return f
	case n.isUnsigned:
		return float64(n.unsigned)
	}
	return float64(n.integer)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
