package modbus

import (
	"encoding/binary"
	"fmt"

	"github.com/goburrow/modbus"
)

// Modbus Messaging on TCP/IP, 3.1.3: transaction id, protocol id 0, length of what follows, unit.
const (
	headerBytes  = 7
	maxPDUBytes  = 253
	maxFrame     = headerBytes + maxPDUBytes
	maxRegisters = 125  // MODBUS Application Protocol V1.1b3, 6.3
	maxBits      = 2000 // 6.1
)

// framer is goburrow's Packager: it makes frames with a new transaction id each and accepts an
// answer only when every field fits the request. goburrow's own compares less, and a frame that is
// too short for the request reaches its caller as data.
type framer struct {
	unit        byte
	transaction uint16
	request     [maxFrame]byte
	answer      modbus.ProtocolDataUnit
}

// Encode puts the header before a request. The frame is good until the next Encode.
func (f *framer) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) {
	if 1+len(pdu.Data) > maxPDUBytes {
		return nil, fmt.Errorf("request of %d bytes does not fit a frame", 1+len(pdu.Data))
	}
	f.transaction++
	frame := f.request[:headerBytes]
	binary.BigEndian.PutUint16(frame[0:], f.transaction)
	binary.BigEndian.PutUint16(frame[2:], 0)
	binary.BigEndian.PutUint16(frame[4:], uint16(2+len(pdu.Data)))
	frame[6] = f.unit
	frame = append(frame, pdu.FunctionCode)
	return append(frame, pdu.Data...), nil
}

// Verify refuses whatever is not the answer to request.
func (f *framer) Verify(request, response []byte) error { return verify(request, response) }

// Decode takes a verified frame apart. The data is good until the link's next request.
func (f *framer) Decode(frame []byte) (*modbus.ProtocolDataUnit, error) {
	if len(frame) < headerBytes+2 {
		return nil, errShort(frame)
	}
	f.answer = modbus.ProtocolDataUnit{FunctionCode: frame[headerBytes], Data: frame[headerBytes+1:]}
	return &f.answer, nil
}

func errShort(frame []byte) error {
	return fmt.Errorf("the answer of %d bytes is too short for Modbus: % x", len(frame), clip(frame))
}

func verify(request, response []byte) error {
	if len(response) < headerBytes+2 {
		return errShort(response)
	}
	asked, got := binary.BigEndian.Uint16(request), binary.BigEndian.Uint16(response)
	if asked != got {
		return fmt.Errorf("the answer has transaction id %d, the request had %d", got, asked)
	}
	if err := checkHeader(response); err != nil {
		return err
	}
	if length := int(binary.BigEndian.Uint16(response[4:])); length != len(response)-6 {
		return fmt.Errorf("the answer says that %d bytes follow, %d do", length, len(response)-6)
	}
	if request[6] != response[6] {
		return fmt.Errorf("the answer is from unit %d, the request was for %d", response[6], request[6])
	}
	function := request[7]
	switch response[7] {
	case function:
		return verifyData(function, request[8:], response[8:])
	case function | 0x80:
		if len(response) != headerBytes+2 {
			return fmt.Errorf("the exception has %d bytes, want 2", len(response)-headerBytes)
		}
		return nil
	}
	return fmt.Errorf("the answer has function %d, the request had %d", response[7], function)
}

func verifyData(function byte, request, response []byte) error {
	switch function {
	case modbus.FuncCodeReadCoils, modbus.FuncCodeReadDiscreteInputs,
		modbus.FuncCodeReadHoldingRegisters, modbus.FuncCodeReadInputRegisters:
		quantity := int(binary.BigEndian.Uint16(request[2:]))
		want := 2 * quantity
		if function <= modbus.FuncCodeReadDiscreteInputs {
			want = (quantity + 7) / 8
		}
		if count := int(response[0]); count != want || len(response)-1 != want {
			return fmt.Errorf("the answer announces %d bytes of data and has %d, the request was for %d",
				count, len(response)-1, want)
		}
		return nil
	case modbus.FuncCodeWriteSingleCoil, modbus.FuncCodeWriteSingleRegister,
		modbus.FuncCodeWriteMultipleRegisters:
		if len(response) != 4 || string(response) != string(request[:4]) {
			return fmt.Errorf("the write was answered with % x, want its echo % x", clip(response), request[:4])
		}
		return nil
	}
	return fmt.Errorf("function %d is not one that is asked for", function)
}

// checkHeader tells a Modbus frame from something else by its first bytes.
func checkHeader(header []byte) error {
	length := int(binary.BigEndian.Uint16(header[4:]))
	if binary.BigEndian.Uint16(header[2:]) != 0 || length < 3 || length > 1+maxPDUBytes {
		return fmt.Errorf("what came is not Modbus TCP, it begins with % x", clip(header))
	}
	return nil
}

// clip keeps foreign bytes in an error short.
func clip(b []byte) []byte { return b[:min(len(b), 16)] }
