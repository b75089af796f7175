package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// bounds checks min and max: of a number its value, of a text its characters, of a list its items.
// Without a min, times and sizes are not negative.
func (d *decoder) bounds(n *node, path string, v reflect.Value, f *field) {
	have, ok := measure(v)
	if !ok || v.Kind() == reflect.String && v.Len() == 0 && !f.required {
		return
	}
	low, high := math.Inf(-1), math.Inf(1)
	if v.Type() == durationType || v.Type() == ownDurationType {
		low = 0
	}
	if f.min != "" {
		low = bound(f.min, v.Type())
	}
	if f.max != "" {
		high = bound(f.max, v.Type())
	}
	if have < low || have > high {
		text := clip(n.text)
		if n.kind == list || n.kind == section {
			text = fmt.Sprintf("%v entries", have)
		}
		d.report(n.line, n.column, path, rangeMessage(text, f, v))
	}
}

func rangeMessage(have string, f *field, v reflect.Value) string {
	unit := ""
	switch {
	case isScalarType(v.Type()):
	case v.Kind() == reflect.String:
		unit, have = " characters", fmt.Sprintf("%d characters", len([]rune(v.String())))
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		unit = " entries"
	}
	switch {
	case f.min != "" && f.max != "":
		return fmt.Sprintf("%s is out of range; write %s to %s%s", have, f.min, f.max, unit)
	case f.max != "":
		return fmt.Sprintf("%s is too much; write at most %s%s", have, f.max, unit)
	case f.min != "":
		return fmt.Sprintf("%s is too little; write at least %s%s", have, f.min, unit)
	}
	return fmt.Sprintf("%s is negative; write at least 0", have)
}

// measure gives what bounds compare.
func measure(v reflect.Value) (float64, bool) {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(v.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(v.Uint()), true
	case reflect.Float32, reflect.Float64:
		return v.Float(), true
	case reflect.String:
		return float64(len([]rune(v.String()))), true
	case reflect.Slice, reflect.Map:
		return float64(v.Len()), true
	}
	return 0, false
}

// bound reads a min or max tag, in the written form of the field's type.
func bound(tag string, t reflect.Type) float64 {
	v := reflect.New(t).Elem()
	switch {
	case isScalarType(t) || t == durationType:
		if err := setText(v, tag); err != nil {
			panic("bug: a bound of " + t.String() + ": " + err.Error())
		}
		n, _ := measure(v)
		return n
	}
	n, err := strconv.ParseFloat(tag, 64)
	if err != nil {
		panic("bug: the bound " + tag + " of " + t.String() + " is not a number")
	}
	return n
}

// limits gives the least and the greatest value of a number type.
func limits(t reflect.Type) (low, high string) {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(-1<<(t.Bits()-1), 10), strconv.FormatInt(1<<(t.Bits()-1)-1, 10)
	case reflect.Float32:
		return fmt.Sprint(-math.MaxFloat32), fmt.Sprint(math.MaxFloat32)
	case reflect.Float64:
		return fmt.Sprint(-math.MaxFloat64), fmt.Sprint(math.MaxFloat64)
	}
	return "0", strconv.FormatUint(math.MaxUint64>>(64-t.Bits()), 10)
}
