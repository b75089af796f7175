package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// templateFunctions are what a template may call beside text/template's own. Some of those are
// replaced: the comparisons, which refuse to compare 20 with 20.5, and whatever could make a text grow
// without a bound.
var templateFunctions = template.FuncMap{
	"json":    toJSON,
	"time":    formatTime,
	"rfc3339": func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00") },
	"seconds": func(ms int64) decimal { return decimal(float64(ms) / 1000) },

	"eq": func(a any, b ...any) (bool, error) { return equalsAny(a, b) },
	"ne": func(a, b any) (bool, error) { is, err := equalsAny(a, []any{b}); return !is, err },
	"lt": func(a, b any) (bool, error) { return compared(a, b, func(c int) bool { return c < 0 }) },
	"le": func(a, b any) (bool, error) { return compared(a, b, func(c int) bool { return c <= 0 }) },
	"gt": func(a, b any) (bool, error) { return compared(a, b, func(c int) bool { return c > 0 }) },
	"ge": func(a, b any) (bool, error) { return compared(a, b, func(c int) bool { return c >= 0 }) },

	"print":    func(of ...any) (string, error) { return bounded(fmt.Sprint, of) },
	"println":  func(of ...any) (string, error) { return bounded(fmt.Sprintln, of) },
	"html":     func(of ...any) (string, error) { return bounded(template.HTMLEscaper, of) },
	"js":       func(of ...any) (string, error) { return bounded(template.JSEscaper, of) },
	"urlquery": func(of ...any) (string, error) { return bounded(template.URLQueryEscaper, of) },
	"printf":   printf,
}

// toJSON writes a value as JSON, without the escapes that only web pages need.
func toJSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("json: %w", err)
	}
	if b.Len() > maxTemplateOutput {
		return "", errTextSize
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// formatTime writes Unix milliseconds in a layout of Go's time package, in UTC.
func formatTime(layout string, ms int64) (string, error) {
	if len(layout) > 200 {
		return "", errors.New("time: the layout is longer than 200 bytes")
	}
	return time.UnixMilli(ms).UTC().Format(layout), nil
}

func equalsAny(a any, with []any) (bool, error) {
	if len(with) == 0 {
		return false, errors.New("eq: there is nothing to compare with")
	}
	for _, b := range with {
		if bool1, ok := a.(bool); ok {
			if bool2, ok := b.(bool); ok && bool1 == bool2 {
				return true, nil
			}
			continue
		}
		if a == nil || b == nil {
			if a == nil && b == nil {
				return true, nil
			}
			continue
		}
		if c, err := compare(a, b); err == nil && c == 0 {
			return true, nil
		}
	}
	return false, nil
}

// compared answers false when one of the two is missing, as a point is whose device did not answer.
func compared(a, b any, is func(int) bool) (bool, error) {
	if a == nil || b == nil {
		return false, nil
	}
	c, err := compare(a, b)
	return err == nil && is(c), err
}

// bounded refuses texts that would grow: an escaped one is at most twelve times as long.
func bounded(make func(...any) string, of []any) (string, error) {
	if size(of) > maxTemplateOutput {
		return "", errTextSize
	}
	made := make(of...)
	if len(made) > maxTemplateOutput {
		return "", errTextSize
	}
	return made, nil
}

// printf is fmt's without widths and arguments by number, which make much out of little.
func printf(layout string, of ...any) (string, error) {
	digits := 0
	for i := range len(layout) {
		switch c := layout[i]; {
		case c == '*' || c == '[':
			return "", errors.New("printf: * and [ are not possible here")
		case c >= '0' && c <= '9':
			if digits++; digits > 2 && strings.Contains(layout[:i], "%") {
				return "", errors.New("printf: a width or precision of more than two digits")
			}
		default:
			digits = 0
		}
	}
	if len(layout)+size(of) > maxTemplateOutput {
		return "", errTextSize
	}
	return bounded(func(...any) string { return fmt.Sprintf(layout, of...) }, nil)
}

func size(of []any) int {
	total := 0
	for _, v := range of {
		if s, ok := v.(string); ok {
			total += len(s)
		}
	}
	return total
}
