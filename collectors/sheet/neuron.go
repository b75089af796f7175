package sheet

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// neuronAddress is SLAVE!ADDRESS[.BIT][#ENDIAN][.LEN[H][L][D][E]] of EMQX Neuron's Modbus drivers.
var neuronAddress = regexp.MustCompile(`^([0-9]{1,3})!([0-9]{5,6})(\.[0-9]+)?(#[A-Z]{1,2})?(\.[0-9]+)?([HLDE])?$`)

var neuronTypes = map[string]string{
	"bit": "bool", "bool": "bool", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16", "word": "uint16",
	"int32": "int32", "uint32": "uint32", "dword": "uint32", "int64": "int64", "uint64": "uint64", "lword": "uint64",
	"float": "float32", "double": "float64", "string": "string",
}

// neuronOrders are by the symbol, in the order in which the bytes come: #LL is 1,2,3,4.
var neuronOrders = map[string]string{
	"#L": "ABCD", "#B": "BADC", "#LL": "ABCD", "#LB": "BADC", "#BL": "CDAB", "#BB": "DCBA",
}

// neuron reads a row of a tag list that Neuron exported.
func (r *reader) neuron(out *Row) {
	out.Type = neuronTypes[plainWord(r.cell(Type))]
	if out.Type == "" {
		r.problem(Type, fmt.Sprintf("%q is not a type of Neuron's Modbus drivers that is read here", r.cell(Type)))
	}
	parts := neuronAddress.FindStringSubmatch(r.cell(Address))
	if parts == nil {
		r.problem(Address, fmt.Sprintf("%q is not an address of Neuron's Modbus drivers, as 1!400001, 1!400001.4, 1!400001#BL or 1!400001.10H", r.cell(Address)))
		return
	}
	station, at, bit, symbol, length, packing := parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]
	out.Station, out.Address = station, at
	if !strings.ContainsAny(at[:1], "0134") {
		r.problem(Address, fmt.Sprintf("%c is not the digit of an area: 0, 1, 3 or 4", at[0]))
	}
	if out.Type == "string" {
		r.neuronString(out, bit, length, packing)
	} else {
		if out.Address += bit; length != "" || packing != "" {
			r.problem(Address, "only a STRING has a length")
		}
		if bit != "" && out.Type != "bool" {
			r.problem(Address, "only a BIT lies in a bit of a register")
		}
	}
	if symbol != "" {
		if out.Order = neuronOrders[symbol]; out.Order == "" {
			r.problem(Address, fmt.Sprintf("the byte order %s is not known here", symbol))
		}
		if out.Order == "ABCD" && !wide(out.Type) {
			out.Order = "" // what a register has anyway
		}
	}
	r.defaultOrder(out)
	r.neuronAccess(out)
}

// neuronString: without a letter the high byte comes first, as in Neuron's program; its manual says
// the opposite.
func (r *reader) neuronString(out *Row, bit, length, packing string) {
	if length == "" {
		length = bit // .10 stands where a bit would
	}
	n, err := strconv.Atoi(strings.TrimPrefix(length, "."))
	if err != nil || n < 1 || n > 250 {
		r.problem(Address, "a STRING needs its length in bytes, 1 to 250, as in 1!400001.10H")
		return
	}
	out.Length = n
	switch packing {
	case "L":
		out.Order = "BADC"
	case "D", "E":
		r.problem(Address, "a text with one byte in each register (D and E) is not read here")
	}
}

func (r *reader) neuronAccess(out *Row) {
	word := strings.ToLower(r.cell(Access))
	bits, err := strconv.Atoi(word) // 1 read, 2 write, 4 subscribe, 8 static, as in Neuron's API
	switch {
	case err == nil && bits&8 != 0, strings.Contains(word, "static"):
		r.problem(Access, "a static tag is no point of the device")
	case err == nil && bits&2 != 0, strings.Contains(word, "write"), strings.Contains(word, "写"):
		out.Access = "rw"
	case err == nil && bits&5 != 0, word == "", strings.Contains(word, "read"), strings.Contains(word, "subscribe"), strings.Contains(word, "读"), strings.Contains(word, "订阅"):
		out.Access = "r"
	default:
		r.problem(Access, fmt.Sprintf("%q is not an attribute; write Read, Write or Subscribe", r.cell(Access)))
	}
}

var neuronNames = map[string]string{
	"bool": "BIT", "int8": "INT8", "uint8": "UINT8", "int16": "INT16", "uint16": "UINT16", "int32": "INT32", "uint32": "UINT32",
	"int64": "INT64", "uint64": "UINT64", "float32": "FLOAT", "float64": "DOUBLE", "string": "STRING",
}

var neuronHeader = []string{"group", "name", "address", "attribute", "type", "description", "decimal", "precision"}

// WriteNeuron writes rows as the workbook that Neuron imports. Rows without a station get the one
// given. What Neuron has no form for comes back as problems, and is left out.
func WriteNeuron(w io.Writer, rows []Row, station string) ([]Problem, error) {
	out := [][]string{neuronHeader}
	var problems []Problem
	for i, row := range rows {
		line, message := row.neuron(station)
		if message != "" {
			problems = append(problems, Problem{Line: row.Line, Column: row.Name, Cell: row.Address, Message: fmt.Sprintf("row %d: %s", i+1, message)})
			continue
		}
		out = append(out, line)
	}
	return problems, writeBook(w, "Sheet1", out, map[string]bool{"decimal": true})
}

// neuron gives a row's cells, or why there are none.
func (r *Row) neuron(station string) (line []string, problem string) {
	at, problem := sixDigits(r.Address)
	if problem != "" {
		return nil, problem
	}
	kind := neuronNames[r.kind()]
	if kind == "" {
		return nil, fmt.Sprintf("Neuron has no type %s", r.Type)
	}
	if r.Offset != 0 {
		return nil, "Neuron's list has no column for an offset"
	}
	if r.Station != "" {
		station = r.Station
	}
	address := station + "!" + at
	order := r.plainOrder()
	swapped := order == "BADC" || order == "DCBA"
	switch {
	case wide(r.kind()) && !slices.Contains(fourLetters, order):
		return nil, fmt.Sprintf("Neuron has no order %s", r.Order)
	case kind == "STRING":
		packing := "H"
		if swapped {
			packing = "L"
		}
		address += fmt.Sprintf(".%d%s", r.Length, packing)
	case wide(r.kind()):
		address += map[string]string{"CDAB": "#BL", "BADC": "#LB", "DCBA": "#BB"}[order]
	case swapped && kind != "BIT":
		address += "#B"
	}
	attribute := "Read"
	if r.Access == "rw" {
		attribute = "Read Write"
	}
	group := r.Group
	if group == "" {
		group = "default"
	}
	return []string{group, r.Name, address, attribute, kind, r.Description, written(r.Scale), ""}, ""
}

// fourLetters are the orders that other products have.
var fourLetters = []string{"ABCD", "CDAB", "BADC", "DCBA"}

// plainOrder is the order in four letters where it has such a form.
func (r *Row) plainOrder() string {
	if r.Order == "" {
		return "ABCD"
	}
	return knownOr(orders, r.Order)
}

// kind is the type with the default that the Modbus driver has for it.
func (r *Row) kind() string {
	switch {
	case r.Type != "":
		return r.Type
	case strings.HasPrefix(r.Address, "coil:"), strings.HasPrefix(r.Address, "discrete:"), strings.Contains(r.Address, "."),
		modiconAddress.MatchString(r.Address) && strings.ContainsAny(r.Address[:1], "01"):
		return "bool"
	}
	return "uint16"
}

// sixDigits writes an address as area digit and five digits that count from 1, with its bit.
func sixDigits(address string) (text, problem string) {
	whole, bit, hasBit := strings.Cut(address, ".")
	if hasBit {
		if n, err := strconv.ParseUint(bit, 10, 8); err != nil || n > 15 {
			return "", fmt.Sprintf("%q is a part of a register that is no bit", address)
		}
		bit = "." + bit
	}
	if area, digits, named := strings.Cut(whole, ":"); named {
		n, err := strconv.ParseUint(digits, 10, 16)
		for digit, name := range areaDigit {
			if name == area && err == nil && n < 65535 {
				return fmt.Sprintf("%s%05d%s", digit, n+1, bit), ""
			}
		}
	} else if modiconAddress.MatchString(whole) {
		return whole[:1] + strings.Repeat("0", 6-len(whole)) + whole[1:] + bit, ""
	}
	return "", fmt.Sprintf("%q has no form of six digits", address)
}
