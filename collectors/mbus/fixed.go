package mbus

import (
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// decodeFixed takes fixed data (CI 73), which meters of the first years send: number, access number,
// status, two unit bytes and two counters.
func decodeFixed(data []byte, highFirst bool) (Telegram, error) {
	const size = 16
	if len(data) != size {
		return Telegram{}, fmt.Errorf("fixed data of %d bytes, it has %d", len(data), size)
	}
	data = slices.Clone(data)
	if highFirst {
		slices.Reverse(data[0:4])
		slices.Reverse(data[6:8])
		slices.Reverse(data[8:12])
		slices.Reverse(data[12:16])
	}
	id := everyone()
	id.ID = uint32(littleEndian(data[0:4]))
	// Two bits of the medium are in each unit byte, the low ones in the first.
	id.Medium = fixedMedium[data[6]>>6|data[7]>>6<<2]
	state := data[5]
	t := Telegram{Header: Header{Identity: id, Named: true, Fixed: true, Access: data[4], Status: state &^ 3}}
	for i := range 2 {
		t.Records = append(t.Records, fixedRecord(i, data[6+i]&0x3F, data[8+4*i:12+4*i], state, data[6]&0x3F))
	}
	return t, nil
}

// fixedMedium gives the medium as variable data has it. From ten on it is the same again, for meters
// that send the high byte first.
var fixedMedium = [16]byte{0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0F, 0x03, 0x04, 0x06, 0x07, 0x08, 0x0F}

// fixedRecord: bit 0 of the status says that counters are binary, bit 1 that they are those of a due
// date. A second counter of unit 3E has the unit of the first and is its value of a due date.
func fixedRecord(i int, code byte, data []byte, state, first byte) Record {
	r := Record{Index: i, Storage: uint64(state >> 1 & 1)}
	if i == 1 && code == 0x3E {
		code, r.Storage = first, 1
	}
	e, ok := fixedUnit(code)
	if !ok {
		e = entry{quantity: fmt.Sprintf("reserved_%02X", code)}
	}
	m := meaning{quantity: e.quantity, kind: e.kind, scale: scale{e.exponent, mustUnit(e.unit)}}
	r.Quantity, r.scale = m.quantity, m.scale
	var err error
	if state&1 == 0 {
		r.number, err = m.bcd(data, false)
	} else {
		r.number, err = m.integer(data)
	}
	if err == nil {
		r.Value, err = r.number.in(r.scale, r.scale.unit.shown())
	}
	if err != nil {
		r.Value, r.Problem = message.Value{}, err.Error()
	}
	return r
}

// fixedUnit is the table of physical units of EN 1434-3.
func fixedUnit(code byte) (entry, bool) {
	n := int(code)
	switch {
	case code >= 0x02 && code <= 0x0A:
		return entry{quantity: "energy", exponent: n - 0x02, unit: "Wh"}, true
	case code >= 0x0B && code <= 0x13:
		return entry{quantity: "energy", exponent: n - 0x0B, unit: "kJ"}, true
	case code >= 0x14 && code <= 0x1C:
		return entry{quantity: "power", exponent: n - 0x14, unit: "W"}, true
	case code >= 0x1D && code <= 0x25:
		return entry{quantity: "power", exponent: n - 0x1D, unit: "kJ/h"}, true
	case code >= 0x26 && code <= 0x2E:
		return entry{quantity: "volume", exponent: n - 0x26, unit: "ml"}, true
	case code >= 0x2F && code <= 0x37:
		return entry{quantity: "volume_flow", exponent: n - 0x2F - 3, unit: "l/h"}, true
	case code == 0x38:
		return entry{quantity: "temperature", exponent: -3, unit: "°C"}, true
	case code == 0x39:
		return entry{quantity: "hca_units"}, true
	case code == 0x3F:
		return entry{quantity: "dimensionless"}, true
	}
	return entry{}, false
}
