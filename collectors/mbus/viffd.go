package mbus

import "fmt"

// firstExtension is table 12: the codes behind FD, and behind a second FD table 13. rest is what
// follows the code.
func firstExtension(vife []byte) (e entry, rest []byte, ok bool) {
	v := vife[0] &^ extension
	if vife[0] == vifFirst && len(vife) > 1 {
		e, ok = thirdExtension(vife[1] &^ extension)
		return e, vife[2:], ok
	}
	e, ok = firstTable(v)
	return e, vife[1:], ok
}

func firstTable(v byte) (entry, bool) {
	n4, n2 := int(v&0xF), int(v&3)
	switch {
	case v <= 0x03:
		return entry{quantity: "credit", exponent: n2 - 3}, true
	case v <= 0x07:
		return entry{quantity: "debit", exponent: n2 - 3}, true
	case v >= 0x24 && v <= 0x29:
		return entry{quantity: "storage_interval", unit: durations[v-0x24]}, true
	case v >= 0x2C && v <= 0x2F:
		return entry{quantity: "since_readout", unit: durations[n2]}, true
	case v >= 0x31 && v <= 0x33:
		return entry{quantity: "tariff_duration", unit: durations[n2]}, true
	case v >= 0x34 && v <= 0x39:
		return entry{quantity: "tariff_period", unit: durations[v-0x34]}, true
	case v >= 0x3C && v <= 0x3F:
		return entry{quantity: "transmission_period", unit: durations[n2]}, true
	case v >= 0x40 && v <= 0x4F:
		return entry{quantity: "voltage", exponent: n4 - 9, unit: "V"}, true
	case v >= 0x50 && v <= 0x5F:
		return entry{quantity: "current", exponent: n4 - 12, unit: "A"}, true
	case v >= 0x68 && v <= 0x6B:
		return entry{quantity: "since_cumulation", unit: durations[2+n2]}, true
	case v >= 0x6C && v <= 0x6F:
		return entry{quantity: "battery_operating_time", unit: durations[2+n2]}, true
	}
	e, ok := singleFirst[v]
	return e, ok
}

var singleFirst = map[byte]entry{
	0x08: {quantity: "access_number", kind: bits},
	0x09: {quantity: "medium", kind: bits},
	0x0A: {quantity: "manufacturer_code", kind: bits},
	0x0B: {quantity: "parameter_set", kind: identifier},
	0x0C: {quantity: "model_version", kind: identifier},
	0x0D: {quantity: "hardware_version", kind: identifier},
	0x0E: {quantity: "firmware_version", kind: identifier},
	0x0F: {quantity: "software_version", kind: identifier},
	0x10: {quantity: "customer_location", kind: identifier},
	0x11: {quantity: "customer", kind: identifier},
	0x12: {quantity: "access_code_user", kind: identifier},
	0x13: {quantity: "access_code_operator", kind: identifier},
	0x14: {quantity: "access_code_system_operator", kind: identifier},
	0x15: {quantity: "access_code_developer", kind: identifier},
	0x16: {quantity: "password", kind: identifier},
	0x17: {quantity: "error_flags", kind: bits},
	0x18: {quantity: "error_mask", kind: bits},
	0x19: {quantity: "security_key", kind: identifier},
	0x1A: {quantity: "digital_output", kind: bits},
	0x1B: {quantity: "digital_input", kind: bits},
	0x1C: {quantity: "baud_rate", unit: "Bd"},
	0x1D: {quantity: "response_delay", unit: "bit times"},
	0x1E: {quantity: "retry", kind: bits},
	0x1F: {quantity: "remote_control", kind: bits},
	0x20: {quantity: "first_storage", kind: bits},
	0x21: {quantity: "last_storage", kind: bits},
	0x22: {quantity: "storage_block_size", kind: bits},
	0x23: {quantity: "tariff_descriptor", kind: bits},
	0x2A: {quantity: "operator_data", kind: identifier},
	0x2B: {quantity: "second"},
	0x30: {quantity: "tariff_start", kind: timePoint},
	0x3A: {quantity: "dimensionless"},
	0x3B: {quantity: "radio_container", kind: identifier},
	0x60: {quantity: "reset_counter"},
	0x61: {quantity: "cumulation_counter"},
	0x62: {quantity: "control_signal", kind: bits},
	0x63: {quantity: "day_of_week"},
	0x64: {quantity: "week_number"},
	0x65: {quantity: "day_change", kind: bits},
	0x66: {quantity: "parameter_activation", kind: bits},
	0x67: {quantity: "supplier_information", kind: identifier},
	0x70: {quantity: "battery_change", kind: timePoint},
	0x71: {quantity: "signal_level", unit: "dBm"},
	0x72: {quantity: "daylight_saving", kind: identifier},
	0x73: {quantity: "listening_window", kind: identifier},
	0x74: {quantity: "battery_remaining", unit: "d"},
	0x75: {quantity: "stop_counter"},
	0x76: {quantity: "manufacturer_container", kind: identifier},
}

func thirdExtension(v byte) (entry, bool) {
	switch v {
	case 0x00:
		return entry{quantity: "application", kind: bits}, true
	case 0x02, 0x03:
		return entry{quantity: "battery_remaining", unit: durations[2+v]}, true
	}
	return entry{}, false
}

// modify follows table 15: codes that go with any quantity.
func (m *meaning) modify(vife []byte) {
	for i := 0; i < len(vife); i++ {
		v := vife[i] &^ extension
		switch {
		case v == vifManufacturer:
			m.ownWay(vife[i+1:])
			return
		case v == vifPlain && i+1 < len(vife):
			i++
			m.addExtended(vife[i] &^ extension)
		default:
			m.add(v)
		}
	}
}

// ownWay notes codes whose meaning only the maker knows.
func (m *meaning) ownWay(codes []byte) {
	plain := make([]byte, len(codes))
	for i, c := range codes {
		plain[i] = c &^ extension
	}
	m.modifiers = append(m.modifiers, fmt.Sprintf("maker=%X", plain))
}

func (m *meaning) add(v byte) {
	switch {
	case v == 0x00:
	case v <= 0x1F:
		m.problem = &markedError{v}
	case v >= 0x50 && v <= 0x5F:
		m.addLimitSpan(v)
	case v >= 0x60 && v <= 0x67:
		m.modifiers = append(m.modifiers, [...]string{"first", "last"}[v>>2&1], "duration")
		m.becomes(entry{unit: durations[v&3]})
	case v >= 0x40 && v <= 0x4F:
		m.addLimit(v)
	case v >= 0x68 && v <= 0x6F:
		m.addEvent(v)
	case v >= 0x70 && v <= 0x77:
		m.scale.exponent += int(v&7) - 6
	case v >= 0x78 && v <= 0x7B:
		m.problem = fmt.Errorf("the record asks for a constant to be added (VIFE %02X), in a unit that the standard leaves open", v)
	case v == 0x7D:
		m.scale.exponent += 3
	default:
		name, ok := modifierNames[v]
		if !ok {
			name = fmt.Sprintf("vife=%02X", v)
		}
		m.modifiers = append(m.modifiers, name)
		if v == 0x39 {
			m.becomes(entry{kind: timePoint})
		}
	}
}

var modifierNames = map[byte]string{
	0x20: "per_second", 0x21: "per_minute", 0x22: "per_hour", 0x23: "per_day", 0x24: "per_week", 0x25: "per_month", 0x26: "per_year",
	0x27: "per_revolution", 0x28: "per_input_pulse_0", 0x29: "per_input_pulse_1", 0x2A: "per_output_pulse_0", 0x2B: "per_output_pulse_1",
	0x2C: "per_l", 0x2D: "per_m3", 0x2E: "per_kg", 0x2F: "per_K", 0x30: "per_kWh", 0x31: "per_GJ", 0x32: "per_kW", 0x33: "per_Kl",
	0x34: "per_V", 0x35: "per_A", 0x36: "times_s", 0x37: "times_s_per_V", 0x38: "times_s_per_A", 0x39: "start",
	0x3A: "uncorrected", 0x3B: "forward", 0x3C: "backward", 0x3D: "other_units", 0x3E: "base_conditions", 0x3F: "obis",
	0x7E: "future",
}

// addLimit: 0100uxxx speaks of a lower (u=0) or upper limit; 0100uf1b is the date at which the first or
// last (f) time beyond it began or ended (b).
func (m *meaning) addLimit(v byte) {
	side := [...]string{"lower_limit", "upper_limit"}[v>>3&1]
	switch {
	case v&7 == 0:
		m.modifiers = append(m.modifiers, side)
	case v&7 == 1:
		m.modifiers = append(m.modifiers, side, "exceeds")
		m.becomes(entry{})
	case v&2 != 0:
		m.modifiers = append(m.modifiers, side)
		m.addDate(v)
	default:
		m.modifiers = append(m.modifiers, fmt.Sprintf("vife=%02X", v))
	}
}

// addEvent: 01101xxx, in which 01101f1b is a date.
func (m *meaning) addEvent(v byte) {
	if v&2 != 0 {
		m.addDate(v)
		return
	}
	names := map[byte]string{0x68: "during_lower_limit", 0x69: "leakage", 0x6C: "during_upper_limit", 0x6D: "overflow"}
	m.modifiers = append(m.modifiers, names[v])
}

func (m *meaning) addDate(v byte) {
	m.modifiers = append(m.modifiers, [...]string{"first", "last"}[v>>2&1], [...]string{"begin", "end"}[v&1])
	m.becomes(entry{kind: timePoint})
}

// addLimitSpan: 0101ufnn, for how long a limit was exceeded.
func (m *meaning) addLimitSpan(v byte) {
	m.modifiers = append(m.modifiers, [...]string{"lower", "upper"}[v>>3&1]+"_limit", [...]string{"first", "last"}[v>>2&1], "duration")
	m.becomes(entry{unit: durations[v&3]})
}

// becomes keeps the quantity's name, but the value is of another kind: when, how long or how often
// it was.
func (m *meaning) becomes(e entry) {
	m.kind, m.scale = e.kind, scale{e.exponent, mustUnit(e.unit)}
}

var extendedNames = map[byte]string{
	0x01: "L1", 0x02: "L2", 0x03: "L3", 0x04: "N", 0x05: "L1-L2", 0x06: "L2-L3", 0x07: "L3-L1",
	0x08: "Q1", 0x09: "Q2", 0x0A: "Q3", 0x0B: "Q4", 0x0C: "delta", 0x10: "absolute", 0x13: "to_meter", 0x14: "from_meter",
}

// addExtended follows table 16: the codes behind FC.
func (m *meaning) addExtended(v byte) {
	switch name, ok := extendedNames[v]; {
	case ok:
		m.modifiers = append(m.modifiers, name)
	case v == 0x11 || v == 0x12: // data of type C or D: without a sign
		if m.kind == amount {
			m.kind = bits
		}
	default:
		m.modifiers = append(m.modifiers, fmt.Sprintf("vife=FC%02X", v))
	}
}

// markedError is what the meter says about a single record by a VIFE below 20.
type markedError struct{ code byte }

func (e *markedError) Error() string {
	meanings := map[byte]string{
		0x01: "too many DIFE", 0x02: "no such storage number", 0x03: "no such subunit", 0x04: "no such tariff", 0x05: "no such function",
		0x06: "no such class of data", 0x07: "no such size of data", 0x0B: "too many VIFE", 0x0C: "no such group of VIF", 0x0D: "no such exponent",
		0x0E: "VIF and DIF do not go together", 0x0F: "no such action", 0x15: "there is no value now", 0x16: "the value is too large to be sent",
		0x17: "the value is too small to be sent", 0x18: "the value is wrong", 0x1C: "the record ended too early",
	}
	if meaning, ok := meanings[e.code]; ok {
		return "the meter says: " + meaning
	}
	return fmt.Sprintf("the meter says that there is an error (VIFE %02X)", e.code)
}
