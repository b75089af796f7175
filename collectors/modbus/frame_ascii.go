package modbus

import (
	"bytes"
	"encoding/hex"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// asciiFramer speaks Modbus ASCII: a colon, unit, PDU and checksum in hex digits, CR and LF [Modbus
// over serial line V1.02, 2.5.2].
type asciiFramer struct {
	unit    byte
	plain   [1 + maxPDUBytes + 1]byte // the request before it becomes digits
	request [maxADUBytes]byte
	heard   [1 + maxPDUBytes + 1]byte // the answer's bytes
	answer  modbus.ProtocolDataUnit
}

const hexDigits = "0123456789ABCDEF"

// Encode writes a request in digits.
func (f *asciiFramer) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) {
	if err := checkLength(pdu); err != nil {
		return nil, err
	}
	body := append(f.plain[:0], f.unit, pdu.FunctionCode)
	body = append(body, pdu.Data...)
	body = append(body, lrc(body))
	frame := append(f.request[:0], ':')
	for _, c := range body {
		frame = append(frame, hexDigits[c>>4], hexDigits[c&15])
	}
	return append(frame, '\r', '\n'), nil
}

// Verify refuses whatever is not the answer to request.
func (f *asciiFramer) Verify(request, response []byte) error {
	body, err := asciiBody(f.heard[:0], response)
	if err != nil {
		return err
	}
	unit, pdu := f.question(request)
	if body[0] != unit {
		return flawed(bus.WrongUnit, "the answer is from unit %d, the request was for %d", body[0], unit)
	}
	return checkPDU(pdu, body[1:])
}

// Decode takes a verified frame apart.
func (f *asciiFramer) Decode(frame []byte) (*modbus.ProtocolDataUnit, error) {
	body, err := asciiBody(f.heard[:0], frame)
	if err != nil {
		return nil, err
	}
	return decode(&f.answer, body[1:])
}

// question looks at the bytes that Encode made its digits of, which are those of its last frame.
func (f *asciiFramer) question(request []byte) (byte, []byte) {
	body := f.plain[:(len(request)-3)/2]
	return body[0], body[1 : len(body)-1]
}

func (f *asciiFramer) matched() bool { return false }

// find takes the first sound line that is the answer. A colon begins a frame anew, whatever came
// before it. A request of another master to the same unit spoils the exchange, as with RTU.
func (f *asciiFramer) find(request, received []byte) ([]byte, bool) {
	for {
		line, rest, found := asciiLine(received)
		if !found {
			return nil, false
		}
		if f.Verify(request, line) == nil {
			return line, true
		}
		if f.asks(request, line) {
			return nil, false
		}
		received = rest
	}
}

// asks says whether line is another request to the unit, of the same function.
func (f *asciiFramer) asks(request, line []byte) bool {
	body, err := asciiBody(f.heard[:0], line)
	if err != nil || bytes.Equal(line, request) {
		return false
	}
	unit, pdu := f.question(request)
	asks, _ := direction(body[1:])
	return asks && body[0] == unit && body[1] == pdu[0]
}

// asciiLine cuts the first line, from its last colon to its end.
func asciiLine(b []byte) (line, rest []byte, found bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return nil, nil, false
	}
	line = b[:end+1]
	if start := bytes.LastIndexByte(line, ':'); start > 0 {
		line = line[start:]
	}
	return line, b[end+1:], true
}

// asciiBody turns a line's digits into bytes, without the checksum once that has proved right.
func asciiBody(into, line []byte) ([]byte, error) {
	digits := bytes.TrimRight(line, "\r\n")
	if len(digits) == 0 || digits[0] != ':' {
		return nil, flawed(bus.Garbled, "what came is not Modbus ASCII, it begins with % x", clip(line))
	}
	digits = digits[1:]
	if len(digits)%2 != 0 || len(digits) < 2*4 || len(digits) > 2*(1+maxPDUBytes+1) {
		return nil, flawed(bus.Damaged, "the answer has %d digits, which is not a frame: %q", len(digits), clip(line))
	}
	body := into[:len(digits)/2]
	if _, err := hex.Decode(body, digits); err != nil {
		return nil, flawed(bus.Damaged, "the answer has characters that are not hex digits: %q", clip(line))
	}
	last := len(body) - 1
	if lrc(body[:last]) != body[last] {
		return nil, flawed(bus.Damaged, "the checksum of the answer is wrong: %q", clip(line))
	}
	return body[:last], nil
}

func (f *asciiFramer) explain(request, received []byte) *flaw {
	received, echoed := bytes.CutPrefix(received, request)
	if echoed && len(received) == 0 {
		return flawed(bus.Unrelated, onlyEcho)
	}
	if overhearASCII(received).Requests > 0 {
		return foreign(received)
	}
	line, _, found := asciiLine(received)
	if !found {
		if bytes.IndexByte(received, ':') < 0 {
			return flawed(bus.Garbled, "what came is not Modbus ASCII, it begins with % x", clip(received))
		}
		return flawed(bus.Damaged, "the answer stopped after %d characters: %q", len(received), clip(received))
	}
	if err := f.Verify(request, line); err != nil {
		return flawIn(err)
	}
	return flawed(bus.Unrelated, "what came is not the answer: %q", clip(received))
}

// lrc is the checksum of Modbus over serial line V1.02, 6.2.1: what makes the sum of all bytes 0.
func lrc(b []byte) byte {
	var sum byte
	for _, c := range b {
		sum += c
	}
	return -sum
}
