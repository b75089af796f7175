// Package dlt645 reads electricity meters that speak DL/T 645-2007 or its older edition of 1997 on
// a serial line, finds them, and writes what they let be written. It hides the frames, the data
// formats behind the identifiers, and everything that a meter or the wire can get wrong.
package dlt645

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

const (
	preamble = 0xFE // wakes the receiver; any number of them, none too
	start    = 0x68
	end      = 0x16
	offset   = 0x33 // added to every data byte on the wire

	headBytes = 10 // start, meter, start, control, length
	tailBytes = 2  // checksum, end

	fromMeter = 0x80 // bits of the control code
	refused   = 0x40
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
	if len(f.Data) > 255 {
		panic("bug: a DL/T 645 frame holds at most 255 bytes of data")
	}
	from := len(b)
	b = append(b, start)
	for i := len(f.Meter) - 1; i >= 0; i-- { // low byte first
		b = append(b, f.Meter[i])
	}
	b = append(b, start, f.Control, byte(len(f.Data)))
	for _, c := range f.Data {
		b = append(b, c+offset)
	}
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
	b = bytes.TrimLeft(b, string([]byte{preamble}))
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

// decode takes the frame that b starts with; n is its length.
func decode(b []byte) (f Frame, n int, err error) {
	if len(b) == 0 || b[0] != start {
		return Frame{}, 0, errNoFrame
	}
	if len(b) < headBytes {
		return Frame{}, 0, fmt.Errorf("%w: %d bytes", errShort, len(b))
	}
	if b[7] != start {
		return Frame{}, 0, errNoFrame
	}
	for i := range f.Meter {
		f.Meter[i] = b[6-i]
		if !isBCD(f.Meter[i]) && f.Meter[i] != 0xAA { // AA: any
			return Frame{}, 0, errNoFrame
		}
	}
	f.Control = b[8]
	length := int(b[9])
	n = headBytes + length + tailBytes
	if len(b) < n {
		return Frame{}, 0, fmt.Errorf("%w: %d of %d bytes", errShort, len(b), n)
	}
	if got, want := b[n-2], sum(b[:n-2]); got != want {
		return Frame{}, 0, fmt.Errorf("%w: its checksum is %02X and should be %02X", errDamaged, got, want)
	}
	if b[n-1] != end {
		return Frame{}, 0, fmt.Errorf("%w: it ends in %02X, not in 16", errDamaged, b[n-1])
	}
	f.Data = make([]byte, length)
	for i := range f.Data {
		f.Data[i] = b[headBytes+i] - offset
	}
	return f, n, nil
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
