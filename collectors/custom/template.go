package custom

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// template is what is sent to write a point: bytes, and places for the value.
type template struct {
	parts []templatePart
}

// templatePart is literal bytes, or the value in some form.
type templatePart struct {
	literal []byte

	kind  string // "value" in text, else a type of sizes, or bcd
	order string
	size  int // of bcd
	zero  bool
	width int
	hex   bool
	prec  int // digits behind the point; -1: as many as there are
}

const maxWidth = 32

var (
	placeholder = regexp.MustCompile(`^([a-z]+[0-9]*)(?::(.*))?$`)
	textForm    = regexp.MustCompile(`^(x?)(0?)([0-9]{0,2})(?:\.([0-9]))?$`)
)

// parseTemplate reads "SP {value:.1}\r\n" and "hex:01 06 00 10 {int16}".
func parseTemplate(text string) (*template, error) {
	t := &template{}
	digits, binary := strings.CutPrefix(text, "hex:")
	if !binary {
		digits = text
	}
	values := 0
	for digits != "" {
		at := openBrace(digits, binary)
		literal := digits[:at]
		if literal != "" {
			b, err := unescape(literal)
			if binary {
				b, err = parseHex(literal)
			}
			if err != nil {
				return nil, err
			}
			t.parts = append(t.parts, templatePart{literal: b})
		}
		if at == len(digits) {
			break
		}
		inside, rest, closed := strings.Cut(digits[at+1:], "}")
		if !closed {
			return nil, fmt.Errorf("%q opens { and does not close it; write \\{ for the sign itself", text)
		}
		part, err := parsePlaceholder(inside, binary)
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part)
		values++
		digits = rest
	}
	if values == 0 {
		return nil, fmt.Errorf("%q has no place for the value, such as {value} or, after hex:, {int16}", text)
	}
	return t, nil
}

// openBrace finds the next { that is not escaped.
func openBrace(text string, binary bool) int {
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && !binary {
			i++
		} else if text[i] == '{' {
			return i
		}
	}
	return len(text)
}

func parsePlaceholder(inside string, binary bool) (templatePart, error) {
	form := placeholder.FindStringSubmatch(inside)
	if form == nil {
		return templatePart{}, fmt.Errorf("{%s} is not a place for a value", inside)
	}
	kind, detail := form[1], form[2]
	if !binary {
		if kind != "value" {
			return templatePart{}, fmt.Errorf("{%s}: in a text there is {value}, with a form such as {value:.2}, {value:06.1} or {value:x04}", inside)
		}
		return parseForm(inside, detail)
	}
	part := templatePart{kind: kind, order: detail}
	if digits, ok := strings.CutPrefix(kind, "bcd"); ok {
		size, err := strconv.Atoi(digits)
		if err != nil || size < 1 || size > 7 {
			return templatePart{}, fmt.Errorf("{%s}: write {bcd2} for four digits in two bytes", inside)
		}
		part.kind, part.size = "bcd", size
	} else if sizes[kind] == 0 || kind == "bool" {
		return templatePart{}, fmt.Errorf("{%s}: there are uint8, int8, uint16 … float64, and bcd1 to bcd7", inside)
	}
	if !validOrder(detail) {
		return templatePart{}, fmt.Errorf("{%s}: the byte order is ABCD, CDAB, BADC or DCBA", inside)
	}
	return part, nil
}

func parseForm(inside, detail string) (templatePart, error) {
	part := templatePart{kind: "value", prec: -1}
	form := textForm.FindStringSubmatch(detail)
	if form == nil {
		return part, fmt.Errorf("{%s}: write {value:.2} for two decimals, {value:06.1} for six places filled with zeros, {value:x04} for hexadecimal", inside)
	}
	part.hex, part.zero = form[1] != "", form[2] != ""
	if form[3] != "" {
		part.width, _ = strconv.Atoi(form[3])
	}
	if form[4] != "" {
		part.prec, _ = strconv.Atoi(form[4])
	}
	if part.width > maxWidth || part.hex && part.prec >= 0 {
		return part, fmt.Errorf("{%s}: at most %d places, and hexadecimal has no decimals", inside, maxWidth)
	}
	return part, nil
}

func validOrder(order string) bool {
	switch order {
	case "", "ABCD", "CDAB", "BADC", "DCBA":
		return true
	}
	return false
}

// render makes the bytes for a value: a float64, a bool or a string.
func (t *template) render(v any) ([]byte, error) {
	var b []byte
	for i := range t.parts {
		more, err := t.parts[i].render(v)
		if err != nil {
			return nil, err
		}
		b = append(b, more...)
	}
	return b, nil
}

func (p *templatePart) render(v any) ([]byte, error) {
	if p.literal != nil {
		return p.literal, nil
	}
	if s, ok := v.(string); ok {
		if p.kind != "value" || p.hex || p.prec >= 0 {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		return p.text(s)
	}
	f, ok := v.(float64)
	if on, isBool := v.(bool); isBool {
		if on {
			f = 1
		}
	} else if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is not a number", v)
	}
	switch p.kind {
	case "value":
		return p.number(f)
	case "bcd":
		return encodeDigits(p.size, p.order, f)
	}
	return encode(p.kind, p.order, f)
}

// text refuses what could end the command early and begin another one.
func (p *templatePart) text(s string) ([]byte, error) {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7E {
			return nil, fmt.Errorf("%q has signs that are not printable ASCII", s)
		}
	}
	return fmt.Appendf(nil, "%-*s", p.width, s), nil
}

func (p *templatePart) number(f float64) ([]byte, error) {
	if p.hex {
		n := math.Round(f)
		if n < 0 || n > 1<<53 {
			return nil, fmt.Errorf("%v has no hexadecimal form", f)
		}
		if p.zero {
			return fmt.Appendf(nil, "%0*X", p.width, uint64(n)), nil
		}
		return fmt.Appendf(nil, "%*X", p.width, uint64(n)), nil
	}
	digits := strconv.FormatFloat(f, 'f', p.prec, 64)
	if p.zero {
		sign := ""
		if digits[0] == '-' {
			sign, digits = "-", digits[1:]
		}
		digits = sign + strings.Repeat("0", max(0, p.width-len(sign)-len(digits))) + digits
	}
	if len(digits) > maxWidth {
		return nil, fmt.Errorf("%v has more than %d digits", f, maxWidth)
	}
	return fmt.Appendf(nil, "%*s", p.width, digits), nil
}

// fromJSON reads a command's value.
func fromJSON(raw json.RawMessage) (any, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("%.40s is no value", raw)
	}
	switch v := v.(type) {
	case float64, string, bool:
		return v, nil
	}
	return nil, fmt.Errorf("%.40s is not a number, a text, true or false", raw)
}
