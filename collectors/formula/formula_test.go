package formula

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

var sample = map[string]any{
	"a": 3.0, "b": 4.0, "zero": 0.0, "status": float64(0b1011_0000), "word": 65535.0, "big": float64(1 << 53),
	"on": true, "text": "ST,+  12.50 kg", "groups": []string{"x", "7F"}, "bytes": []float64{1, 2, 255},
	"phase-a.u": 230.5, "gone": nil,
}

var names = slices.Sorted(maps.Keys(sample))

func TestFormulasGiveResults(t *testing.T) {
	for _, c := range []struct {
		text string
		want any
	}{
		{`a + b * 2`, 11.0},
		{`(a - b) / 2`, -0.5},
		{`7 / 2`, 3.5},
		{`2 ** 10`, 1024.0},
		{`9223372036854775807.0 * 2 > 1e19`, true}, // no overflow into something small
		{`-30 % 360`, 330.0},
		{`7.5 % 2`, 1.5},
		{`big * big > 1e30`, true},
		{`a > 2 ? "high" : "low"`, "high"},
		{`a == 3 and not (b < 4)`, true},
		{`on`, true},
		{`on ? 1 : 0`, 1.0},
		{`bit(status, 4)`, true},
		{`bit(status, 0)`, false},
		{`bits(status, 4, 4)`, 11.0},
		{`signed(word, 16)`, -1.0},
		{`signed(3, 16)`, 3.0},
		{`int(7.9)`, 7.0},
		{`round(2.5)`, 3.0},
		{`min(a, b) + max(a, b)`, 7.0},
		{`mean([a, b])`, 3.5},
		{`sqrt(a * a + b * b)`, 5.0},
		{`number("+ 12.50 ")`, 12.5},
		{`number(trim(split(text, ",")[1][1:8])) * 2`, 25.0},
		{`hex(groups[1])`, 127.0},
		{`bytes[0] * 256 + bytes[1]`, 258.0},
		{`bytes[-1]`, 255.0},
		{`len(bytes)`, 3.0},
		{`$env["phase-a.u"] * 2`, 461.0},
		{`gone ?? 5`, 5.0},
		{`gone == nil ? "no" : "yes"`, "no"},
		{`$env["gone"] ?? a`, 3.0},
		{`let d = a - b; d * d`, 1.0},
		{`fromJSON("{\"t\": 21.5}").t`, 21.5},
		{`text matches "^ST," ? 1 : 0`, 1.0},
		{`text contains "kg"`, true},
		{`a in [1, 2, 3]`, true},
		{`upper("ok")`, "OK"},
	} {
		p, err := Compile(c.text, names)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for range 2 { // a program is run again and again
			if got, err := p.Run(sample); err != nil || got != c.want {
				t.Errorf("%s: got %v, %v; want %v", c.text, got, err, c.want)
			}
		}
	}
}

func TestAFormulaWithoutItsValuesHasNoResult(t *testing.T) {
	for _, text := range []string{`gone + 1`, `gone > 3`, `gone == 5 ? "on" : "off"`, `a > 0 ? gone : 1`, `a + (gone ?? gone)`, `gone == a`} {
		p, err := Compile(text, names)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := p.Run(sample)
		if missing, ok := errors.AsType[*MissingError](err); text == `a + (gone ?? gone)` {
			if err == nil {
				t.Errorf("%s: got %v", text, got)
			}
		} else if !ok || missing.Name != "gone" || got != nil {
			t.Errorf("%s: got %v, %v; want that gone has no value", text, got, err)
		}
	}
}

func TestWhatCannotBeComputedIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`a / zero`:               "no finite number",
		`zero / zero`:            "no finite number",
		`a + "x"`:                "line 1, column 3",
		`text * 2`:               "line 1, column 6",
		`bytes[7]`:               "index out of range",
		`number("12,5")`:         `"12,5" is not a number`,
		`number("")`:             `"" is not a number`,
		`number("inf")`:          `"inf" is not a number`,
		`number("0x10")`:         `"0x10" is not a number`,
		`hex("xyz")`:             "not a hexadecimal number",
		`bit(1.5, 0)`:            "1.5 is not a whole number",
		`bit(-1, 0)`:             "-1 is not a whole number",
		`signed(70000, 16)`:      "not a number of 16 bits",
		`bytes`:                  "the result is a []float64",
		`split(text, ",")`:       "the result is a []string",
		`nil`:                    "there is no result",
		`fromJSON("{").x`:        "unexpected end of JSON",
		`sqrt("x")`:              "is not a number",
		`sqrt(-1)`:               "no finite number",
		`fromJSON("[1]")[0] + a`: "", // a float after all
	} {
		p, err := Compile(text, names)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := p.Run(sample)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v; want %q", text, got, err, want)
		}
	}
}

func TestTooLargeANumberIsToldHowToBeWritten(t *testing.T) {
	_, err := Compile("a > 99999999999999999999", []string{"a"})
	if err == nil || !strings.Contains(err.Error(), "with a decimal point") {
		t.Errorf("got %v, want it to say how", err)
	}
	if _, err := Compile("a > 99999999999999999999.0", []string{"a"}); err != nil {
		t.Error(err)
	}
}

func TestWhatCouldCostTooMuchIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "",
		`a +`:                           "line 1",
		`unknown * 2`:                   "unknown name unknown",
		`$env["unknown"]`:               "unknown name unknown",
		`$env[text]`:                    "$env needs a name",
		`len($env)`:                     "",
		`map([1, 2], # * 2)`:            "loops",
		`all([1], true)`:                "loops",
		`sum(bytes)`:                    "sum is not possible",
		`1..9`:                          "ranges",
		`repeat("x", 1000)`:             "",
		`replace(text, "", text)`:       "",
		`now()`:                         "",
		`text matches text`:             "must stand there in quotes",
		strings.Repeat("(", 3000):       "bytes; at most",
		strings.Repeat("1+", 200) + "1": "nodes",
		`let a1=1;let a2=1;let a3=1;let a4=1;let a5=1;let a6=1;let a7=1;let a8=1;let a9=1;1`: "let is possible 8 times",
	} {
		p, err := Compile(text, names)
		if err == nil && text == `len($env)` {
			if got, err := p.Run(sample); err == nil && got != float64(len(sample)) {
				t.Errorf("%s: got %v", text, got)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: got %v, want %q", text, err, want)
		}
	}
}

func TestUsesNamesInTheirOrder(t *testing.T) {
	p, err := Compile(`b + a + (gone ?? 1) + $env["phase-a.u"]`, []string{"a", "b", "c", "gone", "phase-a.u", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Uses(), " "); got != "a b gone phase-a.u" {
		t.Errorf("got %s", got)
	}
	if got := strings.Join(p.needs, " "); got != "a b phase-a.u" {
		t.Errorf("needs %s", got)
	}
}

func FuzzFormula(f *testing.F) {
	for _, text := range []string{`a + b * 2`, `gone ?? bits(status, 4, 4)`, `number(text) % 3`, `let d = a; d[1:2]`, `fromJSON(text).x`, `bytes[1:-1]`, `$env["a"]`, `text matches "^(a+)+$"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile(text, names)
		if err != nil {
			return // refusing is fine, panicking is not
		}
		switch got, err := p.Run(sample); v := got.(type) {
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s gives %v", text, v)
			}
		case bool, string:
		case nil:
			if err == nil {
				t.Errorf("%s gives neither a result nor an error", text)
			}
		default:
			t.Errorf("%s gives a %T", text, got)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	p, err := Compile(`(a - b) * 1.163 + $env["phase-a.u"]`, names)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(sample); err != nil {
			b.Fatal(err)
		}
	}
}
