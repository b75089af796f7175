package sheet

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// WritePoints writes rows as the points of a device's section, one point a line. Station and
// description are no keys of a point and are left out.
func WritePoints(rows []Row) []byte {
	var b bytes.Buffer
	b.WriteString("points:\n")
	for i := range rows {
		b.WriteString("  - " + rows[i].yaml("") + "\n")
	}
	return b.Bytes()
}

// yaml writes the row as a point in braces, with more keys behind its own.
func (r *Row) yaml(more string) string {
	var b strings.Builder
	b.WriteString("{name: " + scalar(r.Name))
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, ", %s: %s", key, value)
		}
	}
	add("address", quoted(r.Address))
	add("type", quoted(r.Type))
	add("order", quoted(r.Order))
	add("length", written(float64(r.Length)))
	add("scale", written(r.Scale))
	add("offset", written(r.Offset))
	add("deadband", written(r.Deadband))
	add("unit", quoted(r.Unit))
	add("access", quoted(r.Access))
	add("group", quoted(r.Group))
	for _, key := range slices.Sorted(maps.Keys(r.Other)) {
		value := quoted(r.Other[key])
		if _, err := number(r.Other[key]); err == nil && driverKeys[key] {
			value = r.Other[key] // a number in quotes would be none
		}
		add(key, value)
	}
	b.WriteString(more + "}")
	return b.String()
}

var plainScalar = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// scalar writes a text as YAML, in quotes where it could be taken for something else.
func scalar(s string) string {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL", "yes", "no", "on", "off":
		return strconv.Quote(s)
	}
	if plainScalar.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return scalar(s)
}

// ReadPoints makes rows of the points in a device's section, or in that of the only device of a file. Keys that are no columns and have a
// single value become Other; a value that is a list or a section fits in no cell and is a problem.
func ReadPoints(section []byte) ([]Row, []Problem, error) {
	if len(section) > MaxBytes {
		return nil, nil, errTooLarge
	}
	var device struct {
		Points  []yaml.MapSlice `yaml:"points"`
		Devices []struct {
			Points []yaml.MapSlice `yaml:"points"`
		} `yaml:"devices"`
	}
	if err := yaml.Unmarshal(section, &device); err != nil {
		return nil, nil, fmt.Errorf("read the points of a device: %w", err)
	}
	if len(device.Devices) > 1 {
		return nil, nil, fmt.Errorf("the file has %d devices where one was expected", len(device.Devices))
	}
	for _, only := range device.Devices {
		device.Points = only.Points
	}
	if len(device.Points) > MaxRows {
		return nil, nil, fmt.Errorf("read the points of a device: more than %d", MaxRows)
	}
	var rows []Row
	var problems []Problem
	for i, point := range device.Points {
		row := Row{}
		for _, item := range point {
			key := fmt.Sprint(item.Key)
			text, ok := cellText(item.Value)
			if ok {
				ok = row.Set(key, text)
			}
			if !ok {
				problems = append(problems, Problem{Column: key, Cell: text, Message: fmt.Sprintf("point %d: %s fits in no cell", i+1, key)})
			}
		}
		rows = append(rows, row)
	}
	return rows, problems, nil
}

func cellText(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

// Set puts a key of a point into its column, or among Other; ok is false for a number that is none.
func (r *Row) Set(key, text string) (ok bool) {
	var err error
	numbers := map[string]*float64{"scale": &r.Scale, "offset": &r.Offset, "deadband": &r.Deadband}
	texts := map[string]*string{
		"name": &r.Name, "address": &r.Address, "type": &r.Type, "order": &r.Order, "unit": &r.Unit, "access": &r.Access, "group": &r.Group,
	}
	switch {
	case texts[key] != nil:
		*texts[key] = text
	case numbers[key] != nil:
		*numbers[key], err = number(text)
	case key == "length":
		r.Length, err = strconv.Atoi(text)
	default:
		if r.Other == nil {
			r.Other = map[string]string{}
		}
		r.Other[key] = text
	}
	return err == nil
}
