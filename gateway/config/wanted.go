package config

import (
	"reflect"
	"strings"
)

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

func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
