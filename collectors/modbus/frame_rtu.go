package modbus

import (
	"bytes"
	"encoding/binary"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// rtuOverhead is the unit before and the checksum behind a PDU [Modbus over serial line V1.02, 2.5.1].
const rtuOverhead = 3

// rtuFramer speaks Modbus RTU. Its frames carry neither id nor length, so an answer is found by what
// the request lets expect: unit, function, length and checksum together.
type rtuFramer struct {
	unit    byte
	request [rtuOverhead + maxPDUBytes]byte
	answer  modbus.ProtocolDataUnit
}

// Encode puts unit and checksum around a request.
func (f *rtuFramer) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) {
	if err := checkLength(pdu); err != nil {
		return nil, err
	}
	frame := append(f.request[:0], f.unit, pdu.FunctionCode)
	frame = append(frame, pdu.Data...)
	return binary.LittleEndian.AppendUint16(frame, crc(frame)), nil
}

// Verify refuses whatever is not the answer to request.
func (f *rtuFramer) Verify(request, response []byte) error {
	if len(response) < rtuOverhead+2 {
		return flawed(bus.Damaged, "the answer of %d bytes is too short for Modbus: % x", len(response), clip(response))
	}
	if !isSumRight(response) {
		return flawed(bus.Damaged, "the checksum of the answer is wrong: % x", clip(response))
	}
	if request[0] != response[0] {
		return flawed(bus.WrongUnit, "the answer is from unit %d, the request was for %d", response[0], request[0])
	}
	return checkPDU(inner(request), inner(response))
}

// Decode takes a verified frame apart.
func (f *rtuFramer) Decode(frame []byte) (*modbus.ProtocolDataUnit, error) {
	if len(frame) < rtuOverhead {
		return decode(&f.answer, nil)
	}
	return decode(&f.answer, inner(frame))
}

func (f *rtuFramer) question(request []byte) (byte, []byte) { return request[0], inner(request) }

func (f *rtuFramer) matched() bool { return false }

// inner is the PDU of a frame.
func inner(frame []byte) []byte { return frame[1 : len(frame)-2] }

// find tries every offset: before the answer there may be noise, frames that others sent without
// being asked, or the end of an answer that is long over. When another master asks the same unit the same
// way, nobody can tell whose answer it is, and none counts.
func (f *rtuFramer) find(request, received []byte) ([]byte, bool) {
	want := answerBytes(inner(request)) + rtuOverhead
	for rest := received; len(rest) >= rtuOverhead+2; rest = rest[1:] {
		if rest[0] != f.unit || rest[1]&0x7f != request[1] {
			continue
		}
		if asksRTU(rest) && !bytes.HasPrefix(rest, request) {
			return nil, false
		}
		size := want
		if rest[1] != request[1] {
			size = rtuOverhead + 2 // an exception
		}
		if len(rest) >= size && f.Verify(request, rest[:size]) == nil {
			return rest[:size], true
		}
	}
	return nil, false
}

func (f *rtuFramer) explain(request, received []byte) *flaw {
	received, echoed := bytes.CutPrefix(received, request)
	if echoed && len(received) == 0 {
		return flawed(bus.Unrelated, onlyEcho)
	}
	if overhearRTU(received).Requests > 0 {
		return foreign(received)
	}
	for rest := received; len(rest) >= rtuOverhead+2; rest = rest[1:] {
		if frame := wholeRTU(rest); frame != nil {
			return flawIn(f.Verify(request, frame)) // find would have taken a right one
		}
	}
	want := answerBytes(inner(request)) + rtuOverhead
	if received[0] == f.unit && len(received) > 1 && received[1] == request[1] {
		if len(received) < want {
			return flawed(bus.Damaged, "the answer stopped after %d of %d bytes: % x", len(received), want, clip(received))
		}
		return flawed(bus.Damaged, "the checksum of the answer is wrong: % x", clip(received))
	}
	return flawed(bus.Garbled, "what came is not Modbus RTU, it begins with % x", clip(received))
}

// asksRTU says whether b begins with what can only be a request.
func asksRTU(b []byte) bool {
	for _, size := range rtuSizes(b) {
		if len(b) >= size && isSumRight(b[:size]) {
			if asks, _ := direction(inner(b[:size])); asks {
				return true
			}
		}
	}
	return false
}

// wholeRTU gives the frame that b begins with if there is one, an answer of any unit to any
// function that is spoken; nil for none.
func wholeRTU(b []byte) []byte {
	for _, size := range rtuSizes(b) {
		if len(b) >= size && isSumRight(b[:size]) {
			return b[:size]
		}
	}
	return nil
}

// rtuSizes tells how long a frame that begins like b may be: as an answer, and as a request.
func rtuSizes(b []byte) []int {
	if len(b) < rtuOverhead+2 {
		return nil
	}
	switch function := b[1]; function {
	case 1, 2, 3, 4:
		return []int{rtuOverhead + 2 + int(b[2]), 8}
	case 5, 6:
		return []int{8}
	case 15, 16:
		if len(b) > 6 {
			return []int{8, 9 + int(b[6])}
		}
		return []int{8}
	case 22:
		return []int{10}
	case 23:
		if len(b) > 10 {
			return []int{rtuOverhead + 2 + int(b[2]), 13 + int(b[10])}
		}
		return []int{rtuOverhead + 2 + int(b[2])}
	default:
		if function&0x80 != 0 {
			return []int{rtuOverhead + 2}
		}
	}
	return nil
}

func isSumRight(frame []byte) bool {
	body := len(frame) - 2
	return binary.LittleEndian.Uint16(frame[body:]) == crc(frame[:body])
}

// crc is the checksum of Modbus over serial line V1.02, 6.2.2: polynomial 0xA001, low byte first.
func crc(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum = sum>>8 ^ crcTable[byte(sum)^c]
	}
	return sum
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		sum := uint16(i)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
		table[i] = sum
	}
	return table
}()
