package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What follows writes values that were not in the file before, as a person would: keys each on a line,
// short lists in brackets, points in braces.

type form byte

const (
	anyForm form = iota
	flowForm
	blockForm
)

const (
	widest = 100 // of a list in brackets
	wide   = 160 // of an item in braces
)

// short says whether a value goes on the line of its key.
func (p *part) short() bool {
	if p.scalar() || len(p.items) == 0 && len(p.keys) == 0 {
		return true
	}
	return p.kind == list && p.flat() && len(p.scalarText(true, 0)) <= widest
}

// flat says whether nothing in a value has more than one level.
func (p *part) flat() bool {
	for _, item := range p.items {
		if !item.scalar() {
			return false
		}
	}
	for i := range p.keys {
		if v := p.keys[i].value; !v.scalar() && (v.kind != section || !v.flat()) && (v.kind != list || !v.flat()) {
			return false
		}
	}
	return true
}

func writeEntry(b *strings.Builder, indent int, key string, p *part) {
	b.WriteString(strings.Repeat(" ", indent))
	b.WriteString(quoteKey(key))
	b.WriteByte(':')
	if p.short() {
		b.WriteByte(' ')
		b.WriteString(p.scalarText(!p.scalar(), 0))
		b.WriteByte('\n')
		return
	}
	b.WriteByte('\n')
	writeBelow(b, indent, p)
}

// writeBelow writes a section or list in the lines below its key.
func writeBelow(b *strings.Builder, indent int, p *part) {
	for i := range p.keys {
		writeEntry(b, indent+2, p.keys[i].key, p.keys[i].value)
	}
	for _, item := range p.items {
		writeItem(b, indent+2, item, anyForm)
	}
}

// writeItem writes an item behind a dash.
func writeItem(b *strings.Builder, indent int, p *part, f form) {
	dash := strings.Repeat(" ", indent) + "- "
	if p.kind == section && len(p.keys) > 0 {
		braces := p.scalarText(true, 0)
		if f == blockForm || !p.flat() && f == anyForm || f == anyForm && (indent <= 2 || len(braces) > wide) {
			var keys strings.Builder
			for i := range p.keys {
				writeEntry(&keys, indent+2, p.keys[i].key, p.keys[i].value)
			}
			b.WriteString(dash)
			b.WriteString(keys.String()[indent+2:])
			return
		}
		b.WriteString(dash + braces + "\n")
		return
	}
	b.WriteString(dash + p.scalarText(!p.scalar(), 0) + "\n")
}

// scalarText writes a value on one line; flow is within braces or brackets. was is the first byte of what
// stood there: quotes stay.
func (p *part) scalarText(flow bool, was byte) string {
	switch p.kind {
	case null:
		return "null"
	case list:
		parts := make([]string, len(p.items))
		for i, item := range p.items {
			parts[i] = item.scalarText(true, 0)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case section:
		parts := make([]string, len(p.keys))
		for i := range p.keys {
			parts[i] = quoteKey(p.keys[i].key) + ": " + p.keys[i].value.scalarText(true, 0)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case text:
		if was != '"' && was != '\'' && isPlain(p.text, flow) {
			return p.text
		}
		return quote(p.text)
	}
	return p.text
}

var (
	plainFlow  = regexp.MustCompile(`^[\pL_/][\pL\pN_./@+%°-]*( [\pL\pN_./@+%°-]+)*$|^[0-9][\pL\pN_./%°]*$`)
	plainBlock = regexp.MustCompile(`^[\pL_/][\pL\pN_./@+%°-]*(:[\pL\pN_./@+%°-]+)*( [\pL\pN_./@+%°-]+)*$|^[0-9][\pL\pN_./%°]*(:[0-9]+)?$`)
	wholeKey   = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)
)

// isPlain says whether a text needs no quotes, neither here nor for those who read YAML 1.1.
func isPlain(s string, flow bool) bool {
	if plainKind(s) != text {
		return false
	}
	switch strings.ToLower(s) {
	case "yes", "no", "on", "off", "y", "n", "true", "false", "null":
		return false
	}
	if flow {
		return plainFlow.MatchString(s)
	}
	return plainBlock.MatchString(s)
}

func quoteKey(key string) string {
	if wholeKey.MatchString(key) || isPlain(key, true) {
		return key
	}
	return quote(key)
}

// quote writes a text in double quotes [YAML 1.2, 5.7].
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || !unicode.IsPrint(r) && r <= 0xffff:
			b.WriteString(`\u` + fmt.Sprintf("%04x", r))
		case !unicode.IsPrint(r):
			b.WriteString(`\U` + strings.Repeat("0", 8-len(strconv.FormatInt(int64(r), 16))) + strconv.FormatInt(int64(r), 16))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
