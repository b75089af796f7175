// Package meterline holds what DL/T 645 and CJ/T 188 have in common, whose meters share lines and
// manners: frames that go from 68 to 16 with a sum before the end, answers that must be told from what
// else is heard, numbers with wildcards. It hides how a frame is found in noise, how long a listener
// goes on listening, and how meters that all answer at once are told apart. What the bytes of a frame
// mean is the drivers' affair.
package meterline

import (
	"errors"
	"fmt"
)

const (
	preamble = 0xFE // wakes the receiver; any number of them, none too
	end      = 0x16

	// Start begins a frame.
	Start = 0x68
	// Wildcard stands in a meter's number for any two digits.
	Wildcard = 0xAA
	// Tail is how many bytes follow a frame's data: checksum and end.
	Tail = 2
	// MaxData is how many bytes of data a frame holds at most.
	MaxData = 255

	// FromMeter and Refused are bits of the control code.
	FromMeter = 0x80
	Refused   = 0x40
)

// Begin begins a frame on the wire: with the four preamble bytes that wake optical heads, radio
// adapters and meters that sleep. Meters on a plain line skip them.
func Begin() []byte { return []byte{preamble, preamble, preamble, preamble} }

// Seal ends the frame that begins at from: with its checksum and the end.
func Seal(b []byte, from int) []byte { return append(b, sum(b[from:]), end) }

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Shape is what the frames of one protocol look like: a head, which begins with 68 and ends with the
// length of the data, then the data and the tail.
type Shape struct {
	Head int
	// Fits says whether a frame may begin like this. It is asked about whole heads and about the
	// beginnings of such, at least the first byte, which is 68.
	Fits func(head []byte) bool
}

// What is wrong with a candidate for a frame. Compare with errors.Is.
var (
	ErrShort   = errors.New("the frame is cut short")
	ErrDamaged = errors.New("the frame is damaged")

	errNoFrame = errors.New("no frame starts here")
)

// Whole takes the one frame that b is, which preamble bytes may precede.
func (s Shape) Whole(b []byte) (frame []byte, err error) {
	for len(b) > 0 && b[0] == preamble {
		b = b[1:]
	}
	frame, err = s.cut(b)
	if err == nil && len(frame) != len(b) {
		return nil, fmt.Errorf("%d bytes follow the frame", len(b)-len(frame))
	}
	return frame, err
}

// Find gives the first valid frame anywhere in b, as a part of b, and the number of bytes up to its
// end. A start byte in noise or in data does not hide the frame behind it.
func (s Shape) Find(b []byte) (frame []byte, upTo int, ok bool) {
	for i, c := range b {
		if c != Start {
			continue
		}
		if frame, err := s.cut(b[i:]); err == nil {
			return frame, i + len(frame), true
		}
	}
	return nil, 0, false
}

// Diagnose says why there is no valid frame in b, by the candidate that came closest: ErrDamaged,
// ErrShort or, where there is none, another error.
func (s Shape) Diagnose(b []byte) error {
	var short error
	for i, c := range b {
		if c != Start {
			continue
		}
		_, err := s.cut(b[i:])
		if errors.Is(err, ErrDamaged) {
			return err
		}
		if short == nil && errors.Is(err, ErrShort) {
			short = err
		}
	}
	if short != nil {
		return short
	}
	return fmt.Errorf("%d bytes of noise, no frame", len(b))
}

// cut takes the frame that b starts with.
func (s Shape) cut(b []byte) (frame []byte, err error) {
	head := b[:min(len(b), s.Head)]
	if len(b) == 0 || b[0] != Start || !s.Fits(head) {
		return nil, errNoFrame
	}
	if len(head) < s.Head {
		return nil, fmt.Errorf("%w: %d bytes", ErrShort, len(b))
	}
	n := s.Head + int(head[s.Head-1]) + Tail
	if len(b) < n {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrShort, len(b), n)
	}
	if got, want := b[n-Tail], sum(b[:n-Tail]); got != want {
		return nil, fmt.Errorf("%w: its checksum is %02X and should be %02X", ErrDamaged, got, want)
	}
	if b[n-1] != end {
		return nil, fmt.Errorf("%w: it ends in %02X, not in 16", ErrDamaged, b[n-1])
	}
	return b[:n], nil
}
