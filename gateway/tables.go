package gateway

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	drivers "sluice/collectors/all"
	"sluice/collectors/sheet"
	"sluice/gateway/config"
	"sluice/web"
)

// PointFile is what a file with points holds; PointFileOptions say what the file does not say itself.
type (
	PointFile        = web.PointFile
	PointFileOptions = web.PointFileOptions
	PointProblem     = web.PointProblem
)

// deviceFile is a whole device instead of a table.
var deviceFile = regexp.MustCompile(`(?m)\A(#[^\n]*\n|\s*\n)*devices:`)

const formatDevice = "device"

// ReadPoints says what a file with points holds. c is nil where no device is named; with one, the points
// are also held against what the device's driver knows, as if they stood in c.
func ReadPoints(data []byte, how PointFileOptions, c *config.Config) (PointFile, error) {
	found, rows, err := readPoints(data, &how, c)
	if err != nil || how.Device == "" || found.Format == formatDevice || len(rows) == 0 {
		return found, err
	}
	text, err := sheet.Put([]byte(c.Text), how.Device, rows, false)
	if err != nil {
		found.Problems = append(found.Problems, PointProblem{Text: err.Error()})
		return found, nil
	}
	_, err = config.Parse("configuration", text, Kinds())
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		found.Problems = append(found.Problems, foundBy(wrong, text, rows, found.Columns)...)
	}
	return found, nil
}

// ImportPoints puts the points of a file into the text of the configuration that stands at path: among
// those of a device, or instead of them, or, if the file is a whole device, as a new device of that name.
// The new text has passed the configuration's check.
func ImportPoints(path string, c *config.Config, data []byte, how PointFileOptions, only bool) (text []byte, found PointFile, err error) {
	name, whole := how.Device, deviceFile.Match(data)
	if whole {
		how.Device = "" // it is about to be
	}
	found, rows, err := readPoints(data, &how, c)
	if err != nil {
		return nil, found, err
	}
	if whole {
		text, err = sheet.Insert([]byte(c.Text), data, name)
	} else {
		text, err = sheet.Put([]byte(c.Text), name, rows, only)
	}
	if err != nil {
		return nil, found, err
	}
	next, err := config.Parse(path, text, Kinds())
	if wrong, ok := errors.AsType[config.Problems](err); ok {
		found.Problems = append(found.Problems, foundBy(wrong, text, rows, found.Columns)...)
	}
	if err != nil {
		return nil, found, err
	}
	return text, found, unchanged(c, next, name)
}

// unchanged makes sure that nothing but one device differs: the text is changed by lines, and a file may
// be written in a way that nobody has thought of.
func unchanged(before, after *config.Config, device string) error {
	a, b := *before, *after
	others := func(c *config.Config) (list []config.Device) {
		for _, d := range c.Devices {
			if d.Name != device {
				list = append(list, d)
			}
		}
		return list
	}
	a.Devices, b.Devices = others(before), others(after)
	a.Text, b.Text, a.Warnings, b.Warnings = "", "", nil, nil
	if !reflect.DeepEqual(a, b) {
		return fmt.Errorf("the points cannot be put into this file without changing more than the device %q; put them there by hand", device)
	}
	return nil
}

// readPoints reads the file and chooses a station; rows are those that can be used.
func readPoints(data []byte, how *PointFileOptions, c *config.Config) (PointFile, []sheet.Row, error) {
	found := PointFile{Columns: []web.PointColumn{}, Stations: []string{}, Points: []map[string]any{}, Problems: []PointProblem{}}
	options := sheet.Options{Layout: sheet.Layout(how.Layout), Base: how.Base, Order: how.Order}
	if how.Device != "" {
		d, err := deviceOf(c, how.Device)
		if err != nil {
			return found, nil, err
		}
		options.NoAddress = !hasAddress(d.Driver)
	}
	if deviceFile.Match(data) {
		return readDevice(data, found)
	}
	table, err := sheet.Read(data)
	if err != nil {
		return found, nil, &web.FieldError{Field: "body", Text: err.Error()}
	}
	found.File, found.Sheet, found.Rows = "csv", table.Sheet, len(table.Rows)
	if table.Sheet != "" {
		found.File = "xlsx"
	}
	if options.Layout == "" {
		options.Layout = table.Detect()
	}
	found.Format = string(options.Layout)
	if options.Columns, err = matched(table.Header, how.Columns); err != nil {
		return found, nil, err
	}
	for i, header := range table.Header {
		column := web.PointColumn{Header: header}
		for name, at := range options.Columns {
			if at == i {
				column.Column = string(name)
			}
		}
		found.Columns = append(found.Columns, column)
	}
	rows, problems := table.Points(options)
	for _, p := range problems {
		found.Problems = append(found.Problems, PointProblem{Row: p.Line, Column: p.Column, Cell: p.Cell, Text: p.Message, Warning: p.Warning})
	}
	rows = choose(&found, rows, how.Station)
	return found, rows, nil
}

// readDevice takes a file that is a whole device.
func readDevice(data []byte, found PointFile) (PointFile, []sheet.Row, error) {
	rows, problems, err := sheet.ReadPoints(data)
	if err != nil {
		return found, nil, &web.FieldError{Field: "body", Text: err.Error()}
	}
	found.File, found.Format, found.Rows, found.YAML = "yaml", formatDevice, len(rows), string(data)
	for i := range rows {
		found.Points = append(found.Points, pointOf(&rows[i]))
	}
	for _, p := range problems {
		found.Problems = append(found.Problems, PointProblem{Column: p.Column, Cell: p.Cell, Text: p.Message, Warning: true}) // it stays in the file
	}
	return found, rows, nil
}

// matched gives the columns of a table: those that the headings name, but for what was chosen by hand.
func matched(header []string, chosen map[string]int) (sheet.Mapping, error) {
	columns := sheet.Match(header)
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		at, column := chosen[name], sheet.Column(name)
		switch {
		case !slices.Contains(sheet.Columns(), column):
			return nil, &web.FieldError{Field: "column", Text: fmt.Sprintf("%q is not a column; there are %s", name, columnNames())}
		case at >= len(header):
			return nil, &web.FieldError{Field: "column", Text: fmt.Sprintf("the table has %d columns, which are counted from 0", len(header))}
		}
		maps.DeleteFunc(columns, func(_ sheet.Column, taken int) bool { return taken == at })
		if columns[column] = at; at < 0 {
			delete(columns, column)
		}
	}
	return columns, nil
}

func columnNames() string {
	var names []string
	for _, c := range sheet.Columns() {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}

// choose leaves the rows of one station. A table with several describes several devices.
func choose(found *PointFile, rows []sheet.Row, station *string) []sheet.Row {
	found.Stations = append(found.Stations, sheet.Stations(rows)...)
	if slices.Equal(found.Stations, []string{""}) {
		found.Stations = []string{}
	}
	usable := station != nil || len(found.Stations) < 2
	if station != nil {
		rows = slices.DeleteFunc(slices.Clone(rows), func(r sheet.Row) bool { return r.Station != *station })
	}
	for i := range rows {
		found.Points = append(found.Points, pointOf(&rows[i]))
	}
	if !usable {
		found.Problems = append(found.Problems, PointProblem{Text: fmt.Sprintf("the file has the points of %d stations (%s), each a device of its own; choose one", len(found.Stations), strings.Join(found.Stations, ", "))})
		return nil
	}
	if len(rows) > 0 {
		found.YAML = string(sheet.WritePoints(rows))
	}
	return rows
}

// pointOf is a row for people: what the point's section would have, and what a section has no key for.
func pointOf(r *sheet.Row) map[string]any {
	out := map[string]any{"name": r.Name}
	if r.Line > 0 {
		out["row"] = r.Line
	}
	for key, value := range map[string]string{
		"address": r.Address, "type": r.Type, "order": r.Order, "unit": r.Unit, "access": r.Access, "group": r.Group,
		"description": r.Description, "station": r.Station,
	} {
		if value != "" {
			out[key] = value
		}
	}
	for key, value := range map[string]float64{"length": float64(r.Length), "scale": r.Scale, "offset": r.Offset, "deadband": r.Deadband} {
		if value != 0 {
			out[key] = value
		}
	}
	for key, value := range r.Other {
		out[key] = value
	}
	return out
}

// foundBy gives what the check of a configuration says of rows that were put into it. What it says of
// other lines is about the device as a whole.
func foundBy(wrong config.Problems, text []byte, rows []sheet.Row, columns []web.PointColumn) (list []PointProblem) {
	lines := strings.Split(string(text), "\n")
	for _, p := range wrong {
		if p.Warning {
			continue
		}
		key := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		problem := PointProblem{Column: key, Text: p.Message}
		for _, c := range columns {
			if c.Column == key {
				problem.Column = c.Header
			}
		}
		if p.Line >= 1 && p.Line <= len(lines) {
			if at := slices.IndexFunc(rows, func(r sheet.Row) bool { return r.IsLine(lines[p.Line-1]) }); at >= 0 {
				problem.Row = rows[at].Line
			}
		}
		if problem.Row == 0 {
			problem.Column, problem.Text = "", p.Path+": "+p.Message
		}
		list = append(list, problem)
	}
	return list
}

// WritePoints writes the points of a device, with those of its profile, in one of the forms csv, xlsx,
// neuron and kepware. What the form cannot hold comes back; a point of which it is more than a remark is
// not in the file.
func WritePoints(c *config.Config, device, format string, to io.Writer) ([]PointProblem, error) {
	d, err := deviceOf(c, device)
	if err != nil {
		return nil, err
	}
	rows, wrong := pointRows(d.Options)
	switch format {
	case "csv":
		err = sheet.WriteCSV(to, rows)
	case "xlsx":
		err = sheet.WriteXLSX(to, rows)
	case "neuron", "kepware":
		if !hasAddress(d.Driver) {
			return nil, unable("%s has a form for registers only, and points of the driver %s have none", format, d.Driver)
		}
		var more []sheet.Problem
		if format == "neuron" {
			more, err = sheet.WriteNeuron(to, rows, unitOf(d.Options))
		} else {
			more, err = sheet.WriteKepware(to, rows)
		}
		wrong = append(wrong, more...)
	default:
		return nil, &web.FieldError{Field: "format", Text: fmt.Sprintf("%q is not a form; write csv, xlsx, neuron or kepware", format)}
	}
	var problems []PointProblem
	for _, p := range wrong {
		problems = append(problems, PointProblem{Row: p.Line, Column: p.Column, Cell: p.Cell, Text: p.Message, Warning: p.Warning})
	}
	return problems, err
}

// hasAddress says whether the points of a driver have addresses.
func hasAddress(driver string) bool {
	known, ok := drivers.Drivers(nil, nil)[driver]
	if !ok {
		return false
	}
	for _, f := range config.Describe(known.Options()) {
		if f.Name == "points" {
			return slices.ContainsFunc(f.Fields, func(key config.Field) bool { return key.Name == "address" })
		}
	}
	return false
}

// pointRows makes rows of the points in a driver's options, whatever the driver: each key that is set
// becomes a cell as it is written in a configuration.
func pointRows(options any) (rows []sheet.Row, problems []sheet.Problem) {
	points := keyed(reflect.Indirect(reflect.ValueOf(options)), "points")
	if !points.IsValid() {
		return nil, nil
	}
	for i := range points.Len() {
		row := sheet.Row{}
		eachKey(points.Index(i), func(key string, v reflect.Value) {
			text, ok := cellOf(v)
			if !ok || !row.Set(key, text) {
				problems = append(problems, sheet.Problem{Column: key, Warning: true, Message: fmt.Sprintf("point %q: %s fits in no cell", keyText(points.Index(i), "name"), key)})
			}
		})
		rows = append(rows, row)
	}
	return rows, problems
}

func unitOf(options any) string {
	if unit := keyText(reflect.Indirect(reflect.ValueOf(options)), "unit"); unit != "" {
		return unit
	}
	return "1"
}

func keyText(section reflect.Value, key string) string {
	v := keyed(section, key)
	if !v.IsValid() {
		return ""
	}
	text, _ := cellOf(v)
	return text
}

// eachKey gives the keys of a section that are set, as its tags call them.
func eachKey(section reflect.Value, give func(key string, v reflect.Value)) {
	for i := range section.NumField() {
		name, options, _ := strings.Cut(section.Type().Field(i).Tag.Get("yaml"), ",")
		switch v := section.Field(i); {
		case options == "inline":
			eachKey(v, give)
		case name != "" && name != "-" && !v.IsZero():
			give(name, reflect.Indirect(v))
		}
	}
}

func keyed(section reflect.Value, key string) (found reflect.Value) {
	eachKey(section, func(name string, v reflect.Value) {
		if name == key {
			found = v
		}
	})
	return found
}

// cellOf writes a value as a configuration has it; ok is false for lists and sections.
func cellOf(v reflect.Value) (text string, ok bool) {
	switch known := v.Interface().(type) {
	case encoding.TextMarshaler:
		written, err := known.MarshalText()
		return string(written), err == nil
	case time.Duration:
		return config.Duration(known).String(), true
	case fmt.Stringer:
		return known.String(), true
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), true
	case reflect.Map, reflect.Slice, reflect.Struct:
		return "", false
	}
	return fmt.Sprint(v.Interface()), true
}
