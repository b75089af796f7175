package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

var kepwareNames = map[string]string{
	"bool": "Boolean", "int16": "Short", "uint16": "Word", "int32": "Long", "uint32": "DWord", "int64": "LLong", "uint64": "QWord",
	"float32": "Float", "float64": "Double", "string": "String",
}

var kepwareHeadings = []string{
	"Tag Name", "Address", "Data Type", "Respect Data Type", "Client Access", "Scan Rate", "Scaling", "Raw Low", "Raw High",
	"Scaled Low", "Scaled High", "Scaled Data Type", "Clamp Low", "Clamp High", "Eng Units", "Description", "Negate Value",
}

// rawSpan is what Raw High is written as: of a scale with up to three more digits the corners are exact.
const rawSpan = 1000

// WriteKepware writes rows as the tag list that Kepware imports. What its Modbus drivers have no form for
// comes back as problems, and is left out; a warning says how the device has to be set there.
func WriteKepware(w io.Writer, rows []Row) ([]Problem, error) {
	out := csv.NewWriter(w)
	lines := [][]string{kepwareHeadings}
	var problems []Problem
	order := ""
	for i, row := range rows {
		line, message := row.kepware()
		if own := row.wideOrder(); message == "" && own != "" {
			if order == "" {
				order = own
				problems = append(problems, Problem{Warning: true, Message: kepwareSetting[own]})
			}
			if own != order {
				message = fmt.Sprintf("its order is %s; a device has one order in Kepware, and %s came first", own, order)
			}
		}
		if message != "" {
			problems = append(problems, Problem{Line: row.Line, Column: row.Name, Cell: row.Address, Message: fmt.Sprintf("row %d: %s", i+1, message)})
			continue
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for i, cell := range line {
			line[i] = harmless(cell)
		}
		if err := out.Write(line); err != nil {
			return problems, fmt.Errorf("write Kepware's list: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return problems, fmt.Errorf("write Kepware's list: %w", err)
	}
	return problems, nil
}

// kepwareSetting says what the device has to be set to for values in an order.
var kepwareSetting = map[string]string{
	"ABCD": "the list does not say the word order: in Kepware set the device to First Word Low: Disable",
	"CDAB": "the list does not say the word order: in Kepware leave the device at First Word Low: Enable",
	"BADC": "the list does not say the byte order: in Kepware set the device to Modbus Byte Order: Disable and First Word Low: Disable",
	"DCBA": "the list does not say the byte order: in Kepware set the device to Modbus Byte Order: Disable",
}

// wideOrder is the order of a value of several registers, "" for others.
func (r *Row) wideOrder() string {
	if !wide(r.kind()) {
		return ""
	}
	return r.plainOrder()
}

// kepware gives a row's cells, or why there are none.
func (r *Row) kepware() (line []string, problem string) {
	address, problem := sixDigits(r.Address)
	if problem != "" {
		return nil, problem
	}
	kind, order := kepwareNames[r.kind()], r.plainOrder()
	swapped := order == "BADC" || order == "DCBA"
	switch {
	case kind == "":
		return nil, fmt.Sprintf("Kepware's list has no type %s", r.Type)
	case r.Name == "" || strings.ContainsAny(r.Name, `."`) || strings.HasPrefix(r.Name, "_"):
		return nil, fmt.Sprintf("%q cannot be a tag's name in Kepware", r.Name)
	case wide(r.kind()) && kepwareSetting[order] == "", !wide(r.kind()) && kind != "String" && kind != "Boolean" && swapped:
		return nil, fmt.Sprintf("Kepware's list has no order %s", r.Order)
	case kind == "String":
		packing := "H"
		if swapped {
			packing = "L"
		}
		address += fmt.Sprintf(".%d%s", r.Length, packing)
	}
	access := "RO"
	if r.Access == "rw" {
		access = "R/W"
	}
	line = []string{r.Name, address, kind, "1", access, "100", "None", "", "", "", "", "", "", "", r.Unit, r.Description, ""}
	if r.Scale != 0 || r.Offset != 0 {
		scale := r.Scale
		if scale == 0 {
			scale = 1
		}
		copy(line[6:], []string{"Linear", "0", zeroToo(rawSpan), zeroToo(r.Offset), zeroToo(r.Offset + rawSpan*scale), "Double", "0", "0"})
		line[16] = "0"
	}
	return line, ""
}

// zeroToo writes a number in a place that must not be empty.
func zeroToo(n float64) string {
	if n == 0 {
		return "0"
	}
	return written(n)
}
