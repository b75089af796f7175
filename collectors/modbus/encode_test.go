package modbus

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/message"
)

func TestEncode(t *testing.T) {
	states := map[string]string{"0": "stopped", "1": "running", "-1": "unknown"}
	flags := map[string]string{"0": "fault", "3": "door"}
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
		{Point{Type: "int64"}, "9223372036854775808", "!does not fit int64"},
		{Point{Type: "int64"}, "-9223372036854775808", "8000000000000000"},
		{Point{Type: "int64", Order: "GHEFCDAB"}, "1", "0001000000000000"},
		{Point{Type: "int64", Order: "HGFEDCBA"}, "1", "0100000000000000"},
		{Point{Type: "int64", Order: "EFGHABCD"}, "1", "0000000100000000"},
		{Point{Type: "int64", Order: "CDABGHEF"}, "1", "0000000000010000"},
		{Point{Type: "uint64"}, "18446744073709551615", "ffffffffffffffff"},
		{Point{Type: "uint64"}, "18446744073709551616", "!does not fit"},
		{Point{Type: "uint64"}, "9007199254740993", "0020000000000001"},
		{Point{Type: "uint64"}, "9007199254740993.0", "0020000000000001"},
		{Point{Type: "uint64"}, "9.007199254740993e15", "!plain digits"},
		{Point{Type: "float32"}, "21.3", "41aa6666"},
		{Point{Type: "float32"}, "1e39", "!does not fit float32"},
		{Point{Type: "float32"}, "1e-60", "!does not fit float32"},
		{Point{Type: "float32"}, "0", "00000000"},
		{Point{Type: "float64"}, "3.141592653589793", "400921fb54442d18"},
		{Point{Type: "float64"}, "1e400", "!not a number"},
		{Point{Type: "uint16", Scale: 0.1}, "21.5", "00d7"},
		{Point{Type: "uint16", Scale: 0.1}, "21.55", "!the nearest that can is 21.6"},
		{Point{Type: "uint16", Scale: 0.1}, "21.500001", "00d7"},
		{Point{Type: "uint16", Scale: 0.3}, "10.2", "0022"},
		{Point{Type: "uint16", Scale: 0.1, Offset: -40}, "-40", "0000"},
		{Point{Type: "uint16", Scale: 0.1}, "7000", "!does not fit"},
		{Point{Type: "int16", Scale: 0.1}, "-3276.8", "8000"},
		{Point{Type: "int16", Scale: 0.1}, "-3276.9", "!does not fit"},
		{Point{Type: "bool"}, "true", "0001"},
		{Point{Type: "bool"}, "false", "0000"},
		{Point{Type: "bool"}, "1", "!not true or false"},
		{Point{Type: "bool"}, "null", "!not true or false"},
		{Point{Type: "string", Length: 5}, `"AB"`, "414200000000"},
		{Point{Type: "string", Length: 4, Order: "BADC"}, `"ABC"`, "42410043"},
		{Point{Type: "string", Length: 2}, `"ABC"`, "!has 3 bytes, 2 fit"},
		{Point{Type: "string", Length: 2}, "7", "!not a text"},
		{Point{Type: "raw", Length: 4}, `"00FF ab01"`, "00ffab01"},
		{Point{Type: "raw", Length: 4}, `"00ffab"`, "!has 3 bytes, the point has 4"},
		{Point{Type: "raw", Length: 4}, `"00ffabxx"`, "!not hexadecimal"},
		{Point{Type: "raw", Length: 4}, "7", "!not a text"},
		{Point{Type: "bcd16"}, "1234", "1234"},
		{Point{Type: "bcd16"}, "10000", "!does not fit bcd16"},
		{Point{Type: "bcd16"}, "-1", "!does not fit bcd16"},
		{Point{Type: "bcd32", Order: "CDAB"}, "12345678", "56781234"},
		{Point{Type: "bcd64"}, "9999999999999999", "9999999999999999"},
		{Point{Type: "bcd64"}, "10000000000000000", "!does not fit"},
		{Point{Type: "bcd32", Scale: 0.01}, "1234.56", "00123456"},
		{Point{Type: "int16", Enum: states}, `"running"`, "0001"},
		{Point{Type: "int16", Enum: states}, `"unknown"`, "ffff"},
		{Point{Type: "int16", Enum: states}, "7", "0007"},
		{Point{Type: "int16", Enum: states}, `"7"`, "0007"},
		{Point{Type: "int16", Enum: states}, `"runing"`, `!"runing" is none of running, stopped, unknown`},
		{Point{Type: "int16", Enum: states}, `"40000"`, "!is none of"},
		{Point{Type: "int16", Enum: states}, "40000", "!does not fit"},
		{Point{Type: "int16", Enum: states}, "null", "!not a number"},
		{Point{Type: "bool", Enum: map[string]string{"0": "shut", "1": "open"}}, `"open"`, "0001"},
		{Point{Type: "bool", Enum: map[string]string{"0": "shut", "1": "open"}}, "true", "0001"},
		{Point{Type: "bool", Enum: map[string]string{"0": "shut", "1": "open"}}, "2", "!does not fit bool"},
		{Point{Bits: flags}, `"fault, door"`, "0009"},
		{Point{Bits: flags}, `"door,bit 15"`, "8008"},
		{Point{Bits: flags}, `""`, "0000"},
		{Point{Bits: flags}, "9", "0009"},
		{Point{Bits: flags}, `"bit 16"`, "!none of door, fault, nor bit 0 to bit 15"},
		{Point{Bits: flags}, `"window"`, `!"window" is none of`},
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

func TestEncodePartOfARegister(t *testing.T) {
	for _, test := range []struct {
		at    string
		as    Point
		value string
		raw   string
		mask  uint16
		part  bool
	}{
		{"holding:0.0", Point{}, "true", "0001", 0x0001, true},
		{"holding:0.15", Point{}, "true", "8000", 0x8000, true},
		{"holding:0.3", Point{}, "false", "0000", 0x0008, true},
		{"holding:0.3", Point{Order: "BADC"}, "true", "0800", 0x0800, true},
		{"holding:0.h", Point{Type: "int8"}, "-1", "ff00", 0xFF00, true},
		{"holding:0.l", Point{Type: "int8"}, "-2", "00fe", 0x00FF, true},
		{"holding:0.h", Point{Order: "BA"}, "18", "0012", 0x00FF, true},
		{"holding:0", Point{Type: "uint8"}, "18", "0012", 0x00FF, true},
		{"holding:0", Point{Type: "bool"}, "true", "0001", 0xFFFF, false},
		{"holding:0", Point{}, "258", "0102", 0xFFFF, false},
		{"holding:0.l", Point{Type: "string", Length: 2}, `"AB"`, "00410042", 0xFFFF, false},
		{"holding:0.h", Point{Type: "string", Length: 2}, `"AB"`, "41004200", 0xFFFF, false},
		{"coil:0", Point{}, "true", "01", 0xFFFF, false},
	} {
		test.as.Address = address(test.at)
		p := newPoint(&test.as)
		raw, err := p.encode(json.RawMessage(test.value))
		if got := hex.EncodeToString(raw); err != nil || got != test.raw {
			t.Errorf("%s %+v %s: got %s, %v, want %s", test.at, test.as, test.value, got, err, test.raw)
		}
		if mask, part := p.mask(); mask != test.mask || part != test.part {
			t.Errorf("%s %+v: mask %04x, %v, want %04x, %v", test.at, test.as, mask, part, test.mask, test.part)
		}
	}
}

// independent decodes with nothing but encoding/binary: the bytes are permuted as the order's
// letters say, the first letter naming the byte that comes first.
func independent(kind Type, order string, wire []byte) string {
	if len(order) < len(wire) { // four letters are the pattern of every size
		long := map[string]string{"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}
		order = long[order]
	} else if len(wire) == 2 {
		order = map[byte]string{'A': "AB", 'B': "BA", 'C': "AB", 'D': "BA"}[order[0]]
	}
	b := make([]byte, len(wire))
	for i, letter := range []byte(order) {
		b[letter-'A'] = wire[i]
	}
	switch kind {
	case "int16":
		return fmt.Sprint(int16(binary.BigEndian.Uint16(b)))
	case "uint16":
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case "int32":
		return fmt.Sprint(int32(binary.BigEndian.Uint32(b)))
	case "uint32":
		return fmt.Sprint(binary.BigEndian.Uint32(b))
	case "int64":
		return fmt.Sprint(int64(binary.BigEndian.Uint64(b)))
	case "uint64":
		return fmt.Sprint(binary.BigEndian.Uint64(b))
	case "float32":
		return message.Float32(math.Float32frombits(binary.BigEndian.Uint32(b))).String()
	case "float64":
		return message.Float64(math.Float64frombits(binary.BigEndian.Uint64(b))).String()
	}
	text := strings.TrimLeft(hex.EncodeToString(b), "0") // decimal
	if strings.ContainsAny(text, "abcdef") {
		return "null"
	}
	if text == "" {
		return "0"
	}
	return text
}

// FuzzDecode holds decode against an independent decoder, and against encode: what a device sent,
// written back, is what it sent.
func FuzzDecode(f *testing.F) {
	f.Add(byte(0), byte(0), byte(0), []byte{0xFF, 0xFE})
	f.Add(byte(7), byte(1), byte(0), []byte{0x40, 0x09, 0x21, 0xFB, 0x54, 0x44, 0x2D, 0x18})
	f.Add(byte(10), byte(11), byte(0), []byte{0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56})
	f.Add(byte(11), byte(2), byte(0), []byte("PRESS-7 "))
	f.Add(byte(3), byte(6), byte(1), []byte{0, 0, 0, 0x20})
	f.Add(byte(13), byte(0), byte(2), []byte{0x80, 0x09})
	f.Fuzz(decodeAndWriteBack)
}

func TestWhatWasReadIsWrittenBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 5))
	for kind := range len(types) {
		for order := range len(orders) {
			for variant := range 4 {
				for range 20 {
					raw := make([]byte, 8)
					for i := range raw {
						raw[i] = byte(random.Uint32())
						if random.IntN(2) == 0 {
							raw[i] &= 0x77 // so that some are decimal numbers and small ones
						}
					}
					decodeAndWriteBack(t, byte(kind), byte(order), byte(variant), raw)
				}
			}
		}
	}
}

func decodeAndWriteBack(t *testing.T, kind, order, variant byte, raw []byte) {
	t.Helper()
	names := slices.Sorted(maps.Keys(orders))
	as := Point{Name: "x", Address: address("holding:0"), Type: types[int(kind)%len(types)].name, Order: names[int(order)%len(names)], Length: len(raw)}
	form := as.Type.form()
	switch variant % 4 {
	case 1:
		as.Address.Byte = "hl"[order%2]
	case 2:
		as.Bits = map[string]string{"0": "fault", "3": "door"}
	case 3:
		as.Enum = map[string]string{"0": "shut", "1": "open"}
	}
	if form.class == octets {
		as.Order = ""
	}
	if !form.long() {
		as.Length = 0
	}
	if len(mistakesOf(as, Limits{})) > 0 {
		return
	}
	p := newPoint(&as)
	if len(raw) < 2*p.count {
		return
	}
	raw = raw[:2*p.count]
	v := p.value(raw)
	if form.bytes > 1 && form.number() && as.Bits == nil && as.Enum == nil {
		if want := independent(as.Type, string(as.Order), raw); v.String() != want {
			t.Fatalf("%s %s % x gives %v, want %s", as.Type, as.Order, raw, v, want)
		}
	}
	if !v.Finite() || v.Absent() {
		return
	}
	text := v.AppendJSON(nil)
	if !json.Valid(text) {
		t.Fatalf("% x gives %s, which is not JSON", raw, text)
	}
	again, err := p.encode(text)
	if err != nil && p.class == characters {
		return // a byte that is not UTF-8 became three
	}
	if err != nil {
		t.Fatalf("%+v % x gives %s, which cannot be written: %v", as, raw, text, err)
	}
	if back := p.value(again); back.String() != v.String() {
		t.Errorf("%+v % x gives %v, written back %v", as, raw, v, back)
	}
	whole := p.class != truth && p.class != characters
	if mask, _ := p.mask(); whole && len(raw) > 2 && string(again) != string(raw) ||
		whole && len(raw) == 2 && (binary.BigEndian.Uint16(again)^binary.BigEndian.Uint16(raw))&mask != 0 {
		t.Errorf("%+v % x is written back as % x", as, raw, again)
	}
}

// FuzzEncode: whatever a command holds, what is written means the same when it is read back.
func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"42", "-1.5", "1e3", `"on"`, `"fault, bit 7"`, "true", "null", "9007199254740993", `"00ff"`, "65535.0", "[1]"} {
		f.Add(byte(3), false, seed)
	}
	f.Fuzz(func(t *testing.T, kind byte, scaled bool, value string) {
		as := Point{Name: "x", Address: address("holding:0"), Type: types[int(kind)%len(types)].name}
		form := as.Type.form()
		if form.long() {
			as.Length = 8
		}
		if scaled && form.number() {
			as.Scale, as.Offset = 0.1, -40
		}
		p := newPoint(&as)
		raw, err := p.encode(json.RawMessage(value))
		if err != nil {
			return
		}
		if len(raw) != 2*p.count {
			t.Fatalf("%+v %q: %d bytes for %d registers", as, value, len(raw), p.count)
		}
		want, ok := strictly(value)
		got, isNumber := p.value(raw).Float()
		if !ok || !isNumber || p.class == truth {
			return
		}
		near := 0.0
		switch {
		case form.class == floating && form.bytes == 4:
			near = math.Abs(want)*1e-6 + 1e-5
		case scaled:
			near = 0.001 + math.Abs(want)*1e-14
		}
		if math.Abs(got-want) > near {
			t.Errorf("%+v: %q is written as % x, which is %v", as, value, raw, got)
		}
	})
}

func strictly(value string) (float64, bool) {
	var f *float64
	err := json.Unmarshal([]byte(value), &f)
	if err != nil || f == nil {
		return 0, false
	}
	return *f, true
}
