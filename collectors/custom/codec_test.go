package custom

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/collectors/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBytesAreReadAndShown(t *testing.T) {
	for text, want := range map[string]string{
		`W\r\n`: "W\r\n", `hex:02 57 0d`: "\x02W\r", `hex:02:57-0D`: "\x02W\r", `\x02\0\t\\`: "\x02\x00\t\\", `plain`: "plain", "": "", "hex:": "",
		"real\r": "real\r", `\{a\}`: "{a}",
	} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || string(b) != want {
			t.Errorf("%s: got %q, %v; want %q", text, string(b), err, want)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s is shown as %s, which reads as %q, %v", text, b, string(again), err)
		}
	}
	for _, text := range []string{`\`, `\q`, `\x1`, `\xZZ`, `hex:0`, `hex:0G`} {
		if err := new(Bytes).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

// The check values of "123456789" are those of the catalogue of CRC algorithms.
func TestChecksums(t *testing.T) {
	sample := []byte("123456789")
	for kind, want := range map[string]uint16{
		"sum8": 0xDD, "xor8": 0x31, "lrc": 0x23, "crc16-modbus": 0x4B37, "crc16-ccitt": 0x29B1, "crc16-xmodem": 0x31C3,
	} {
		if got := checksums[kind].sum(sample); got != want {
			t.Errorf("%s: got %04X, want %04X", kind, got, want)
		}
	}
	for _, c := range []struct {
		seal seal
		want string
	}{
		{seal{}, "AB"}, {seal{name: "none", tail: []byte("\r\n")}, "AB\r\n"},
		{seal{name: "sum8"}, "AB\x83"}, {seal{name: "sum8", from: 1, tail: []byte{3}}, "AB\x42\x03"},
		{seal{name: "sum8", text: true, tail: []byte("\r")}, "AB83\r"},
		{seal{name: "crc16-modbus"}, ""}, {seal{name: "crc16-ccitt", text: true}, ""}, // their values are checked above
	} {
		got := c.seal.append([]byte("AB"))
		if c.want != "" && string(got) != c.want {
			t.Errorf("%+v: got %q, want %q", c.seal, got, c.want)
		}
		if problem := c.seal.check(got); problem != "" {
			t.Errorf("%+v does not accept its own %q: %s", c.seal, got, problem)
		}
		if c.seal.size() == 0 {
			continue
		}
		for i := range got {
			damaged := bytes.Clone(got)
			damaged[i] ^= 0x01
			if i >= c.seal.from && c.seal.check(damaged) == "" {
				t.Errorf("%+v accepts %q", c.seal, damaged)
			}
		}
	}
	low, high := seal{name: "crc16-modbus"}, seal{name: "crc16-modbus", order: "high-first"}
	a, b := low.append(nil), high.append(nil)
	if a[0] != b[1] || a[1] != b[0] {
		t.Errorf("% X and % X", a, b)
	}
	lower := seal{name: "sum8", text: true}
	if problem := lower.check([]byte("zzf4")); problem != "" { // written in lower case
		t.Error(problem)
	}
}

func hearAll(s shape, received string) (frame, odd string) {
	l := &listener{shape: &s}
	for n := 1; n <= len(received); n++ { // however the bytes arrive
		if frame, ok := l.hear([]byte(received[:n])); ok {
			return string(frame), ""
		}
	}
	if _, ok := l.pause([]byte(received)); ok {
		return string(l.frame), ""
	}
	return "", l.why([]byte(received))
}

func matching(t *testing.T, text string) *matcher {
	t.Helper()
	m, err := newMatcher(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAnswersArePickedFromTheLine(t *testing.T) {
	sealed := seal{name: "sum8"}
	good := string(sealed.append([]byte{2, 0x57, 6, 1, 2}))
	for _, c := range []struct {
		name     string
		shape    shape
		received string
		want     string
		odd      string
	}{
		{"length", shape{length: 3, lengthAt: -1}, "abcd", "abc", ""},
		{"length after noise", shape{length: 6, lengthAt: -1, seal: sealed}, "\x02\xff" + good, good, ""},
		{"length short", shape{length: 9, lengthAt: -1}, "abcd", "", "abcd came, which is not all"},
		{"length byte", shape{lengthAt: 2, seal: sealed}, good + "x", good, ""},
		{"length byte with start", shape{start: []byte{2, 0x57}, lengthAt: 2, seal: sealed}, "\x02\x02\x57\x04" + good, good, ""},
		{"length byte too small", shape{lengthAt: 2, lengthAdd: -16}, "\x01\x02\x03", "\x01\x02\x03", ""},
		{"terminator", shape{terminator: []byte("\r\n"), lengthAt: -1}, "ok\r\nmore\r\n", "ok\r\n", ""},
		{"terminator and match", shape{terminator: []byte("\r\n"), lengthAt: -1, match: matching(t, "^ST")}, "half\r\nST1\r\n", "ST1\r\n", ""},
		{"no match", shape{terminator: []byte("\r\n"), lengthAt: -1, match: matching(t, "^ST")}, "half\r\n", "", `half\r\n does not match ^ST`},
		{"trailer", shape{terminator: []byte{3}, trailer: 1, lengthAt: -1, seal: seal{name: "xor8", from: 1}}, "\x02a\x03b", "\x02a\x03b", ""},
		{"bad trailer", shape{terminator: []byte{3}, trailer: 1, lengthAt: -1, seal: seal{name: "xor8", from: 1}}, "\x02a\x03c", "", "checksum of the answer is c and should be b"},
		{"start", shape{start: []byte{2}, terminator: []byte{3}, lengthAt: -1}, "xx\x02a\x03", "\x02a\x03", ""},
		{"no start", shape{start: []byte{2}, terminator: []byte{3}, lengthAt: -1}, "xxa\x03", "", "does not have hex:02 in it"},
		{"mask", shape{length: 3, lengthAt: -1, match: matching(t, "hex:02 ?? 41")}, "\x02\x02\x09A", "\x02\x09A", ""},
		{"pause", shape{silence: true, lengthAt: -1, start: []byte("T")}, "\xffT=1", "T=1", ""},
		{"pause without match", shape{silence: true, lengthAt: -1, match: matching(t, "x")}, "T=1", "", "does not match x"},
		{"tail", shape{length: 4, lengthAt: -1, seal: seal{tail: []byte("\r\n")}}, "abc\r\n", "bc\r\n", ""},
		{"wrong tail", shape{length: 4, lengthAt: -1, seal: seal{tail: []byte("\r\n")}}, "abcd", "", `does not end in \r\n`},
		{"nothing", shape{length: 4, lengthAt: -1}, "", "", ""},
	} {
		got, odd := hearAll(c.shape, c.received)
		if got != c.want || c.odd == "" && odd != "" || !strings.Contains(odd, c.odd) {
			t.Errorf("%s: got %q, %q; want %q, %q", c.name, got, odd, c.want, c.odd)
		}
	}
	for _, text := range []string{"(", "hex:", "hex:1", "hex:0G", "hex:?1"} {
		if _, err := newMatcher(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestValuesAtAPlace(t *testing.T) {
	for _, c := range []struct {
		kind, order string
		bit         int
		scale       float64
		data        string
		want        string
	}{
		{"uint8", "", -1, 1, "\xff", "255"}, {"int8", "", -1, 1, "\xff", "-1"}, {"uint16", "", -1, 1, "\x01\x02", "258"},
		{"uint16", "DCBA", -1, 1, "\x01\x02", "513"}, {"int16", "", -1, 0.1, "\xff\xf1", "-1.5"}, {"uint24", "", -1, 1, "\x01\x00\x00", "65536"},
		{"int24", "", -1, 1, "\xff\xff\xfe", "-2"}, {"int24", "DCBA", -1, 1, "\xfe\xff\xff", "-2"}, {"uint32", "CDAB", -1, 1, "\x00\x01\x00\x00", "1"},
		{"int32", "BADC", -1, 1, "\xff\xff\xfe\xff", "-2"}, {"uint64", "", -1, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"},
		{"int64", "", -1, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", "-1"}, {"float32", "", -1, 1, "\x41\xac\x00\x00", "21.5"},
		{"float32", "CDAB", -1, 10, "\x66\x66\x41\xaa", "213"}, {"float64", "DCBA", -1, 1, "\x00\x00\x00\x00\x00\x80\x35\x40", "21.5"},
		{"bcd", "", -1, 0.01, "\x12\x34", "12.34"}, {"bcd", "DCBA", -1, 1, "\x34\x12", "1234"}, {"number", "", -1, 1, "+  12.5", "12.5"},
		{"text", "", -1, 1, " ab\x00", `"ab"`}, {"hex", "", -1, 1, "\x0a\xb0", `"0AB0"`},
		{"bool", "", -1, 1, "\x02", "true"}, {"bool", "", 0, 1, "\x02", "false"}, {"bool", "", 1, 1, "\x02", "true"},
	} {
		v := codec{kind: c.kind, order: c.order, bit: c.bit, scaling: scaling{c.scale, 0}}
		got, err := v.decode([]byte(c.data))
		if err != nil || got.shown.String() != c.want {
			t.Errorf("%s %s of % X: got %v, %v; want %s", c.kind, c.order, c.data, got.shown, err, c.want)
		}
	}
	for _, c := range []struct{ kind, data, want string }{
		{"bcd", "\x1a", "not decimal"}, {"number", "12,5", "is not a number"}, {"float32", "\x7f\xc0\x00\x00", "no number"}, {"number", "  ", "is not a number"},
	} {
		v := codec{kind: c.kind, scaling: scaling{1, 0}}
		if got, err := v.decode([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: got %v, %v; want %q", c.kind, c.data, got, err, c.want)
		}
	}
	for _, c := range []struct{ kind, text, want string }{
		{"", "-  3", "-3"}, {"number", "1e3", "1000"}, {"decimal-comma", "12,50", "12.5"}, {"hex", "1F", "31"}, {"text", " a ", `"a"`},
		{"number", "0x1F", ""}, {"number", "inf", ""}, {"decimal-comma", "1.250,5", ""}, {"hex", "G", ""}, {"number", "1_000", ""},
	} {
		got, err := parse(c.kind, c.text)
		if c.want == "" && err == nil || c.want != "" && (err != nil || got.shown.String() != c.want) {
			t.Errorf("%s %q: got %v, %v; want %s", c.kind, c.text, got.shown, err, c.want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct{ template, value, want string }{
		{`SP {value}`, `21.5`, "SP 21.5"}, {`SP {value:.2}\r`, `21.555`, "SP 21.55\r"}, {`{value:06.1}`, `-2.25`, "-002.2"},
		{`{value:8.1}|`, `2`, "     2.0|"}, {`{value:x04}`, `255`, "00FF"}, {`{value:x4}`, `255`, "  FF"}, {`a\{{value}\}`, `1`, "a{1}"},
		{`M {value}`, `"auto"`, "M auto"}, {`{value}`, `true`, "1"}, {`{value}`, `false`, "0"},
		{`hex:01 06 {int16} 0D`, `-2`, "\x01\x06\xff\xfe\r"}, {`hex:{uint16:DCBA}`, `258`, "\x02\x01"}, {`hex:{float32}`, `21.5`, "\x41\xac\x00\x00"},
		{`hex:{bcd2}`, `1234`, "\x12\x34"}, {`hex:{bcd2:DCBA}`, `1234`, "\x34\x12"}, {`hex:{uint8}`, `true`, "\x01"}, {`hex:{float64}`, `1`, "\x3f\xf0\x00\x00\x00\x00\x00\x00"},
		{`hex:{uint64}`, `9007199254740992`, "\x00\x20\x00\x00\x00\x00\x00\x00"},
	} {
		tm, err := parseTemplate(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		v, err := fromJSON(json.RawMessage(c.value))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tm.render(v); err != nil || string(got) != c.want {
			t.Errorf("%s with %s: got %q, %v; want %q", c.template, c.value, got, err, c.want)
		}
	}
	for _, c := range []struct{ template, value, want string }{
		{`hex:{uint8}`, `256`, "does not fit"}, {`hex:{int8}`, `-129`, "does not fit"}, {`hex:{uint16}`, `-1`, "does not fit"}, {`hex:{bcd1}`, `100`, "does not fit"},
		{`hex:{float32}`, `1e39`, "does not fit"}, {`hex:{uint8}`, `"a"`, "is not a number"}, {`{value:.1}`, `"a"`, "is not a number"},
		{`{value}`, `"a\r\nRESET"`, "not printable"}, {`{value:x}`, `-1`, "no hexadecimal form"}, {`{value}`, `1e300`, "more than 32 digits"},
	} {
		tm, err := parseTemplate(c.template)
		if err != nil {
			t.Fatalf("%s: %v", c.template, err)
		}
		v, err := fromJSON(json.RawMessage(c.value))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tm.render(v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: got %q, %v; want %q", c.template, c.value, got, err, c.want)
		}
	}
	for _, bad := range []string{``, `SP`, `{value`, `{}`, `{int16}`, `{value:q}`, `{value:99}`, `{value:x.2}`, `hex:{value}`, `hex:{bool}`, `hex:{bcd9}`, `hex:{int16:XY}`, `hex:0 {int16}`, `\q{value}`} {
		if _, err := parseTemplate(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, raw := range []string{`null`, `[1]`, `{`, ``} {
		if v, err := fromJSON(json.RawMessage(raw)); err == nil {
			t.Errorf("%s was taken as %v", raw, v)
		}
	}
}

func TestDissect(t *testing.T) {
	if got, ok := Dissect(bus.Out, []byte("W\r\n")); !ok || got != `asks W\r\n` {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := Dissect(bus.In, []byte("ok")); !ok || got != "says ok" {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := Dissect(bus.In, []byte{2, 3}); ok {
		t.Errorf("got %q", got)
	}
}

func FuzzListener(f *testing.F) {
	f.Add([]byte("xxST,1\r\n"), byte(0), byte(2), "^ST")
	f.Add([]byte{2, 0x57, 6, 1, 2, 0x62}, byte(1), byte(1), "hex:02")
	f.Add([]byte{0, 0, 0}, byte(2), byte(3), "")
	f.Fuzz(func(t *testing.T, in []byte, end, check byte, match string) {
		s := shape{lengthAt: -1, seal: seal{name: []string{"none", "sum8", "crc16-modbus", "lrc"}[check%4], text: check&4 != 0, from: int(check >> 5)}}
		switch end % 4 {
		case 0:
			s.terminator = []byte("\r\n")
		case 1:
			s.lengthAt, s.lengthAdd = 2, int(int8(end))/8
		case 2:
			s.length = 1 + int(end)/4
		case 3:
			s.silence = true
		}
		if match != "" {
			m, err := newMatcher(match)
			if err != nil {
				return
			}
			s.match = m
		}
		l := &listener{shape: &s}
		frame, ok := l.hear(in)
		if !ok {
			frame, ok = l.pause(in)
		}
		if !ok {
			_ = l.why(in)
			return
		}
		if !bytes.Contains(in, frame) || s.seal.check(frame) != "" {
			t.Errorf("%q is the answer in %q", frame, in)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add(`SP {value:06.2}\r\n`, 21.5)
	f.Add(`hex:01 06 {int16:CDAB} {bcd3}`, -3.0)
	f.Fuzz(func(t *testing.T, text string, v float64) {
		tm, err := parseTemplate(text)
		if err != nil {
			return
		}
		b, err := tm.render(v)
		if err == nil && len(b) > len(text)*(maxWidth+1) {
			t.Errorf("%s with %v makes %d bytes", text, v, len(b))
		}
	})
}

func FuzzNumberBytes(f *testing.F) {
	f.Add(byte(3), byte(1), []byte{1, 2})
	f.Add(byte(12), byte(0), []byte{0x41, 0xAC, 0, 0})
	kinds := []string{"uint8", "int8", "uint16", "int16", "uint24", "int24", "uint32", "int32", "float32"}
	orders := []string{"ABCD", "CDAB", "BADC", "DCBA"}
	f.Fuzz(func(t *testing.T, kind, order byte, in []byte) {
		c := codec{kind: kinds[int(kind)%len(kinds)], order: orders[order%4], scaling: scaling{1, 0}}
		if len(in) != sizes[c.kind] {
			return
		}
		v, err := c.decode(in)
		if err != nil {
			return
		}
		back, err := encode(c.kind, c.order, v.operand.(float64))
		if err != nil || !bytes.Equal(back, in) {
			t.Errorf("%s %s: % X is %v, which is % X, %v", c.kind, c.order, in, v.operand, back, err)
		}
	})
}
