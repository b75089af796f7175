package modbus

import (
	"encoding/binary"
	"fmt"

	"github.com/goburrow/modbus"

	"sluice/collectors/bus"
)

// Limits of one request [MODBUS Application Protocol V1.1b3, 4.1, 6.1, 6.3].
const (
	maxPDUBytes  = 253
	maxADUBytes  = 1 + 2*(1+maxPDUBytes+1) + 2 // of ASCII, the longest
	maxRegisters = 125
	maxBits      = 2000
)

// framer is goburrow's Packager with what a line needs beside it: how to find the answer in what
// came, and what to say when it is not there. It belongs to one unit. A frame from Encode is good
// until the next Encode, data from Decode until the line's next exchange.
type framer interface {
	modbus.Packager
	// find looks for the answer to request in all that came since it was sent. It passes over whole
	// frames that answer something else, and over noise.
	find(request, received []byte) (frame []byte, found bool)
	// explain says what came instead of the answer; received is not empty.
	explain(request, received []byte) *flaw
	// question gives the unit and the PDU of a frame that Encode made.
	question(request []byte) (unit byte, pdu []byte)
	// matched says that requests carry an id, so that a late answer is known as such.
	matched() bool
}

const onlyEcho = "only the request itself came back: the adapter hears what it sends, and nobody answers"

// answerBytes is how long the PDU of a right answer is that is no exception; 0 when request is not
// one that is ever made.
func answerBytes(request []byte) int {
	if len(request) < 5 {
		return 0
	}
	quantity := int(binary.BigEndian.Uint16(request[3:]))
	switch request[0] {
	case modbus.FuncCodeReadCoils, modbus.FuncCodeReadDiscreteInputs:
		return 2 + (quantity+7)/8
	case modbus.FuncCodeReadHoldingRegisters, modbus.FuncCodeReadInputRegisters,
		modbus.FuncCodeReadWriteMultipleRegisters: // whose first quantity is that of the read
		return 2 + 2*quantity
	case modbus.FuncCodeWriteSingleCoil, modbus.FuncCodeWriteSingleRegister,
		modbus.FuncCodeWriteMultipleCoils, modbus.FuncCodeWriteMultipleRegisters:
		return 5
	case modbus.FuncCodeMaskWriteRegister:
		return 7
	}
	return 0
}

// checkPDU refuses whatever is not the answer to request: goburrow compares less, and an answer
// with fewer registers than were asked for reaches its caller as data.
func checkPDU(request, answer []byte) error {
	want := answerBytes(request)
	if want == 0 {
		return fmt.Errorf("function %d is not one that is asked for", request[0])
	}
	if len(answer) < 2 {
		return flawed(bus.Damaged, "the answer of %d bytes is too short for Modbus", len(answer))
	}
	function := request[0]
	if answer[0] == function|0x80 {
		if len(answer) != 2 {
			return flawed(bus.Damaged, "the exception has %d bytes, want 2", len(answer))
		}
		return nil
	}
	if answer[0] != function {
		return flawed(bus.Unrelated, "the answer has function %d, the request had %d", answer[0], function)
	}
	switch function {
	case modbus.FuncCodeReadCoils, modbus.FuncCodeReadDiscreteInputs, modbus.FuncCodeReadHoldingRegisters,
		modbus.FuncCodeReadInputRegisters, modbus.FuncCodeReadWriteMultipleRegisters:
		if int(answer[1]) != want-2 || len(answer) != want {
			return flawed(bus.Unrelated, "the answer announces %d bytes of data and has %d, the request was for %d",
				answer[1], len(answer)-2, want-2)
		}
		return nil
	}
	if len(answer) != want || string(answer) != string(request[:want]) {
		return flawed(bus.Unrelated, "the write was answered with % x, want its echo % x", clip(answer), request[:want])
	}
	return nil
}

// decode takes a PDU apart for goburrow.
func decode(into *modbus.ProtocolDataUnit, pdu []byte) (*modbus.ProtocolDataUnit, error) {
	if len(pdu) < 2 {
		return nil, fmt.Errorf("the answer of %d bytes is too short for Modbus", len(pdu))
	}
	*into = modbus.ProtocolDataUnit{FunctionCode: pdu[0], Data: pdu[1:]}
	return into, nil
}

func checkLength(pdu *modbus.ProtocolDataUnit) error {
	if n := 1 + len(pdu.Data); n > maxPDUBytes {
		return fmt.Errorf("a request of %d bytes does not fit a frame", n)
	}
	return nil
}

// clip keeps foreign bytes in an error short.
func clip(b []byte) []byte { return b[:min(len(b), 16)] }
