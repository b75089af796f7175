// Package cjt188 reads water, heat, gas and electricity meters that speak CJ/T 188, on a serial line,
// an M-Bus master or a transparent serial server. It hides the frames, where each meter keeps which
// value, the units that it chose, and the liberties that makers took with the standard.
package cjt188

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	preamble = 0xFE // wakes the receiver; 2 to 5 of them, on some lines none
	start    = 0x68
	end      = 0x16
	wildcard = 0xAA // as type or in an address: whichever

	headBytes = 11 // start, type, address, control, length
	tailBytes = 2  // checksum, end

	fromMeter = 0x80 // bits of the control code
	refused   = 0x40
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
	if len(f.Data) > 255 {
		panic("bug: a CJ/T 188 frame holds at most 255 bytes of data")
	}
	from := len(b)
	b = append(b, start, f.Type)
	for i := len(f.Meter) - 1; i >= 0; i-- { // low byte first
		b = append(b, f.Meter[i])
	}
	b = append(b, f.Control, byte(len(f.Data)))
	b = append(b, f.Data...)
	return append(b, sum(b[from:]), end)
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Decode takes exactly one frame, which preamble bytes may precede.
func Decode(b []byte) (Frame, error) {
	for len(b) > 0 && b[0] == preamble {
		b = b[1:]
	}
	f, n, err := decode(b)
	if err != nil {
		return Frame{}, err
	}
	if n != len(b) {
		return Frame{}, fmt.Errorf("%d bytes follow the frame", len(b)-n)
	}
	return f, nil
}

// Locate gives the first valid frame anywhere in b and the number of bytes up to its end. A start
// byte in noise or in data does not hide the frame behind it.
func Locate(b []byte) (f Frame, n int, ok bool) {
	for i, c := range b {
		if c != start {
			continue
		}
		if f, n, err := decode(b[i:]); err == nil {
			return f, i + n, true
		}
	}
	return Frame{}, 0, false
}

// Diagnose says why there is no valid frame in b, by the candidate that came closest.
func Diagnose(b []byte) error {
	var short error
	for i, c := range b {
		if c != start {
			continue
		}
		_, _, err := decode(b[i:])
		if errors.Is(err, errDamaged) {
			return err
		}
		if short == nil && errors.Is(err, errShort) {
			short = err
		}
	}
	if short != nil {
		return short
	}
	return fmt.Errorf("%d bytes of noise, no frame", len(b))
}

var (
	errNoFrame = errors.New("no frame starts here")
	errShort   = errors.New("the frame is cut short")
	errDamaged = errors.New("the frame is damaged")
)

// decode takes the frame that b starts with; n is its length. The address is not checked for
// decimal digits: some makers have letters in it.
func decode(b []byte) (f Frame, n int, err error) {
	if len(b) == 0 || b[0] != start {
		return Frame{}, 0, errNoFrame
	}
	if len(b) > 1 && class(b[1]) == nil && b[1] != wildcard {
		return Frame{}, 0, errNoFrame
	}
	if len(b) < headBytes {
		return Frame{}, 0, fmt.Errorf("%w: %d bytes", errShort, len(b))
	}
	f.Type = b[1]
	for i := range f.Meter {
		f.Meter[i] = b[8-i]
	}
	f.Control = b[9]
	n = headBytes + int(b[10]) + tailBytes
	if len(b) < n {
		return Frame{}, 0, fmt.Errorf("%w: %d of %d bytes", errShort, len(b), n)
	}
	if got, want := b[n-2], sum(b[:n-2]); got != want {
		return Frame{}, 0, fmt.Errorf("%w: its checksum is %02X and should be %02X", errDamaged, got, want)
	}
	if b[n-1] != end {
		return Frame{}, 0, fmt.Errorf("%w: it ends in %02X, not in 16", errDamaged, b[n-1])
	}
	f.Data = bytes.Clone(b[headBytes : n-tailBytes])
	return f, n, nil
}
