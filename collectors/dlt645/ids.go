package dlt645

// known gives the format of the identifiers that the standard defines and meters really have. What
// is not here can still be read when the point says its format.
func known(id ID) (Format, bool) {
	notation := ""
	switch id.bytes {
	case 2:
		notation = notation1997(uint16(id.code))
	case 4:
		notation = notation2007(id.code)
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

// notation2007 follows annex A of DL/T 645-2007.
func notation2007(code uint32) string {
	group, item, sub, last := byte(code>>24), byte(code>>16), byte(code>>8), byte(code)
	switch group {
	case 0x00:
		return energy2007(item, sub, last)
	case 0x02:
		if item == 0x80 && sub == 0 {
			return variables2007[last]
		}
		if last == 0 {
			return phases2007(item, sub)
		}
	case 0x04:
		return parameters2007[code]
	}
	return ""
}

// energy2007: sub is the tariff, 0 for all of them; last counts settlement days back. FF would be a
// block of values, which a point is not.
func energy2007(item, sub, last byte) string {
	if sub > 0x3F || last > 0x0C {
		return ""
	}
	switch {
	case item == 0x00 || item == 0x03 || item == 0x04: // combined energies may fall below zero
		return "-XXXXXX.XX"
	case item <= 0x0A:
		return "XXXXXX.XX"
	}
	return ""
}

// phases2007: sub is the phase, and 0 the sum where there is one.
func phases2007(item, sub byte) string {
	if sub > 3 {
		return ""
	}
	switch item {
	case 0x03, 0x04, 0x05: // active, reactive, apparent power
		return "-XX.XXXX"
	case 0x06: // power factor
		return "-X.XXX"
	}
	if sub == 0 {
		return ""
	}
	switch item {
	case 0x01: // voltage
		return "XXX.X"
	case 0x02: // current
		return "-XXX.XXX"
	case 0x07: // phase angle
		return "XXX.X"
	case 0x08, 0x09: // distortion of voltage and current
		return "XX.XX"
	}
	return ""
}

// variables2007 are 028000xx.
var variables2007 = map[byte]string{
	0x01: "-XXX.XXX", // current in the neutral
	0x02: "XX.XX",    // frequency
	0x04: "-XX.XXXX", // present demand: active, reactive, apparent
	0x05: "-XX.XXXX",
	0x06: "-XX.XXXX",
	0x07: "-XXX.X", // temperature inside
	0x08: "XX.XX",  // clock battery, meter reading battery
	0x09: "XX.XX",
	0x0A: "XXXXXXXX", // minutes on battery
}

var parameters2007 = map[uint32]string{
	0x04000101: "YYMMDDWW",
	0x04000102: "hhmmss",
	0x0400010C: clockNotation,
	0x04000401: "NNNNNNNNNNNN", // address
	0x04000402: "NNNNNNNNNNNN", // meter number
	0x04000403: "ascii:32",     // asset number
	0x04000404: "ascii:6",      // rated voltage, current, highest current
	0x04000405: "ascii:6",
	0x04000406: "ascii:6",
	0x04000407: "ascii:4", // accuracy classes
	0x04000408: "ascii:4",
	0x04000409: "XXXXXX", // pulses a kWh, a kvarh
	0x0400040A: "XXXXXX",
	0x0400040B: "ascii:10", // model, date of manufacture, protocol
	0x0400040C: "ascii:10",
	0x0400040D: "ascii:16",
	0x04000501: "bits:2", // status words
	0x04000502: "bits:2",
	0x04000503: "bits:2",
	0x04000504: "bits:2",
	0x04000505: "bits:2",
	0x04000506: "bits:2",
	0x04000507: "bits:2",
}

// notation1997 follows annex A of DL/T 645-1997, as far as meters agree on it.
func notation1997(code uint16) string {
	switch code & 0xFFF0 {
	case 0x9010, 0x9020, 0x9110, 0x9120, // this month: active forward and reverse, reactive likewise
		0x9410, 0x9420, 0x9510, 0x9520, // last month
		0x9810, 0x9820, 0x9910, 0x9920: // the month before
		if code&0xF == 0xF {
			return "" // a block
		}
		return "XXXXXX.XX"
	}
	switch code {
	case 0xB611, 0xB612, 0xB613: // voltage
		return "XXXX" // XXX in the standard, in two bytes
	case 0xB621, 0xB622, 0xB623: // current
		return "XX.XX"
	case 0xB630, 0xB631, 0xB632, 0xB633: // active power
		return "XX.XXXX"
	case 0xB650, 0xB651, 0xB652, 0xB653: // power factor
		return "X.XXX"
	case 0xC010:
		return "YYMMDDWW"
	case 0xC011:
		return "hhmmss"
	case 0xC032:
		return "NNNNNNNNNNNN"
	}
	return ""
}
