// Package sheet reads and writes tables of points: CSV and XLSX files as engineers keep them, tag
// lists exported from Neuron and Kepware, and a device's section of the configuration. It hides file
// formats, character sets and the words that columns are headed with; what an address or a type means
// is the driver's business. Everything is bounded, and a row that makes no sense is named with its
// line and its column while the others are taken.
package sheet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds on a file. 20,000 points are twice what a configuration takes.
const (
	MaxBytes    = 8 << 20  // of the file
	maxUnpacked = 32 << 20 // of all parts of an XLSX file
	maxParts    = 256      // of an XLSX file
	MaxRows     = 20000
	maxColumns  = 256
	maxCell     = 1024 // characters
	maxProblems = 1000 // of one file: what follows is a consequence
)

// Row is one point as a table has it. A number that the table leaves empty is 0.
type Row struct {
	Line          int // in the file, from 1; 0 when the row came from elsewhere
	Name          string
	Address       string // in the forms of the driver, such as holding:0 or 40001
	Type          string // in the words of the Modbus driver, where the table's word is known
	Order         string // ABCD, CDAB, BADC or DCBA
	Length        int    // of a text, in bytes
	Scale, Offset float64
	Unit          string // of measure
	Access        string // r or rw
	Group         string
	Deadband      float64
	Description   string
	Station       string            // the unit that the point is behind, where the table says it
	Other         map[string]string // by key of the driver, such as id and format of DL/T 645
}

// Table is a file's cells before anybody knows what they mean.
type Table struct {
	Sheet  string // its name in an XLSX file
	Header []string
	Rows   [][]string
	Lines  []int // of Rows in the file, from 1
}

// Problem is what is wrong with a cell or a row.
type Problem struct {
	Line    int    // in the file, from 1; 0: the file as a whole
	Column  string // the heading; empty: the row as a whole
	Cell    string
	Message string
	Warning bool // the row is taken all the same
}

// String gives the problem as one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Column != "" {
		fmt.Fprintf(&b, "%s: ", p.Column)
	}
	b.WriteString(p.Message)
	return b.String()
}

var (
	errTooLarge = fmt.Errorf("the file has more than %d MiB", MaxBytes>>20)
	errEmpty    = errors.New("there is nothing in the file")
)

// Read takes a CSV or XLSX file apart; which of the two it is shows in its bytes. Of an XLSX file it
// gives the first sheet whose cells look like points, else the first that has any.
func Read(data []byte) (*Table, error) {
	switch {
	case len(data) > MaxBytes:
		return nil, errTooLarge
	case len(data) == 0:
		return nil, errEmpty
	case strings.HasPrefix(string(data[:min(4, len(data))]), "PK"):
		return readXLSX(data)
	case strings.HasPrefix(string(data[:min(8, len(data))]), "\xD0\xCF\x11\xE0"):
		return nil, errors.New("this is an .xls file or one with a password; save it as .xlsx or .csv without one")
	}
	return readCSV(data)
}

// headingRows is how far down headings are looked for, since some programs write remarks above them.
const headingRows = 20

// headings says whether a row heads the columns that a point cannot do without.
func headings(row []string) bool {
	m := Match(row)
	_, name := m[Name]
	_, address := m[Address]
	_, id := m[ID]
	return name && (address || id || ownKeys(row))
}

// table finds the headings: the first row that has the necessary ones, else the one with the most
// that are known, else the first, whose columns somebody then has to match.
func table(rows [][]string, lines []int) (*Table, error) {
	best, most := 0, 0
	for i, row := range rows[:min(len(rows), headingRows)] {
		if headings(row) {
			best = i
			break
		}
		if known := len(Match(row)); known > most {
			best, most = i, known
		}
	}
	t := &Table{Header: rows[best]}
	for i := best + 1; i < len(rows); i++ {
		if !slices.ContainsFunc(rows[i], func(cell string) bool { return strings.TrimSpace(cell) != "" }) {
			continue
		}
		if len(t.Rows) == MaxRows {
			return nil, fmt.Errorf("line %d: more than %d points", lines[i], MaxRows)
		}
		t.Rows, t.Lines = append(t.Rows, rows[i]), append(t.Lines, lines[i])
	}
	return t, nil
}

// Stations lists the units that rows are behind, in the order in which they come. A table with
// several describes several devices.
func Stations(rows []Row) []string {
	var out []string
	for _, r := range rows {
		if !slices.Contains(out, r.Station) {
			out = append(out, r.Station)
		}
	}
	return out
}

// number reads a number as people write it in a table: 0.1, 0,1, 1e-3.
func number(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	if strings.Count(text, ",") == 1 && !strings.Contains(text, ".") {
		text = strings.Replace(text, ",", ".", 1)
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n-n != 0 { // infinities and NaN
		return 0, errors.New("is not a number")
	}
	return n, nil
}

func written(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}
