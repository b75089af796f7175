// Package cjt188 reads water, heat, gas and electricity meters that speak CJ/T 188, on a serial line,
// an M-Bus master or a transparent serial server. It hides the frames, where each meter keeps which
// value, the units that it chose, and the liberties that makers took with the standard.
package cjt188

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"sluice/collectors/meterline"
)

const (
	wildcard = meterline.Wildcard // as type or in an address: whichever

	headBytes = 11 // start, type, address, control, length

	fromMeter = meterline.FromMeter // bits of the control code
	refused   = meterline.Refused
	function  = 0x3F

	readData    = 0x01
	readAddress = 0x03
	writeData   = 0x04
)

// MeterNumber is a meter's address as it is printed on it: fourteen digits, two a byte. The first
// four name the maker.
type MeterNumber [7]byte

// UnmarshalText takes exactly fourteen digits; a few makers have hexadecimal ones.
func (m *MeterNumber) UnmarshalText(text []byte) error {
	if len(text) != 14 {
		return fmt.Errorf("%q has %d digits, a meter number has 14", text, len(text))
	}
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a meter number of 14 digits", text)
	}
	copy(m[:], b)
	return nil
}

// String gives the fourteen digits; in a request AA stands for "any two digits".
func (m MeterNumber) String() string { return fmt.Sprintf("%X", m[:]) }

// Frame is one frame of either direction.
type Frame struct {
	Type    byte // what kind of meter: 10 to 19 water, 20 to 29 heat, 30 to 39 gas, 40 to 49 other
	Meter   MeterNumber
	Control byte
	Data    []byte // at most 255 bytes
}

// Append appends the frame as it goes on the wire, without preamble.
func (f Frame) Append(b []byte) []byte {
	if len(f.Data) > meterline.MaxData {
		panic("bug: a CJ/T 188 frame holds at most 255 bytes of data")
	}
	from := len(b)
	b = append(b, meterline.Start, f.Type)
	for i := len(f.Meter) - 1; i >= 0; i-- { // low byte first
		b = append(b, f.Meter[i])
	}
	b = append(b, f.Control, byte(len(f.Data)))
	b = append(b, f.Data...)
	return meterline.Seal(b, from)
}

// shape is what frames look like. Their addresses are not checked for decimal digits: some makers
// have letters in them.
var shape = meterline.Shape{Head: headBytes, Fits: func(head []byte) bool {
	return len(head) < 2 || head[1] == wildcard || class(head[1]) != nil
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
	f := Frame{Type: b[1], Control: b[9], Data: bytes.Clone(b[headBytes : len(b)-meterline.Tail])}
	for i := range f.Meter {
		f.Meter[i] = b[8-i]
	}
	return f
}
