package sheet

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// rows gives the rows of a sheet that have something in them, with their numbers.
func (b *book) rows(part string) (rows [][]string, lines []int, err error) {
	line := 0
	err = b.each(part, func(d *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "row" {
			return nil
		}
		line++
		if n, err := strconv.Atoi(attribute(e, "r")); err == nil && n > 0 {
			line = n
		}
		row, err := b.row(d, line)
		if err != nil || len(row) == 0 {
			return err
		}
		if line > 2*MaxRows || len(rows) == 2*MaxRows {
			return fmt.Errorf("more than %d lines", 2*MaxRows)
		}
		if row, err = bounded(row, line); err != nil {
			return err
		}
		rows, lines = append(rows, row), append(lines, line)
		return nil
	})
	return rows, lines, err
}

// row gives the cells of the <row> that d is in, up to the last one that is not empty.
func (b *book) row(d *xml.Decoder, line int) ([]string, error) {
	var row []string
	at := 0
	err := children(d, func(e xml.StartElement) error {
		if e.Name.Local != "c" {
			return skip(d)
		}
		at++
		if n := columnOf(attribute(e, "r")); n > 0 {
			at = n
		}
		cell, err := b.cell(d, attribute(e, "t"))
		if err != nil || cell == "" {
			return err
		}
		if at > maxColumns {
			return fmt.Errorf("line %d: more than %d columns", line, maxColumns)
		}
		for len(row) < at {
			row = append(row, "")
		}
		row[at-1] = cell
		return nil
	})
	return row, err
}

// columnOf gives 28 for AB12, and 0 for what names no cell.
func columnOf(reference string) int {
	n := 0
	for i, c := range []byte(strings.ToUpper(reference)) {
		if c < 'A' || c > 'Z' || i > 3 {
			break
		}
		n = 26*n + int(c-'A') + 1
	}
	return n
}

// cell gives the value of the <c> that d is in, a number as it is stored whatever it looks like in a
// spreadsheet, and of a formula its last result.
func (b *book) cell(d *xml.Decoder, kind string) (string, error) {
	var value, inline string
	err := children(d, func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "v":
			value, err = characters(d)
		case "is":
			inline, err = textOf(d)
		default:
			err = skip(d)
		}
		return err
	})
	switch kind {
	case "s":
		n, bad := strconv.Atoi(strings.TrimSpace(value))
		if bad != nil || n < 0 || n >= len(b.texts) {
			return "", err
		}
		return b.texts[n], err
	case "inlineStr":
		return inline, err
	case "str":
		return unescaped(value), err
	}
	return value, err
}

// escape is how a text holds a character that XML cannot [ECMA-376 part 1, 22.9.2.19].
var escape = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

func unescaped(text string) string {
	if !strings.Contains(text, "_x") {
		return text
	}
	return escape.ReplaceAllStringFunc(text, func(unit string) string {
		n, err := strconv.ParseUint(unit[2:6], 16, 16)
		if err != nil {
			panic("bug: the pattern lets through what is no number")
		}
		return string(rune(n))
	})
}

// escaped is the other way round. It leaves line ends, which XML has its own way for.
func escaped(text string) string {
	text = escape.ReplaceAllStringFunc(text, func(unit string) string { return "_x005F" + unit })
	var out strings.Builder
	for _, r := range text {
		if r < ' ' && r != '\n' && r != '\t' {
			fmt.Fprintf(&out, "_x%04X_", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
