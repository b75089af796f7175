package modbus

import (
	"encoding/hex"
	"strings"
	"testing"

	"sluice/gateway/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeEveryTypeInEveryOrder(t *testing.T) {
	for _, test := range []struct {
		kind             Type
		length           int
		abcd, cdab, badc string
		dcba             string
		want             string // as JSON
	}{
		{"int16", 0, "FF FE", "FF FE", "FE FF", "FE FF", "-2"},
		{"uint16", 0, "FF FE", "FF FE", "FE FF", "FE FF", "65534"},
		{"bcd16", 0, "12 34", "12 34", "34 12", "34 12", "1234"},
		{"int8", 0, "12 FE", "12 FE", "FE 12", "FE 12", "-2"},
		{"uint8", 0, "12 FE", "12 FE", "FE 12", "FE 12", "254"},
		{"int32", 0, "FF FE 1D C0", "1D C0 FF FE", "FE FF C0 1D", "C0 1D FE FF", "-123456"},
		{"uint32", 0, "DE AD BE EF", "BE EF DE AD", "AD DE EF BE", "EF BE AD DE", "3735928559"},
		{"float32", 0, "41 AA 66 66", "66 66 41 AA", "AA 41 66 66", "66 66 AA 41", "21.3"},
		{"bcd32", 0, "00 12 34 56", "34 56 00 12", "12 00 56 34", "56 34 12 00", "123456"},
		{"int64", 0, "FF FF FF FE D5 FA 0E 00", "0E 00 D5 FA FF FE FF FF", "FF FF FE FF FA D5 00 0E", "00 0E FA D5 FE FF FF FF", "-5000000000"},
		{"uint64", 0, "FE DC BA 98 76 54 32 10", "32 10 76 54 BA 98 FE DC", "DC FE 98 BA 54 76 10 32", "10 32 54 76 98 BA DC FE", "18364758544493064720"},
		{"float64", 0, "40 09 21 FB 54 44 2D 18", "2D 18 54 44 21 FB 40 09", "09 40 FB 21 44 54 18 2D", "18 2D 44 54 FB 21 09 40", "3.141592653589793"},
		{"bcd64", 0, "98 76 54 32 10 98 76 54", "76 54 10 98 54 32 98 76", "76 98 32 54 98 10 54 76", "54 76 98 10 32 54 76 98", "9876543210987654"},
		{"string", 6, "50 52 45 53 53 00", "50 52 45 53 53 00", "52 50 53 45 00 53", "52 50 53 45 00 53", `"PRESS"`},
		{"string", 5, "50 52 45 53 53 58", "50 52 45 53 53 58", "52 50 53 45 58 53", "52 50 53 45 58 53", `"PRESS"`},
		{"string", 8, "61 20 62 20 20 20 00 00", "61 20 62 20 20 20 00 00", "20 61 20 62 20 20 00 00", "20 61 20 62 20 20 00 00", `"a b"`},
		{"string", 4, "C3 A9 FF 41", "C3 A9 FF 41", "A9 C3 41 FF", "A9 C3 41 FF", "\"é\uFFFDA\""},
		{"string", 2, "00 00", "00 00", "00 00", "00 00", `""`},
		{"bool", 0, "00 01", "00 01", "01 00", "01 00", "true"},
		{"bool", 0, "00 00", "00 00", "00 00", "00 00", "false"},
	} {
		for order, wire := range map[Order]string{"": test.abcd, "ABCD": test.abcd, "CDAB": test.cdab, "BADC": test.badc, "DCBA": test.dcba} {
			p := newPoint(&Point{Name: "x", Address: address("holding:0"), Type: test.kind, Order: order, Length: test.length})
			raw := unhex(t, wire)
			for range 2 { // the second time strings come from memory
				if got := p.value(raw).String(); got != test.want {
					t.Errorf("%s %s %q: got %s, want %s", test.kind, order, wire, got, test.want)
				}
			}
		}
	}
}

func TestDecodeBits(t *testing.T) {
	for _, test := range []struct {
		at   string
		wire string
		want bool
	}{
		{"holding:7.0", "00 01", true}, {"holding:7.0", "FF FE", false},
		{"holding:7.2", "00 04", true}, {"holding:7.2", "FF FB", false},
		{"input:7.15", "80 00", true}, {"input:7.15", "7F FF", false},
		{"holding:7", "80 00", true}, {"holding:7", "00 00", false},
	} {
		p := newPoint(&Point{Name: "x", Address: address(test.at), Type: "bool"})
		if got := p.value(unhex(t, test.wire)); got != message.Bool(test.want) {
			t.Errorf("%s of %s: got %v, want %v", test.at, test.wire, got, test.want)
		}
	}
	// Coils come eight to a byte, the first in the least significant bit.
	data, from := unhex(t, "CD 6B 05"), span{Coil, 19, 19}
	for i, want := range "1011001111010110101" {
		p := newPoint(&Point{Name: "x", Address: Address{Area: Coil, Number: uint16(19 + i)}})
		var scratch [1]byte
		if got := p.value(p.cut(data, from, &scratch)); got != message.Bool(want == '1') {
			t.Errorf("coil %d: got %v, want %c", 19+i, got, want)
		}
	}
}

// The order comes first, then a part of the register is taken.
func TestDecodeBytes(t *testing.T) {
	for _, test := range []struct {
		at   string
		as   Point
		wire string
		want string
	}{
		{"holding:7.h", Point{Type: "uint8"}, "12 FE", "18"},
		{"holding:7.l", Point{Type: "uint8"}, "12 FE", "254"},
		{"holding:7.h", Point{Type: "int8"}, "80 01", "-128"},
		{"holding:7.l", Point{Type: "int8"}, "80 FF", "-1"},
		{"holding:7.h", Point{}, "FF 00", "255"},
		{"holding:7", Point{Type: "uint8"}, "12 34", "52"},
		{"holding:7.h", Point{Order: "BADC"}, "12 34", "52"},
		{"holding:7.h", Point{Order: "BA"}, "12 34", "52"},
		{"holding:7.0", Point{Order: "BADC"}, "01 00", "true"},
		{"holding:7.h", Point{Scale: 0.5}, "07 00", "3.5"},
		{"holding:7.l", Point{Type: "string", Length: 3}, "00 41 00 42 00 43", `"ABC"`},
		{"holding:7.h", Point{Type: "string", Length: 3}, "41 01 42 02 43 03", `"ABC"`},
		{"holding:7.h", Point{Type: "string", Length: 2, Order: "BADC"}, "01 41 02 42", `"AB"`},
		{"holding:7", Point{Type: "raw", Length: 4}, "00 FF AB 01", `"00ffab01"`},
	} {
		test.as.Name, test.as.Address = "x", address(test.at)
		p := newPoint(&test.as)
		if raw := unhex(t, test.wire); len(raw) != 2*p.count || p.value(raw).String() != test.want {
			t.Errorf("%s %+v of %s: got %v from %d registers, want %s", test.at, test.as, test.wire, p.value(raw), p.count, test.want)
		}
	}
}

func TestScaleAndOffset(t *testing.T) {
	for _, test := range []struct {
		kind          Type
		wire          string
		scale, offset float64
		precision     *int
		want          string
	}{
		{"uint16", "00 03", 0.1, 0, nil, "0.3"},
		{"int16", "FF 29", 0.1, 0, nil, "-21.5"},
		{"uint16", "00 64", 2.5, 0, nil, "250"},
		{"uint16", "00 64", 0, -40, nil, "60"},
		{"uint16", "00 07", 0.01, 100, nil, "100.07"},
		{"float32", "41 AA 66 66", 10, 0, nil, "213"},
		{"int64", "FF FF FF FE D5 FA 0E 00", 0.001, 0, nil, "-5000000"},
		{"uint16", "00 07", 1, 0, nil, "7"},
		{"bcd16", "12 34", 0.01, 0, nil, "12.34"},
		{"int8", "00 FF", 0.1, 0, nil, "-0.1"},
		{"float32", "40 48 F5 C3", 0, 0, digits(1), "3.1"},
		{"float32", "40 48 F5 C3", 0, 0, digits(0), "3"},
		{"float64", "40 09 21 FB 54 44 2D 18", 0, 0, digits(4), "3.1416"},
		{"uint16", "00 0F", 0.3, 0, digits(1), "4.5"},
		{"uint16", "00 05", 1.0 / 3, 0, digits(2), "1.67"},
		{"uint16", "FF FF", 0, 0, digits(2), "65535"},
		{"int16", "FF FB", 0.1, 0, digits(0), "0"},
	} {
		p := newPoint(&Point{Name: "x", Address: address("holding:0"), Type: test.kind, Scale: test.scale, Offset: test.offset, Precision: test.precision})
		if got := p.value(unhex(t, test.wire)).String(); got != test.want {
			t.Errorf("%s %s * %v + %v: got %s, want %s", test.kind, test.wire, test.scale, test.offset, got, test.want)
		}
	}
}

func TestNumbersStandForNames(t *testing.T) {
	states := map[string]string{"0": "stopped", "1": "running", "0x10": "fault", "-1": "unknown"}
	flags := map[string]string{"0": "fault", "3": "door", "15": "remote"}
	for _, test := range []struct {
		as   Point
		wire string
		want string
	}{
		{Point{Type: "int16", Enum: states}, "00 00", `"stopped"`},
		{Point{Type: "int16", Enum: states}, "00 10", `"fault"`},
		{Point{Type: "int16", Enum: states}, "FF FF", `"unknown"`},
		{Point{Type: "int16", Enum: states}, "00 07", `"7"`},
		{Point{Type: "int16", Enum: states}, "FF FE", `"-2"`},
		{Point{Type: "int8", Enum: states}, "00 FF", `"unknown"`},
		{Point{Type: "uint32", Order: "CDAB", Enum: map[string]string{"65536": "big"}}, "00 00 00 01", `"big"`},
		{Point{Type: "bcd16", Enum: map[string]string{"10": "ten"}}, "00 10", `"ten"`},
		{Point{Type: "bool", Enum: map[string]string{"0": "shut", "1": "open"}}, "00 02", `"open"`},
		{Point{Bits: flags}, "00 00", `""`},
		{Point{Bits: flags}, "00 01", `"fault"`},
		{Point{Bits: flags}, "80 09", `"fault, door, remote"`},
		{Point{Bits: flags}, "00 22", `"bit 1, bit 5"`},
		{Point{Bits: flags, Order: "BA"}, "09 80", `"fault, door, remote"`},
		{Point{Type: "uint64", Bits: map[string]string{"63": "last"}}, "80 00 00 00 00 00 00 01", `"bit 0, last"`},
	} {
		test.as.Name, test.as.Address = "x", address("holding:0")
		p := newPoint(&test.as)
		for range 2 { // the second time from memory
			if got := p.value(unhex(t, test.wire)).String(); got != test.want {
				t.Errorf("%+v of %s: got %s, want %s", test.as, test.wire, got, test.want)
			}
		}
	}
	valve := newPoint(&Point{Name: "x", Address: address("coil:3"), Enum: map[string]string{"0": "shut", "1": "open"}})
	if got := []string{valve.value([]byte{0}).String(), valve.value([]byte{1}).String()}; got[0] != `"shut"` || got[1] != `"open"` {
		t.Errorf("a coil is %v, want shut and open", got)
	}
}

// A digit above 9 is an error of its point, not a number.
func TestBytesThatAreNoDecimalNumber(t *testing.T) {
	for wire, want := range map[string]string{
		"12 3A":       "the device sent 123A, which is not a decimal number",
		"FF FF":       "the device sent FFFF, which is not a decimal number",
		"00 00 00 0F": "the device sent 0000000F, which is not a decimal number",
	} {
		raw := unhex(t, wire)
		p := newPoint(&Point{Name: "x", Address: address("holding:0"), Type: map[int]Type{2: "bcd16", 4: "bcd32"}[len(raw)]})
		out := message.Point{Name: "x", Value: message.Int(1)}
		p.fill(&out, raw)
		if out.Error != want || !out.Value.Absent() {
			t.Errorf("%s: got %v, %q, want %q", wire, out.Value, out.Error, want)
		}
		if v := p.value(raw); !v.Absent() {
			t.Errorf("%s is %v, want no value", wire, v)
		}
	}
}

// Every poll decodes every point, so numbers and what does not change must not be made anew.
func TestDecodeDoesNotAllocate(t *testing.T) {
	raw := unhex(t, "41 AA 66 66 00 00 00 00")
	for _, as := range []Point{
		{Type: "uint16"}, {Type: "float32"}, {Type: "float64", Order: "DCBA"}, {Type: "int32", Scale: 0.1}, {Type: "string", Length: 8},
		{Type: "uint16", Enum: map[string]string{"1": "on"}}, {Type: "uint16", Bits: map[string]string{"1": "on"}}, {Type: "raw", Length: 8},
	} {
		as.Name, as.Address = "x", address("holding:0")
		p := newPoint(&as)
		var out message.Point
		if n := testing.AllocsPerRun(100, func() { p.fill(&out, raw[:2*p.count]) }); n != 0 {
			t.Errorf("%+v: %v allocations", as, n)
		}
	}
}
