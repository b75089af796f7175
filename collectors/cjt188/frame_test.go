package cjt188

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
	Frame     string
	Valid     bool
	DecodesTo string `json:"decodes_to"`
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

// describe says what a published frame means to this package.
func describe(b []byte) string {
	f, err := Decode(b)
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("%02X %s %02X", f.Type, f.Meter, f.Control)
	if f.Control != readData|fromMeter {
		return fmt.Sprintf("%s [%X]", text, f.Data)
	}
	k := class(f.Type)
	data := f.Data[3:]
	where, err := place(k.layout, data, placeUnknown)
	if err != nil {
		return err.Error()
	}
	for i, s := range k.layout {
		from := k.offset(i)
		value, err := s.value(data[from:from+s.bytes], where, s.decimals, natural[s.quantity], part{})
		if err != nil {
			text += fmt.Sprintf(", %s: %v", s.item, err)
			continue
		}
		text += fmt.Sprintf(", %s=%s", s.item, value)
	}
	return text
}

func TestPublishedFrames(t *testing.T) {
	want := []string{ // in the order of the file
		`10 00201510270588 81, volume=0, settlement_volume=0, clock="2017-01-09T17:20:06", status=0`,
		`10 AAAAAAAAAAAAAA 01 [901F01]`,
		`10 11223344556677 01 [901F01]`,
		`20 AAAAAAAAAAAAAA 03 [810A01]`,
		`20 42590008210438 81, settlement_heat=5328.19, heat=5328.19, power=0, flow=0, volume=1833.42, supply_temperature=19.03, return_temperature=19.1, hours=2761, clock="2015-03-31T23:57:26", status=259`,
		`10 78330011223344 01 [1F9000]`,
		`the frame is damaged: its checksum is 08 and should be `,
		`AA AAAAAAAAAAAAAA 03 [810A00]`,
		`10 00002020120218 83 [810A00]`,
		`10 00002020120218 81, volume=2, settlement_volume=2, clock: the meter sent 00 00 00 00 00 00 00, which is no date and time, status=65280`,
		`10 78331505900569 04 [A0170155]`,
	}
	all := vectors(t)
	if len(all) != len(want) {
		t.Fatalf("%d published frames, %d expectations", len(all), len(want))
	}
	for i, v := range all {
		b := unhex(t, v.Frame)
		if got := describe(b); got != want[i] && (v.Valid || !strings.HasPrefix(got, want[i])) {
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
	good := "68 10 77 66 55 44 33 22 11 01 03 90 1F 01 08 16"
	for _, c := range []struct{ frame, want string }{
		{"", "no frame"},
		{"FE FE", "no frame"},
		{"10 77", "no frame"},
		{"68 50 77", "no frame"}, // no type of meter
		{good[:14], "cut short: 5 bytes"},
		{good[:38], "cut short: 13 of 16 bytes"},
		{strings.Replace(good, "08 16", "09 16", 1), "checksum is 09 and should be 08"},
		{strings.Replace(good, "08 16", "08 17", 1), "ends in 17"},
		{good + " 00", "1 bytes follow"},
	} {
		if _, err := Decode(unhex(t, c.frame)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.frame, err, c.want)
		}
	}
}

func TestLocateResynchronises(t *testing.T) {
	good := unhex(t, "68 10 18 02 12 20 20 00 00 83 03 81 0A 00 F5 16")
	for _, noise := range []string{
		"", "FE", "FE FE FE FE FE FE FE", "00 FF", "68", "68 68 68", "68 10", "16",
		"68 10 18 02 12 20 20 00 00 83 FF 81",          // one that announces more than comes
		"68 10 18 02 12 20 20 00 00 83 03 81 0A 00 F6", // a damaged one that broke off
	} {
		b := append(unhex(t, noise), good...)
		f, n, ok := Locate(append(b, 0x68, 0x00))
		if !ok || n != len(b) || f.Control != 0x83 || f.Meter.String() != "00002020120218" {
			t.Errorf("after %q: got %+v, %d of %d bytes, %v", noise, f, n, len(b), ok)
		}
	}
	if _, _, ok := Locate(good[:len(good)-1]); ok {
		t.Error("a frame was found before its end")
	}
	if got := shape.Diagnose(good[:10]).Error(); got != "the frame is cut short: 10 bytes" {
		t.Errorf("got %q", got)
	}
	if got := shape.Diagnose([]byte{1, 2}).Error(); got != "2 bytes of noise, no frame" {
		t.Errorf("got %q", got)
	}
}

func TestDissect(t *testing.T) {
	for _, c := range []struct{ frame, want string }{
		{"FE FE FE 68 10 77 66 55 44 33 22 11 01 03 90 1F 01 08 16", "read 901F of cold-water meter 11223344556677"},
		{"68 AA AA AA AA AA AA AA AA 03 03 81 0A 00 49 16", "read address 810A of meter AAAAAAAAAAAAAA"},
		{"68 10 18 02 12 20 20 00 00 83 03 81 0A 00 F5 16", "here is cold-water meter 00002020120218"},
		{"68 10 69 05 90 05 15 33 78 04 04 A0 17 01 55 50 16", "write A017 of cold-water meter 78331505900569: 55"},
		{"00 01 02", ""},
	} {
		got, ok := Dissect(bus.In, unhex(t, c.frame))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.frame, got, ok, c.want)
		}
	}
	refusal := Frame{Type: 0x20, Meter: MeterNumber{1, 2, 3, 4, 5, 6, 7}, Control: 0xC1, Data: []byte{1, 0, 4}}.Append(nil)
	if got, _ := Dissect(bus.In, refusal); got != "heat meter 01020304050607 refuses to read: 01 00 04" {
		t.Errorf("got %q", got)
	}
}

func FuzzFrame(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Frame))
	}
	f.Add([]byte{0x68, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x81, 0xFF})
	f.Fuzz(func(t *testing.T, in []byte) {
		if frame, err := Decode(in); err == nil {
			if wire := frame.Append(nil); !bytes.HasSuffix(in, wire) {
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
		l := listener{question: question{kind: frame.Type, meter: frame.Meter, function: frame.Control & function, id: currentData}}
		if got, ok := l.hear(in); ok && !bytes.Contains(in, got) {
			t.Errorf("heard % X in % X", got, in)
		}
		_ = l.why(in)
	})
}
