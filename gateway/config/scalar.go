package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decodeText fills a type that reads its own written form.
func (d *decoder) decodeText(n *node, path string, v reflect.Value, f *field) {
	if !n.scalar() {
		d.wrongKind(n, path, v.Type(), f)
		return
	}
	if !d.possible(n, path, v, f) {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		d.report(n.line, n.column, path, err.Error())
		return
	}
	d.bounds(n, path, v, f)
}

// decodeScalar fills a number, a truth value or a text. A number is taken as text where text is
// wanted, as it stands in the file with its leading zeros: meters and registers are numbered.
func (d *decoder) decodeScalar(n *node, path string, v reflect.Value, f *field) {
	if !d.possible(n, path, v, f) {
		return
	}
	fits := false
	switch {
	case v.Type() == durationType:
		fits = n.scalar()
	case v.Kind() == reflect.String:
		fits = n.kind == text || n.kind == integer || n.kind == float
	case v.Kind() == reflect.Bool:
		fits = n.kind == boolean
	case v.Kind() == reflect.Float32 || v.Kind() == reflect.Float64:
		fits = n.kind == float || n.kind == integer
	default:
		fits = n.kind == integer
	}
	if !fits {
		d.wrongKind(n, path, v.Type(), f)
		return
	}
	if err := setText(v, n.text); err != nil {
		d.report(n.line, n.column, path, d.outOfRange(n, v, f, err))
		return
	}
	d.bounds(n, path, v, f)
	if v.Kind() == reflect.String {
		d.checkString(n, path, v, f)
	}
}

func (d *decoder) outOfRange(n *node, v reflect.Value, f *field, err error) string {
	if !errors.Is(err, strconv.ErrRange) {
		return err.Error()
	}
	if f.min == "" && f.max == "" {
		low, high := limits(v.Type())
		return fmt.Sprintf("%s is out of range; write a number from %s to %s", clip(n.text), low, high)
	}
	return rangeMessage(clip(n.text), f, v)
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

// setText gives v the value that s stands for: from a file, or from a default tag.
func setText(v reflect.Value, s string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	if v.Type() == durationType {
		var span Duration
		err := span.UnmarshalText([]byte(s))
		v.SetInt(int64(time.Duration(span)))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(strings.EqualFold(s, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		base, digits, err := baseOf(s)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(digits, base, v.Type().Bits())
		if err != nil {
			return err
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		base, digits, err := baseOf(s)
		if err != nil {
			return err
		}
		if strings.HasPrefix(digits, "-") {
			return strconv.ErrRange
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(digits, "+"), base, v.Type().Bits())
		if err != nil {
			return err
		}
		v.SetUint(n)
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(strings.ToLower(s), v.Type().Bits())
		if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("%s is not a number that can be used here", clip(s))
		}
		v.SetFloat(n)
	default:
		return fmt.Errorf("a %s cannot be set from text", v.Type())
	}
	return nil
}

// baseOf refuses leading zeros, which YAML 1.1 took for octal and YAML 1.2 does not.
func baseOf(s string) (base int, digits string, err error) {
	if rest, ok := strings.CutPrefix(s, "0x"); ok {
		return 16, rest, nil
	}
	if rest, ok := strings.CutPrefix(s, "0o"); ok {
		return 8, rest, nil
	}
	if bare := strings.TrimLeft(s, "+-"); len(bare) > 1 && bare[0] == '0' {
		return 0, "", fmt.Errorf("%s begins with a zero; write it without, or with 0x or 0o in front", clip(s))
	}
	return 10, s, nil
}

// possible checks the enum of a key.
func (d *decoder) possible(n *node, path string, v reflect.Value, f *field) bool {
	if len(f.enum) == 0 || !n.scalar() || slices.Contains(f.enum, n.text) || n.text == "" && !f.required {
		return true
	}
	have, guess := n.describe(), meant(n.text, f.enum)
	if v.Type() == secretType {
		have, guess = "this", ""
	}
	d.report(n.line, n.column, path, fmt.Sprintf("%s is not possible here%s; write %s", have, guess, either(f.enum)))
	return false
}

func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

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

// checkString checks what a text means: a name, an address, a file.
func (d *decoder) checkString(n *node, path string, v reflect.Value, f *field) {
	s := v.String()
	if s == "" && f.check != "filter" && f.check != "template" {
		return // nothing is configured; whether that is allowed is the business of required
	}
	var err error
	switch f.check {
	case "name":
		err = CheckName(s)
	case "listen":
		err = checkListen(s)
	case "filter":
		err = checkFilter(s)
	case "template":
		err = checkTemplate(s)
	}
	if err != nil {
		d.report(n.line, n.column, path, err.Error())
		return
	}
	if f.path != "" {
		s = Resolve(d.folder, s)
		v.SetString(s)
		if f.path != "new" {
			if doubt := checkFile(s, f.path == "secret"); doubt != "" {
				d.warn(path, doubt)
			}
		}
	}
	// Whatever the driver: an address of this form always means one of the buses.
	if bus, ok := strings.CutPrefix(s, "bus://"); ok && f.path == "" {
		d.references = append(d.references, reference{path, "bus", bus})
	}
}

// Resolve gives the file that a configuration in folder means by path: a relative one begins at the
// configuration's own folder, so that a gateway finds its files wherever it is started from.
func Resolve(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// wanted says what a file should have in the place of a value of type t.
func wanted(t reflect.Type, f *field) string {
	if f != nil && len(f.enum) > 0 && t.Kind() != reflect.Slice {
		return either(f.enum)
	}
	switch {
	case t == durationType || t == ownDurationType:
		return "a duration such as 200ms, 5s or 1m"
	case t == sizeType:
		return "a size such as 4GiB or 500MB"
	case isScalarType(t):
		return "a single value"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem(), f)
	case reflect.Struct:
		return "a section with the keys " + strings.Join(names(fieldsOf(t)), ", ")
	case reflect.Map:
		return "a section"
	case reflect.Slice:
		return wantedList(t.Elem(), f)
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Interface:
		return "a value"
	}
	if f != nil && f.min != "" && f.max != "" {
		return "a whole number from " + f.min + " to " + f.max
	}
	return "a whole number"
}

func wantedList(t reflect.Type, f *field) string {
	if t.Kind() == reflect.Struct && !isScalarType(t) {
		return "a list of sections, each behind a dash, with the keys " + strings.Join(names(fieldsOf(t)), ", ")
	}
	if f != nil && f.check == "listen" {
		return "a list such as [127.0.0.1:1883]"
	}
	return "a list such as [one, two]"
}

func plainScalar(n *node) any {
	v := reflect.Value{}
	switch n.kind {
	case null:
		return nil
	case boolean:
		v = reflect.New(reflect.TypeFor[bool]()).Elem()
	case integer:
		v = reflect.New(reflect.TypeFor[int64]()).Elem()
	case float:
		v = reflect.New(reflect.TypeFor[float64]()).Elem()
	default:
		return n.text
	}
	if setText(v, n.text) != nil {
		return n.text
	}
	return v.Interface()
}
