package sml

import (
	"fmt"
	"strings"
	"testing"
)

func TestCodesInAllTheirSpellings(t *testing.T) {
	for _, c := range []struct {
		text, full string
		channel    bool // is named
	}{
		{"1-0:1.8.0*255", "1-0:1.8.0*255", true},
		{"1-0:1.8.0", "1-0:1.8.0*255", true},
		{"1-0:1.8.0.255", "1-0:1.8.0*255", true},
		{"1.8.0", "0-0:1.8.0*255", false},
		{"1.8.0*255", "0-0:1.8.0*255", false},
		{"0100010800FF", "1-0:1.8.0*255", true},
		{"8181c78203ff", "129-129:199.130.3*255", true},
		{"129-129:199.130.3*255", "129-129:199.130.3*255", true},
		{"1-0:1.8.0*01", "1-0:1.8.0*1", true},
	} {
		var code Code
		err := code.UnmarshalText([]byte(c.text))
		if got := (Code{obis: code.obis}).String(); err != nil || got != c.full || code.anyChannel == c.channel || code.String() != c.text {
			t.Errorf("%s: got %s, any channel %v, %v", c.text, got, code.anyChannel, err)
		}
	}
	for _, bad := range []string{"", "1.8", "1.8.0.255.1", "1-0:1.8.0*256", "1:1.8.0", "1-0:1.8.x", "0100010800", "1-0:1.8.0*", "1.8.0*2.5", "-1-0:1.8.0"} {
		if err := new(Code).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func code(t *testing.T, text string) Code {
	t.Helper()
	c, ok := parseCode(text)
	if !ok {
		t.Fatalf("%q is no code", text)
	}
	return c
}

func TestWhatIsAmbiguousOrMissingIsSaid(t *testing.T) {
	full := func(text string) Entry { return Entry{Code: Code{obis: code(t, text).obis}} }
	entries := []Entry{full("1-0:1.8.0"), full("2-0:1.8.0"), full("1-0:1.8.1")}
	for _, c := range []struct{ code, want string }{
		{"1.8.0", "the meter sent both 1-0:1.8.0*255 and 2-0:1.8.0*255: write the whole code"},
		{"2-0:1.8.0", "2-0:1.8.0*255"},
		{"1.8.1", "1-0:1.8.1*255"},
		{"1-0:1.8.2", "the meter's 3 values have no 1-0:1.8.2, but 1-0:1.8.0*255, 2-0:1.8.0*255, 1-0:1.8.1*255"},
		{"16.7.0", "the meter's 3 values have no 16.7.0, but 1-0:1.8.0*255, 2-0:1.8.0*255, 1-0:1.8.1*255; many meters tell momentary values only after their PIN was entered"},
	} {
		e, err := find(entries, code(t, c.code))
		got := fmt.Sprint(err)
		if err == nil {
			got = e.Code.String()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.code, got, c.want)
		}
	}
	if _, err := find(nil, code(t, "1.8.0")); err == nil || err.Error() != "the meter sent no values, so no 1.8.0" {
		t.Errorf("of nothing: got %v", err)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		value  string
		unit   byte
		scaler int8
		wanted string
		want   string
	}{
		{"65033C9389", 30, -1, "", "5430157.7 Wh"},
		{"65033C9389", 30, -1, "kWh", "5430.1577 kWh"},
		{"65033C9389", 30, -1, "MWh", "5.4301577 MWh"},
		{"538B28", 27, -2, "", "-299.12 W"},
		{"538B28", 27, -2, "kW", "-0.29912 kW"},
		{"5301CC", 27, 0, "", "460 W"},
		{"5301CC", 27, 3, "", "460000 W"},
		{"69FFFFFFFFFFFFFFFF", 30, 0, "", "18446744073709551615 Wh"},
		{"620C", 0, 0, "", "12 "},
		{"620C", 0, 0, "kWh", "12 "}, // the meter does not say its unit
		{"620C", 200, -1, "", "1.2 "},
		{"4201", 0, 0, "", "true "},
		{"4200", 0, 0, "", "false "},
		{"04454D48", 0, 0, "", `"EMH" `},
		{"0400A1FF", 0, 0, "", `"00A1FF" `},
		{"01", 0, 0, "", "the meter has no value for 1-0:1.8.0*255 now"},
		{"7101", 0, 0, "", "the meter sent 1-0:1.8.0*255 as a list, not as a value"},
		{"620C", 35, 0, "kWh", "the meter gives 1-0:1.8.0*255 in V, which cannot be given in kWh"},
		{"620C", 33, -2, "mA", "120 mA"},
	} {
		d := decoder{b: unhex(t, c.value), left: 10}
		value, err := d.element(0)
		if err != nil {
			t.Fatal(err)
		}
		e := Entry{Code: Code{obis: [6]byte{1, 0, 1, 8, 0, 255}}, Unit: c.unit, Scaler: c.scaler, value: value}
		v, unit, err := e.Value(c.wanted)
		got := fmt.Sprint(err)
		if err == nil {
			got = v.String() + " " + unit
		}
		if got != c.want {
			t.Errorf("%s in %d times ten to the %d as %q: got %q, want %q", c.value, c.unit, c.scaler, c.wanted, got, c.want)
		}
	}
}

func TestMetersWithTheDZGQuirk(t *testing.T) {
	for _, c := range []struct {
		server string
		want   bool
	}{
		{"0A01445A47000282225E", true},  // 42,082,910
		{"0A01445A4700039E2053", false}, // 60,694,611
		{"0A01445A470002E00000", true},  // 48,234,496
		{"0A01445A470003800000", true},  // 58,720,256
		{"0A01445A4700030D4000", false}, // 51,200,000
		{"0A01454D48000282225E", false}, // another maker
		{"0A01445A47", false},
		{"", false},
	} {
		if got := hasDZGQuirk(unhex(t, c.server)); got != c.want {
			t.Errorf("%s: got %v", c.server, got)
		}
	}
}

func TestDissect(t *testing.T) {
	v := vectors(t)
	damaged := unhex(t, v[0].Frame)
	damaged[80] ^= 1
	for _, c := range []struct {
		out   bool
		frame []byte
		want  string
	}{
		{false, unhex(t, v[0].Frame), "meter 0A01445A47000282225E: 5 values, 1-0:1.8.0*255 = 5430157.7 Wh"},
		{false, damaged, "the telegram is damaged: its checksum is C3E1"},
		{true, request([]byte{1, 2}, clientID, nil, nil), "request for the list of values"},
		{false, []byte("hello"), ""},
	} {
		got, ok := dissectBoth(c.out, c.frame)
		if ok != (c.want != "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("% X: got %q, %v; want %q", c.frame, got, ok, c.want)
		}
	}
}
