package modbussim

import "encoding/binary"

// Exceptions that the device answers by itself [MODBUS Application Protocol V1.1b3, 7].
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
	targetSilent    = 11
)

// request is a PDU that makes sense.
type request struct {
	function byte
	table    Table
	address  uint16
	count    int
	into     uint16   // where function 23 writes
	values   []uint16 // of a write
	masks    []uint16 // of function 22
	echo     []byte   // what a write is answered with
}

func (r request) writes() bool { return r.values != nil || r.masks != nil }

// target is where a write begins.
func (r request) target() uint16 {
	if r.function == 23 {
		return r.into
	}
	return r.address
}

// written are the values that a write leaves behind.
func (r request) written(m *memory) []uint16 {
	if r.masks == nil {
		return r.values
	}
	before := m.tables[r.table][r.address]
	return []uint16{before&r.masks[0] | r.masks[1]&^r.masks[0]}
}

// tables are those that functions work on.
var tables = map[byte]Table{
	1: Coils, 2: Discretes, 3: Holdings, 4: Inputs, 5: Coils, 6: Holdings, 15: Coils, 16: Holdings, 22: Holdings, 23: Holdings,
}

// parseRequest reads a PDU of at least one byte, or tells with which exception it is refused.
func parseRequest(pdu []byte) (r request, exception byte) {
	r.function = pdu[0]
	table, known := tables[r.function]
	if !known {
		return r, illegalFunction
	}
	if len(pdu) < 5 {
		return r, illegalValue
	}
	r.table = table
	r.address = binary.BigEndian.Uint16(pdu[1:])
	argument := binary.BigEndian.Uint16(pdu[3:])
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
	case 22:
		if len(pdu) != 7 {
			return r, illegalValue
		}
		r.count, r.masks, r.echo = 1, []uint16{argument, binary.BigEndian.Uint16(pdu[5:])}, pdu
		return r, 0
	case 23:
		return r.swap(pdu, int(argument))
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

// swap is function 23, which writes before it reads.
func (r request) swap(pdu []byte, count int) (request, byte) {
	if len(pdu) < 10 || count < 1 || count > 125 {
		return r, illegalValue
	}
	written := int(binary.BigEndian.Uint16(pdu[7:]))
	if written < 1 || written > 121 || len(pdu) != 10+2*written || int(pdu[9]) != 2*written {
		return r, illegalValue
	}
	r.count, r.into = count, binary.BigEndian.Uint16(pdu[5:])
	for i := range written {
		r.values = append(r.values, binary.BigEndian.Uint16(pdu[10+2*i:]))
	}
	return r, 0
}
