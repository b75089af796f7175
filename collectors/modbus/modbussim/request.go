package modbussim

import (
	"encoding/binary"
	"errors"
	"io"
)

// Exceptions that the device answers by itself [MODBUS Application Protocol V1.1b3, 7].
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
)

const maxPDU = 253

// frame is one request as it came.
type frame struct {
	transaction uint16
	unit        byte
	pdu         []byte
}

// readFrame reads one request; what cannot be one ends the connection.
func readFrame(r io.Reader) (frame, error) {
	var header [7]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return frame{}, err
	}
	length := int(binary.BigEndian.Uint16(header[4:]))
	if binary.BigEndian.Uint16(header[2:]) != 0 || length < 2 || length > 1+maxPDU {
		return frame{}, errors.New("not Modbus TCP")
	}
	f := frame{
		transaction: binary.BigEndian.Uint16(header[0:]),
		unit:        header[6],
		pdu:         make([]byte, length-1),
	}
	_, err := io.ReadFull(r, f.pdu)
	return f, err
}

// appendFrame puts the header before an answer's PDU.
func appendFrame(b []byte, transaction uint16, unit byte, pdu []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, transaction)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(pdu)))
	b = append(b, unit)
	return append(b, pdu...)
}

// request is a PDU that makes sense.
type request struct {
	function byte
	table    Table
	address  uint16
	count    int
	values   []uint16 // of a write
	echo     []byte   // what a write is answered with
}

func (r request) writes() bool { return r.values != nil }

// parseRequest reads a PDU of at least one byte, or tells with which exception it is refused.
func parseRequest(pdu []byte) (r request, exception byte) {
	r.function = pdu[0]
	switch r.function {
	case 1, 2, 3, 4, 5, 6, 15, 16:
	default:
		return r, illegalFunction
	}
	if len(pdu) < 5 {
		return r, illegalValue
	}
	r.address = binary.BigEndian.Uint16(pdu[1:])
	argument := binary.BigEndian.Uint16(pdu[3:])
	r.table = map[byte]Table{1: Coils, 2: Discretes, 3: Holdings, 4: Inputs, 5: Coils, 6: Holdings, 15: Coils, 16: Holdings}[r.function]
	switch r.function {
	case 1, 2:
		return r.read(pdu, int(argument), 2000)
	case 3, 4:
		return r.read(pdu, int(argument), 125)
	case 5:
		if len(pdu) != 5 || argument != 0 && argument != 0xFF00 {
			return r, illegalValue
		}
		argument >>= 15
		fallthrough
	case 6:
		if len(pdu) != 5 {
			return r, illegalValue
		}
		r.count, r.values, r.echo = 1, []uint16{argument}, pdu
		return r, 0
	}
	return r.writeMany(pdu, int(argument))
}

func (r request) read(pdu []byte, count, limit int) (request, byte) {
	if len(pdu) != 5 || count < 1 || count > limit {
		return r, illegalValue
	}
	r.count = count
	return r, 0
}

func (r request) writeMany(pdu []byte, count int) (request, byte) {
	limit, size := 123, 2*count
	if r.table == Coils {
		limit, size = 1968, (count+7)/8
	}
	if count < 1 || count > limit || len(pdu) != 6+size || int(pdu[5]) != size {
		return r, illegalValue
	}
	r.count, r.echo = count, pdu[:5]
	for i := range count {
		if r.table == Coils {
			r.values = append(r.values, uint16(pdu[6+i/8]>>(i%8)&1))
		} else {
			r.values = append(r.values, binary.BigEndian.Uint16(pdu[6+2*i:]))
		}
	}
	return r, 0
}
