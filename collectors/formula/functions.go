package formula

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// builtins are expr's own functions that a formula may call: those whose result is never much larger
// than what they are given.
var builtins = map[string]bool{
	"abs": true, "ceil": true, "floor": true, "round": true, "max": true, "min": true, "mean": true,
	"len": true, "upper": true, "lower": true, "trim": true, "trimPrefix": true, "trimSuffix": true,
	"hasPrefix": true, "hasSuffix": true, "indexOf": true, "lastIndexOf": true, "split": true,
	"first": true, "last": true, "fromJSON": true,
}

// function is one of ours.
type function struct {
	name  string
	call  func(args ...any) (any, error)
	shape any // a pointer to a func of the same parameters and result, which expr checks calls by
}

type (
	unary  = func(any) float64
	binary = func(any, any) float64
)

var functions = []function{
	{"number", toNumber, new(unary)},
	{"int", mathOf(math.Trunc), new(unary)},
	{"sqrt", mathOf(math.Sqrt), new(unary)},
	{"exp", mathOf(math.Exp), new(unary)},
	{"ln", mathOf(math.Log), new(unary)},
	{"log10", mathOf(math.Log10), new(unary)},
	{"sin", mathOf(math.Sin), new(unary)},
	{"cos", mathOf(math.Cos), new(unary)},
	{"hex", fromHex, new(unary)},
	{"mod", mod, new(binary)},
	{"bit", bit, new(func(any, any) bool)},
	{"bits", bits, new(func(any, any, any) float64)},
	{"signed", signed, new(binary)},
}

// ours says whether the name is one of our functions, which go before expr's of the same name.
func ours(name string) bool {
	return slices.ContainsFunc(functions, func(f function) bool { return f.name == name })
}

func mathOf(f func(float64) float64) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		x, err := float(args[0])
		if err != nil {
			return nil, err
		}
		return f(x), nil
	}
}

func float(v any) (float64, error) {
	switch n := v.(type) {
	case float64:
		return n, nil
	case int:
		return float64(n), nil
	case bool:
		if n {
			return 1, nil
		}
		return 0, nil
	}
	return 0, fmt.Errorf("%s is not a number", show(v))
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "what has no value"
	case string:
		return strconv.Quote(v[:min(len(v), 40)])
	}
	return fmt.Sprintf("a %T", v)
}

// toNumber reads a text as a decimal number, as instruments print them: "+ 12.50 " is 12.5.
func toNumber(args ...any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		return float(args[0])
	}
	trimmed := strings.TrimSpace(text)
	if sign := trimmed[:min(1, len(trimmed))]; sign == "+" || sign == "-" {
		trimmed = sign + strings.TrimLeft(trimmed[1:], " ")
	}
	if trimmed == "" || strings.Trim(trimmed, "+-.0123456789eE") != "" {
		return nil, fmt.Errorf("%s is not a number", show(text))
	}
	f, err := strconv.ParseFloat(trimmed, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is not a number", show(text))
	}
	return f, nil
}

func fromHex(args ...any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("hex takes a text of hexadecimal digits, not %s", show(args[0]))
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 53)
	if err != nil {
		return nil, fmt.Errorf("%s is not a hexadecimal number of up to 53 bits", show(text))
	}
	return float64(n), nil
}

// mod has the sign of its divisor, as clocks and angles want it: -30 % 360 is 330.
func mod(args ...any) (any, error) {
	a, err := float(args[0])
	if err != nil {
		return nil, err
	}
	b, err := float(args[1])
	if err != nil {
		return nil, err
	}
	rest := math.Mod(a, b)
	if rest != 0 && (rest < 0) != (b < 0) {
		rest += b
	}
	return rest, nil
}

// wholeNumber takes what is exact in a float64 and not negative.
func wholeNumber(v any) (uint64, error) {
	f, err := float(v)
	if err != nil {
		return 0, err
	}
	if f != math.Trunc(f) || f < 0 || f > 1<<53 {
		return 0, fmt.Errorf("%v is not a whole number from 0 to 2**53", f)
	}
	return uint64(f), nil
}

func wholeNumbers(args []any) (n [3]uint64, err error) {
	for i, arg := range args {
		if n[i], err = wholeNumber(arg); err != nil {
			return n, err
		}
	}
	return n, nil
}

// bit(status, 3) is the bit that counts 8.
func bit(args ...any) (any, error) {
	n, err := wholeNumbers(args)
	if err != nil {
		return nil, err
	}
	return n[1] < 64 && n[0]>>n[1]&1 == 1, nil
}

// bits(status, 4, 3) is the number that bits 4 to 6 make.
func bits(args ...any) (any, error) {
	n, err := wholeNumbers(args)
	if err != nil {
		return nil, err
	}
	if n[1] > 63 || n[2] > 53 {
		return nil, fmt.Errorf("there are no %d bits from bit %d on", n[2], n[1])
	}
	return float64(n[0] >> n[1] & (1<<n[2] - 1)), nil
}

// signed(word, 16) takes the number as two's complement of so many bits.
func signed(args ...any) (any, error) {
	n, err := wholeNumbers(args)
	if err != nil {
		return nil, err
	}
	if n[1] < 1 || n[1] > 52 || n[0]>>n[1] != 0 {
		return nil, fmt.Errorf("%d is not a number of %d bits", n[0], n[1])
	}
	if n[0]>>(n[1]-1) == 0 {
		return float64(n[0]), nil
	}
	return float64(int64(n[0]) - 1<<n[1]), nil
}
