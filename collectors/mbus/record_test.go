package mbus

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// one decodes a single record.
func one(t testing.TB, text string) (Record, error) {
	t.Helper()
	r, _, err := decodeRecord(unhex(t, text), false)
	return r, err
}

func shown(r *Record) string {
	if r.Problem != "" {
		return r.name() + ": " + r.Problem
	}
	return strings.TrimSpace(r.name() + "=" + r.Value.String() + " " + r.Unit())
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		// BCD
		{"0C 06 78 56 34 12", "energy=12345678 kWh"},
		{"0C 03 78 56 34 12", "energy=12345.678 kWh"},
		{"0C 00 78 56 34 12", "energy=12.345678 kWh"},
		{"09 13 05", "volume=0.005 m3"},
		{"0E 13 12 90 78 56 34 12", "volume=123456789.012 m3"},
		{"0A 5A 05 F1", "flow_temperature=-10.5 °C"}, // a first digit of F is a minus
		{"0A 5A 50 F0", "flow_temperature=-5 °C"},
		{"0C 13 FF FF FF FF", "volume: the meter has no value for this now"},
		{"0C 13 EE EE EE EE", "volume: the meter shows EEEEEEEE instead of a number"},
		{"0C 13 0A 00 00 00", "volume: the meter shows 0000000A instead of a number"},
		{"0C 78 78 56 34 00", `fabrication_number="00345678"`}, // zeros in front are part of it
		// integers
		{"01 5B FF", "flow_temperature=-1 °C"},
		{"02 59 D0 08", "flow_temperature=22.56 °C"},
		{"02 59 00 80", "flow_temperature: the meter has no value for this now"},
		{"01 13 80", "volume: the meter has no value for this now"},
		{"03 13 15 31 00", "volume=12.565 m3"},
		{"03 13 FF FF FF", "volume=-0.001 m3"},
		{"04 13 31 D4 00 00", "volume=54.321 m3"},
		{"04 06 FF FF FF 7F", "energy=2147483647 kWh"},
		{"06 03 00 00 00 00 00 01", "energy=1099511627.776 kWh"},
		{"07 06 FF FF FF FF FF FF FF FF", "energy=-1 kWh"},
		{"01 FD 17 FF", "error_flags=255"}, // flags have no sign
		{"02 FD 17 00 80", "error_flags=32768"},
		{"01 7A FB", "bus_address=251"},
		{"02 FC 03 48 52 25 74 D4 11", `"%RH"=45.64`},
		// reals
		{"05 2E B1 D1 2E BE", "power=-0.170722 kW"},
		{"05 5B B8 2D F9 41", "flow_temperature=31.147324 °C"},
		{"05 2B 00 00 C0 7F", "power: the meter has no value for this now"},
		{"05 2B 00 00 80 7F", "power: the meter sent 00 00 80 7F, which is infinite"},
		// no data at all
		{"00 13", "volume: the record holds no data"},
		{"08 13", "volume: the record holds no data"},
		// variable length
		{"0D FD 0B 06 35 33 32 44 56 52", `parameter_set="RVD235"`},
		{"0D 78 02 20 41", `fabrication_number="A"`},
		{"0D FD 11 02 E4 41", `customer="Aä"`},
		{"0D FD 11 01 07", "customer: the meter sent 07, which is no text"},
		{"0D 13 C2 34 12", "volume=1.234 m3"},
		{"0D 13 D2 34 12", "volume=-1.234 m3"},
		{"0D 13 E3 15 31 00", "volume=12.565 m3"},
		{"0D 13 E0", "volume: the record holds no data"},
		{"0D FD 3A E9 09 08 07 06 05 04 03 02 01", `dimensionless="010203040506070809"`},
		// dates
		{"02 6C 3D 16", `date="2009-06-29"`},
		{"02 6C 00 00", "date: the meter has no value for this now"},
		{"02 6C FF FF", "date: the meter has no value for this now"},
		{"02 6C 1F 1F", "date: the meter sent 1F 1F, which is no single date"}, // every 31st of every month
		{"02 6C 1E 02", "date: the meter sent 1E 02, which is no single date"},
		{"04 6D 0B 0B CD 13", `datetime="2014-03-13T11:11:00"`},
		{"04 6D 8B 0B CD 13", "datetime: the meter marks its time 8B 0B CD 13 as invalid"},
		{"04 6D 3C 0B CD 13", "datetime: the meter sent 3C 0B CD 13, which is no single date"},
		{"04 6D 0B 2B CD 13", `datetime="2014-03-13T11:11:00"`}, // with a century bit
		{"04 6D 0B 0B 8D B3", `datetime="1992-03-13T11:11:00"`},
		{"06 6D 1E 0B 0B CD 13 00", `datetime="2014-03-13T11:11:30"`},
		{"06 6D 1E 8B 0B CD 13 00", "datetime: the meter marks its time 1E 8B 0B CD 13 00 as invalid"},
		{"03 6D 1E 0B 0B", `datetime="11:11:30"`},
		{"01 6D 05", "datetime: the meter sent 05, which is no form of a date"},
	} {
		r, err := one(t, c.record)
		if err != nil {
			t.Errorf("%s: %v", c.record, err)
			continue
		}
		if got := shown(&r); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.record, got, c.want)
		}
	}
}

func TestNamesOfRecords(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		// storage, tariff, subunit, function
		{"4C 06 01 00 00 00", "energy[storage=1]=1 kWh"},
		{"CC 01 06 01 00 00 00", "energy[storage=3]=1 kWh"},
		{"8C 10 06 01 00 00 00", "energy[tariff=1]=1 kWh"},
		{"8C A0 10 06 01 00 00 00", "energy[tariff=6]=1 kWh"},
		{"8C C0 40 06 01 00 00 00", "energy[subunit=3]=1 kWh"},
		{"9C 11 06 01 00 00 00", "energy.max[storage=2,tariff=1]=1 kWh"},
		{"2C 06 01 00 00 00", "energy.min=1 kWh"},
		{"3C 06 01 00 00 00", "energy.error=1 kWh"},
		// quantities
		{"04 0E 01 00 00 00", "energy=0.2777777777777778 kWh"}, // a MJ
		{"04 1E 01 00 00 00", "mass=1000 kg"},
		{"01 22 02", "on_time=7200 s"},
		{"04 33 10 27 00 00", "power=2.7777777777777777 kW"}, // 10 MJ/h
		{"02 3B E8 03", "volume_flow=1 m3/h"},
		{"02 42 E8 03", "volume_flow=0.6 m3/h"},
		{"02 4B 01 00", "volume_flow=0.0036 m3/h"},
		{"02 53 01 00", "mass_flow=1 kg/h"},
		{"02 61 96 00", "temperature_difference=1.5 K"},
		{"02 68 DC 05", "pressure=1.5 bar"},
		{"01 6E 09", "hca_units=9"},
		{"01 74 05", "actuality_duration=5 s"},
		{"01 6F 05", "reserved_6F=5"},
		{"02 FD 48 FD 08", "voltage=230.1 V"},
		{"02 FD 59 B8 0B", "current=3 A"},
		{"01 FD 6D 0B", "battery_operating_time=950400 s"},
		{"01 FD 6E 0B", "battery_operating_time=11 month"},
		{"01 FD 6F 0B", "battery_operating_time=132 month"},
		{"01 FD 7C 01", "reserved_FD7C=1"},
		{"01 FD FD 03 02", "battery_remaining=24 month"},
		{"04 FD 70 0B 0B CD 13", `battery_change="2014-03-13T11:11:00"`},
		{"02 FB 00 01 00", "energy=100 kWh"},
		{"02 FB 08 01 00", "energy=27.77777777777778 kWh"},
		{"02 FB 0D 01 00", "energy=1.163 kWh"},
		{"02 FB 14 E8 03", "reactive_power=1 kvar"},
		{"02 FB 1A C8 01", "relative_humidity=45.6 %"},
		{"02 FB 2E F4 01", "frequency=50 Hz"},
		{"02 FB 21 0A 00", "volume=0.028316846592 m3"},
		{"02 FB 5B D4 00", "flow_temperature=100 °C"}, // 212 °F
		{"02 FB 7B 01 00", "cumulated_maximum_power=0.001 kW"},
		{"02 FB 07 01 00", "reserved_FB07=1"},
		// what narrows a quantity
		{"04 86 3C 01 00 00 00", "energy[backward]=1 kWh"},
		{"04 FD C8 FC 01 FD 08 00 00", "voltage[L1]=230.1 V"},
		{"02 FD C9 FF 01 ED 00", "voltage[maker=01]=237 V"},
		{"02 FF 68 00 00", "manufacturer[maker=68]=0"},
		{"02 95 22 05 00", "volume[per_hour]=0.5 m3"},
		{"02 BB 48 05 00", "volume_flow[upper_limit]=0.005 m3/h"},
		{"02 BB 49 05 00", "volume_flow[exceeds,upper_limit]=5"},
		{"02 BB 5E 05 00", "volume_flow[duration,last,upper_limit]=18000 s"},
		{"04 BB 4E 0B 0B CD 13", `volume_flow[begin,last,upper_limit]="2014-03-13T11:11:00"`},
		{"04 AB 6F 0B 0B CD 13", `power[end,last]="2014-03-13T11:11:00"`},
		{"01 AB 62 0B", "power[duration,first]=39600 s"},
		{"04 86 39 0B 0B CD 13", `energy[start]="2014-03-13T11:11:00"`},
		{"02 BB 68 05 00", "volume_flow[during_lower_limit]=0.005 m3/h"},
		{"02 BB 0A 05 00", "volume_flow: the meter says that there is an error (VIFE 0A)"},
		{"02 BB 15 05 00", "volume_flow: the meter says: there is no value now"},
		{"02 BB 79 05 00", "volume_flow: the record asks for a constant to be added (VIFE 79), in a unit that the standard leaves open"},
		{"02 BB FD 01 05 00", "volume_flow: the meter says: too many DIFE"},
		{"02 BB 7D 05 00", "volume_flow=5 m3/h"},
		{"02 86 77 05 00", "energy=50 kWh"},
		{"02 86 70 05 00", "energy=0.000005 kWh"},
		{"02 86 FC 11 FF FF", "energy[vife=11]=-1 kWh"},
		{"02 BB 7C 05 00", "volume_flow[vife=7C]=0.005 m3/h"},
		{"02 86 44 05 00", "energy[vife=44]=5 kWh"},
	} {
		r, err := one(t, c.record)
		if err != nil {
			t.Errorf("%s: %v", c.record, err)
			continue
		}
		if got := shown(&r); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.record, got, c.want)
		}
	}
}

func TestRecordsThatBreakOff(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{"8C", "breaks off in its DIF"},
		{"0C", "breaks off before its VIF"},
		{"0C FD", "breaks off in its VIF"},
		{"0C 06 01 02", "breaks off in its data: 2 of 4 bytes"},
		{"0D 78", "breaks off before its data"},
		{"0D 78 05 41", "breaks off in its data: 2 of 6 bytes"},
		{"0D 78 CA 41", "its length CA is reserved"},
		{"0D 78 F7", "its length F7 is reserved"},
		{"02 FC 09 41", "breaks off in the name"},
		{"02 7C", "breaks off in the name"},
		{"02 7C 01 07 00 00", "the name of its quantity: the meter sent 07"},
		{"3F 00", "its DIF 3F is reserved"},
		{"8C" + strings.Repeat(" 8C", 11) + " 06", "more than ten DIFE"},
		{"0C 86" + strings.Repeat(" BB", 11) + " 3B", "more than ten VIFE"},
	} {
		if _, err := one(t, c.record); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.record, err, c.want)
		}
	}
	// Ten of each are allowed.
	if r, err := one(t, "8C"+strings.Repeat(" 80", 9)+" 01 86"+strings.Repeat(" 80", 9)+" 3B 01 00 00 00"); err != nil || r.Storage != 1<<37 {
		t.Errorf("got storage %d, %v", r.Storage, err)
	}
}

func TestHighByteFirst(t *testing.T) {
	telegram, err := DecodeTelegram(ciLongHigh, unhex(t, "11 49 03 78 04 77 0E 16 0A 00 00 00 04 13 00 00 D4 31 0D FD 11 02 42 41"))
	if err != nil {
		t.Fatal(err)
	}
	got := telegram.Header.Identity.String() + " " + shown(&telegram.Records[0]) + " " + shown(&telegram.Records[1])
	if want := `11490378.ACW.14.22 volume=54.321 m3 customer="AB"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTelegramsWithOtherHeaders(t *testing.T) {
	for _, c := range []struct {
		info       byte
		data, want string
	}{
		{ciPlain, "04 13 31 D4 00 00", "[volume=54.321 m3] access 0 status 0 named false more false"},
		{ciShortHeader, "0A 04 00 00 2F 04 13 31 D4 00 00 2F 1F 01", `[volume=54.321 m3 manufacturer_data="01"] access 10 status 4 named false more true`},
	} {
		telegram, err := DecodeTelegram(c.info, unhex(t, c.data))
		if err != nil {
			t.Errorf("%s: %v", c.data, err)
			continue
		}
		var records []string
		for i := range telegram.Records {
			records = append(records, shown(&telegram.Records[i]))
		}
		h := telegram.Header
		got := fmt.Sprintf("%v access %d status %d named %v more %v", records, h.Access, h.Status, h.Named, telegram.More)
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.data, got, c.want)
		}
	}
	for _, c := range []struct {
		info       byte
		data, want string
	}{
		{ciLong, "78 03 49 11", "breaks off in its header"},
		{ciShortHeader, "0A", "breaks off in its header"},
		{ciAlarm, "01", "an alarm instead of data: 01"},
		{0x7B, "01", "of a kind that is not read here (CI 7B)"},
		{ciLong, "78 03 49 11 77 04 0E 16 0A 00 10 05" + strings.Repeat(" A7", 16), "encrypts its data (mode 5)"},
		{ciLong, "78 03 49 11 77 04 0E 16 0A 00 00 00 04 13 31 D4 00 00 04 13 31", "record 1: the telegram breaks off in its data"},
	} {
		if _, err := DecodeTelegram(c.info, unhex(t, c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CI %02X %s: got %v, want %q", c.info, c.data, err, c.want)
		}
	}
}

func TestEveryCodeOfTheTablesHasAMeaning(t *testing.T) {
	for v := range 0x80 {
		code := byte(v)
		for _, vif := range [][]byte{{code}, {vifFirst, code}, {vifSecond, code}, {vifFirst, vifFirst, code}, {0x86, code}, {0x86, 0xFC, code}} {
			m := meaningOf(vif, "own")
			if m.quantity == "" {
				t.Errorf("% X has no name", vif)
			}
			if want := usualUnit(m.quantity, m.modifiers); want != "" && want != m.scale.unit.shown().name {
				t.Errorf("% X: %s is usually in %s, not in %s", vif, m.quantity, want, m.scale.unit.shown().name)
			}
			if _, err := parseSelector(m.quantity); err != nil {
				t.Errorf("% X: %v", vif, err)
			}
		}
	}
}

func FuzzTelegram(f *testing.F) {
	for _, v := range vectors(f) {
		if frame, err := Decode(unhex(f, v.Frame)); err == nil {
			f.Add(frame.Info, frame.Data)
		}
	}
	for _, path := range foreignFrames(f, "test-frames") {
		if frame, err := Decode(readHex(f, path)); err == nil {
			f.Add(frame.Info, frame.Data)
		}
	}
	f.Fuzz(func(t *testing.T, info byte, data []byte) {
		before := bytes.Clone(data)
		telegram, err := DecodeTelegram(info, data)
		if !bytes.Equal(data, before) {
			t.Error("decoding changed its input")
		}
		if err != nil {
			return
		}
		var a answer
		a.add(telegram)
		for i, name := range Names(telegram.Records) {
			r := &telegram.Records[i]
			if (r.Problem == "") == r.Value.Absent() || !r.Value.Finite() {
				t.Errorf("%s has the value %v and the problem %q", name, r.Value, r.Problem)
			}
			// Every record is found again by the name that it is listed under.
			var s Selector
			if err := s.UnmarshalText([]byte(name)); err != nil {
				t.Errorf("record %d: %v", i, err)
				continue
			}
			if found, err := a.find(&s); err != nil || found.Index != i {
				t.Errorf("%s finds %v, %v; want record %d", name, found, err, i)
			}
			if r.Problem == "" {
				if _, err := r.In(r.Unit()); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	})
}
