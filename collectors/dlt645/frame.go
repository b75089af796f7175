// Package dlt645 reads electricity meters that speak DL/T 645-2007 or its older edition of 1997 on
// a serial line, finds them, and writes what they let be written. It hides the frames, the data
// formats behind the identifiers, and everything that a meter or the wire can get wrong.
package dlt645

import (
	"fmt"
	"strings"

	"sluice/collectors/meterline"
)

const (
	offset = 0x33 // added to every data byte on the wire

	headBytes = 10 // start, meter, start, control, length

	fromMeter = meterline.FromMeter // bits of the control code
	refused   = meterline.Refused
	more      = 0x20
	function  = 0x1F
)

// MeterNumber is a meter's address as it is printed on it: twelve digits, two a byte.
type MeterNumber [6]byte

// UnmarshalText takes exactly twelve digits.
func (m *MeterNumber) UnmarshalText(text []byte) error {
	if len(text) != 12 {
		return fmt.Errorf("%q has %d digits, a meter number has 12", text, len(text))
	}
	for i, c := range text {
		if c < '0' || c > '9' {
			return fmt.Errorf("%q is not a meter number of 12 digits", text)
		}
		m[i/2] = m[i/2]<<4 | (c - '0')
	}
	return nil
}

// String gives the twelve digits; in a request A stands for "any digit".
func (m MeterNumber) String() string { return fmt.Sprintf("%X", m[:]) }

// Frame is one frame of either edition. Data is without the offset that it has on the wire.
type Frame struct {
	Meter   MeterNumber
	Control byte
	Data    []byte // at most 255 bytes
}

// Append appends the frame as it goes on the wire, without preamble.
func (f Frame) Append(b []byte) []byte {
	if len(f.Data) > meterline.MaxData {
		panic("bug: a DL/T 645 frame holds at most 255 bytes of data")
	}
	from := len(b)
	b = append(b, meterline.Start)
	for i := len(f.Meter) - 1; i >= 0; i-- { // low byte first
		b = append(b, f.Meter[i])
	}
	b = append(b, meterline.Start, f.Control, byte(len(f.Data)))
	for _, c := range f.Data {
		b = append(b, c+offset)
	}
	return meterline.Seal(b, from)
}

// shape is what frames look like: a second start byte stands behind the meter's number, which is
// decimal.
var shape = meterline.Shape{Head: headBytes, Fits: func(head []byte) bool {
	if len(head) < headBytes {
		return true
	}
	for _, c := range head[1:7] {
		if !isBCD(c) && c != meterline.Wildcard {
			return false
		}
	}
	return head[7] == meterline.Start
}}

// Decode takes exactly one frame, which preamble bytes may precede.
func Decode(b []byte) (Frame, error) {
	frame, err := shape.Whole(b)
	if err != nil {
		return Frame{}, err
	}
	return parse(frame), nil
}

// Locate gives the first valid frame anywhere in b and the number of bytes up to its end.
func Locate(b []byte) (f Frame, n int, ok bool) {
	frame, n, ok := shape.Find(b)
	if !ok {
		return Frame{}, 0, false
	}
	return parse(frame), n, true
}

// parse takes what has the shape of a frame.
func parse(b []byte) Frame {
	data := b[headBytes : len(b)-meterline.Tail]
	f := Frame{Control: b[8], Data: make([]byte, len(data))}
	for i := range f.Meter {
		f.Meter[i] = b[6-i]
	}
	for i, c := range data {
		f.Data[i] = c - offset
	}
	return f
}

func isBCD(c byte) bool { return c>>4 <= 9 && c&0xF <= 9 }

// Edition is the year of the standard that a meter follows.
type Edition int

// The editions. The zero value means 2007.
const (
	Edition2007 Edition = 2007
	Edition1997 Edition = 1997
)

func (e Edition) orDefault() Edition {
	if e == 0 {
		return Edition2007
	}
	return e
}

// idBytes is how long a data identifier is.
func (e Edition) idBytes() int {
	if e == Edition1997 {
		return 2
	}
	return 4
}

// readFunction and nextFunction ask for data and for what did not fit into the frame before.
func (e Edition) readFunction() byte {
	if e == Edition1997 {
		return 0x01
	}
	return 0x11
}

func (e Edition) nextFunction() byte { return e.readFunction() + 1 }

func (e Edition) writeFunction() byte {
	if e == Edition1997 {
		return 0x04
	}
	return 0x14
}

// The functions that both editions have, or that of 2007 alone.
const (
	broadcastTime = 0x08 // to all meters, which do not answer
	readAddress   = 0x13 // 2007: of the only meter on the line
)

// refusal puts the error byte of a refusing answer into words.
func (e Edition) refusal(code byte) string {
	meanings := [8]string{
		"other error", "no such data", "password wrong or not authorised", "baud rate cannot be changed",
		"too many year zones", "too many day periods", "too many tariffs", "reserved error",
	}
	if e == Edition1997 {
		meanings[0], meanings[1], meanings[2], meanings[3] = "data is not allowed", "no such identifier", "password wrong", "reserved error"
	}
	var words []string
	for bit, meaning := range meanings {
		if code&(1<<bit) != 0 {
			words = append(words, meaning)
		}
	}
	if len(words) == 0 {
		words = append(words, "no reason given")
	}
	return fmt.Sprintf("the meter refused: %s (error byte %02X)", strings.Join(words, ", "), code)
}
