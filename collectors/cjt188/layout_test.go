package cjt188

import (
	"strings"
	"testing"
)

func TestValuesAreConverted(t *testing.T) {
	for _, c := range []struct {
		slot         slot
		before       bool
		data, unit   string
		want, absent string
	}{
		{slot: amount("heat", energy, 2), data: "19 28 53 00 05", unit: "kWh", want: "5328.19"},
		{slot: amount("heat", energy, 2), data: "19 28 53 00 05", unit: "MWh", want: "5.32819"},
		{slot: amount("heat", energy, 2), data: "19 28 53 00 05", unit: "GJ", want: "19.181484"},
		{slot: amount("heat", energy, 2), data: "05 19 28 53 00", before: true, unit: "kWh", want: "5328.19"},
		{slot: amount("heat", energy, 2), data: "00 36 00 00 11", unit: "kWh", want: "10000"},
		{slot: amount("heat", energy, 2), data: "99 99 99 99 0A", unit: "kWh", want: "99999999000"},
		{slot: amount("heat", energy, 2), data: "99 99 99 99 13", unit: "J", want: "99999999000000000"},
		{slot: amount("heat", energy, 0), data: "19 28 53 00 05", unit: "kWh", want: "532819"},
		{slot: amount("power", power, 2), data: "50 12 00 00 17", unit: "W", want: "12500"},
		{slot: amount("power", power, 2), data: "50 12 00 00 14", unit: "kW", want: "0.0125"},
		{slot: amount("volume", volume, 2), data: "42 33 18 00 2C", unit: "m3", want: "1833.42"},
		{slot: amount("volume", volume, 2), data: "42 33 18 00 29", unit: "m3", want: "1.83342"},
		{slot: amount("volume", volume, 2), data: "42 33 18 00 2C", unit: "L", want: "1833420"},
		{slot: amount("flow", flow, 4), data: "34 12 00 00 35", unit: "m3/h", want: "0.1234"},
		{slot: amount("flow", flow, 4), data: "34 12 00 00 35", unit: "L/h", want: "123.4"},
		{slot: slot{"supply_temperature", temperature, 3, 2}, data: "03 19 00", unit: "°C", want: "19.03"},
		{slot: slot{"hours", duration, 3, 0}, data: "61 27 00", unit: "h", want: "2761"},
		{slot: amount("volume", volume, 2), data: "42 33 18 00 05", unit: "m3", absent: "the unit byte 05, which is no unit of volume"},
		{slot: amount("volume", volume, 2), data: "42 33 18 00 7E", unit: "m3", absent: "the unit byte 7E"},
		{slot: amount("volume", volume, 2), data: "4E 33 18 00 2C", unit: "m3", absent: "which is not decimal"},
		{slot: amount("volume", volume, 2), data: "FF FF FF FF 2C", unit: "m3", absent: "no value for this now"},
		{slot: amount("volume", volume, 2), data: "FF FF FF FF FF", unit: "m3", absent: "no value for this now"},
		{slot: slot{"hours", duration, 3, 0}, data: "FF FF FF", unit: "h", absent: "no value for this now"},
		{slot: clockSlot, data: "06 20 17 09 01 17 20", want: `"2017-01-09T17:20:06"`},
		{slot: clockSlot, data: "06 20 17 09 13 17 20", absent: "no date and time"},
		{slot: clockSlot, data: "06 20 24 09 01 17 20", absent: "no date and time"},
		{slot: clockSlot, data: "FF FF FF FF FF FF FF", absent: "no date and time"},
		{slot: statusSlot, data: "03 01", want: "259"},
	} {
		where := placeAfter
		if c.before {
			where = placeBefore
		}
		got, err := c.slot.value(unhex(t, c.data), where, c.slot.decimals, c.unit, part{})
		if c.absent != "" {
			if err == nil || !strings.Contains(err.Error(), c.absent) {
				t.Errorf("%s of %s: got %v, %v; want an error with %q", c.slot.item, c.data, got, err, c.absent)
			}
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s of %s in %s: got %v, %v; want %s", c.slot.item, c.data, c.unit, got, err, c.want)
		}
	}
}

func TestStatusBits(t *testing.T) {
	for _, c := range []struct {
		data string
		show part
		want string
	}{
		{"00 00", part{kind: valveState}, `"open"`}, {"01 00", part{kind: valveState}, `"closed"`},
		{"03 00", part{kind: valveState}, `"faulty"`}, {"02 00", part{kind: valveState}, `"unknown"`},
		{"04 00", part{kind: lowBattery}, "true"}, {"FB FF", part{kind: lowBattery}, "false"},
		{"00 80", part{kind: statusBit, bit: 15}, "true"}, {"00 80", part{kind: statusBit, bit: 7}, "false"},
	} {
		if got := statusValue(unhex(t, c.data), c.show); got.String() != c.want {
			t.Errorf("%s %+v: got %v, want %s", c.data, c.show, got, c.want)
		}
	}
}

func TestUnitBytesAreFound(t *testing.T) {
	water, heat := class(0x10), class(0x20)
	rest := " 03 19 00 10 19 00 61 27 00 26 57 23 31 03 15 20 03 01"
	for _, c := range []struct {
		kind    *kind
		data    string
		learned unitPlace
		want    unitPlace
		fails   bool
	}{
		{water, "00 00 00 00 2C 00 00 00 00 2C 06 20 17 09 01 17 20 00 00", 0, placeAfter, false},
		{water, "2C 00 00 00 00 2C 00 00 00 00 06 20 17 09 01 17 20 00 00", 0, placeBefore, false},
		{water, "00 02 00 00 2C 00 00 00 00 00 06 20 17 09 01 17 20 00 00", 0, placeAfter, false},
		{water, "29 00 00 00 29 29 00 00 00 29 06 20 17 09 01 17 20 00 00", 0, placeUnknown, true}, // litres either way
		{water, "29 00 00 00 29 29 00 00 00 29 06 20 17 09 01 17 20 00 00", placeBefore, placeBefore, false},
		{water, "FF FF FF FF FF FF FF FF FF FF 06 20 17 09 01 17 20 00 00", 0, placeUnknown, false},
		{heat, "05 19 28 53 00 05 19 28 53 00 17 00 00 00 00 35 00 00 00 00 2C 42 33 18 00" + rest, 0, placeBefore, false},
		{heat, "19 28 53 00 05 19 28 53 00 05 00 00 00 00 17 00 00 00 00 35 42 33 18 00 2C" + rest, 0, placeAfter, false},
	} {
		got, err := place(c.kind.layout, unhex(t, c.data), c.learned)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: got %v, %v; want %v", c.data, got, err, c.want)
		}
	}
}

func TestItems(t *testing.T) {
	for _, c := range []struct {
		kind  byte
		names string
		ok    bool
	}{
		{0x10, "volume settlement_volume clock status status.0 status.15 valve battery_low history_1 history_12", true},
		{0x20, "heat settlement_heat power flow volume supply_temperature return_temperature hours clock status valve", true},
		{0x30, "volume history_3", true},
		{0x40, "energy settlement_energy", true},
		{0x10, "heat power status.16 status.-1 status.01 history_0 history_13 history_01 nothing", false},
		{0x20, "history_1 settlement_volume energy", false},
	} {
		for _, name := range strings.Fields(c.names) {
			if _, ok := class(c.kind).find(name); ok != c.ok {
				t.Errorf("%02X %s: got %v, want %v", c.kind, name, ok, c.ok)
			}
		}
	}
	for _, k := range kinds {
		if want := map[string]int{"heat": 43}[k.name]; k.length() != want && k.length() != 19 {
			t.Errorf("%s: %d bytes", k.name, k.length())
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Add(byte(0), byte(1), unhex(f, "19 28 53 00 05"))
	f.Add(byte(1), byte(2), unhex(f, "05 19 28 53 00"))
	f.Add(byte(8), byte(1), unhex(f, "06 20 17 09 01 17 20"))
	f.Fuzz(func(t *testing.T, which, where byte, data []byte) {
		k := kinds[int(which)/16%len(kinds)]
		s := k.layout[int(which)%len(k.layout)]
		if len(data) != s.bytes {
			return
		}
		value, err := s.value(data, unitPlace(where%3), s.decimals, natural[s.quantity], part{})
		if err == nil && (value.Absent() || !value.Finite()) {
			t.Errorf("%s of % X gives %v without an error", s.item, data, value)
		}
	})
}
