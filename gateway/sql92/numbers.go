package sql92

import (
	"math"
	"strconv"
	"strings"
)

// parseInteger reads a property as Java's Integer.valueOf or Long.valueOf does: a sign and digits,
// nothing else. It allocates nothing, since most properties that are asked are no numbers.
func parseInteger(s string, as kind) (int64, bool) {
	limit := uint64(math.MaxInt32)
	if as == integer64 {
		limit = math.MaxInt64
	}
	digits, negative := cutSign(s)
	if negative {
		limit++
	}
	if digits == "" {
		return 0, false
	}
	var n uint64
	for i := range len(digits) {
		if !digit(digits[i]) {
			return 0, false
		}
		d := uint64(digits[i] - '0')
		if n > (limit-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}

// parseDecimal reads a property as Java's Double.valueOf does: blanks around it, a suffix d or f,
// hexadecimal with an exponent, NaN and Infinity; what is too large is infinite.
func parseDecimal(s string) (float64, bool) {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	magnitude, negative := cutSign(s)
	switch magnitude {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		if negative {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	length := decimalLength(magnitude)
	if length == 0 {
		return 0, false
	}
	if rest := magnitude[length:]; rest != "" && rest != "d" && rest != "D" && rest != "f" && rest != "F" {
		return 0, false
	}
	// The form is right, so that the only error left is the range, for which the value is infinite.
	v, _ := strconv.ParseFloat(magnitude[:length], 64)
	if negative {
		v = -v
	}
	return v, true
}

// decimalLength is the length of the unsigned number that s begins with, 0 if it begins with none.
func decimalLength(s string) int {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return hexLength(s)
	}
	length, digits := mantissa(s, digit)
	if digits == 0 {
		return 0
	}
	return length + exponent(s[length:])
}

// hexLength is decimalLength for what begins with 0x: there the exponent is not optional.
func hexLength(s string) int {
	length, digits := mantissa(s[2:], hexDigit)
	length += 2
	if digits == 0 || length == len(s) || s[length]|0x20 != 'p' {
		return 0
	}
	length++
	if length < len(s) && (s[length] == '+' || s[length] == '-') {
		length++
	}
	power := span(s[length:], digit)
	if power == 0 {
		return 0
	}
	return length + power
}

// mantissa measures digits with at most one point among them.
func mantissa(s string, sort func(byte) bool) (length, digits int) {
	length = span(s, sort)
	digits = length
	if length < len(s) && s[length] == '.' {
		length++
		fraction := span(s[length:], sort)
		length, digits = length+fraction, digits+fraction
	}
	return length, digits
}

func hexDigit(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func cutSign(s string) (rest string, negative bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[1:], s[0] == '-'
	}
	return s, false
}
