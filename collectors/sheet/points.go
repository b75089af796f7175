package sheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Layout says whose words addresses and types are written in.
type Layout string

// The layouts that are known.
const (
	Plain   Layout = "plain"   // our own words, or a plain table of registers
	Neuron  Layout = "neuron"  // 1!400001#BL, with type and attribute
	Kepware Layout = "kepware" // 400001, with Data Type, Client Access and Scaling
)

// Options say what a table does not say itself. The zero Options are those of a table that does.
type Options struct {
	Layout  Layout  // empty: as Detect says
	Columns Mapping // nil: as Match says
	Base    int     // what plain numbers beside an area count from: 0, as on the wire, or 1
	Order   string  // of values wider than a register where the table says none
	// NoAddress says that points of the driver have no address: their own keys say where values are.
	NoAddress bool
}

// Detect tells a table's layout by its headings and its addresses.
func (t *Table) Detect() Layout {
	words := map[string]bool{}
	for _, heading := range t.Header {
		words[plainWord(heading)] = true
	}
	if words["clientaccess"] && words["tagname"] {
		return Kepware
	}
	at, ok := Match(t.Header)[Address]
	if !ok {
		return Plain
	}
	neuron := 0
	for _, row := range t.Rows {
		if at < len(row) && neuronAddress.MatchString(row[at]) {
			neuron++
		}
	}
	if neuron > 0 && 2*neuron >= len(t.Rows) {
		return Neuron
	}
	return Plain
}

// Points makes rows of a table. A row with a problem that is no warning is left out.
func (t *Table) Points(o Options) ([]Row, []Problem) {
	r := reader{table: t, options: o, names: map[string]int{}, own: ownKeys(t.Header)}
	if r.options.Layout == "" {
		r.options.Layout = t.Detect()
	}
	if r.options.Columns == nil {
		r.options.Columns = match(t.Header, r.own)
	}
	if !r.complete() {
		return nil, r.problems
	}
	var rows []Row
	for i, cells := range t.Rows {
		if len(r.problems) >= maxProblems {
			r.problems = append(r.problems, Problem{Message: fmt.Sprintf("more than %d problems; the rest of the file was not looked at", maxProblems)})
			break
		}
		if row, ok := r.row(cells, t.Lines[i]); ok {
			rows = append(rows, row)
		}
	}
	return rows, r.problems
}

// reader makes rows of one table.
type reader struct {
	table    *Table
	options  Options
	problems []Problem
	names    map[string]int // station and name to the line they were seen in
	own      bool           // values are placed by keys of the driver, not by addresses

	cells  []string // of the row at hand
	line   int
	broken bool
}

func (r *reader) complete() bool {
	if _, ok := r.options.Columns[Name]; !ok {
		r.problems = append(r.problems, Problem{Message: "no column is headed name; the headings are " + strings.Join(r.table.Header, ", ")})
	}
	_, address := r.options.Columns[Address]
	_, id := r.options.Columns[ID]
	if !address && !id && !r.own && !r.options.NoAddress {
		r.problems = append(r.problems, Problem{Message: "no column is headed address; the headings are " + strings.Join(r.table.Header, ", ")})
	}
	return len(r.problems) == 0
}

// cell gives what the row at hand has in a column.
func (r *reader) cell(c Column) string {
	if at, ok := r.options.Columns[c]; ok && at >= 0 && at < len(r.cells) {
		return strings.TrimSpace(r.cells[at])
	}
	return ""
}

func (r *reader) heading(c Column) string {
	if at, ok := r.options.Columns[c]; ok && at >= 0 && at < len(r.table.Header) {
		return r.table.Header[at]
	}
	return string(c)
}

// problem is about a cell of the row at hand, which is then left out.
func (r *reader) problem(c Column, message string) {
	r.broken = true
	r.problems = append(r.problems, Problem{Line: r.line, Column: r.heading(c), Cell: r.cell(c), Message: message})
}

func (r *reader) warn(c Column, message string) {
	r.problems = append(r.problems, Problem{Line: r.line, Column: r.heading(c), Cell: r.cell(c), Message: message, Warning: true})
}

func (r *reader) number(c Column) float64 {
	n, err := number(r.cell(c))
	if err != nil {
		r.problem(c, fmt.Sprintf("%q %v", r.cell(c), err))
	}
	return n
}

func (r *reader) row(cells []string, line int) (Row, bool) {
	r.cells, r.line, r.broken = cells, line, false
	for c := range r.options.Columns {
		if formulaError.MatchString(r.cell(c)) {
			r.problem(c, fmt.Sprintf("%s is a mistake in the spreadsheet", r.cell(c)))
		}
	}
	out := Row{
		Line: line, Name: r.cell(Name), Group: r.cell(Group), Unit: r.cell(Unit), Description: r.cell(Description),
		Station: r.station(), Scale: r.number(Scale), Offset: r.number(Offset), Deadband: r.number(Deadband),
		Address: r.cell(Address),
	}
	if n := r.number(Length); n != 0 {
		if out.Length = int(n); n < 1 || n > 250 || n != float64(out.Length) {
			r.problem(Length, fmt.Sprintf("%q is not a number of bytes from 1 to 250", r.cell(Length)))
		}
	}
	r.other(&out)
	switch r.options.Layout {
	case Neuron:
		r.neuron(&out)
	case Kepware:
		r.kepware(&out)
	default:
		r.plain(&out)
	}
	r.unique(&out)
	return out, !r.broken
}

var formulaError = regexp.MustCompile(`^#(REF|N/A|NAME|VALUE|DIV/0|NUM|NULL)[!?]?$`)

func (r *reader) station() string {
	text := r.cell(Station)
	if text == "" {
		return ""
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && n == float64(uint16(n)) {
		return strconv.Itoa(int(n)) // 3.0 of a spreadsheet is 3
	}
	return text
}

func (r *reader) unique(out *Row) {
	if out.Name == "" {
		r.problem(Name, "is missing")
		return
	}
	key := out.Station + "\x00" + out.Name
	if first, taken := r.names[key]; taken {
		r.problem(Name, fmt.Sprintf("%q is the name in line %d already", out.Name, first))
		return
	}
	r.names[key] = r.line
}

func (r *reader) other(out *Row) {
	add := func(key, value string) {
		if value == "" {
			return
		}
		if out.Other == nil {
			out.Other = map[string]string{}
		}
		out.Other[key] = value
	}
	add("id", r.cell(ID))
	add("format", r.cell(Format))
	if r.options.Layout != Plain {
		return
	}
	for i, heading := range r.table.Header {
		isNumber, known := driverKeys[heading]
		if _, word := byWord[plainWord(heading)]; !known || i >= len(r.cells) || word && !r.own || r.options.Columns.has(i) {
			continue
		}
		text := strings.TrimSpace(r.cells[i])
		if isNumber && text != "" {
			n, err := number(text)
			if err != nil {
				r.problem(Column(heading), fmt.Sprintf("%q %v", text, err))
				continue
			}
			text = strconv.FormatFloat(n, 'f', -1, 64)
		}
		add(heading, text)
	}
}
