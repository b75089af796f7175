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
	d.noteBus(path, n.text)
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

// checkString checks what a text means: a name, an address, a file.
func (d *decoder) checkString(n *node, path string, v reflect.Value, f *field) {
	s := v.String()
	if s == "" && f.check != "filter" && f.check != "template" {
		return // nothing is configured; whether that is allowed is the business of required
	}
	var err error
	switch f.check {
	case "name":
		err = checkName(s)
	case "listen":
		err = checkListen(s)
	case "filter":
		err = checkFilter(s)
	case "template":
		err = checkTemplate(s)
	case "hours":
		err = checkHours(s)
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
		return
	}
	d.noteBus(path, s)
}

// noteBus notes the bus that a value names: whatever the driver, bus://NAME means one of the buses.
func (d *decoder) noteBus(path, value string) {
	if bus, ok := strings.CutPrefix(value, "bus://"); ok {
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

func plainScalar(n *node) any {
	var v reflect.Value
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
