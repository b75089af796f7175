package sheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// kepwareAddress is a decimal address of Kepware's Modbus drivers: five or six digits, then .n for a
// bit, or .nH and .nL for a text, or [n] for an array.
var kepwareAddress = regexp.MustCompile(`^([0134])([0-9]{4,5})(?:\.([0-9]{1,3})([HL])?)?(\[.*\])?$`)

var kepwareTypes = map[string]string{
	"boolean": "bool", "short": "int16", "word": "uint16", "default": "uint16", "long": "int32", "dword": "uint32",
	"float": "float32", "double": "float64", "llong": "int64", "qword": "uint64", "string": "string",
}

// scaling is the column of that heading, which is no scale.
const scaling Column = "Scaling"

// kepwareDefault is the word order that a device in Kepware has as it is made: the low word first.
const kepwareDefault = "CDAB"

// kepware reads a row of a tag list that Kepware exported.
func (r *reader) kepware(out *Row) {
	r.kepwareName(out)
	kind := plainWord(r.cell(Type))
	out.Type = kepwareTypes[kind]
	if out.Type == "" {
		r.problem(Type, fmt.Sprintf("%q is not a type that is read here", r.cell(Type)))
	}
	r.access(out)
	r.kepwareScaling(out)
	parts := kepwareAddress.FindStringSubmatch(r.cell(Address))
	if parts == nil {
		r.problem(Address, fmt.Sprintf("%q is not an address of Kepware's Modbus drivers, as 400001, 400001.4 or 400001.20H", r.cell(Address)))
		return
	}
	area, digits, part, packing, array := parts[1], parts[2], parts[3], parts[4], parts[5]
	n, err := strconv.ParseUint(digits, 10, 32)
	switch {
	case array != "":
		r.problem(Address, "arrays are not read here; import their elements as tags of their own")
		return
	case err != nil || n < 1 || n > 65536:
		r.problem(Address, fmt.Sprintf("%q does not count from 1 to 65536", digits))
		return
	}
	out.Address = fmt.Sprintf("%s:%d", areaDigit[area], n-1)
	if area == "0" || area == "1" {
		out.Type = "bool"
	}
	switch {
	case packing != "" || out.Type == "string":
		out.Type, out.Length = "string", atoi(part)
		if packing == "L" {
			out.Order = "BADC"
		}
		if out.Length < 1 || out.Length > 250 {
			r.problem(Address, "a String needs its length in bytes, 1 to 250, as in 400001.20H")
		}
	case part != "":
		if out.Type = "bool"; atoi(part) > 15 {
			r.problem(Address, "the bits of a register are 0 to 15")
		}
		out.Address += "." + strconv.Itoa(atoi(part))
	}
	r.kepwareOrder(out)
}

func atoi(digits string) int {
	n, _ := strconv.Atoi(digits) // a pattern has seen to it
	return n
}

// kepwareOrder: the order is a setting of the device in Kepware, which the list does not have.
func (r *reader) kepwareOrder(out *Row) {
	if r.defaultOrder(out); out.Order != "" || !wide(out.Type) {
		return
	}
	out.Order = kepwareDefault
	r.warn(Type, "the list does not say the word order; the low word first (CDAB) is Kepware's default, ABCD is right where First Word Low was switched off")
}

// kepwareName: a tag's groups stand before it, Boiler.Pump.Speed.
func (r *reader) kepwareName(out *Row) {
	if at := strings.LastIndexByte(out.Name, '.'); at > 0 {
		out.Group = out.Name[:at]
		out.Name = strings.ReplaceAll(out.Name, ".", "_")
	}
}

// kepwareScaling turns Linear with its four corners into scale and offset.
func (r *reader) kepwareScaling(out *Row) {
	cell := map[string]string{}
	for i, heading := range r.table.Header {
		if i < len(r.cells) {
			cell[plainWord(heading)] = strings.TrimSpace(r.cells[i])
		}
	}
	out.Scale, out.Offset = 0, 0
	switch kind := plainWord(cell["scaling"]); kind {
	case "", "none":
		return
	case "linear":
	default:
		r.problem(scaling, fmt.Sprintf("scaling %q cannot be written as scale and offset", cell["scaling"]))
		return
	}
	var corners [4]float64
	for i, key := range []string{"rawlow", "rawhigh", "scaledlow", "scaledhigh"} {
		n, err := number(cell[key])
		if err != nil {
			r.problem(scaling, fmt.Sprintf("%s %q %v", key, cell[key], err))
			return
		}
		corners[i] = n
	}
	if corners[0] == corners[1] {
		r.problem(scaling, "Raw Low and Raw High are the same")
		return
	}
	out.Scale = (corners[3] - corners[2]) / (corners[1] - corners[0])
	out.Offset = corners[2] - corners[0]*out.Scale
}
