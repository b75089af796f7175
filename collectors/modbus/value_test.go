package modbus

import (
	"encoding/hex"
	"encoding/json"
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
		{"int32", 0, "FF FE 1D C0", "1D C0 FF FE", "FE FF C0 1D", "C0 1D FE FF", "-123456"},
		{"uint32", 0, "DE AD BE EF", "BE EF DE AD", "AD DE EF BE", "EF BE AD DE", "3735928559"},
		{"float32", 0, "41 AA 66 66", "66 66 41 AA", "AA 41 66 66", "66 66 AA 41", "21.3"},
		{"int64", 0, "FF FF FF FE D5 FA 0E 00", "0E 00 D5 FA FF FE FF FF", "FF FF FE FF FA D5 00 0E", "00 0E FA D5 FE FF FF FF", "-5000000000"},
		{"uint64", 0, "FE DC BA 98 76 54 32 10", "32 10 76 54 BA 98 FE DC", "DC FE 98 BA 54 76 10 32", "10 32 54 76 98 BA DC FE", "18364758544493064720"},
		{"float64", 0, "40 09 21 FB 54 44 2D 18", "2D 18 54 44 21 FB 40 09", "09 40 FB 21 44 54 18 2D", "18 2D 44 54 FB 21 09 40", "3.141592653589793"},
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

func TestScaleAndOffset(t *testing.T) {
	for _, test := range []struct {
		kind          Type
		wire          string
		scale, offset float64
		want          string
	}{
		{"uint16", "00 03", 0.1, 0, "0.3"},
		{"int16", "FF 29", 0.1, 0, "-21.5"},
		{"uint16", "00 64", 2.5, 0, "250"},
		{"uint16", "00 64", 0, -40, "60"},
		{"uint16", "00 07", 0.01, 100, "100.07"},
		{"float32", "41 AA 66 66", 10, 0, "213"},
		{"int64", "FF FF FF FE D5 FA 0E 00", 0.001, 0, "-5000000"},
		{"uint16", "00 07", 1, 0, "7"},
	} {
		p := newPoint(&Point{Name: "x", Address: address("holding:0"), Type: test.kind, Scale: test.scale, Offset: test.offset})
		if got := p.value(unhex(t, test.wire)).String(); got != test.want {
			t.Errorf("%s %s * %v + %v: got %s, want %s", test.kind, test.wire, test.scale, test.offset, got, test.want)
		}
	}
}

func TestDeadbandRepeatsTheReportedValue(t *testing.T) {
	p := newPoint(&Point{Name: "x", Address: address("holding:0"), Type: "int16", Scale: 0.1, Deadband: 0.5})
	for i, step := range []struct{ wire, want string }{
		{"00 64", "10"}, {"00 67", "10"}, {"00 62", "10"}, {"00 69", "10.5"}, {"00 66", "10.5"}, {"00 64", "10"},
	} {
		if got := p.report(unhex(t, step.wire)).String(); got != step.want {
			t.Errorf("step %d: got %s, want %s", i, got, step.want)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, test := range []struct {
		point Point
		value string
		want  string // hex, or "!" and a part of the error
	}{
		{Point{Type: "uint16"}, "42", "002a"},
		{Point{Type: "uint16"}, "42.0", "002a"},
		{Point{Type: "uint16"}, "4.2e1", "002a"},
		{Point{Type: "uint16", Order: "DCBA"}, "42", "2a00"},
		{Point{Type: "uint16"}, "65535", "ffff"},
		{Point{Type: "uint16"}, "65536", "!65536 does not fit uint16"},
		{Point{Type: "uint16"}, "-1", "!-1 does not fit uint16"},
		{Point{Type: "uint16"}, "1.5", "!not a whole number"},
		{Point{Type: "uint16"}, `"42"`, "!not a number"},
		{Point{Type: "uint16"}, "null", "!not a number"},
		{Point{Type: "uint16"}, "true", "!not a number"},
		{Point{Type: "int16"}, "-32768", "8000"},
		{Point{Type: "int16"}, "32768", "!does not fit int16"},
		{Point{Type: "int32", Order: "CDAB"}, "-123456", "1dc0fffe"},
		{Point{Type: "int64"}, "9223372036854775807", "7fffffffffffffff"},
		{Point{Type: "uint64"}, "18446744073709551615", "ffffffffffffffff"},
		{Point{Type: "uint64"}, "18446744073709551616", "!does not fit"},
		{Point{Type: "float32"}, "21.3", "41aa6666"},
		{Point{Type: "float32"}, "1e39", "!does not fit float32"},
		{Point{Type: "float64"}, "3.141592653589793", "400921fb54442d18"},
		{Point{Type: "float64"}, "1e400", "!not a number"},
		{Point{Type: "uint16", Scale: 0.1}, "21.5", "00d7"},
		{Point{Type: "uint16", Scale: 0.1, Offset: -40}, "-40", "0000"},
		{Point{Type: "uint16", Scale: 0.1}, "7000", "!does not fit"},
		{Point{Type: "bool"}, "true", "0001"},
		{Point{Type: "bool"}, "false", "0000"},
		{Point{Type: "bool"}, "1", "!not true or false"},
		{Point{Type: "bool"}, "null", "!not true or false"},
		{Point{Type: "string", Length: 5}, `"AB"`, "414200000000"},
		{Point{Type: "string", Length: 4, Order: "BADC"}, `"ABC"`, "42410043"},
		{Point{Type: "string", Length: 2}, `"ABC"`, "!has 3 bytes, 2 fit"},
		{Point{Type: "string", Length: 2}, "7", "!not a text"},
	} {
		test.point.Address = address("holding:0")
		p := newPoint(&test.point)
		raw, err := p.encode(json.RawMessage(test.value))
		got := hex.EncodeToString(raw)
		if err != nil {
			got = "!" + err.Error()
		}
		if problem, isError := strings.CutPrefix(test.want, "!"); got != test.want && (!isError || err == nil || !strings.Contains(got, problem)) {
			t.Errorf("%s %+v: got %s, want %s", test.value, test.point, got, test.want)
		}
	}
}

// FuzzDecode holds decode against encode: what a device sent, written back, is what it sent.
func FuzzDecode(f *testing.F) {
	f.Add(byte(0), byte(0), []byte{0xFF, 0xFE})
	f.Add(byte(7), byte(1), []byte{0x40, 0x09, 0x21, 0xFB, 0x54, 0x44, 0x2D, 0x18})
	f.Add(byte(8), byte(2), []byte("PRESS-7 "))
	kinds := []Type{"int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"}
	orders := []Order{"ABCD", "CDAB", "BADC", "DCBA"}
	f.Fuzz(func(t *testing.T, kind, order byte, raw []byte) {
		p := newPoint(&Point{Name: "x", Address: address("holding:0"),
			Type: kinds[int(kind)%len(kinds)], Order: orders[order%4], Length: len(raw)})
		if len(raw) < 2*p.count || len(raw) == 0 {
			return
		}
		raw = raw[:2*p.count]
		v := p.value(raw)
		if !v.Finite() {
			return
		}
		text := v.AppendJSON(nil)
		if !json.Valid(text) {
			t.Fatalf("% x gives %s, which is not JSON", raw, text)
		}
		again, err := p.encode(text)
		if err != nil && p.kind == "string" {
			return // a byte that is not UTF-8 became three
		}
		if err != nil {
			t.Fatalf("%s % x gives %s, which cannot be written: %v", p.kind, raw, text, err)
		}
		if back := p.value(again); back.String() != v.String() {
			t.Errorf("%s % x gives %v, written back %v", p.kind, raw, v, back)
		}
	})
}
