package transport

import (
	"encoding/binary"
	"fmt"
)

// What a frame is, RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	finBit, reservedBits, maskBit = 0x80, 0x70, 0x80
	controlMax                    = 125 // payload bytes of a control frame
)

// What a close frame says, RFC 6455 section 7.4.1.
const (
	closeNormal      = 1000
	closeProtocol    = 1002
	closeUnsupported = 1003
)

// frameError is what a client did that ends the connection with a close frame.
type frameError struct {
	code uint16
	text string
}

func (e *frameError) Error() string { return "websocket: " + e.text }

func badFrame(text string) error { return &frameError{closeProtocol, text} }

// frames takes a client's frames apart as their bytes arrive, in place, and keeps no payload. So an
// idle connection costs what is in this struct, and a frame may be of any size.
type frames struct {
	header    [14]byte
	have      int    // bytes of header
	left      uint64 // payload bytes of this frame that have not come
	phase     int    // of the mask
	inPayload bool
	inMessage bool // frames so far belong to a message that goes on
	control   [controlMax]byte
	collected int // bytes of control
}

// decode replaces the bytes of a stream by the payload in them, n bytes at the start of b. Each control
// frame goes to control, which must not keep its payload.
func (f *frames) decode(b []byte, control func(opcode byte, payload []byte) error) (n int, err error) {
	for at := 0; at < len(b); {
		if !f.inPayload {
			f.header[f.have] = b[at]
			f.have++
			at++
			if f.have < 2 {
				continue
			}
			if f.have == 2 {
				if err := f.check(); err != nil {
					return n, err
				}
			}
			if f.have < f.headerSize() {
				continue
			}
			if err := f.begin(); err != nil {
				return n, err
			}
		} else {
			part := b[at : at+int(min(uint64(len(b)-at), f.left))]
			at += len(part)
			f.left -= uint64(len(part))
			f.unmask(part)
			if f.opcode()&opClose != 0 { // every control frame has this bit
				f.collected += copy(f.control[f.collected:], part)
			} else {
				n += copy(b[n:], part)
			}
		}
		if f.left > 0 {
			continue
		}
		f.inPayload, f.have = false, 0
		if f.opcode()&opClose != 0 {
			if err := control(f.opcode(), f.control[:f.collected]); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (f *frames) opcode() byte { return f.header[0] & 0xf }

// check looks at the two bytes that every frame begins with.
func (f *frames) check() error {
	final, length := f.header[0]&finBit != 0, f.header[1]&^maskBit
	switch op := f.opcode(); {
	case f.header[0]&reservedBits != 0:
		return badFrame("a reserved bit is set")
	case f.header[1]&maskBit == 0:
		return badFrame("a frame from a client is not masked")
	case op == opText:
		return &frameError{closeUnsupported, "a text frame; MQTT is binary"} // [MQTT-6.0.0-1]
	case op == opBinary && f.inMessage:
		return badFrame("a message begins inside of another")
	case op == opContinuation && !f.inMessage:
		return badFrame("a continuation of nothing")
	case op == opBinary, op == opContinuation:
		f.inMessage = !final // packets know nothing of messages [MQTT-6.0.0-2]
	case op != opClose && op != opPing && op != opPong:
		return badFrame(fmt.Sprintf("a frame with the reserved opcode %#x", op))
	case !final || length > controlMax:
		return badFrame("a control frame in pieces or of more than 125 bytes")
	}
	return nil
}

func (f *frames) headerSize() int {
	switch f.header[1] &^ maskBit {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

// begin reads the rest of a whole header.
func (f *frames) begin() error {
	switch length := f.header[1] &^ maskBit; length {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.header[2:])
		if f.left>>63 != 0 {
			return badFrame("a frame with a negative length")
		}
	default:
		f.left = uint64(length)
	}
	f.inPayload, f.phase, f.collected = true, 0, 0
	return nil
}

// unmask takes the client's mask off the next bytes of a payload.
func (f *frames) unmask(b []byte) {
	mask := f.header[f.have-4 : f.have]
	var key [8]byte
	for i := range key {
		key[i] = mask[(f.phase+i)&3]
	}
	f.phase = (f.phase + len(b)) & 3
	for wide := binary.LittleEndian.Uint64(key[:]); len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= key[i]
	}
}

// appendHeader writes what stands before a payload of n bytes from a server.
func appendHeader(b []byte, opcode byte, n int) []byte {
	b = append(b, finBit|opcode)
	switch {
	case n <= controlMax:
		return append(b, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
}
