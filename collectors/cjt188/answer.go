package cjt188

import (
	"fmt"

	"sluice/collectors/meterline"
)

// ID is a data identifier such as 901F.
type ID uint16

// The identifiers that the driver uses. Those of earlier months follow firstMonth.
const (
	currentData ID = 0x901F
	firstMonth  ID = 0xD120
	addressOf   ID = 0x810A
	valveSwitch ID = 0xA017
)

// String gives the four hex digits.
func (id ID) String() string { return fmt.Sprintf("%04X", uint16(id)) }

// idOrder is the order of the identifier's two bytes on the wire, on which makers disagree.
type idOrder byte

const (
	orderUnknown idOrder = iota
	highFirst            // 90 1F
	lowFirst             // 1F 90
)

func (o idOrder) append(b []byte, id ID) []byte {
	if o == lowFirst {
		return append(b, byte(id), byte(id>>8))
	}
	return append(b, byte(id>>8), byte(id))
}

// is says whether the two bytes are the identifier, in whatever order.
func (id ID) is(b []byte) bool {
	high, low := byte(id>>8), byte(id)
	return b[0] == high && b[1] == low || b[0] == low && b[1] == high
}

// question is one request to one meter and what its answer must look like.
type question struct {
	kind     byte // the meter's type
	meter    MeterNumber
	function byte
	id       ID
	order    idOrder
	serial   byte
	data     []byte // of a write
}

// frame gives the request as it goes on the wire.
func (q question) frame() []byte {
	data := append(q.order.append(nil, q.id), q.serial)
	return Frame{Type: q.kind, Meter: q.meter, Control: q.function, Data: append(data, q.data...)}.Append(meterline.Begin())
}

// listener picks the answer to one question from what is heard.
type listener struct {
	question
	meterline.Listener

	ok      bool // it answered with data, else with a refusal
	data    []byte
	from    byte   // the type that the meter says it is
	refusal string // in words
}

// hear is a bus.FrameReader.
func (l *listener) hear(received []byte) ([]byte, bool) {
	return l.Hear(shape, received, func(frame []byte) bool { return l.take(parse(frame)) })
}

// take says whether f settles the question. The serial number is not looked at: many meters send
// the same one for ever. What it would tell apart, two answers of one meter about the same data, the
// line's silence before each request tells apart as well.
func (l *listener) take(f Frame) bool {
	switch {
	case f.Control&fromMeter == 0:
		l.Echo = true // an adapter that hears itself, or another master
		return false
	case f.Meter != l.meter:
		l.Odd = fmt.Sprintf("meter %s answered", f.Meter)
		return false
	case f.Control&function != l.function:
		l.Odd = fmt.Sprintf("the meter answered another request (control code %02X)", f.Control)
		return false
	case class(f.Type) == nil || class(f.Type) != class(l.kind):
		l.Odd = fmt.Sprintf("the meter says that it is %s and not %s: correct its type", typeName(f.Type), typeName(l.kind))
		return false
	case f.Control&refused != 0:
		l.refusal = fmt.Sprintf("the meter refused %s", l.id)
		if len(f.Data) == 3 {
			l.refusal += fmt.Sprintf(" (status % X)", f.Data[1:])
		}
		return true
	case len(f.Data) < 3:
		l.Odd = fmt.Sprintf("the meter answered with %d bytes, too few for an identifier and a serial number", len(f.Data))
		return false
	case !l.id.is(f.Data):
		l.Odd = fmt.Sprintf("the meter sent data %X, asked was %s", f.Data[:2], l.id)
		return false
	}
	l.data, l.from, l.ok = f.Data[3:], f.Type, true
	return true
}

// why says what came instead of the answer; empty: nothing did.
func (l *listener) why(received []byte) string { return l.Why(shape, received) }
