package sheet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Put writes rows among the points of a device in the text of a configuration and gives the new text.
// A point that the device has already is written anew in its place and keeps what fits in no cell, such
// as enum; the others are put behind. With only, points that are not among the rows go. Everything else
// stays as it was, with its remarks. Whether the result can be used is for the configuration's own check
// to say.
func Put(config []byte, device string, rows []Row, only bool) ([]byte, error) {
	d, err := findDevices(config)
	if err != nil {
		return nil, err
	}
	if d.missing {
		return nil, fmt.Errorf("no device is called %q", device)
	}
	before, items := cutItems(d.lines[d.start+1:d.end], d.indent)
	at := slices.IndexFunc(items, func(item []string) bool { return itemName(item) == device })
	if at < 0 {
		return nil, fmt.Errorf("no device is called %q", device)
	}
	if items[at], err = putPoints(items[at], rows, only); err != nil {
		return nil, fmt.Errorf("device %q: %w", device, err)
	}
	lines := append(slices.Clone(d.lines[:d.start+1]), before...)
	for _, item := range items {
		lines = append(lines, item...)
	}
	return []byte(strings.Join(append(lines, d.lines[d.end:]...), "\n")), nil
}

// putPoints does it in the lines of the device.
func putPoints(item []string, rows []Row, only bool) ([]string, error) {
	item = slices.Clone(item)
	dash := strings.IndexByte(item[0], '-')
	bare := item[0][:dash] + " " + item[0][dash+1:] // what stands behind the dash is in a line with the other keys
	indent := indentOf(bare)
	if strings.HasPrefix(bare[indent:], "{") || strings.TrimSpace(bare) == "" {
		return nil, fmt.Errorf("it stands in braces, or behind a dash alone; write its keys each on a line of its own")
	}
	start, end := pointLines(item, bare, indent)
	if start < 0 {
		end = len(item) - len(trailingRemarks(item))
		list := pointList{indent: indent + 2}
		if err := list.put(rows, only); err != nil {
			return nil, err
		}
		return slices.Concat(item[:end], []string{strings.Repeat(" ", indent) + "points:"}, list.lines(), item[end:]), nil
	}
	key := item[start]
	if start == 0 {
		key = bare
	}
	list, head, err := readList(key, item[start+1:end], indent)
	if err != nil {
		return nil, err
	}
	if err := list.put(rows, only); err != nil {
		return nil, err
	}
	if start == 0 {
		head = item[0][:dash+1] + head[dash+1:]
	}
	return slices.Concat(item[:start], []string{head}, list.lines(), item[end:]), nil
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func isRemark(line string) bool {
	text := strings.TrimSpace(line)
	return text == "" || text[0] == '#'
}

// trailingRemarks are the blank lines and remarks at the end, which belong to what follows.
func trailingRemarks(lines []string) []string {
	end := len(lines)
	for end > 0 && isRemark(lines[end-1]) {
		end--
	}
	return lines[end:]
}

// pointLines finds the key with everything below it; start is -1 where there is none.
func pointLines(item []string, bare string, indent int) (start, end int) {
	start = -1
	for i, line := range item {
		if i == 0 {
			line = bare
		}
		in := indentOf(line)
		if isRemark(line) || in > indent || in == indent && strings.HasPrefix(line[in:], "- ") {
			continue
		}
		switch {
		case start < 0 && strings.HasPrefix(line[in:], "points:"):
			start = i
		case start >= 0:
			return start, i - len(trailingRemarks(item[:i]))
		}
	}
	return start, len(item) - len(trailingRemarks(item))
}

// pointList is the points of a device as they stand in the file.
type pointList struct {
	indent int // of the dashes
	before []string
	points []pointText
}

// pointText is one point. Rest is the remarks behind it.
type pointText struct {
	name        string
	lines, rest []string
}

var pointsKey = regexp.MustCompile(`^ *points:[ \t]*(#.*)?$`)

// readList takes the list apart; head is the line with the key, without what stood behind it in brackets.
func readList(key string, below []string, indent int) (list *pointList, head string, err error) {
	list = &pointList{indent: indent + 2}
	if !pointsKey.MatchString(key) {
		var device struct {
			Points []yaml.MapSlice `yaml:"points"`
		}
		text := strings.Join(append([]string{key}, below...), "\n")
		if strings.ContainsAny(text, "&*") || yaml.UnmarshalWithOptions([]byte(text), &device, yaml.UseOrderedMap()) != nil {
			return nil, "", fmt.Errorf("its points stand behind the key in a form that cannot be changed here; write each on a line of its own, behind a dash")
		}
		for _, point := range device.Points {
			list.points = append(list.points, pointText{name: nameOf(point), lines: []string{list.dash(inBraces(point))}})
		}
		return list, strings.Repeat(" ", indent) + "points:", nil
	}
	for _, line := range below {
		if !isRemark(line) {
			list.indent = indentOf(line)
			break
		}
	}
	var items [][]string
	list.before, items = cutItems(below, list.indent)
	for _, lines := range items {
		rest := trailingRemarks(lines)
		list.points = append(list.points, pointText{itemName(lines), lines[:len(lines)-len(rest)], rest})
	}
	return list, key, nil
}

func (l *pointList) dash(text string) string { return strings.Repeat(" ", l.indent) + "- " + text }

func (l *pointList) lines() (out []string) {
	out = append(out, l.before...)
	for _, p := range l.points {
		out = append(append(out, p.lines...), p.rest...)
	}
	return out
}

func (l *pointList) put(rows []Row, only bool) error {
	wanted := map[string]bool{}
	for i := range rows {
		row := &rows[i]
		wanted[row.Name] = true
		at := slices.IndexFunc(l.points, func(p pointText) bool { return p.name == row.Name })
		if at < 0 {
			l.points = append(l.points, pointText{name: row.Name, lines: []string{l.dash(row.yaml(""))}})
			continue
		}
		more, remark, err := leftOver(l.points[at].lines)
		if err != nil {
			return fmt.Errorf("point %q needs the rest of the file (an alias has to be written out first): %w", row.Name, err)
		}
		l.points[at].lines = []string{l.dash(row.yaml(more)) + remark}
	}
	for i := range l.points {
		if only && !wanted[l.points[i].name] {
			l.points[i].lines = nil // the remarks behind it may be about what follows
		}
	}
	return nil
}

// leftOver is what of a point fits in no cell, as keys to write behind a row's own, and the remark behind
// a point that stands on one line.
func leftOver(lines []string) (keys, remark string, err error) {
	var points []yaml.MapSlice
	if err := yaml.UnmarshalWithOptions([]byte(strings.Join(lines, "\n")), &points, yaml.UseOrderedMap()); err != nil {
		return "", "", err
	}
	for _, point := range points {
		for _, item := range point {
			if _, fits := cellText(item.Value); fits {
				continue
			}
			keys += fmt.Sprintf(", %s: %s", keyText(item.Key), inBraces(item.Value))
		}
	}
	if len(lines) == 1 {
		remark = remarkBehind(lines[0])
	}
	return keys, remark, nil
}

// remarkBehind finds the remark behind a point in braces, with the blanks before it.
func remarkBehind(line string) string {
	for i := range line {
		if line[i] != '}' {
			continue
		}
		rest := line[i+1:]
		text := strings.TrimLeft(rest, " \t")
		var points []any
		if text != rest && strings.HasPrefix(text, "#") && yaml.Unmarshal([]byte(line[:i+1]), &points) == nil {
			return rest
		}
	}
	return ""
}

// inBraces writes a value of a file on one line.
func inBraces(v any) string {
	var parts []string
	switch v := v.(type) {
	case yaml.MapSlice:
		for _, item := range v {
			parts = append(parts, keyText(item.Key)+": "+inBraces(item.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, each := range v {
			parts = append(parts, inBraces(each))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return scalar(v)
	case nil:
		return "null"
	}
	text, _ := cellText(v)
	return text
}

var wholeNumber = regexp.MustCompile(`^-?[0-9]+$`)

// keyText writes a key: numbers stand for themselves, though the file's reader has made texts of them.
func keyText(key any) string {
	text := fmt.Sprint(key)
	if wholeNumber.MatchString(text) {
		return text
	}
	return scalar(text)
}

func nameOf(point yaml.MapSlice) string {
	for _, item := range point {
		if item.Key == "name" {
			text, _ := cellText(item.Value)
			return text
		}
	}
	return ""
}

// IsLine says whether a line of a configuration is where Put wrote the row.
func (r *Row) IsLine(line string) bool {
	return strings.HasPrefix(strings.TrimLeft(line, " "), "- {name: "+scalar(r.Name)+",") || strings.TrimSpace(line) == "- {name: "+scalar(r.Name)+"}"
}
