package dlt645

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/collectors/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type vector struct {
	Protocol, Frame string
	Valid           bool
	DecodesTo       string `json:"decodes_to"`
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// describe says what a published frame means to this package: meter, control code, and for data its
// identifier and value.
func describe(edition Edition, b []byte) string {
	f, err := Decode(b)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%s %02X", f.Meter, f.Control)
	if f.Control&refused != 0 && f.Control&fromMeter != 0 {
		return text + " " + edition.refusal(f.Data[0])
	}
	n := edition.idBytes()
	if f.Control&function != edition.readFunction() || len(f.Data) < n {
		return fmt.Sprintf("%s [%X]", text, f.Data)
	}
	id := idFrom(f.Data[:n])
	text += " " + id.String()
	if f.Control&fromMeter == 0 {
		return text
	}
	format, ok := known(id)
	if !ok {
		return text + " unknown"
	}
	value, err := format.Value(f.Data[n:])
	if err != nil {
		return text + " " + err.Error()
	}
	return text + " = " + value.String()
}

func TestPublishedFrames(t *testing.T) {
	want := []string{ // in the order of the file
		`000000000161 11 00010000`,
		`000000000161 91 02040000 = 0.4331`,
		`000000000161 91 02050000 = 0.5006`,
		`000000000161 91 02060000 = 0.501`,
		`123456789012 91 00010000 = 1234.56`,
		`123456789012 91 02010100 = 230.5`,
		`181226034194 93 [944103261218]`,
		`002241020208 91 04000402 = "002241020208"`,
		`100023669245 91 02010100 = 223.3`,
		`910004920760 91 00000000 = 7502.64`,
		`223002000066 9C []`,
		`910004920760 D1 the meter refused: password wrong or not authorised (error byte 04)`,
		`111111111111 D1 the meter refused: no such data (error byte 02)`,
		`111111111111 91 04000404 = "220V"`,
		`910004360618 91 00010000 the meter sent 00 0E 00 00, which is not decimal as XXXXXX.XX demands`,
		`the frame is damaged: its checksum is 19 and should be 24`,
		`138000130754 01 9010`,
		`138000130754 81 9010 = 0.01`,
		`123456789012 81 9010 = 100`,
		`AAAAAAAAAAAA 01 C032`,
		`000003430163 01 9010`,
	}
	all := vectors(t)
	if len(all) != len(want) {
		t.Fatalf("%d published frames, %d expectations", len(all), len(want))
	}
	for i, v := range all {
		edition := Edition2007
		if v.Protocol == "dlt645-1997" {
			edition = Edition1997
		}
		b := unhex(t, v.Frame)
		if got := describe(edition, b); got != want[i] {
			t.Errorf("%s (%s)\n got %s\nwant %s", v.Frame, v.DecodesTo, got, want[i])
		}
		f, err := Decode(b)
		if (err == nil) != v.Valid {
			t.Errorf("%s: accepted %v, want %v: %v", v.Frame, err == nil, v.Valid, err)
		}
		if again := f.Append(nil); v.Valid && !bytes.Equal(again, bytes.TrimLeft(b, "\xfe")) {
			t.Errorf("%s is encoded as % X", v.Frame, again)
		}
	}
}

func TestDecodeRefusesWhatIsNotOneFrame(t *testing.T) {
	good := "68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"
	for _, c := range []struct{ frame, want string }{
		{"", "no frame"},
		{"FE FE", "no frame"},
		{"61 01", "no frame"},
		{good[:14], "cut short: 5 bytes"},
		{good[:38], "cut short: 13 of 16 bytes"},
		{strings.Replace(good, "00 68 11", "00 69 11", 1), "no frame"},
		{strings.Replace(good, "61 01", "6B 01", 1), "no frame"}, // not a decimal meter number
		{strings.Replace(good, "14 16", "15 16", 1), "checksum is 15 and should be 14"},
		{strings.Replace(good, "14 16", "14 17", 1), "ends in 17"},
		{good + " 00", "1 bytes follow"},
		{good + " " + good, "16 bytes follow"},
	} {
		if _, err := Decode(unhex(t, c.frame)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.frame, err, c.want)
		}
	}
}

func TestLocateResynchronises(t *testing.T) {
	good := unhex(t, "68 61 01 00 00 00 00 68 91 06 33 33 39 35 34 38 09 16")
	for _, noise := range []string{
		"", "FE", "FE FE FE FE FE FE FE FE FE", "00 FF", "68", "68 68 68", "16",
		"68 61 01 00 00 00 00 68",                               // a frame that broke off
		"68 61 01 00 00 00 00 68 91 FF 33",                      // one that announces more than comes
		"68 61 01 00 00 00 00 68 91 06 33 33 39 35 34 38 0A 16", // a damaged one
	} {
		b := append(unhex(t, noise), good...)
		f, n, ok := Locate(append(b, 0x68, 0x00))
		if !ok || n != len(b) || f.Control != 0x91 || f.Meter.String() != "000000000161" {
			t.Errorf("after %q: got %+v, %d of %d bytes, %v", noise, f, n, len(b), ok)
		}
	}
	if _, _, ok := Locate(good[:len(good)-1]); ok {
		t.Error("a frame was found before its end")
	}
}

func TestDiagnoseNamesTheClosestCandidate(t *testing.T) {
	for _, c := range []struct{ heard, want string }{
		{"00 01 02", "3 bytes of noise, no frame"},
		{"00 68 61 01", "the frame is cut short: 3 bytes"},
		{"68 61 01 00 00 00 00 68 91 06 33", "the frame is cut short: 11 of 18 bytes"},
		{"68 68 61 01 00 00 00 00 68 91 00 BA 16", "the frame is damaged: its checksum is BA and should be C3"},
	} {
		if got := shape.Diagnose(unhex(t, c.heard)).Error(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.heard, got, c.want)
		}
	}
}

func TestRefusalsAreInWords(t *testing.T) {
	for _, c := range []struct {
		edition Edition
		code    byte
		want    string
	}{
		{Edition2007, 0x02, "the meter refused: no such data (error byte 02)"},
		{Edition2007, 0x05, "the meter refused: other error, password wrong or not authorised (error byte 05)"},
		{Edition2007, 0x00, "the meter refused: no reason given (error byte 00)"},
		{Edition1997, 0x02, "the meter refused: no such identifier (error byte 02)"},
	} {
		if got := c.edition.refusal(c.code); got != c.want {
			t.Errorf("%02X: got %q, want %q", c.code, got, c.want)
		}
	}
}

func TestDissect(t *testing.T) {
	for _, c := range []struct{ frame, want string }{
		{"FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16", "read 00010000 from 000000000161"},
		{"68 12 90 78 56 34 12 68 91 08 33 33 34 33 89 67 45 33 54 16", "123456789012 answers 00010000 = 1234.56"},
		{"68 60 07 92 04 00 91 68 D1 01 37 67 16", "910004920760: the meter refused: password wrong or not authorised (error byte 04)"},
		{"68 94 41 03 26 12 18 68 93 06 C7 74 36 59 45 4B EB 16", "181226034194 answers read the address"},
		{"68 66 00 00 02 30 22 68 9C 00 26 16", "223002000066 answers function 1C"},
		{"68 54 07 13 00 80 13 68 01 02 43 C3 DA 16", "read 9010 from 138000130754"},
		{"68 54 07 13 00 80 13 68 81 06 43 C3 34 33 33 33 2B 16", "138000130754 answers 9010 = 0.01"},
		{"00 01", ""},
	} {
		got, ok := Dissect(bus.In, unhex(t, c.frame))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.frame, got, ok, c.want)
		}
	}
	meter := MeterNumber{0, 0, 0, 0, 1, 0x61}
	write := Frame{Meter: meter, Control: 0x14, Data: []byte{1, 0, 0, 0x0F, 2, 0x56, 0x34, 0x12, 0, 0, 0, 0, 5}}.Append(nil)
	if got, _ := Dissect(bus.Out, write); got != "write 0F000001 from 000000000161" {
		t.Errorf("got %q", got)
	}
	if got, _ := Dissect(bus.Out, Frame{Control: 0x08, Data: make([]byte, 6)}.Append(nil)); got != "the time for all meters" {
		t.Errorf("got %q", got)
	}
}

func TestBlocksHoldTheirMembers(t *testing.T) {
	for _, c := range []struct {
		id, block string
		index     int
	}{
		{"02010100", "0201FF00", 0}, {"02010300", "0201FF00", 2}, {"02030000", "0203FF00", 0}, {"02030300", "0203FF00", 3}, {"02060100", "0206FF00", 1},
		{"02070300", "0207FF00", 2}, {"00010000", "0001FF00", 0}, {"00010400", "0001FF00", 4}, {"00000001", "0000FF01", 0},
		{"9010", "901F", 0}, {"9014", "901F", 4}, {"B612", "B61F", 1}, {"B630", "B63F", 0}, {"B633", "B63F", 3},
		{"02800002", "", 0}, {"04000101", "", 0}, {"05060101", "", 0}, {"C010", "", 0}, {"C032", "", 0}, {"clock", "", 0},
	} {
		var id ID
		if err := id.UnmarshalText([]byte(c.id)); err != nil {
			t.Fatal(err)
		}
		block, index, ok := blockOf(id)
		if ok != (c.block != "") || ok && (block.String() != c.block || index != c.index) {
			t.Errorf("%s: got %v, %d, %v; want %s, %d", c.id, block, index, ok, c.block, c.index)
		}
	}
	if got := trimBlock(Edition1997, []byte{1, 2, 0xAA}, 2); len(got) != 2 {
		t.Errorf("got % X", got)
	}
	if got := trimBlock(Edition2007, []byte{1, 2, 0xAA}, 2); len(got) != 3 {
		t.Errorf("got % X", got)
	}
}

func FuzzFrame(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Frame))
	}
	f.Add([]byte{0x68, 0, 0, 0, 0, 0, 0, 0x68, 0x91, 0xFF})
	f.Fuzz(func(t *testing.T, in []byte) {
		if frame, err := Decode(in); err == nil {
			wire := frame.Append(nil)
			if !bytes.HasSuffix(in, wire) {
				t.Errorf("% X does not survive a round trip: % X", in, wire)
			}
		}
		_, _ = Dissect(bus.In, in)
		frame, n, ok := Locate(in)
		if !ok {
			if shape.Diagnose(in) == nil {
				t.Errorf("% X: no frame and no reason", in)
			}
			return
		}
		wire := frame.Append(nil)
		if n > len(in) || !bytes.HasSuffix(in[:n], wire) {
			t.Errorf("found % X in % X up to %d, where it is not", wire, in, n)
		}
		// A listener must survive whatever is on the line, whatever it waits for.
		l := listener{question: question{meter: frame.Meter, function: frame.Control & function, id: ID{bytes: 4}, sequence: frame.Control & 1}}
		if got, ok := l.hear(in); ok && !bytes.Contains(in, got) {
			t.Errorf("heard % X in % X", got, in)
		}
		_ = l.why(in)
	})
}
