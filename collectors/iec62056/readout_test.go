package iec62056

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// write is what ParseReadout takes apart.
func write(items []Item) string {
	var b strings.Builder
	for _, it := range items {
		b.WriteString(it.Code.String())
		for _, v := range it.Values {
			b.WriteString("(" + v + ")")
		}
		b.WriteString("\r\n")
	}
	return b.String() + "!\r\n"
}

func TestReadoutsOfEveryManner(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"one a line", "F.F(00)\r\n1.8.0(0001.5*kWh)\r\n!\r\n", "F.F(00) 1.8.0(0001.5*kWh)"},
		{"several a line", "0.0(7)6.8(00433.65*GJ)6.26(03052.95*m3)\r\n6.31(0109868*h)!\r\n", "0.0(7) 6.8(00433.65*GJ) 6.26(03052.95*m3) 6.31(0109868*h)"},
		{"line feeds alone", "1.8.0(1)\n2.8.0(2)\n!\n", "1.8.0(1) 2.8.0(2)"},
		{"a value on a line of its own", "0-1:24.3.0(090212160000)(00)(m3)\r\n(00001.001)\r\n!\r\n", "0-1:24.3.0(090212160000)(00)(m3)(00001.001)"},
		{"no end mark", "1.8.0(0001.5*kWh)", "1.8.0(0001.5*kWh)"},
		{"one value alone", "(0001.5*kWh)", "(0001.5*kWh)"},
		{"nothing", "!\r\n", ""},
		{"stored values", "1.8.0*01(1)\r\n1.8.0&02(2)\r\n!\r\n", "1.8.0*01(1) 1.8.0&02(2)"},
	} {
		items, err := ParseReadout([]byte(c.data))
		var got []string
		for _, it := range items {
			got = append(got, it.Code.String()+"("+strings.Join(it.Values, ")(")+")")
		}
		if text := strings.Join(got, " "); err != nil || text != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, text, err, c.want)
		}
	}
	for _, c := range []struct{ data, want string }{
		{"1.8.0", "no value in parentheses"},
		{"1.8.0(1", "is not closed"},
		{"1.8.0(1(2))", "holds a character 28"},
		{"1.8.0(1\x00)", "holds a character 00"},
		{"!\r\nx", "after the end"},
		{"1 8(1)", "not a register's code"},
		{strings.Repeat("1.8.0(1)\r\n", maxItems+1), "more than 4096 registers"},
		{"1.8.0" + strings.Repeat("(1)", maxValues+1), "more than 256 values"},
	} {
		if items, err := ParseReadout([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %d items, %v; want %q", c.data, len(items), err, c.want)
		}
	}
}

func TestCodesAreFoundInAllTheirSpellings(t *testing.T) {
	for _, c := range []struct {
		asked, sent string
		want        bool
	}{
		{"1.8.0", "1.8.0", true},
		{"1.8.0", "1-0:1.8.0*255", true},
		{"1-0:1.8.0*255", "1.8.0", true},
		{"1-0:1.8.0", "1-0:1.8.0*255", true},
		{"1.8.0", "01.08.00", true},
		{"1.8.0", "1.8.1", false},
		{"1.8.0", "1.8", false},
		{"1.8", "1.8", true},
		{"1-0:1.8.0", "2-0:1.8.0", false},
		{"1.8.0", "1.8.0*01", false},
		{"1.8.0*01", "1.8.0", false},
		{"1.8.0*01", "1.8.0*1", true},
		{"1.8.0*1", "1.8.0&01", true},
		{"1.8.0*01", "1-0:1.8.0*02", false},
		{"1.8.0*255", "1.8.0", true},
		{"f.f", "F.F", true},
		{"C.1.0", "C.1.0", true},
		{"C.1.0", "C.1.1", false},
		{"0-0:96.1.0", "C.1.0", true},
		{"F.F", "97.97", true},
		{"00:04:00", "00:04:00", true},
		{"00:04:00", "00:04:01", false},
		{"0-1:24.2.1", "0-1:24.2.1", true},
		{"0-1:24.2.1", "0-2:24.2.1", false},
	} {
		var asked Code
		if err := asked.UnmarshalText([]byte(c.asked)); err != nil {
			t.Fatal(err)
		}
		sent, err := parseCode(c.sent)
		if err != nil || asked.asks(sent) != c.want {
			t.Errorf("%s for %s: got %v, %v; want %v", c.sent, c.asked, asked.asks(sent), err, c.want)
		}
	}
	for _, bad := range []string{"", "1 8", "1.8.0(", "ä", strings.Repeat("1", 65)} {
		if err := new(Code).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestWhatIsAmbiguousOrMissingIsSaid(t *testing.T) {
	items, err := ParseReadout([]byte("1-0:1.8.0(1.0*kWh)\r\n2-0:1.8.0(2.0*kWh)\r\n1.8.1(3.0*kWh)\r\n1.8.1(3.0*kWh)\r\n1.8.2(4.0*kWh)\r\n!\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ code, want string }{
		{"1.8.0", "the meter sent both 1-0:1.8.0 and 2-0:1.8.0 with different values: write the whole code"},
		{"2-0:1.8.0", "2.0*kWh"},
		{"1.8.1", "3.0*kWh"}, // twice the same
		{"1.8.3", "the meter's readout of 5 registers has no 1.8.3, but 1-0:1.8.0, 2-0:1.8.0, 1.8.1, 1.8.1"},
		{"2.8.0", "the meter's readout of 5 registers has no 2.8.0"},
	} {
		code, _ := parseCode(c.code)
		it, err := find(items, code)
		got := fmt.Sprint(err)
		if err == nil {
			got = it.Values[0]
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.code, got, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ text, as, unit, want string }{
		{"000123.456*kWh", "", "", "123.456 kWh"},
		{"000123.456*kWh", "", "Wh", "123456 Wh"},
		{"0012.345*kWh", "", "Wh", "12345 Wh"},
		{"1234567*Wh", "", "kWh", "1234.567 kWh"},
		{"0001.1*MWh", "", "kWh", "1100 kWh"},
		{"00.5*kvarh", "", "varh", "500 varh"},
		{"0109868*h", "", "", "109868 h"},
		{"-000142.30*W", "", "", "-142.3 W"},
		{"+00026*W", "", "kW", "0.026 kW"},
		{"-00.000*kW", "", "", "0 kW"},
		{"03052.95*m3", "", "m³", "3052.95 m³"},
		{"000001.2963", "", "", "1.2963 "},
		{"000001.2963", "", "kWh", "1.2963 "}, // the meter does not say its unit
		{"12345678", "", "", `"12345678" `},
		{"00005", "number", "", "5 "},
		{"00005", "text", "", `"00005" `},
		{"0001.5*kWh", "text", "", `"0001.5*kWh" `},
		{"12.34.56", "", "", `"12.34.56" `},
		{" 230.5 * V ", "", "", "230.5 V"},
		{"", "text", "", `"" `},
		{"", "", "", "the meter has no value for this now (its parentheses are empty)"},
		{"*kWh", "", "", "the meter has no value for this now (its parentheses are empty)"},
		{"------*kWh", "", "", `the meter sent "------*kWh", which is no number`},
		{"1e5*kWh", "", "", `the meter sent "1e5*kWh", which is no number`},
		{"0x10", "number", "", `the meter sent "0x10", which is no number`},
		{"+", "number", "", `the meter sent "+", which is no number`},
		{"00433.65*GJ", "", "kWh", `the meter sent "00433.65*GJ", which cannot be given in kWh`},
		{"1*mW", "", "MW", "1e-09 MW"},
	} {
		v, unit, err := parseValue(c.text, c.as, c.unit)
		got := fmt.Sprint(err)
		if err == nil {
			got = v.String() + " " + unit
		}
		if got != c.want {
			t.Errorf("%q as %q in %q: got %q, want %q", c.text, c.as, c.unit, got, c.want)
		}
	}
}

func FuzzReadout(f *testing.F) {
	for _, seed := range []string{
		"F.F(00)\r\n1.8.0(0001.5*kWh)\r\n!\r\n", "(1)", "6.8(1*GJ)6.26(2)!\r\n", "1.8.0(1)(2)\r\n(3)\r\n!", "C.1.0()\r\n", "1-0:1.8.0*255(+1.5*W)!",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		items, err := ParseReadout(in)
		if err != nil {
			return
		}
		again, err := ParseReadout([]byte(write(items)))
		if err != nil || !reflect.DeepEqual(again, items) {
			t.Errorf("%q became %v, %v; was %v", write(items), again, err, items)
		}
		for _, it := range items {
			if found, err := find(items, it.Code); err == nil && len(found.Values) == 0 {
				t.Errorf("%s has no values", it.Code)
			}
			for _, v := range it.Values {
				for _, as := range []string{asAuto, asNumber, asText} {
					value, _, err := parseValue(v, as, "Wh")
					if err == nil && (value.Absent() || !value.Finite()) {
						t.Errorf("%q became %v", v, value)
					}
				}
			}
		}
	})
}
