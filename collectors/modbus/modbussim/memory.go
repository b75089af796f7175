package modbussim

import "encoding/binary"

// Table is one of a device's four tables.
type Table byte

// The tables. Coils and discrete inputs hold 0 or 1.
const (
	Coils Table = iota
	Discretes
	Inputs
	Holdings
)

// memory is what a device holds.
type memory struct {
	tables [4][1 << 16]uint16
	holes  []hole
}

type hole struct {
	table      Table
	start, end int
}

func (m *memory) set(table Table, address uint16, values []uint16) {
	for i, v := range values {
		if (table == Coils || table == Discretes) && v != 0 {
			v = 1
		}
		m.tables[table][int(address)+i] = v
	}
}

// check gives the exception for a request that touches what is not there, or 0.
func (m *memory) check(r request) byte {
	start, end := int(r.address), int(r.address)+r.count
	if end > 1<<16 {
		return illegalAddress
	}
	for _, h := range m.holes {
		if h.table == r.table && start < h.end && h.start < end {
			return illegalAddress
		}
	}
	return 0
}

// perform carries a checked request out and gives the answer's PDU.
func (m *memory) perform(r request) []byte {
	if r.writes() {
		m.set(r.table, r.address, r.values)
		return r.echo
	}
	cells := m.tables[r.table][r.address : int(r.address)+r.count]
	if r.table == Inputs || r.table == Holdings {
		pdu := []byte{r.function, byte(2 * r.count)}
		for _, v := range cells {
			pdu = binary.BigEndian.AppendUint16(pdu, v)
		}
		return pdu
	}
	pdu := make([]byte, 2+(r.count+7)/8)
	pdu[0], pdu[1] = r.function, byte((r.count+7)/8)
	for i, v := range cells {
		pdu[2+i/8] |= byte(v) << (i % 8)
	}
	return pdu
}
