package modbus

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout = time.Second
	defaultMaxGap  = 16
	defaultPort    = "502" // Modbus Messaging on TCP/IP, 3.1.2
)

// Options is what the configuration says about one device.
type Options struct {
	Address string        `yaml:"address" doc:"tcp://host:port of the device or its gateway; the port may be left out and is then 502" required:"true"`
	Unit    int           `yaml:"unit" doc:"unit id behind the address" min:"0" max:"255"`
	Timeout time.Duration `yaml:"timeout" doc:"one request, including its answer" min:"1ms" max:"1m"`
	MaxGap  int           `yaml:"max_gap" doc:"registers between two points that are read along rather than asked in a request more; 0 for devices that have holes" min:"0" max:"124"`
	Points  []Point       `yaml:"points" doc:"what to read" min:"1" unique:"name" required:"true"`
}

// Point is one value of the device.
type Point struct {
	Name     string  `yaml:"name" doc:"the value's name in readings" required:"true"`
	Address  Address `yaml:"address" doc:"coil:0, discrete:3, input:10, holding:7, a bit of a register as holding:7.2, or 40001 and 400001 forms, which count from 1" required:"true"`
	Type     Type    `yaml:"type" doc:"how registers become a value; default bool for coils, discrete inputs and bits, else uint16" enum:"bool,int16,uint16,int32,uint32,int64,uint64,float32,float64,string"`
	Order    Order   `yaml:"order" doc:"byte order on the wire, A is the most significant byte; for 64 bits CDAB means words in reverse, BADC bytes swapped in each word, DCBA everything in reverse; in strings BADC and DCBA swap the bytes of each register" enum:"ABCD,CDAB,BADC,DCBA"`
	Length   int     `yaml:"length" doc:"bytes of a string, two to a register" min:"1" max:"250"`
	Scale    float64 `yaml:"scale" doc:"the value is multiplied by this"`
	Offset   float64 `yaml:"offset" doc:"and then this is added"`
	Deadband float64 `yaml:"deadband" doc:"a change smaller than this is not reported: the reading repeats the value reported last" min:"0"`
	Unit     string  `yaml:"unit" doc:"unit of measure, for people"`
	Access   Access  `yaml:"access" doc:"r, or rw for what commands may write" enum:"r,rw"`
}

// Type says how registers become a value.
type Type string

// Order is the order of bytes on the wire, A being the most significant.
type Order string

// Access says who may do what with a point.
type Access string

// registers tells how many registers a type fills; 0 is no type. A string fills what its length says.
var registers = map[Type]int{
	"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2,
	"int64": 4, "uint64": 4, "float64": 4, "string": 1,
}

// Validate tells what the types of the fields cannot: which of them go together.
func (o *Options) Validate(report func(path, problem string)) {
	if _, err := hostPort(o.Address); err != nil {
		report("address", err.Error())
	}
	if o.Unit < 0 || o.Unit > 255 {
		report("unit", fmt.Sprintf("%d is not a unit id; it is 0 to 255", o.Unit))
	}
	if o.Timeout <= 0 {
		report("timeout", "must be longer than 0")
	}
	if o.MaxGap < 0 || o.MaxGap >= maxRegisters {
		report("max_gap", fmt.Sprintf("%d is not a number of registers from 0 to %d", o.MaxGap, maxRegisters-1))
	}
	if len(o.Points) == 0 {
		report("points", "there is nothing to read; name at least one point")
	}
	names := make(map[string]bool)
	for i := range o.Points {
		p := &o.Points[i]
		at := fmt.Sprintf("points[%d].", i)
		switch {
		case p.Name == "":
			report(at+"name", "is missing")
		case names[p.Name]:
			report(at+"name", fmt.Sprintf("%q is the name of an earlier point too", p.Name))
		}
		names[p.Name] = true
		p.validate(func(key, problem string) { report(at+key, problem) })
	}
}

func (p *Point) validate(report func(key, problem string)) {
	kind := p.kind()
	size := registers[kind]
	if size == 0 {
		report("type", fmt.Sprintf("%q is not a type; write bool, int16, uint16, int32, uint32, int64, uint64, float32, float64 or string", p.Type))
		return
	}
	switch p.Order {
	case "", "ABCD", "CDAB", "BADC", "DCBA":
	default:
		report("order", fmt.Sprintf("%q is not a byte order; write ABCD, CDAB, BADC or DCBA", p.Order))
	}
	switch {
	case kind == "string" && (p.Length < 1 || p.Length > 2*maxRegisters):
		report("length", fmt.Sprintf("a string needs its length in bytes, 1 to %d", 2*maxRegisters))
	case kind != "string" && p.Length != 0:
		report("length", "only a string has a length")
	case kind == "string":
		size = (p.Length + 1) / 2
	}
	p.validateAddress(kind, size, report)
	p.validateNumbers(kind, report)
}

func (p *Point) validateAddress(kind Type, size int, report func(key, problem string)) {
	a := p.Address
	switch {
	case a.Area == 0:
		report("address", "is missing; write for example holding:0")
	case a.Area.bits() && kind != "bool":
		report("type", fmt.Sprintf("a %s is a bool, not %s", a.Area, kind))
	case a.HasBit && kind != "bool":
		report("type", fmt.Sprintf("a bit of a register is a bool, not %s", kind))
	case int(a.Number)+size > 1<<16:
		report("address", fmt.Sprintf("%s needs %d registers, and %s is the last", kind, size, Address{Area: a.Area, Number: 1<<16 - 1}))
	}
	switch p.Access {
	case "", "r":
	case "rw":
		if a.Area == Discrete || a.Area == Input || a.HasBit {
			report("access", "only coils and whole holding registers can be written")
		}
	default:
		report("access", fmt.Sprintf("%q is not r or rw", p.Access))
	}
}

func (p *Point) validateNumbers(kind Type, report func(key, problem string)) {
	if kind == "bool" || kind == "string" {
		if p.Scale != 0 || p.Offset != 0 || p.Deadband != 0 {
			report("type", fmt.Sprintf("scale, offset and deadband go with numbers, not with %s", kind))
		}
		return
	}
	for key, number := range map[string]float64{"scale": p.Scale, "offset": p.Offset, "deadband": p.Deadband} {
		if math.IsNaN(number) || math.IsInf(number, 0) {
			report(key, "must be a finite number")
		}
	}
	if p.Deadband < 0 {
		report("deadband", "must not be negative")
	}
}

// kind is the type with its default.
func (p *Point) kind() Type {
	switch {
	case p.Type != "":
		return p.Type
	case p.Address.Area.bits() || p.Address.HasBit:
		return "bool"
	}
	return "uint16"
}

// hostPort takes a device's address apart.
func hostPort(address string) (string, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return "", fmt.Errorf("%q has no scheme; write tcp://host:port", address)
	}
	if scheme != "tcp" {
		return "", fmt.Errorf("%s:// is not spoken; write tcp://host:port for Modbus TCP", scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), defaultPort
		if strings.Contains(rest, ":") && !strings.HasPrefix(rest, "[") {
			return "", fmt.Errorf("%q is not host:port", rest)
		}
	}
	if host == "" || strings.ContainsAny(host, "/ ") {
		return "", fmt.Errorf("%q names no host; write tcp://host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port; it is 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// Endpoint is where the device is reached.
func (o *Options) Endpoint() string { return o.Address }
