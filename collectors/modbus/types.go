package modbus

import "math"

// Type says how registers become a value.
type Type string

// class is what types of different sizes have in common.
type class byte

const (
	truth    class = iota + 1
	unsigned       // whole numbers
	signed         // whole numbers in two's complement
	decimal        // whole numbers, four bits a digit
	floating
	characters
	octets
)

// form is how a type looks on the wire.
type form struct {
	class class
	bytes int // of one value; two for text and raw, whose length the point gives
}

// types are in the order in which people are shown them.
var types = []struct {
	name Type
	form form
}{
	{"bool", form{truth, 2}},
	{"int8", form{signed, 1}}, {"uint8", form{unsigned, 1}},
	{"int16", form{signed, 2}}, {"uint16", form{unsigned, 2}},
	{"int32", form{signed, 4}}, {"uint32", form{unsigned, 4}},
	{"int64", form{signed, 8}}, {"uint64", form{unsigned, 8}},
	{"float32", form{floating, 4}}, {"float64", form{floating, 8}},
	{"bcd16", form{decimal, 2}}, {"bcd32", form{decimal, 4}}, {"bcd64", form{decimal, 8}},
	{"string", form{characters, 2}}, {"raw", form{octets, 2}},
}

const typeNames = "bool, int8, uint8, int16, uint16, int32, uint32, int64, uint64, float32, float64, bcd16, bcd32, bcd64, string or raw"

// form is the zero form when there is no such type.
func (t Type) form() form {
	for i := range types {
		if types[i].name == t {
			return types[i].form
		}
	}
	return form{}
}

// whole says whether values are whole numbers, which can stand for names.
func (f form) whole() bool { return f.class == unsigned || f.class == signed || f.class == decimal }

// number says whether values are numbers.
func (f form) number() bool { return f.whole() || f.class == floating }

// bounds gives the least and the greatest whole number; of a truth value 0 and 1.
func (f form) bounds() (low int64, high uint64) {
	switch f.class {
	case truth:
		return 0, 1
	case signed:
		high = math.MaxInt64 >> (64 - 8*f.bytes)
		return -int64(high) - 1, high
	case decimal:
		high = 1
		for range 2 * f.bytes {
			high *= 10
		}
		return 0, high - 1
	}
	return 0, math.MaxUint64 >> (64 - 8*f.bytes)
}

// long says whether the point tells how many bytes there are.
func (f form) long() bool { return f.class == characters || f.class == octets }
