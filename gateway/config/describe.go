package config

import (
	"encoding"
	"fmt"
	"reflect"
)

// Field describes one key of a section: what a form needs to ask for it, and a reference to explain
// it. Bounds and defaults are in the written form.
type Field struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"` // text, secret, file, integer, number, boolean, duration, size, value, section or map
	List     bool     `json:"list,omitempty"`
	Doc      string   `json:"doc,omitempty"`
	Default  string   `json:"default,omitempty"`
	Min      string   `json:"min,omitempty"`
	Max      string   `json:"max,omitempty"`
	Enum     []string `json:"enum,omitempty"`
	Required bool     `json:"required,omitempty"`
	Fields   []Field  `json:"fields,omitempty"` // of a section, or of each item of a list of sections
}

// Describe gives the keys of a section from v, a struct of the schema, a driver's options, or a
// pointer to either. Values in v count as defaults. A driver's own keys are not part of what
// Describe says about Device and Uplink.
func Describe(v any) []Field {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			value = reflect.New(value.Type().Elem())
		}
		value = value.Elem()
	}
	if value.Kind() != reflect.Struct {
		panic(fmt.Sprintf("bug: a %T has no keys to describe", v))
	}
	return describe(value)
}

func describe(v reflect.Value) []Field {
	var out []Field
	for _, f := range fieldsOf(v.Type()) {
		if f.options == "" {
			out = append(out, f.describe(v.FieldByIndex(f.index)))
		}
	}
	return out
}

func (f *field) describe(v reflect.Value) Field {
	out := Field{
		Name: f.name, Doc: f.doc, Default: f.preset, Min: f.min, Max: f.max, Enum: f.enum, Required: f.required,
	}
	t := v.Type()
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !isScalarType(t) {
		out.List = out.List || t.Kind() == reflect.Slice
		t = t.Elem()
		v = reflect.New(t).Elem()
	}
	out.Type = typeWord(t, f)
	switch {
	case out.Type == "section":
		out.Fields = describe(v)
	case out.Type == "map":
		elem := t.Elem()
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct && !isScalarType(elem) {
			out.Fields = describe(reflect.New(elem).Elem())
		}
	case !v.IsZero() && out.Type != "secret":
		out.Default = written(v)
	}
	return out
}

func written(v reflect.Value) string {
	if v.Type() == durationType {
		return Duration(v.Int()).String()
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

func typeWord(t reflect.Type, f *field) string {
	switch {
	case t == durationType || t == ownDurationType:
		return "duration"
	case t == sizeType:
		return "size"
	case t == secretType:
		return "secret"
	case f.path != "":
		return "file"
	case isScalarType(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "section"
	case reflect.Map:
		return "map"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Interface:
		return "value"
	}
	return "integer"
}
