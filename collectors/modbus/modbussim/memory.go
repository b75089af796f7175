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
	tables  [4][1 << 16]uint16
	holes   []hole
	refused map[byte]bool // functions
}

type hole struct {
	table      Table
	start, end int
	trap       bool
}

func (h hole) touches(table Table, start, count int) bool {
	return h.table == table && start < h.end && h.start < start+count
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
	if int(r.address)+r.count > 1<<16 || int(r.target())+len(r.values) > 1<<16 {
		return illegalAddress
	}
	for _, h := range m.holes {
		if h.touches(r.table, int(r.address), r.count) || h.touches(r.table, int(r.target()), len(r.values)) {
			return illegalAddress
		}
	}
	return 0
}

// trapped says whether a refused request touched a trap.
func (m *memory) trapped(r request) bool {
	for _, h := range m.holes {
		if h.trap && h.touches(r.table, int(r.address), r.count) {
			return true
		}
	}
	return false
}

// perform carries a checked request out and gives the answer's PDU.
func (m *memory) perform(r request) []byte {
	if r.writes() {
		m.set(r.table, r.target(), r.written(m))
	}
	if r.echo != nil {
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
