package payload

import (
	"encoding/json"
	"fmt"
	"strconv"

	"sluice/gateway/message"
)

// decimal is a number with a fraction. It prints as it does in JSON, without an exponent where digits
// stay readable, and is false in a template when it is 0.
type decimal float64

// String gives the number as it stands in JSON.
func (d decimal) String() string { return message.Float64(float64(d)).String() }

// goValue gives a point's value to templates: whole numbers stay exact.
func goValue(raw []byte) any {
	switch raw[0] {
	case '"':
		return text(raw)
	case 't', 'f':
		return raw[0] == 't'
	case '{', '[':
		var nested any
		if err := json.Unmarshal(raw, &nested); err != nil {
			return string(raw) // 10,000 levels deep
		}
		return nested
	}
	if integerDigits(raw) > 0 {
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
			return n
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return string(raw) // beyond what a float holds: its digits are all there is
	}
	return decimal(f)
}

// exprValue gives a point's value to expressions. All numbers are float64 there: expr computes with
// int, which has 32 bits on some gateways.
func exprValue(raw []byte) any {
	switch v := goValue(raw).(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case decimal:
		return float64(v)
	default:
		return v
	}
}

// number gives what a template compares.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case decimal:
		return float64(v), true
	}
	return 0, false
}

// whole gives a JSON number that is known to be whole. One beyond 63 bits gives the largest.
func whole(raw []byte) int64 {
	n, _ := strconv.ParseInt(string(raw), 10, 64)
	return n
}

// compare orders two values for a template: numbers of any kind, or texts.
func compare(a, b any) (int, error) {
	if exact, ok := compareWhole(a, b); ok {
		return exact, nil
	}
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return order(x < y, x > y), nil
	}
	s, okS := a.(string)
	t, okT := b.(string)
	if okS && okT {
		return order(s < t, s > t), nil
	}
	return 0, fmt.Errorf("cannot compare %s with %s", kindOf(a), kindOf(b))
}

func compareWhole(a, b any) (int, bool) {
	x, okX := a.(int64)
	y, okY := b.(int64)
	return order(x < y, x > y), okX && okY
}

func order(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

func kindOf(v any) string {
	if _, ok := number(v); ok {
		return "a number"
	}
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case bool:
		return "a boolean"
	}
	return "an object or list"
}
