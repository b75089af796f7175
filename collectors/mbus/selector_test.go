package mbus

import (
	"strings"
	"testing"
)

func TestSelectorsFindTheirRecords(t *testing.T) {
	telegram, err := DecodeTelegram(ciPlain, unhex(t, `0C 06 01 00 00 00  4C 06 02 00 00 00  8C 10 06 03 00 00 00  1C 06 04 00 00 00
		04 86 3C 05 00 00 00  02 5B 06 00  02 5B 07 00  02 7C 03 48 52 25 08 00  84 10 86 3C 09 00 00 00  02 FC 02 5D 22 74 0A 00`))
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	a.add(telegram)
	for _, c := range []struct{ selector, want string }{
		{"energy", "1"},
		{"energy[storage=0]", "1"},
		{"energy[storage=1]", "2"},
		{"energy[tariff=1]", "3"},
		{"energy.max", "4"},
		{"energy[backward]", "5"},
		{"energy[tariff=1,backward]", "9"},
		{"energy[ backward , tariff=1 ]", "9"},
		{"flow_temperature[n=1]", "6"},
		{"flow_temperature[n=2]", "7"},
		{`"%RH"`, "8"},
		{`"\x25RH"`, "8"},
		{`"\"]"`, "0.1"},
		{"#0", "1"},
		{"#6", "7"},
		{"flow_temperature", "the meter sent 2 records flow_temperature: say which one, from flow_temperature[n=1] on"},
		{"flow_temperature[n=3]", "the meter sent 2 records flow_temperature, not 3"},
		{"energy[n=1]", "1"},
		{"energy[tariff=2]", "none of the 10 records that the meter sent is energy[tariff=2]"},
		{"power", "none of the 10 records that the meter sent is power"},
		{"#10", "the meter sent 10 records, so none has the number 10"},
	} {
		var s Selector
		if err := s.UnmarshalText([]byte(c.selector)); err != nil || s.String() != c.selector {
			t.Errorf("%s: %v", c.selector, err)
			continue
		}
		r, err := a.find(&s)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = r.Value.String()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.selector, got, c.want)
		}
	}
}

func TestWhatIsNoSelector(t *testing.T) {
	for _, bad := range []string{
		"", "#", "#x", "#-1", "#70000", "header.", "header.nothing", ".max", "[storage=1]", "energy[", "energy]", "energy[]", "energy[storage]", "energy[storage=]",
		"energy[storage=-1]", "energy[storage=x]", "energy[n=0]", "energy[tariff=1][n=2]", "energy.average", "energy.max.min", "en ergy", "energy[back ward]",
		`"unfinished`, "energy[storage=9999999999999999]", "energy[tariff=1048576]", "energy[subunit=1024]", "energy.max x",
	} {
		if err := new(Selector).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestUnitsAreConverted(t *testing.T) {
	for _, c := range []struct{ record, unit, want string }{
		{"0C 06 78 56 34 12", "kWh", "12345678"},
		{"0C 06 78 56 34 12", "MWh", "12345.678"},
		{"0C 06 78 56 34 12", "Wh", "12345678000"},
		{"0C 06 00 01 00 00", "MJ", "360"},
		{"0C 06 00 01 00 00", "GJ", "0.36"},
		{"0C 0E 78 56 34 12", "GJ", "12345.678"}, // a meter of MJ: nothing is rounded
		{"0C 0E 78 56 34 12", "MJ", "12345678"},
		{"02 FB 08 03 00", "GJ", "0.3"},
		{"04 13 31 D4 00 00", "l", "54321"},
		{"04 13 31 D4 00 00", "m³", "54.321"},
		{"02 3B E8 03", "l/h", "1000"},
		{"02 3B E8 03", "l/min", "16.666666666666668"},
		{"02 5A D7 00", "°C", "21.5"},
		{"02 5A D7 00", "degF", "70.7"},
		{"02 FB 5A A4 02", "°F", "67.6"},
		{"02 62 0F 00", "K", "1.5"},
		{"02 68 DC 05", "kPa", "150"},
		{"02 27 05 00", "h", "120"},
		{"02 27 05 00", "d", "5"},
		{"05 2E B1 D1 2E BE", "kW", "-0.170722"},
		{"05 2E B1 D1 2E BE", "W", "-170.722"},
		{"01 FD 6F 03", "year", "3"},
		{"04 13 31 D4 00 00", "kWh", "the meter sent a value in m3, which cannot be given in kWh"},
		{"01 6E 09", "kWh", "the meter sent a value in no unit, which cannot be given in kWh"},
		{"01 FD 6F 03", "d", "the meter sent a value in month, which cannot be given in d"},
		{"04 13 31 D4 00 00", "furlong", "the meter sent a value in m3, which cannot be given in furlong"},
		{"02 59 00 80", "°C", "the meter has no value for this now"},
	} {
		r, err := one(t, c.record)
		if err != nil {
			t.Errorf("%s: %v", c.record, err)
			continue
		}
		value, err := r.In(c.unit)
		got := value.String()
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s in %s: got %s, want %s", c.record, c.unit, got, c.want)
		}
	}
}

func TestUnitsOfADimensionShareTheirBase(t *testing.T) {
	names := map[string]bool{}
	for _, u := range units {
		if names[u.name] || u.times < 1 || u.per < 1 {
			t.Errorf("unit %+v is there twice, or is none", u)
		}
		names[u.name] = true
		if u.shown().dimension != u.dimension {
			t.Errorf("%s is shown in %s", u.name, u.shown().name)
		}
		// There and back is where it was.
		shown := u.shown()
		there, err := number{integer: 1000}.in(scale{0, u}, shown)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := there.Float()
		back, err := number{single: float32(f), isReal: true}.in(scale{0, shown}, u)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := back.Float(); again < 999.99 || again > 1000.01 {
			t.Errorf("1000 %s are %v %s, and that is %v %s again", u.name, there, shown.name, back, u.name)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, text := range []string{"energy", "power.max[storage=1,L1,n=2]", `"%RH".min`, "#12", "header.status"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again Selector
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q does not survive a round trip: %v", text, err)
		}
		if s.kind != byName {
			return
		}
		if err := again.UnmarshalText([]byte(s.name)); err != nil || again.name != s.name {
			t.Errorf("%q has the name %q, which is %q: %v", text, s.name, again.name, err)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, text := range []string{"5", "11490378", "11490378.ACW.14.22", "1149037877040E16"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, again Address
		if a.UnmarshalText([]byte(text)) != nil {
			return
		}
		if strings.Contains(a.String(), "@") || strings.ContainsAny(a.String(), "[\\]^_`") {
			return // sixteen digits may name a maker that has no letters
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again.String() != a.String() {
			t.Errorf("%q is %s, which is %s: %v", text, a, again, err)
		}
	})
}
