package modbus

import (
	"strings"
	"testing"
)

func digits(n int) *int { return &n }

// mistakesOf gives what is wrong with one point, by key.
func mistakesOf(p Point, limits Limits) map[string]string {
	got := make(map[string]string)
	if p.Name == "" {
		p.Name = "x"
	}
	validatePoints([]Point{p}, limits, func(path, problem string) {
		key := strings.TrimPrefix(path, "points[0].")
		got[key] += problem
	})
	return got
}

func TestPointMistakes(t *testing.T) {
	for _, test := range []struct {
		point Point
		key   string
		want  string
	}{
		{Point{Address: address("coil:0"), Type: "uint16"}, "type", "a coil is a bool, not uint16"},
		{Point{Address: address("holding:0"), Type: "int24"}, "type", `"int24" is not a type; write bool, int8`},
		{Point{}, "address", "is missing"},
		{Point{Address: address("holding:65534"), Type: "float64"}, "address", "float64 needs 4 registers, and holding:65535 is the last"},
		{Point{Address: address("holding:0"), Type: "string"}, "length", "a string needs its length in bytes, 1 to 250"},
		{Point{Address: address("holding:0"), Type: "string", Length: 251}, "length", "1 to 250"},
		{Point{Address: address("holding:0"), Type: "raw"}, "length", "a raw needs its length"},
		{Point{Address: address("holding:0"), Type: "raw", Length: 3}, "length", "whole registers"},
		{Point{Address: address("holding:0"), Length: 4}, "length", "only string and raw have a length"},
		{Point{Address: address("holding:0"), Order: "ACBD"}, "order", `"ACBD" is not a byte order; write ABCD`},
		{Point{Address: address("holding:0"), Order: "HGFEDCBA"}, "order", "HGFEDCBA is the order of 8 bytes, uint16 has 2"},
		{Point{Address: address("holding:0"), Type: "int32", Order: "BA"}, "order", "BA is the order of 2 bytes, int32 has 4"},
		{Point{Address: address("holding:0"), Type: "raw", Length: 2, Order: "BA"}, "order", "as it comes"},
		{Point{Address: address("holding:0"), Access: "w"}, "access", `"w" is not r or rw`},
		{Point{Address: address("input:0"), Access: "rw"}, "access", "only coils and holding registers can be written, not input"},
		{Point{Address: address("discrete:0"), Access: "rw"}, "access", "only coils"},
		{Point{Address: address("holding:0"), Type: "string", Length: 248, Access: "rw"}, "access", "a request writes at most 123 registers, this needs 124"},
		{Point{Address: address("holding:0.3"), Type: "int16"}, "type", "a bit of a register is a bool, not int16"},
		{Point{Address: address("holding:0.h"), Type: "int16"}, "type", "a byte of a register is an int8 or uint8"},
		{Point{Address: address("holding:0.h"), Type: "bool"}, "type", "it is no bool"},
		{Point{Address: address("holding:0.l"), Type: "string", Length: 126}, "length", "string needs 126 registers, and a request reads at most 125"},
		{Point{Address: address("coil:0"), Scale: 2}, "type", "go with numbers"},
		{Point{Address: address("holding:0"), Type: "string", Length: 2, Precision: digits(1)}, "type", "go with numbers"},
		{Point{Address: address("holding:0"), Precision: digits(16)}, "precision", "16 is not a number of digits from 0 to 15"},
		{Point{Address: address("holding:0"), Precision: digits(-1)}, "precision", "-1 is not"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"0": "off"}, Scale: 2}, "type", "not with truth values, text or names"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"0": "off"}, Bits: map[string]string{"0": "on"}}, "bits", "not both"},
		{Point{Address: address("holding:0"), Type: "float32", Enum: map[string]string{"0": "off"}}, "enum", "a float32 does not"},
		{Point{Address: address("holding:0"), Enum: map[string]string{}}, "enum", "is empty"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"off": "0"}}, "enum", `"off" is not a whole number from 0 to 65535`},
		{Point{Address: address("holding:0"), Enum: map[string]string{"65536": "off"}}, "enum", "from 0 to 65535"},
		{Point{Address: address("holding:0"), Type: "int8", Enum: map[string]string{"-129": "off"}}, "enum", "from -128 to 127"},
		{Point{Address: address("holding:0"), Type: "bcd16", Enum: map[string]string{"10000": "off"}}, "enum", "from 0 to 9999"},
		{Point{Address: address("coil:0"), Enum: map[string]string{"2": "off"}}, "enum", "from 0 to 1"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"1": "on", "0x1": "off"}}, "enum", "1 is there twice"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"1": "on", "2": "on"}}, "enum", `"on" is the name of two`},
		{Point{Address: address("holding:0"), Enum: map[string]string{"1": "on "}}, "enum", "a space"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"1": ""}}, "enum", "write a name"},
		{Point{Address: address("holding:0"), Enum: map[string]string{"1": "2"}}, "enum", "which is a number itself"},
		{Point{Address: address("holding:0"), Type: "int16", Bits: map[string]string{"0": "on"}}, "bits", "unsigned numbers"},
		{Point{Address: address("holding:0"), Bits: map[string]string{"16": "on"}}, "bits", "from 0 to 15"},
		{Point{Address: address("holding:0.l"), Bits: map[string]string{"8": "on"}}, "bits", "from 0 to 7"},
		{Point{Address: address("holding:0"), Bits: map[string]string{"0": "on, off"}}, "bits", "has a comma"},
		{Point{Address: address("holding:0"), Bits: map[string]string{"0": "bit 3"}}, "bits", "without a name"},
	} {
		got := mistakesOf(test.point, Limits{})
		if !strings.Contains(got[test.key], test.want) {
			t.Errorf("%+v: %s %q, want %q", test.point, test.key, got[test.key], test.want)
		}
		delete(got, test.key)
		if len(got) != 0 {
			t.Errorf("%+v: more than its mistake: %v", test.point, got)
		}
	}
}

func TestPointsWithoutMistakes(t *testing.T) {
	for _, p := range []Point{
		{Address: address("coil:0"), Access: "rw", Enum: map[string]string{"0": "shut", "1": "open"}},
		{Address: address("holding:0.3"), Access: "rw", Enum: map[string]string{"1": "running"}},
		{Address: address("holding:0.h"), Access: "rw", Type: "int8", Scale: 0.5},
		{Address: address("holding:0.l"), Access: "rw"},
		{Address: address("holding:0"), Type: "uint8"},
		{Address: address("holding:0.l"), Type: "string", Length: 125},
		{Address: address("holding:0"), Type: "float64", Order: "GHEFCDAB", Precision: digits(0)},
		{Address: address("holding:0"), Type: "float64", Order: "CDAB"},
		{Address: address("holding:0"), Type: "bcd64", Order: "FEHGBADC", Scale: 0.001},
		{Address: address("holding:0"), Type: "uint32", Order: "DCBA", Bits: map[string]string{"0": "fault", "0x1F": "door"}},
		{Address: address("holding:0"), Type: "int16", Enum: map[string]string{"-1": "back", "1": "forth"}},
		{Address: address("holding:0"), Order: "BA"},
		{Address: address("holding:0.3"), Order: "BADC"},
		{Address: address("holding:65411"), Type: "string", Length: 250, Order: "BA"},
		{Address: address("input:0"), Type: "raw", Length: 250},
	} {
		if got := mistakesOf(p, Limits{}); len(got) != 0 {
			t.Errorf("%+v: %v", p, got)
		}
	}
}

// A point that no request could read is a mistake in the configuration, not an error in every poll.
func TestPointMustFitOneRequest(t *testing.T) {
	for _, test := range []struct {
		point  Point
		limits Limits
		key    string
	}{
		{Point{Address: address("holding:0"), Type: "float64"}, Limits{MaxRegisters: 3}, "type"},
		{Point{Address: address("holding:0"), Type: "float64"}, Limits{MaxRegisters: 4}, ""},
		{Point{Address: address("holding:0"), Type: "string", Length: 16}, Limits{MaxRegisters: 7}, "length"},
		{Point{Address: address("coil:0")}, Limits{MaxRegisters: 1, MaxBits: 1}, ""},
	} {
		got := mistakesOf(test.point, test.limits)
		if test.key == "" && len(got) != 0 || test.key != "" && got[test.key] == "" {
			t.Errorf("%+v within %+v: %v, want a mistake in %q", test.point, test.limits, got, test.key)
		}
	}
}

func TestPointsHaveNamesOfTheirOwn(t *testing.T) {
	got := make(map[string]string)
	validatePoints([]Point{
		{Name: "", Address: address("holding:0")},
		{Name: "a", Address: address("holding:0")},
		{Name: "a", Address: address("holding:1")},
	}, Limits{}, func(path, problem string) { got[path] = problem })
	if len(got) != 2 || got["points[0].name"] != "is missing" || got["points[2].name"] == "" {
		t.Errorf("got %v, want a missing and a repeated name", got)
	}
	got = make(map[string]string)
	validatePoints(nil, Limits{}, func(path, problem string) { got[path] = problem })
	if got["points"] == "" {
		t.Error("no points are no mistake")
	}
}

func TestTypesWithoutBeingTold(t *testing.T) {
	for at, want := range map[string]Type{
		"holding:0": "uint16", "input:0": "uint16", "coil:0": "bool", "discrete:0": "bool", "holding:0.3": "bool", "input:0.h": "uint8",
	} {
		p := Point{Address: address(at)}
		if got := p.kind(); got != want {
			t.Errorf("%s is %s, want %s", at, got, want)
		}
	}
}
