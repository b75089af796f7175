package mbus

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

type vector struct {
	Frame     string `json:"frame"`
	Valid     bool   `json:"valid"`
	DecodesTo string `json:"decodes_to"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// described gives the records of an answer as "selector=value unit".
func described(f Frame) string {
	t, err := DecodeTelegram(f.Info, f.Data)
	if err != nil {
		return err.Error()
	}
	all := []string{t.Header.Identity.String()}
	for i, name := range Names(t.Records) {
		r := &t.Records[i]
		if r.Problem != "" {
			all = append(all, name+": "+r.Problem)
			continue
		}
		all = append(all, strings.TrimSpace(name+"="+r.Value.String()+" "+r.Unit()))
	}
	return strings.Join(all, "; ")
}

func TestPublishedFrames(t *testing.T) {
	want := []string{
		`11490378.ACW.14.22; fabrication_number="11490378"; volume=54.321 m3; date[storage=1]: the meter has no value for this now; volume[storage=1]=0 m3; datetime="2014-03-13T11:11:00"; operating_time=0 s; firmware_version="02"; software_version="06"; manufacturer_data="00017513"`,
		`00182007.GWF.53.7; fabrication_number="00182007"; volume=269 m3`,
		`54000834.ELV.50.0; digital_input=0; "%RH"=45.64; "%RH".min=45.52; "%RH".max=58.12; external_temperature=22.56 °C; external_temperature.min=21.6 °C; external_temperature.max=23.39 °C; averaging_duration=86400 s; external_temperature[storage=1]=22.76 °C; external_temperature[storage=2]=22.69 °C; fabrication_number="54000834"; software_version=262144; manufacturer_data=""`,
		`0500023E.SBC.18.2; energy[tariff=1]=12.52 kWh; energy[storage=2,tariff=1]=12.52 kWh; energy[tariff=2]=17744.33 kWh; energy[storage=2,tariff=2]=17744.33 kWh; ` +
			`voltage[maker=01]=237 V; current[maker=01]=3.2 A; power[maker=01]=0.79 kW; power[maker=01,subunit=1]=-0.18 kW; ` +
			`voltage[maker=02]=231 V; current[maker=02]=3.5 A; power[maker=02]=0.81 kW; power[maker=02,subunit=1]=-0.15 kW; ` +
			`voltage[maker=03]=228 V; current[maker=03]=6.9 A; power[maker=03]=1.6 kW; power[maker=03,subunit=1]=-0.32 kW; ` +
			`manufacturer[maker=68]=0; power[maker=00]=3.2 kW; power[maker=00,subunit=1]=-0.65 kW; manufacturer[maker=13]=4`,
		"the meter refused: it is busy, ask again later (application error 8)",
		"no frame starts here",
	}
	all := vectors(t)
	if len(all) != len(want) {
		t.Fatalf("%d published frames, %d expectations", len(all), len(want))
	}
	for i, v := range all {
		b := unhex(t, v.Frame)
		f, err := Decode(b)
		if (err == nil) != v.Valid {
			t.Errorf("%s: accepted %v, want %v: %v", v.Frame, err == nil, v.Valid, err)
		}
		got := described(f)
		if err != nil {
			got = err.Error()
		}
		if got != want[i] {
			t.Errorf("%s (%s)\n got %s\nwant %s", v.Frame, v.DecodesTo, got, want[i])
		}
		if again := f.Append(nil); v.Valid && !bytes.Equal(again, b) {
			t.Errorf("%s is encoded as % X", v.Frame, again)
		}
	}
}

func TestRequestsAreThoseOfTheStandard(t *testing.T) {
	everybody := everyone()
	for _, c := range []struct {
		frame Frame
		want  string
	}{
		{short(sndNKE, 1), "10 40 01 41 16"},
		{short(reqUD2, 1), "10 5B 01 5C 16"},
		{short(reqUD2|fcbBit, 0xFD), "10 7B FD 78 16"},
		{long(sndUD, addressNetwork, ciSelect, everybody.wire()...), "68 0B 0B 68 53 FD 52 FF FF FF FF FF FF FF FF 9A 16"},
		{long(sndUD, 0xFE, ciReset, 0x10), "68 04 04 68 53 FE 50 10 B1 16"},
		{long(sndUD, 0xFE, ciSendData, 0x01, 0x7A, 0x08), "68 06 06 68 53 FE 51 01 7A 08 25 16"},
		{Frame{Kind: Ack}, "E5"},
	} {
		if got := c.frame.Append(nil); !bytes.Equal(got, unhex(t, c.want)) {
			t.Errorf("got % X, want %s", got, c.want)
		}
	}
}

func TestDecodeRefusesWhatIsNotOneFrame(t *testing.T) {
	good := "68 04 04 68 08 01 70 08 81 16"
	for _, c := range []struct{ frame, want string }{
		{"", "no frame"},
		{"16", "no frame"},
		{"68", "cut short: 1 bytes"},
		{good[:17], "cut short: 6 of 10 bytes"},
		{"68 04 05 68 08 01 70 08 81 16", "no frame"},
		{"68 04 04 69 08 01 70 08 81 16", "no frame"},
		{"68 02 02 68 08 01 09 16", "no frame"},
		{strings.Replace(good, "81 16", "82 16", 1), "checksum is 82 and should be 81"},
		{strings.Replace(good, "81 16", "81 17", 1), "ends in 17"},
		{good + " 00", "1 bytes follow"},
		{"10 40 01", "cut short: 3 of 5"},
		{"10 40 01 42 16", "checksum is 42 and should be 41"},
		{"E5 E5", "1 bytes follow"},
	} {
		if _, err := Decode(unhex(t, c.frame)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.frame, err, c.want)
		}
	}
}

func TestFindResynchronises(t *testing.T) {
	good := unhex(t, "68 04 04 68 08 01 70 08 81 16")
	for _, noise := range []string{
		"", "00 FF", "68", "68 68 68", "16", "E5", "10", "10 40 01",
		"68 04 04 68 08 01",             // a frame that broke off
		"68 FF FF 68 08 01",             // one that announces more than comes
		"68 04 04 68 08 01 70 08 80 16", // a damaged one
	} {
		b := append(unhex(t, noise), good...)
		f, n, ok := find(append(b, 0x68, 0x00))
		if !ok || n != len(b) || f.Control != 0x08 || f.Info != ciError {
			t.Errorf("after %q: got %+v, %d of %d bytes, %v", noise, f, n, len(b), ok)
		}
	}
	if _, _, ok := find(good[:len(good)-1]); ok {
		t.Error("a frame was found before its end")
	}
}

func TestAnAcknowledgementInsideAFrameIsNone(t *testing.T) {
	for _, c := range []struct {
		heard string
		want  int // 0: none
	}{
		{"E5", 1},
		{"10 40 01 41 16 E5", 6},
		{"00 E5", 2},
		{"E5 E5", 1},
		{"68 04 04 68 08 01 70 E5", 0},       // more is to come
		{"68 04 04 68 08 E5 70 08 65 16", 0}, // it is part of the frame
		{"68 0B 0B 68 53 FD 52 E5 FF FF FF FF FF FF FF", 0}, // our own request, not all of it yet
		{"", 0},
		{"10 40", 0},
	} {
		n, ok := acknowledged(unhex(t, c.heard))
		if n != c.want || ok != (c.want > 0) {
			t.Errorf("%s: got %d, %v; want %d", c.heard, n, ok, c.want)
		}
	}
}

func TestDiagnoseNamesTheClosestCandidate(t *testing.T) {
	for _, c := range []struct{ heard, want string }{
		{"00 01 02", "3 bytes of noise, no frame"},
		{"00 68 04", "the frame is cut short: 2 bytes"},
		{"68 04 04 68 08", "the frame is cut short: 5 of 10 bytes"},
		{"68 68 04 04 68 08 01 70 08 80 16", "the frame is damaged: its checksum is 80 and should be 81"},
	} {
		if got := diagnose(unhex(t, c.heard)).Error(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.heard, got, c.want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Frame))
	}
	f.Add([]byte{0xE5})
	f.Add([]byte{0x10, 0x5B, 0x01, 0x5C, 0x16})
	f.Fuzz(func(t *testing.T, in []byte) {
		if frame, err := Decode(in); err == nil && !bytes.Equal(frame.Append(nil), in) {
			t.Errorf("% X does not survive a round trip: % X", in, frame.Append(nil))
		}
		if n, ok := acknowledged(in); ok && in[n-1] != ackByte {
			t.Errorf("acknowledged by % X up to %d", in, n)
		}
		Dissect(false, in)
		frame, n, ok := find(in)
		if !ok {
			if diagnose(in) == nil {
				t.Errorf("% X: no frame and no reason", in)
			}
			return
		}
		if n > len(in) || !bytes.HasSuffix(in[:n], frame.Append(nil)) {
			t.Errorf("found % X in % X up to %d, where it is not", frame.Append(nil), in, n)
		}
		// A listener must survive whatever is on the line, whatever it waits for.
		l := &dataListener{meter: Primary(frame.Address)}
		if got, ok := l.hear(in); ok && !bytes.Contains(in, got) {
			t.Errorf("heard % X in % X", got, in)
		}
		_, _ = l.why(in)
		_, _ = ackListener{}.why(in)
	})
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ text, again, wire string }{
		{"0", "0", ""},
		{"250", "250", ""},
		{"11490378", "11490378", "78 03 49 11 FF FF FF FF"},
		{"1149FFFF", "1149FFFF", "FF FF 49 11 FF FF FF FF"},
		{"11490378.ACW", "11490378.ACW", "78 03 49 11 77 04 FF FF"},
		{"11490378.acw.14.22", "11490378.ACW.14.22", "78 03 49 11 77 04 0E 16"},
		{"11490378.*.*.22", "11490378.*.*.22", "78 03 49 11 FF FF FF 16"},
		{"11490378.ACW.1.7", "11490378.ACW.1.7", "78 03 49 11 77 04 01 07"}, // sixteen characters, and not the other form
		{"1149037877040E16", "11490378.ACW.14.22", "78 03 49 11 77 04 0E 16"},
		{"FFFFFFFFFFFFFFFF", "FFFFFFFF", "FF FF FF FF FF FF FF FF"},
	} {
		var a Address
		if err := a.UnmarshalText([]byte(c.text)); err != nil || a.String() != c.again || a.secondary != (c.wire != "") {
			t.Errorf("%s: got %s, %v", c.text, a, err)
			continue
		}
		if a.secondary && !bytes.Equal(a.identity.wire(), unhex(t, c.wire)) {
			t.Errorf("%s: selected by % X, want %s", c.text, a.identity.wire(), c.wire)
		}
	}
	for _, bad := range []string{"", "-1", "251", "1000", "1149037", "114903789", "1149037A", "11490378.AC", "11490378.ACW.256", "11490378.ACW.255", "11490378.ACW.1.2.3", "11490378.A1W", "1149037877040E1", "x", "114903787704zz16"} {
		if err := new(Address).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as an address", bad)
		}
	}
}

func TestWildcardsMatch(t *testing.T) {
	meter, _ := parseIdentity("11490378.ACW.14.22")
	for _, c := range []struct {
		asked string
		want  bool
	}{
		{"11490378", true}, {"FFFFFFFF", true}, {"1149037F", true}, {"F1490378", true}, {"11490379", false}, {"21490378", false},
		{"11490378.ACW", true}, {"11490378.GWF", false}, {"11490378.*.14", true}, {"11490378.*.15", false}, {"11490378.*.*.22", true}, {"11490378.*.*.7", false},
	} {
		asked, ok := parseIdentity(c.asked)
		if got := asked.matches(meter); got != c.want || !ok {
			t.Errorf("%s means %s: got %v", c.asked, meter, got)
		}
	}
}

func TestRefusalsAreErrorsOfTheirOwn(t *testing.T) {
	_, err := DecodeTelegram(ciError, nil)
	if refused, ok := errors.AsType[*refusedError](err); !ok || refused.code != -1 {
		t.Errorf("got %v", err)
	}
	if _, err := DecodeTelegram(ciError, []byte{0x55}); err == nil || !strings.Contains(err.Error(), "does not know (application error 85)") {
		t.Errorf("got %v", err)
	}
}
