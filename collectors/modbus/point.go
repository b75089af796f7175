package modbus

import (
	"fmt"
	"math"

	"sluice/collectors"
)

// Point is one value of the device.
type Point struct {
	Name      string            `yaml:"name" doc:"the value's name in readings" required:"true"`
	Address   Address           `yaml:"address" doc:"coil:0, discrete:3, input:10, holding:7 or holding:0x1F, a bit of a register as holding:7.2, its high or low byte as holding:7.h or holding:7.l, or 40001 and 400001 forms, which count from 1" required:"true"`
	Type      Type              `yaml:"type" doc:"how registers become a value; default bool for coils, discrete inputs and bits, uint8 for bytes, else uint16" enum:"bool,int8,uint8,int16,uint16,int32,uint32,int64,uint64,float32,float64,bcd16,bcd32,bcd64,string,raw"`
	Order     Order             `yaml:"order" doc:"byte order on the wire, A is the most significant byte; for 64 bits CDAB means words in reverse, BADC bytes swapped in each word, DCBA everything in reverse; in strings BADC and DCBA swap the bytes of each register" enum:"ABCD,CDAB,BADC,DCBA,AB,BA,ABCDEFGH,GHEFCDAB,BADCFEHG,HGFEDCBA,CDABGHEF,EFGHABCD,DCBAHGFE,FEHGBADC"`
	Length    int               `yaml:"length" doc:"bytes of a string or of raw data, two to a register; one to a register when the address ends in .h or .l" min:"1" max:"250"`
	Scale     float64           `yaml:"scale" doc:"the value is multiplied by this"`
	Offset    float64           `yaml:"offset" doc:"and then this is added"`
	Precision *int              `yaml:"precision" doc:"digits behind the decimal point that the value is rounded to; missing: all there are" min:"0" max:"15"`
	Enum      map[string]string `yaml:"enum" doc:"what a whole number stands for, as {0: stopped, 1: running}: the value is that text, and the digits for a number that is not there"`
	Bits      map[string]string `yaml:"bits" doc:"what the bits of an unsigned number stand for, 0 being the least significant, as {0: fault, 3: door}: the value is the names of those that are set, with a comma and a space between"`
	Unit      string            `yaml:"unit" doc:"unit of measure, for people"`
	Access    Access            `yaml:"access" doc:"r, or rw for what commands may write" enum:"r,rw"`

	collectors.Policy `yaml:",inline"`
}

// Access says who may do what with a point.
type Access string

// maxWritten is how many registers one request can write [MODBUS Application Protocol V1.1b3, 6.12].
const maxWritten = 123

// kind is the type with its default.
func (p *Point) kind() Type {
	switch {
	case p.Type != "":
		return p.Type
	case p.Address.Area.bits() || p.Address.HasBit:
		return "bool"
	case p.Address.Byte != 0:
		return "uint8"
	}
	return "uint16"
}

// span is where the point lies.
func (p *Point) span() span {
	f := p.kind().form()
	count := (f.bytes + 1) / 2
	if f.long() {
		count = (p.Length + 1) / 2
		if p.Address.Byte != 0 {
			count = p.Length
		}
	}
	return span{p.Address.Area, int(p.Address.Number), count}
}

// validatePoints tells what the types of the fields cannot: which of them go together, and whether
// a request within the limits can read them.
func validatePoints(points []Point, limits Limits, report func(path, problem string)) {
	if len(points) == 0 {
		report("points", "there is nothing to read; name at least one point")
	}
	names := make(map[string]bool)
	for i := range points {
		p := &points[i]
		at := fmt.Sprintf("points[%d].", i)
		switch {
		case p.Name == "":
			report(at+"name", "is missing")
		case names[p.Name]:
			report(at+"name", fmt.Sprintf("%q is the name of an earlier point too", p.Name))
		}
		names[p.Name] = true
		p.validate(limits, func(key, problem string) { report(at+key, problem) })
	}
}

func (p *Point) validate(limits Limits, report func(key, problem string)) {
	form := p.kind().form()
	if form.class == 0 {
		report("type", fmt.Sprintf("%q is not a type; write %s", p.Type, typeNames))
		return
	}
	p.validateOrder(form, report)
	p.validateLength(form, report)
	p.validateAddress(form, limits, report)
	p.validateAccess(report)
	p.validateNumbers(form, report)
	p.validateNames(form, report)
}

func (p *Point) validateOrder(form form, report func(key, problem string)) {
	_, known := orders[p.Order]
	switch {
	case p.Order == "":
	case !known:
		report("order", fmt.Sprintf("%q is not a byte order; %s", p.Order, orderForms))
	case form.class == octets:
		report("order", "raw data is given as it comes; leave the order out")
	case !p.Order.fits(form.bytes):
		report("order", fmt.Sprintf("%s is the order of %d bytes, %s has %d", p.Order, orders[p.Order].letters, p.kind(), max(form.bytes, 2)))
	}
}

func (p *Point) validateLength(form form, report func(key, problem string)) {
	switch {
	case form.long() && (p.Length < 1 || p.Length > 2*maxRegisters):
		report("length", fmt.Sprintf("a %s needs its length in bytes, 1 to %d", p.kind(), 2*maxRegisters))
	case form.class == octets && p.Length%2 != 0:
		report("length", "raw data is whole registers, two bytes each")
	case !form.long() && p.Length != 0:
		report("length", "only string and raw have a length")
	}
}

func (p *Point) validateAddress(form form, limits Limits, report func(key, problem string)) {
	a, at := p.Address, p.span()
	most := limits.with(0).most(a.Area)
	switch {
	case a.Area == 0:
		report("address", "is missing; write for example holding:0")
	case a.Area.bits() && form.class != truth:
		report("type", fmt.Sprintf("a %s is a bool, not %s", a.Area, p.kind()))
	case a.HasBit && form.class != truth:
		report("type", fmt.Sprintf("a bit of a register is a bool, not %s", p.kind()))
	case a.Byte != 0 && form.bytes != 1 && form.class != characters:
		report("type", fmt.Sprintf("a byte of a register is an int8 or uint8 or begins a string, it is no %s", p.kind()))
	case at.end() > 1<<16:
		report("address", fmt.Sprintf("%s needs %d registers, and %s is the last", p.kind(), at.count, Address{Area: a.Area, Number: 1<<16 - 1}))
	case at.count > most:
		key := "type"
		if form.long() {
			key = "length"
		}
		report(key, fmt.Sprintf("%s needs %d registers, and a request reads at most %d", p.kind(), at.count, most))
	}
}

func (p *Point) validateAccess(report func(key, problem string)) {
	switch area := p.Address.Area; {
	case p.Access == "" || p.Access == "r":
	case p.Access != "rw":
		report("access", fmt.Sprintf("%q is not r or rw", p.Access))
	case area == Discrete || area == Input:
		report("access", fmt.Sprintf("only coils and holding registers can be written, not %s", area))
	case p.span().count > maxWritten:
		report("access", fmt.Sprintf("a request writes at most %d registers, this needs %d", maxWritten, p.span().count))
	}
}

func (p *Point) validateNumbers(form form, report func(key, problem string)) {
	if p.Precision != nil && (*p.Precision < 0 || *p.Precision > 15) {
		report("precision", fmt.Sprintf("%d is not a number of digits from 0 to 15", *p.Precision))
	}
	number := form.number() && p.Enum == nil && p.Bits == nil
	p.Policy.ValidateFor(number, report)
	if !number {
		if p.Scale != 0 || p.Offset != 0 || p.Precision != nil {
			report("type", "scale, offset and precision go with numbers, not with truth values, text or names")
		}
		return
	}
	for key, number := range map[string]float64{"scale": p.Scale, "offset": p.Offset} {
		if math.IsNaN(number) || math.IsInf(number, 0) {
			report(key, "must be a finite number")
		}
	}
}

func (p *Point) validateNames(form form, report func(key, problem string)) {
	switch {
	case p.Enum != nil && p.Bits != nil:
		report("bits", "either bits have names or the whole number has, not both")
	case p.Enum != nil && !form.whole() && form.class != truth:
		report("enum", fmt.Sprintf("whole numbers and truth values stand for something, a %s does not", p.kind()))
	case p.Bits != nil && form.class != unsigned:
		report("bits", fmt.Sprintf("only the bits of unsigned numbers have names, this is a %s", p.kind()))
	case p.Enum != nil:
		enumNames(p.Enum, form, func(problem string) { report("enum", problem) })
	case p.Bits != nil:
		bitNames(p.Bits, form, func(problem string) { report("bits", problem) })
	}
}
