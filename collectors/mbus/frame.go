// Package mbus reads meters on an M-Bus (EN 13757-2 and -3): heat, water, gas and electricity meters
// behind a level converter. It hides the frames, primary and secondary addresses, answers of several
// telegrams, and the tables that turn a meter's records into quantities with units.
package mbus

import (
	"errors"
	"fmt"
)

const (
	ackByte    = 0xE5
	shortStart = 0x10
	longStart  = 0x68
	frameEnd   = 0x16

	maxLong = 255 // what a length byte can say: control, address, CI and data

	// Control bytes. A request has bit 6, an answer has not.
	fromMaster = 0x40
	sndNKE     = 0x40
	sndUD      = 0x53
	reqUD2     = 0x5B
	rspUD      = 0x08
	fcbBit     = 0x20 // frame count bit: toggled for every new request, the same when one is repeated
	kindMask   = 0x4F // bit 4 and 5 of an answer are access demand and data flow control

	addressTest      = 0xFE // every meter answers
	addressNetwork   = 0xFD // the meter that is selected
	addressBroadcast = 0xFF // every meter, none answers
	maxPrimary       = 250
)

// Kind is the form of a frame.
type Kind byte

// The three forms. A long frame without data is what the standard calls a control frame.
const (
	Ack Kind = iota + 1
	Short
	Long
)

// Frame is one frame of the link layer.
type Frame struct {
	Kind    Kind
	Control byte
	Address byte
	Info    byte   // CI, of a long frame
	Data    []byte // of a long frame, at most 252 bytes
}

func short(control, address byte) Frame {
	return Frame{Kind: Short, Control: control, Address: address}
}

func long(control, address, info byte, data ...byte) Frame {
	return Frame{Kind: Long, Control: control, Address: address, Info: info, Data: data}
}

// Append appends the frame as it goes on the wire.
func (f Frame) Append(b []byte) []byte {
	switch f.Kind {
	case Ack:
		return append(b, ackByte)
	case Short:
		return append(b, shortStart, f.Control, f.Address, f.Control+f.Address, frameEnd)
	}
	length := 3 + len(f.Data)
	if length > maxLong {
		panic("bug: a frame of M-Bus holds at most 252 bytes of data")
	}
	b = append(b, longStart, byte(length), byte(length), longStart)
	from := len(b)
	b = append(b, f.Control, f.Address, f.Info)
	b = append(b, f.Data...)
	return append(b, sum(b[from:]), frameEnd)
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Decode takes exactly one frame.
func Decode(b []byte) (Frame, error) {
	f, n, err := decode(b)
	if err != nil {
		return Frame{}, err
	}
	if n != len(b) {
		return Frame{}, fmt.Errorf("%d bytes follow the frame", len(b)-n)
	}
	return f, nil
}

var (
	errNoFrame = errors.New("no frame starts here")
	errShort   = errors.New("the frame is cut short")
	errDamaged = errors.New("the frame is damaged")
)

// decode takes the frame that b starts with; n is its length. Data shares memory with b.
func decode(b []byte) (f Frame, n int, err error) {
	if len(b) == 0 {
		return Frame{}, 0, errNoFrame
	}
	switch b[0] {
	case ackByte:
		return Frame{Kind: Ack}, 1, nil
	case shortStart:
		return decodeShort(b)
	case longStart:
		return decodeLong(b)
	}
	return Frame{}, 0, errNoFrame
}

func decodeShort(b []byte) (f Frame, n int, err error) {
	const n5 = 5
	if len(b) < n5 {
		return Frame{}, 0, fmt.Errorf("%w: %d of %d bytes", errShort, len(b), n5)
	}
	if err := closing(b[1:3], b[3], b[4]); err != nil {
		return Frame{}, 0, err
	}
	return short(b[1], b[2]), n5, nil
}

func decodeLong(b []byte) (f Frame, n int, err error) {
	const head, tail = 4, 2
	if len(b) < head {
		return Frame{}, 0, fmt.Errorf("%w: %d bytes", errShort, len(b))
	}
	length := int(b[1])
	if b[2] != b[1] || b[3] != longStart || length < 3 {
		return Frame{}, 0, errNoFrame
	}
	n = head + length + tail
	if len(b) < n {
		return Frame{}, 0, fmt.Errorf("%w: %d of %d bytes", errShort, len(b), n)
	}
	body := b[head : head+length]
	if err := closing(body, b[n-2], b[n-1]); err != nil {
		return Frame{}, 0, err
	}
	return long(body[0], body[1], body[2], body[3:]...), n, nil
}

func closing(body []byte, checksum, last byte) error {
	if want := sum(body); checksum != want {
		return fmt.Errorf("%w: its checksum is %02X and should be %02X", errDamaged, checksum, want)
	}
	if last != frameEnd {
		return fmt.Errorf("%w: it ends in %02X, not in 16", errDamaged, last)
	}
	return nil
}

// find gives the first valid long or short frame anywhere in b and the number of bytes up to its end.
// A start byte in noise does not hide the frame behind it. A single E5 proves nothing within other
// bytes, so it is found only by acknowledged.
func find(b []byte) (f Frame, n int, ok bool) {
	for i, c := range b {
		if c != shortStart && c != longStart {
			continue
		}
		if f, n, err := decode(b[i:]); err == nil {
			return f, i + n, true
		}
	}
	return Frame{}, 0, false
}

// acknowledged says whether b has an E5 that does not lie inside a frame, and where it ends.
func acknowledged(b []byte) (n int, ok bool) {
	for i := 0; i < len(b); {
		f, n, err := decode(b[i:])
		switch {
		case errors.Is(err, errShort):
			return 0, false // more is to come
		case err != nil:
			i++ // noise
		case f.Kind == Ack:
			return i + n, true
		default:
			i += n // our own request, from an adapter that hears itself
		}
	}
	return 0, false
}

// diagnose says why there is no valid frame in b, by the candidate that came closest.
func diagnose(b []byte) error {
	var cut error
	for i, c := range b {
		if c != shortStart && c != longStart {
			continue
		}
		_, _, err := decode(b[i:])
		if errors.Is(err, errDamaged) {
			return err
		}
		if cut == nil && errors.Is(err, errShort) {
			cut = err
		}
	}
	if cut != nil {
		return cut
	}
	return fmt.Errorf("%d bytes of noise, no frame", len(b))
}
