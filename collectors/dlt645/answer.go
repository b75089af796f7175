package dlt645

import (
	"fmt"

	"sluice/collectors/meterline"
)

// question is one request to one meter and what its answer must look like.
type question struct {
	edition  Edition
	meter    MeterNumber
	function byte
	id       ID
	sequence byte   // which continuation is asked for; 0: the first frame
	writes   []byte // of a write: password, operator and data
}

// frame gives the request as it goes on the wire.
func (q question) frame() []byte {
	data := q.id.wire()
	if q.sequence > 0 && q.edition != Edition1997 { // whose continuations carry no number
		data = append(data, q.sequence)
	}
	data = append(data, q.writes...)
	return Frame{Meter: q.meter, Control: q.function, Data: data}.Append(meterline.Begin())
}

// listener picks the answer to one question from what is heard.
type listener struct {
	question
	meterline.Listener

	data   []byte
	more   bool
	ok     bool // it answered with data, else with the error byte
	errors byte
}

// hear is a bus.FrameReader.
func (l *listener) hear(received []byte) ([]byte, bool) {
	return l.Hear(shape, received, func(frame []byte) bool { return l.take(parse(frame)) })
}

// take says whether f settles the question.
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
	case f.Control&refused != 0:
		return l.takeRefusal(f)
	case l.writes != nil:
		l.ok = true // what else may stand in it is the maker's
		return true
	}
	return l.takeData(f)
}

func (l *listener) takeRefusal(f Frame) bool {
	if len(f.Data) != 1 {
		l.Odd = fmt.Sprintf("the meter refused with %d error bytes, not one", len(f.Data))
		return false
	}
	l.errors = f.Data[0]
	return true
}

func (l *listener) takeData(f Frame) bool {
	n := l.id.bytes
	if len(f.Data) < n {
		l.Odd = fmt.Sprintf("the meter answered with %d bytes, too few for an identifier", len(f.Data))
		return false
	}
	if id := idFrom(f.Data[:n]); id != l.id {
		l.Odd = fmt.Sprintf("the meter sent data %s, asked was %s", id, l.id)
		return false
	}
	data := f.Data[n:]
	if l.sequence > 0 && l.edition != Edition1997 {
		last := len(data) - 1
		if last < 0 || data[last] != l.sequence {
			l.Odd = fmt.Sprintf("the meter sent another continuation than number %d", l.sequence)
			return false
		}
		data = data[:last]
	}
	l.data, l.more, l.ok = data, f.Control&more != 0, true
	return true
}

func idFrom(wire []byte) ID {
	id := ID{bytes: len(wire)}
	for i, c := range wire {
		id.code |= uint32(c) << (8 * i)
	}
	return id
}

// why says what came instead of the answer; empty: nothing did.
func (l *listener) why(received []byte) string { return l.Why(shape, received) }
