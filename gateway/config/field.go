package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// field is one key of a section, as the tags of a Go struct field give it.
type field struct {
	name                string
	index               []int
	kind                reflect.Type
	doc, preset         string
	min, max            string
	enum                []string
	required            bool
	unique, check, path string
	options             string // on the field that takes a driver's own struct: the key that names the driver
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	ownDurationType = reflect.TypeFor[Duration]()
	sizeType        = reflect.TypeFor[Size]()
	secretType      = reflect.TypeFor[Secret]()
	unmarshaler     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalarType says whether values of t are written as one word.
func isScalarType(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(unmarshaler)
}

// fieldsOf reads the schema of a struct type. What it cannot make sense of is a mistake in the
// program, not in a file.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, flags, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := flags == "inline" || f.Anonymous && name == ""
		options := f.Tag.Get("options")
		switch {
		case options != "":
			fields = append(fields, field{options: options, index: f.Index})
			continue
		case name == "-" || !f.IsExported() && !inline:
			continue
		case inline:
			if f.Type.Kind() != reflect.Struct {
				panic(fmt.Sprintf("bug: %s.%s is inline but not a struct", t, f.Name))
			}
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		case name == "":
			name = strings.ToLower(f.Name)
		}
		fields = append(fields, readTags(name, f))
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.name] {
			panic(fmt.Sprintf("bug: %s has the key %q twice", t, f.name))
		}
		seen[f.name] = true
	}
	return fields
}

func readTags(name string, f reflect.StructField) field {
	tag := f.Tag.Get
	var words []string
	if list := tag("enum"); list != "" {
		words = strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", |", r) })
	}
	out := field{
		name: name, index: f.Index, kind: f.Type,
		doc: tag("doc"), preset: tag("default"), min: tag("min"), max: tag("max"), enum: words,
		required: tag("required") == "true", unique: tag("unique"), check: tag("check"), path: tag("path"),
	}
	if out.path == "false" {
		out.path = ""
	}
	if !decodable(f.Type) {
		panic(fmt.Sprintf("bug: the configuration key %q has the type %s; options are plain data", name, f.Type))
	}
	for t := f.Type; ; t = t.Elem() {
		if t.Kind() == reflect.Pointer {
			continue
		}
		for _, limit := range []string{out.min, out.max} {
			if limit != "" {
				bound(limit, t) // now, so that a driver's first test finds a tag that makes no sense
			}
		}
		return out
	}
}

// decodable says whether a file can give values of t. That keeps options plain data, which
// reflect.DeepEqual can compare.
func decodable(t reflect.Type) bool {
	if isScalarType(t) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return decodable(t.Elem())
	case reflect.Map:
		return t.Key().Kind() == reflect.String && decodable(t.Elem())
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr, reflect.Array,
		reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	}
	return true
}

// forItem is the rule for the items of a list: bounds count the items themselves.
func (f *field) forItem() *field {
	each := *f
	each.min, each.max, each.required = "", "", false
	return &each
}

func names(fields []field) []string {
	var out []string
	for _, f := range fields {
		if f.options == "" {
			out = append(out, f.name)
		}
	}
	return out
}
