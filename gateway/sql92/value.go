package sql92

import (
	"cmp"
	"strings"
)

type kind byte

const (
	missing   kind = iota // NULL, a property that the message does not have, unknown
	failed                // a text that does not convert to a number: the expression as a whole has no result
	boolean               // truth
	integer32             // whole
	integer64             // whole
	decimal               // real
	text                  // text
)

// value is what a node gives for one message.
type value struct {
	kind  kind
	truth bool
	whole int64
	real  float64
	text  string
}

var (
	failure   = value{kind: failed}
	falsehood = value{kind: boolean}
)

func truthOf(truth bool) value { return value{kind: boolean, truth: truth} }

// not leaves unknown and failed as they are.
func (v value) not() value {
	if v.kind == boolean {
		v.truth = !v.truth
	}
	return v
}

// negative is missing for what is no number. Literals have no sign, so that no integer can overflow.
func (v value) negative() value {
	switch v.kind {
	case failed:
	case integer32, integer64:
		v.whole = -v.whole
	case decimal:
		v.real = -v.real
	default:
		return value{}
	}
	return v
}

func (v value) isNumber() bool { return v.kind >= integer32 && v.kind <= decimal }

// equal is v = other. The sides are not alike: only a missing left one is unknown, and only a text on the
// left converts to a boolean.
func (v value) equal(other value) value {
	switch {
	case v.kind == missing && other.kind == missing:
		return truthOf(true)
	case v.kind == missing:
		return value{}
	case other.kind == missing:
		return falsehood
	case v.kind == text && other.kind == text:
		return truthOf(v.text == other.text)
	case v.kind == text && other.kind == boolean:
		return truthOf(strings.EqualFold(v.text, "true") == other.truth)
	case v.kind == boolean && other.kind == text:
		return failure
	case v.kind == boolean && other.kind == boolean:
		return truthOf(v.truth == other.truth)
	case v.kind == boolean || other.kind == boolean:
		return falsehood
	}
	order, ok := v.compare(other)
	if !ok {
		return failure
	}
	return truthOf(order == 0)
}

// ordered is v < other or v > other.
func (v value) ordered(op operation, other value) value {
	if v.kind == missing || other.kind == missing {
		return value{}
	}
	order, ok := v.compare(other)
	if !ok {
		return failure
	}
	return truthOf(op == less && order < 0 || op == greater && order > 0)
}

// compare orders numbers and what converts to numbers: a text next to a number takes its kind, two texts
// are decimals.
func (v value) compare(other value) (order int, ok bool) {
	switch {
	case v.kind == text && other.kind == text:
		v, other = v.convert(decimal), other.convert(decimal)
	case v.kind == text:
		v = v.convert(other.kind)
	case other.kind == text:
		other = other.convert(v.kind)
	}
	switch {
	case !v.isNumber() || !other.isNumber():
		return 0, false
	case v.kind == decimal || other.kind == decimal:
		return compareReal(v.asReal(), other.asReal()), true
	}
	return cmp.Compare(v.whole, other.whole), true
}

func (v value) convert(to kind) value {
	if to == decimal {
		if real, ok := parseDecimal(v.text); ok {
			return value{kind: decimal, real: real}
		}
		return failure
	}
	if whole, ok := parseInteger(v.text, to); ok {
		return value{kind: to, whole: whole}
	}
	return failure
}

func (v value) asReal() float64 {
	if v.kind == decimal {
		return v.real
	}
	return float64(v.whole)
}

// compareReal puts NaN above all others, as Java does; cmp.Compare puts it below.
func compareReal(a, b float64) int {
	if a != a || b != b {
		return cmp.Compare(b2i(a != a), b2i(b != b))
	}
	return cmp.Compare(a, b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
