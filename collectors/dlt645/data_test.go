package dlt645

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestFormatsAreParsedAndPrinted(t *testing.T) {
	for _, good := range []string{"XXXXXX.XX", "-XX.XXXX", "XX", "XXX.X", "NN", "NNNNNNNNNNNN", "YYMMDDWW", "hhmmss", "ascii:6", "bits:2", "XXXXXXXXXXXX.XX", "YYMMDDhhmm", "YYMMDDhhmmss", "YYMMDDWWhhmmss", "MMDDhhmm", "hhmm"} {
		var f Format
		if err := f.UnmarshalText([]byte(good)); err != nil || f.String() != good || f.bytes == 0 {
			t.Errorf("%s: got %v, %d bytes, %v", good, f, f.bytes, err)
		}
	}
	for _, bad := range []string{"", "X", "XX.", ".XX", "-", "XX.X.X", "XX-XX", "NNN", "N", "xx", "ascii:", "ascii:0", "ascii:65", "bits:5", "bits:-1", "XXXXXXXXXXXXXX.XX", "YYMMDD", "XXNN", "float"} {
		var f Format
		if err := f.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as %+v", bad, f)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ format, data, want string }{ // data: low byte first
		{"XXXXXX.XX", "56 34 12 00", "1234.56"},
		{"XXXXXX.XX", "99 99 99 99", "999999.99"},
		{"XXXXXX.XX", "01 00 00 00", "0.01"},
		{"XXXXXX.XX", "30 00 00 00", "0.3"},
		{"XXXXXX.XX", "00 00 00 00", "0"},
		{"XXXXXXXXXXXX.XX", "99 99 99 99 99 99 99", "999999999999.99"},
		{"-XXXXXX.XX", "56 34 12 80", "-1234.56"},
		{"-XXXXXX.XX", "56 34 12 00", "1234.56"},
		{"-XX.XXXX", "00 00 80", "0"}, // a negative nought
		{"-XX.XXXX", "99 99 F9", "-79.9999"},
		{"-X.XXX", "00 90", "-1"},
		{"-XXX.X", "45 80", "-4.5"},
		{"XXX.X", "05 23", "230.5"},
		{"XXXX", "29 02", "229"},
		{"-XX", "85", "-5"},
		{"NNNNNNNNNNNN", "08 02 02 41 22 00", `"002241020208"`},
		{"YYMMDDWW", "00 22 11 26", `"2026-11-22"`},
		{"hhmmss", "07 59 23", `"23:59:07"`},
		{"YYMMDDhhmm", "15 10 22 11 26", `"2026-11-22T10:15"`},
		{"YYMMDDWWhhmmss", "07 59 23 00 22 11 26", `"2026-11-22T23:59:07"`},
		{"MMDDhhmm", "15 10 22 11", `"11-22T10:15"`},
		{"hhmm", "15 10", `"10:15"`},
		{"ascii:6", "00 00 56 30 32 32", `"220V"`},
		{"ascii:4", "20 30 2E 31", `"1.0"`},
		{"ascii:2", "00 00", `""`},
		{"bits:2", "01 80", "32769"},
		{"bits:2", "FF FF", "65535"},
	} {
		f, _ := parseFormat(c.format)
		got, err := f.Value(unhex(t, c.data))
		if err != nil || got.String() != c.want {
			t.Errorf("%s of %s: got %v, %v; want %s", c.format, c.data, got, err, c.want)
		}
	}
}

func TestWhatTheFormatDoesNotAllowIsNoValue(t *testing.T) {
	for _, c := range []struct{ format, data, want string }{
		{"XXXXXX.XX", "FF FF FF FF", "no value for this now"},
		{"-XX.XXXX", "FF FF FF", "no value for this now"},
		{"NNNN", "FF FF", "no value for this now"},
		{"hhmmss", "FF FF FF", "no value for this now"},
		{"ascii:2", "FF FF", "no value for this now"},
		{"XXXXXX.XX", "00 0E 00 00", "00 00 0E 00, which is not decimal"},
		{"XXXXXX.XX", "00 00 00 80 ", ""}, // eighty: without a sign the top bit is a digit's
		{"XX.XXXX", "00 00 A0", "not decimal"},
		{"-XX.XXXX", "FF FF 7F", "not decimal"},
		{"XXXXXX.XX", "00 00 00", "sent 3 bytes where XXXXXX.XX has 4"},
		{"XXX.X", "00 00 00 00", "sent 4 bytes where XXX.X has 2"},
		{"bits:2", "00", "sent 1 bytes"},
		{"YYMMDDWW", "00 32 11 26", "no date"},
		{"YYMMDDWW", "00 01 13 26", "no date"},
		{"YYMMDDWW", "00 00 00 00", "no date"},
		{"hhmmss", "60 00 00", "no time of day"},
		{"hhmmss", "00 00 24", "no time of day"},
		{"YYMMDDhhmm", "15 10 22 13 26", "which is no YYMMDDhhmm"},
		{"hhmm", "60 10", "which is no hhmm"},
		{"hhmm", "FF FF", "no value for this now"},
		{"ascii:2", "07 41", "not ASCII"},
	} {
		f, _ := parseFormat(c.format)
		got, err := f.Value(unhex(t, c.data))
		if c.want == "" {
			if err != nil || got.String() != "800000" {
				t.Errorf("%s of %s: got %v, %v", c.format, c.data, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: got %v, %v; want an error with %q", c.format, c.data, got, err, c.want)
		}
	}
}

func TestKnownIdentifiers(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{"00000000", "-XXXXXX.XX"}, {"00010000", "XXXXXX.XX"}, {"00020000", "XXXXXX.XX"}, {"00010400", "XXXXXX.XX"},
		{"00030000", "-XXXXXX.XX"}, {"0001000C", "XXXXXX.XX"},
		{"02010100", "XXX.X"}, {"02010300", "XXX.X"}, {"02020200", "-XXX.XXX"}, {"02030000", "-XX.XXXX"},
		{"02050300", "-XX.XXXX"}, {"02060000", "-X.XXX"}, {"02800002", "XX.XX"}, {"02800007", "-XXX.X"},
		{"04000101", "YYMMDDWW"}, {"04000102", "hhmmss"}, {"04000402", "NNNNNNNNNNNN"}, {"04000404", "ascii:6"}, {"04000501", "bits:2"},
		{"9010", "XXXXXX.XX"}, {"B611", "XXXX"}, {"B621", "XX.XX"}, {"B630", "XX.XXXX"}, {"C032", "NNNNNNNNNNNN"},
		// blocks of several values, and what the table does not have
		{"0001FF00", ""}, {"000100FF", ""}, {"0201FF00", ""}, {"02010000", ""}, {"02010400", ""}, {"02010101", ""},
		{"02800003", ""}, {"04000403", "ascii:32"}, {"901F", ""}, {"B61F", ""}, {"FFFFFFFF", ""}, {"00009010", ""},
	} {
		var id ID
		if err := id.UnmarshalText([]byte(c.id)); err != nil || id.String() != c.id {
			t.Errorf("%s: read as %v, %v", c.id, id, err)
		}
		got, ok := known(id)
		if got.String() != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.id, got, ok, c.want)
		}
	}
	for code := range uint32(0x10000) { // every entry of the tables has a format that parses, else known panics
		known(ID{code, 2})
		known(ID{code << 16, 4})
		known(ID{0x04000000 | code, 4})
		known(ID{0x02800000 | code, 4})
		for group := range uint32(6) {
			compound(ID{group<<24 | code<<8 | 1, 4})
			compound(ID{group<<24 | code<<8, 4})
		}
	}
	for _, bad := range []string{"", "0", "0001000", "000100000", "0001 0000", "xyzw", "00-1"} {
		if err := new(ID).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as an identifier", bad)
		}
	}
}

// negativeNought is shown as 0 and written without the sign.
func negativeNought(f Format, data []byte) bool {
	return f.signed && len(data) > 0 && data[len(data)-1] == 0x80
}

func FuzzValue(f *testing.F) {
	f.Add("XXXXXX.XX", []byte{0x56, 0x34, 0x12, 0x00})
	f.Add("-XX.XXXX", []byte{0, 0, 0x80})
	f.Add("YYMMDDWW", []byte{0, 0x22, 0x11, 0x26})
	f.Add("ascii:2", []byte{0x41, 0})
	f.Add("bits:4", []byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, notation string, data []byte) {
		format, ok := parseFormat(notation)
		if !ok {
			return
		}
		value, err := format.Value(data)
		if err != nil {
			return
		}
		if written, err := format.encode(json.RawMessage(value.String())); err == nil && !bytes.Equal(written, data) && format.kind != characters && format.kind != date && !strings.Contains(notation, "WW") && !negativeNought(format, data) {
			t.Errorf("%s of % X is %v, which is written as % X", notation, data, value, written)
		}
		if value.Absent() || !value.Finite() {
			t.Errorf("%s of % X gives %v without an error", notation, data, value)
		}
		if digits := strings.Count(value.String(), "") - 1; format.kind == number && digits > 2*len(data)+3 {
			t.Errorf("%s of % X gives %v: more digits than there were", notation, data, value)
		}
	})
}
