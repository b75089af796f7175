package modbus

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// Modbus Messaging on TCP/IP, 3.1.3: transaction id, protocol id 0, length of what follows, unit.
const headerBytes = 7

// tcpFramer speaks Modbus TCP. Each request has a transaction id of its own, which its answer
// repeats: frames with another one are answers that somebody no longer waits for.
type tcpFramer struct {
	unit byte
	// ids is one counter for all devices: those behind one gateway share a connection, on which no
	// two requests may carry the same id.
	ids     *atomic.Uint32
	request [headerBytes + maxPDUBytes]byte
	answer  modbus.ProtocolDataUnit
}

// Encode puts the header before a request.
func (f *tcpFramer) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) {
	if err := checkLength(pdu); err != nil {
		return nil, err
	}
	frame := f.request[:headerBytes]
	binary.BigEndian.PutUint16(frame[0:], uint16(f.ids.Add(1)))
	binary.BigEndian.PutUint16(frame[2:], 0)
	binary.BigEndian.PutUint16(frame[4:], uint16(2+len(pdu.Data)))
	frame[6] = f.unit
	frame = append(frame, pdu.FunctionCode)
	return append(frame, pdu.Data...), nil
}

// Verify refuses whatever is not the answer to request.
func (f *tcpFramer) Verify(request, response []byte) error {
	if len(response) < headerBytes+2 {
		return flawed(bus.Damaged, "the answer of %d bytes is too short for Modbus: % x", len(response), clip(response))
	}
	asked, got := binary.BigEndian.Uint16(request), binary.BigEndian.Uint16(response)
	if asked != got {
		return flawed(bus.Unrelated, "the answer has transaction id %d, the request had %d", got, asked)
	}
	if !isHeader(response) {
		return flawed(bus.Garbled, "what came is not Modbus TCP, it begins with % x", clip(response))
	}
	if length := int(binary.BigEndian.Uint16(response[4:])); length != len(response)-6 {
		return flawed(bus.Damaged, "the answer says that %d bytes follow, %d do", length, len(response)-6)
	}
	if request[6] != response[6] {
		return flawed(bus.WrongUnit, "the answer is from unit %d, the request was for %d", response[6], request[6])
	}
	return checkPDU(request[headerBytes:], response[headerBytes:])
}

// Decode takes a verified frame apart.
func (f *tcpFramer) Decode(frame []byte) (*modbus.ProtocolDataUnit, error) {
	return decode(&f.answer, frame[min(headerBytes, len(frame)):])
}

func (f *tcpFramer) question(request []byte) (byte, []byte) { return request[6], request[headerBytes:] }

func (f *tcpFramer) matched() bool { return true }

// find walks from frame to frame until one has the request's id. Once it is on bytes that are no
// header it takes nothing more but the right answer itself, wherever that begins.
func (f *tcpFramer) find(request, received []byte) ([]byte, bool) {
	rest := skipFrames(request, received)
	if len(rest) < headerBytes {
		return nil, false
	}
	if isHeader(rest) {
		if end := frameEnd(rest); len(rest) >= end {
			return rest[:end], true
		}
		return nil, false
	}
	for ; len(rest) >= headerBytes+2; rest = rest[1:] {
		if end := frameEnd(rest); len(rest) >= end && f.Verify(request, rest[:end]) == nil {
			return rest[:end], true
		}
	}
	return nil, false
}

// skipFrames passes over whole frames with another id than request has.
func skipFrames(request, received []byte) (rest []byte) {
	for len(received) >= headerBytes && isHeader(received) && string(received[:2]) != string(request[:2]) {
		end := frameEnd(received)
		if len(received) < end {
			break
		}
		received = received[end:]
	}
	return received
}

// frameEnd is how long the frame is that begins with header.
func frameEnd(header []byte) int { return 6 + int(binary.BigEndian.Uint16(header[4:])) }

// isHeader tells a Modbus frame from something else by its first bytes.
func isHeader(b []byte) bool {
	if len(b) < headerBytes {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	return binary.BigEndian.Uint16(b[2:]) == 0 && length >= 3 && length <= 1+maxPDUBytes
}

func (f *tcpFramer) explain(request, received []byte) *flaw {
	rest := skipFrames(request, received)
	switch {
	case len(rest) == 0:
		return stalePart(request, received)
	case len(rest) < headerBytes:
		return flawed(bus.Damaged, "the answer stopped after %d bytes: % x", len(rest), rest)
	case isHeader(rest):
		return flawed(bus.Damaged, "the answer stopped after %d of %d bytes: % x", len(rest), frameEnd(rest), clip(rest))
	}
	return flawed(bus.Garbled, "what came is not Modbus TCP, it begins with % x", clip(rest))
}

// lastID gives the transaction id of the last of these whole frames.
func lastID(frames []byte) (id uint16) {
	for len(frames) > 0 {
		id = binary.BigEndian.Uint16(frames)
		frames = frames[frameEnd(frames):]
	}
	return id
}
