package dlt645

import "bytes"

// blockOf gives the identifier that brings a value together with its neighbours, and where in that
// answer the value is, counted in values. ok is false for what is in no block.
func blockOf(id ID) (block ID, index int, ok bool) {
	switch id.bytes {
	case 2:
		return blockOf1997(uint16(id.code))
	case 4:
		return blockOf2007(id)
	}
	return ID{}, 0, false
}

func blockOf2007(id ID) (block ID, index int, ok bool) {
	group, item, sub, last := byte(id.code>>24), byte(id.code>>16), byte(id.code>>8), byte(id.code)
	inSub := ID{id.code&0xFFFF00FF | 0xFF00, 4}
	switch {
	case group == 0x00 && energy2007(item, sub, last) != "":
		return inSub, int(sub), true // the total, then the tariffs
	case group == 0x02 && last == 0 && phases2007(item, sub) != "":
		if item >= 0x03 && item <= 0x06 { // the sum, then the phases
			return inSub, int(sub), true
		}
		return inSub, int(sub) - 1, true
	}
	return ID{}, 0, false
}

func blockOf1997(code uint16) (block ID, index int, ok bool) {
	if notation1997(code) == "" {
		return ID{}, 0, false
	}
	low := int(code & 0xF)
	block = ID{uint32(code | 0xF), 2}
	switch code & 0xFFF0 {
	case 0xB610, 0xB620: // voltages, currents
		return block, low - 1, low > 0
	case 0xC010, 0xC030: // parameters have no blocks of their own kind
		return ID{}, 0, false
	}
	return block, low, true
}

// trimBlock drops the AA that meters of 1997 put behind a block.
func trimBlock(edition Edition, data []byte, each int) []byte {
	if edition == Edition1997 && len(data)%each == 1 {
		return bytes.TrimSuffix(data, []byte{0xAA})
	}
	return data
}

// compound gives the format of the first value behind identifiers whose answers hold several: what
// demand was highest and when, frozen energies of all tariffs, blocks.
func compound(id ID) (Format, bool) {
	notation := ""
	if id.bytes == 4 {
		notation = compound2007(byte(id.code>>24), byte(id.code>>16), byte(id.code>>8), byte(id.code))
	}
	if notation == "" {
		return Format{}, false
	}
	f, ok := parseFormat(notation)
	if !ok {
		panic("bug: the table of identifiers has the format " + notation)
	}
	return f, true
}

func compound2007(group, item, sub, last byte) string {
	switch group {
	case 0x00:
		if sub == 0xFF {
			return energy2007(item, 0, last)
		}
	case 0x01: // highest demand, and the five bytes of when it was
		if item >= 0x01 && item <= 0x0A {
			return "XX.XXXX"
		}
	case 0x02:
		if sub == 0xFF && last == 0 {
			return phases2007(item, 1)
		}
	case 0x05:
		return frozen2007(item, sub, last)
	}
	return ""
}

// frozen2007: item says what made the meter freeze its values, last how many freezes ago.
func frozen2007(item, sub, last byte) string {
	if last == 0 || last == 0xFF {
		return ""
	}
	switch {
	case sub == 0x00:
		return "YYMMDDhhmm"
	case sub >= 0x01 && sub <= 0x08:
		return "XXXXXX.XX"
	case sub == 0x09 || sub == 0x0A:
		return "XX.XXXX"
	case sub == 0x10:
		return "-XX.XXXX"
	}
	return ""
}
