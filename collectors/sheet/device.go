package sheet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Section cuts a device's section out of the text of a configuration, with its remarks, as a file
// that Insert takes: the whole device in one piece.
func Section(config []byte, device string) ([]byte, error) {
	block, err := findDevices(config)
	if err != nil {
		return nil, err
	}
	for _, item := range block.items() {
		if itemName(item) != device {
			continue
		}
		text := strings.Join(shift(item, 2-block.indent), "\n")
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		section := "devices:\n" + text
		var any map[string]any
		if err := yaml.Unmarshal([]byte(section), &any); err != nil {
			return nil, fmt.Errorf("device %q cannot stand alone (an alias of something elsewhere in the file has to be written out first): %w", device, err)
		}
		return []byte(section), nil
	}
	return nil, fmt.Errorf("no device is called %q", device)
}

// Insert puts the devices of a section behind those of a configuration and gives the new text; what
// stood there stays as it was. A name that is not empty replaces that of the section's only device.
// Whether the result can be used is for the configuration's own check to say.
func Insert(config, section []byte, name string) ([]byte, error) {
	if len(section) > MaxBytes {
		return nil, errTooLarge
	}
	from, err := findDevices(section)
	if err != nil {
		return nil, fmt.Errorf("the file with the device: %w", err)
	}
	items := from.items()
	if len(items) == 0 || name != "" && len(items) > 1 {
		return nil, fmt.Errorf("the file has %d devices where one was expected", len(items))
	}
	if name != "" {
		if items[0], err = renamed(items[0], name); err != nil {
			return nil, err
		}
	}
	into, err := findDevices(config)
	if err != nil {
		return nil, err
	}
	var taken []string
	for _, item := range into.items() {
		taken = append(taken, itemName(item))
	}
	added := slices.Clone(into.lines[:into.start])
	if into.start == into.end && into.missing {
		added = append(trimEnd(added), "devices:")
	} else {
		added = append(added, into.key)
		added = append(added, trimEnd(into.lines[into.start+1:into.end])...)
	}
	for _, item := range items {
		called := itemName(item)
		if called == "" || slices.Contains(taken, called) {
			return nil, fmt.Errorf("a device is called %q already, or not at all; give the new one a name of its own", called)
		}
		taken = append(taken, called)
		added = append(added, trimEnd(shift(item, into.indent-from.indent))...)
	}
	rest := into.lines[min(into.end, len(into.lines)):]
	if len(rest) > 0 && strings.TrimSpace(rest[0]) != "" {
		added = append(added, "")
	}
	text := strings.Join(append(added, rest...), "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte(text), nil
}

// devices is where the devices stand in the lines of a configuration.
type devices struct {
	lines      []string
	start, end int    // from the key to behind the last line that belongs to it
	indent     int    // of the dashes
	key        string // its line, without empty brackets
	missing    bool   // there is no such key
}

var devicesKey = regexp.MustCompile(`^devices:[ \t]*(\[[ \t]*\])?([ \t]*#.*)?$`)

// findDevices reads lines, not YAML: so remarks stay where they are.
func findDevices(text []byte) (*devices, error) {
	d := &devices{lines: strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), indent: 2}
	start := slices.IndexFunc(d.lines, func(line string) bool { return strings.HasPrefix(line, "devices:") })
	if start < 0 {
		d.start, d.end, d.missing = len(d.lines), len(d.lines), true
		return d, nil
	}
	parts := devicesKey.FindStringSubmatch(d.lines[start])
	if parts == nil {
		return nil, fmt.Errorf("line %d: the devices stand in brackets behind the key; write each on a line of its own, behind a dash", start+1)
	}
	d.start, d.end, d.key = start, start+1, d.lines[start]
	if parts[1] != "" {
		d.key = "devices:" + parts[2]
	}
	for i := start + 1; i < len(d.lines); i++ {
		line := d.lines[i]
		inside := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "\t")
		if !inside && strings.TrimSpace(line) != "" && line[0] != '#' {
			break
		}
		if inside && strings.TrimSpace(line) != "" {
			d.end = i + 1 // blank lines and remarks at the left belong to what follows
		}
	}
	for _, line := range d.lines[d.start+1 : d.end] {
		if rest := strings.TrimLeft(line, " "); strings.HasPrefix(rest, "-") {
			d.indent = len(line) - len(rest)
			break
		}
	}
	return d, nil
}

// items cuts the lines of the devices at their dashes.
func (d *devices) items() (out [][]string) {
	if d.missing {
		return nil
	}
	_, out = cutItems(d.lines[d.start+1:d.end], d.indent)
	return out
}

// cutItems cuts lines at the dashes that are indented by so much; before is what stands above the first.
func cutItems(lines []string, indent int) (before []string, items [][]string) {
	for _, line := range lines {
		rest := strings.TrimLeft(line, " ")
		if len(line)-len(rest) == indent && (rest == "-" || strings.HasPrefix(rest, "- ")) {
			items = append(items, nil)
		}
		if len(items) > 0 {
			items[len(items)-1] = append(items[len(items)-1], line)
		} else {
			before = append(before, line)
		}
	}
	return before, items
}

var nameKey = regexp.MustCompile(`(^|[\s{,-])name:[ \t]+("[^"]*"|'[^']*'|[^,}#\n]+)`)

func itemName(item []string) string {
	var parsed []struct {
		Name string `yaml:"name"`
	}
	if err := yaml.Unmarshal([]byte(strings.Join(item, "\n")), &parsed); err == nil && len(parsed) == 1 {
		return parsed[0].Name
	}
	// An alias that stands elsewhere in the file: the first name is the device's in all but odd files.
	if parts := nameKey.FindStringSubmatch(strings.Join(item, "\n")); parts != nil {
		return strings.Trim(strings.TrimSpace(parts[2]), `"'`)
	}
	return ""
}

func renamed(item []string, name string) ([]string, error) {
	text := strings.Join(item, "\n")
	at := nameKey.FindStringSubmatchIndex(text)
	if at == nil {
		return nil, fmt.Errorf("the device in the file has no name")
	}
	lines := strings.Split(text[:at[4]]+scalar(name)+strings.Repeat(" ", trailing(text[at[4]:at[5]]))+text[at[5]:], "\n")
	if itemName(lines) != name {
		return nil, fmt.Errorf("the device in the file cannot be renamed; change its name by hand")
	}
	return lines, nil
}

func trailing(s string) int { return len(s) - len(strings.TrimRight(s, " \t")) }

// shift moves lines to the right, or to the left as far as they are indented.
func shift(lines []string, by int) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		rest := strings.TrimLeft(line, " ")
		if rest == "" {
			continue
		}
		out[i] = strings.Repeat(" ", max(0, len(line)-len(rest)+by)) + rest
	}
	return out
}

func trimEnd(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
