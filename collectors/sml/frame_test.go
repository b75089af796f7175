package sml

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

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
	Source    string
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

// describe gives the values that have a unit, as the vectors say them.
func describe(t Telegram) map[string]string {
	all := map[string]string{}
	for _, e := range t.Entries {
		v, unit, err := e.Value("")
		if err != nil {
			all[e.Code.String()] = err.Error()
			continue
		}
		all[e.Code.String()] = strings.TrimSpace(v.String() + " " + unit)
	}
	return all
}

func TestPublishedTelegrams(t *testing.T) {
	wants := []map[string]string{ // in the order of the file
		{"1-0:1.8.0*255": "5430157.7 Wh", "1-0:2.8.0*255": "26244572.6 Wh", "1-0:16.7.0*255": "-299.12 W"},
		{"1-0:1.8.0*255": "13232.9 Wh", "1-0:2.8.0*255": "1500321.3 Wh", "1-0:16.7.0*255": "-105.5 W"},
		{"1-0:1.8.0*255": "17243368.3 Wh", "1-0:15.7.0*255": "137.1 W", "129-129:199.130.3*255": `"EMH"`},
		{"1-0:1.8.1*255": "0 Wh", "1-0:1.8.2*255": "177360.1 Wh", "1-0:2.8.0*255": "314926 Wh", "1-0:16.7.0*255": "460 W",
			"1-0:32.7.0*255": "232.3 V", "1-0:52.7.0*255": "232.5 V", "1-0:72.7.0*255": "232.5 V",
			"1-0:31.7.0*255": "1.06 A", "1-0:51.7.0*255": "1.74 A", "1-0:71.7.0*255": "0.91 A", "1-0:14.7.0*255": "50 Hz",
			"1-0:81.7.1*255": "120 °", "1-0:0.2.0*0": `"1.02.007"`, "1-0:96.1.0*255": `"0A01484C59020003A910"`},
	}
	all := vectors(t)
	if len(all) != len(wants) {
		t.Fatalf("%d published telegrams, want %d", len(all), len(wants))
	}
	for i, v := range all {
		telegram, used, err := DecodeTelegram(unhex(t, v.Frame), Checks{})
		if err != nil || used != (Checks{X25, X25}) || !v.Valid {
			t.Errorf("%s: %v, checksums %v", v.Source, err, used)
			continue
		}
		got := describe(telegram)
		for code, want := range wants[i] {
			if got[code] != want {
				t.Errorf("%s: %s is %q, want %q", v.Source, code, got[code], want)
			}
		}
	}
}

// The first of them is a meter whose positive power is sent as negative; the second is a newer one,
// which really delivers.
func TestOldDZGMetersAreMended(t *testing.T) {
	for i, want := range []string{"356.24", "-105.5"} {
		telegram, _, err := DecodeTelegram(unhex(t, vectors(t)[i].Frame), Checks{})
		if err != nil {
			t.Fatal(err)
		}
		p := point{code: Code{obis: powerCode, known: true}}
		if got := p.take(telegram, hasDZGQuirk(telegram.Server)); got.Value.String() != want || got.Error != "" {
			t.Errorf("meter %s: got %v %s, want %s", telegram.ServerID(), got.Value, got.Error, want)
		}
	}
}

func TestChecksums(t *testing.T) {
	b := []byte("123456789") // the check values of CRC-16/X-25, here low byte first, and CRC-16/KERMIT
	if got := X25.of(b); got != 0x6E90 {
		t.Errorf("X-25: got %04X", got)
	}
	if got := Kermit.of(b); got != 0x2189 {
		t.Errorf("Kermit: got %04X", got)
	}
	for _, c := range []struct {
		allowed Check
		sent    uint16
		want    Check
		ok      bool
	}{
		{Unknown, 0x6E90, X25, true}, {Unknown, 0x2189, Kermit, true}, {X25, 0x6E90, X25, true}, {Kermit, 0x2189, Kermit, true},
		{X25, 0x2189, Unknown, false}, {Kermit, 0x6E90, Unknown, false}, {Unknown, 0x906E, Unknown, false},
	} {
		if got, ok := c.allowed.matches(b, c.sent); got != c.want || ok != c.ok {
			t.Errorf("%v allows %04X: got %v, %v", c.allowed, c.sent, got, ok)
		}
	}
}

func TestEscapesSurvive(t *testing.T) {
	one := byte(0x1B)
	for n := range 20 {
		for before := range 5 {
			content := append(bytes.Repeat([]byte{7}, before), bytes.Repeat([]byte{one}, n)...)
			frame := appendFrame(nil, content)
			got, used, err := DecodeFrame(frame, X25)
			if err != nil || used != X25 || !bytes.Equal(got, content) {
				t.Errorf("% X came back as % X, %v, %v", content, got, used, err)
			}
			if content, _, n, err := nextFrame(append([]byte{one, one}, frame...), X25); err != nil || n != len(frame)+2 || !bytes.Equal(content, got) {
				t.Errorf("% X behind noise: got % X, %d bytes, %v", frame, content, n, err)
			}
		}
	}
}

func TestTelegramsArePickedOutOfWhatIsHeard(t *testing.T) {
	all := vectors(t)
	one, two := unhex(t, all[1].Frame), unhex(t, all[2].Frame)
	first, second := "0A01445A4700039E2053", "06454D4801027156CD45"
	bad := bytes.Clone(one)
	bad[60] ^= 1
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name  string
		heard []byte
		want  string // the meter; empty: no telegram
		why   string
	}{
		{"one", one, first, ""},
		{"the end of one before", join(one[100:], two), second, ""},
		{"the newest of two", join(one, two), second, ""},
		{"a good one and the start of the next", join(one, two[:50]), first, ""},
		{"a damaged one behind a good one", join(two, bad), second, ""},
		{"one behind one that broke off", join(one[:100], two), second, ""},
		{"one behind a wrong escape", join(begin, escape, []byte{5, 5, 5, 5}, two), second, ""},
		{"damaged", bad, "", "the telegram is damaged: its checksum is 0DE3 and should be "},
		{"cut short", one[:len(one)-1], "", ""},
		{"a byte is missing", join(one[:70], one[71:]), "", "the telegram is damaged: bytes got lost from it"},
		{"noise", []byte{0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1}, "", ""},
	} {
		l := &listener{}
		frame, ok := l.hear(c.heard)
		if ok != (c.want != "") || ok && (l.telegram.ServerID() != c.want || !bytes.Contains(c.heard, frame)) {
			t.Errorf("%s: got %v, meter %s, %v", c.name, ok, l.telegram.ServerID(), l.problem)
		}
		if c.why != "" && (l.problem == nil || !strings.HasPrefix(l.problem.Error(), c.why)) {
			t.Errorf("%s: got the reason %v, want %q", c.name, l.problem, c.why)
		}
		// The same in pieces.
		l = &listener{}
		complete := false
		for n := range c.heard {
			if _, complete = l.hear(c.heard[:n+1]); complete {
				break
			}
		}
		if complete != (c.want != "") {
			t.Errorf("%s in pieces: got %v, %v", c.name, complete, l.problem)
		}
	}
}

func TestAnotherMetersTelegramIsPassedOver(t *testing.T) {
	all := vectors(t)
	l := &listener{server: string(unhex(t, "06454D4801027156CD45"))}
	if _, ok := l.hear(unhex(t, all[1].Frame)); ok || l.problem == nil || l.problem.Error() != "meter 0A01445A4700039E2053 was heard instead of 06454D4801027156CD45" {
		t.Errorf("got %v, %v", ok, l.problem)
	}
	l.dealt = 0
	if _, ok := l.hear(unhex(t, all[2].Frame)); !ok {
		t.Errorf("its own was not taken: %v", l.problem)
	}
}

func TestLearnedChecksumsAreKept(t *testing.T) {
	content, _, err := DecodeFrame(unhex(t, vectors(t)[1].Frame), X25)
	if err != nil {
		t.Fatal(err)
	}
	frame := appendFrame(nil, content)
	sum := Kermit.of(frame[:len(frame)-2])
	frame[len(frame)-2], frame[len(frame)-1] = byte(sum>>8), byte(sum)
	for _, c := range []struct {
		allowed Check
		ok      bool
	}{{Unknown, true}, {Kermit, true}, {X25, false}} {
		_, used, err := DecodeFrame(frame, c.allowed)
		if (err == nil) != c.ok || c.ok && used != Kermit || !c.ok && !errors.Is(err, errDamaged) {
			t.Errorf("%v allowed: got %v, %v", c.allowed, used, err)
		}
	}
	l := &link{checks: Checks{X25, X25}}
	for range maxStrikes {
		if l.checks != (Checks{X25, X25}) {
			t.Error("the checksums were forgotten too early")
		}
		l.strike(fmt.Errorf("no valid telegram: %w", errDamaged))
	}
	if l.checks != (Checks{}) {
		t.Error("the checksums were not forgotten: another meter would never be read")
	}
}

func TestRequestsAreTelegrams(t *testing.T) {
	b := request([]byte{1, 2, 3, 4}, clientID, unhex(t, "0A01484C59020003A910"), nil)
	content, _, err := DecodeFrame(b, X25)
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{b: content, left: maxElements}
	var tags []uint64
	for len(d.b) > 0 {
		m, _, err := d.envelope(X25)
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, m.tag)
	}
	if !reflect.DeepEqual(tags, []uint64{openRequest, listRequest, closeRequest}) {
		t.Errorf("got messages %X", tags)
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		wire, want string
	}{
		{"01", "octets []"},
		{"04505152", "octets [505152]"},
		{"4201", "bool 01"},
		{"52FF", "int -1"},
		{"538B28", "int -29912"},
		{"54FF8B28", "int -29912"},
		{"5900000000000000FF", "int 255"},
		{"598000000000000000", "int -9223372036854775808"},
		{"6205", "uint 5"},
		{"640204E9", "uint 132329"},
		{"69FFFFFFFFFFFFFFFF", "uint 18446744073709551615"},
		{"72 6201 01", "list 2"},
		{"70", "list 0"},
		{"8012" + strings.Repeat("41", 16), "damaged"},
		{"8102" + strings.Repeat("41", 16), "octets [" + strings.Repeat("41", 16) + "]"},
		{"00", "damaged"}, {"", "damaged"}, {"02", "damaged"}, {"51", "damaged"}, {"61", "damaged"}, {"41", "damaged"},
		{"6A000000000000000000", "damaged"}, {"430101", "damaged"}, {"73 6201", "damaged"}, {"82", "damaged"}, {"8141", "damaged"},
		{"F0808080" + "00", "damaged"}, {strings.Repeat("71", 12) + "01", "damaged"}, {"FF8F8F0F", "damaged"},
	} {
		d := decoder{b: unhex(t, c.wire), left: 100}
		e, err := d.element(0)
		got := "damaged"
		n, isInt := e.int()
		u, isUint := e.uint()
		switch {
		case err != nil && !errors.Is(err, errDamaged):
			got = err.Error()
		case err != nil:
		case len(d.b) > 0:
			got = fmt.Sprintf("% X left", d.b)
		case isInt:
			got = fmt.Sprintf("int %d", n)
		case isUint:
			got = fmt.Sprintf("uint %d", u)
		case e.kind == octets:
			got = fmt.Sprintf("octets [%X]", e.bytes)
			if len(e.bytes) == 0 {
				got = "octets []"
			}
		case e.kind == boolean:
			got = fmt.Sprintf("bool %X", e.bytes)
		case e.kind == list:
			got = fmt.Sprintf("list %d", len(e.items))
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.wire, got, c.want)
		}
	}
	d := decoder{b: bytes.Repeat([]byte{0x71}, 5), left: 3}
	if _, err := d.element(0); !errors.Is(err, errDamaged) {
		t.Errorf("more elements than allowed: got %v", err)
	}
}

func FuzzElement(f *testing.F) {
	for _, seed := range []string{"01", "7762016500", "538B28", "F10501", "8302", "726201 01"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := decoder{b: in, left: maxElements}
		e, err := d.element(0)
		if err != nil {
			return
		}
		wire := e.append(nil)
		again := decoder{b: wire, left: maxElements}
		if e2, err := again.element(0); err != nil || len(again.b) > 0 || !bytes.Equal(e2.append(nil), wire) || len(wire) > len(in) {
			t.Errorf("% X became % X: %v", in, wire, err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Frame))
	}
	f.Add(appendFrame(nil, bytes.Repeat([]byte{0x1B}, 9)))
	f.Add(request([]byte{1}, clientID, nil, nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		content, used, err := DecodeFrame(in, Unknown)
		if err == nil {
			again, _, err := DecodeFrame(appendFrame(nil, content), X25)
			if err != nil || !bytes.Equal(again, content) || used == Unknown {
				t.Errorf("% X came back as % X, %v", content, again, err)
			}
		}
		// Whatever is on the line, a listener neither panics nor takes what is not there.
		l := &listener{}
		if frame, ok := l.hear(in); ok && !bytes.Contains(in, frame) {
			t.Errorf("took % X out of % X", frame, in)
		}
		_, _ = Dissect(true, in)
		_, _ = Dissect(false, in)
	})
}

// FuzzList goes past the checksums, which keep FuzzFrame out of most of the decoder: what a message
// holds is damaged, and the message and the telegram around it are right.
func FuzzList(f *testing.F) {
	for _, v := range vectors(f) {
		content, _, err := DecodeFrame(unhex(f, v.Frame), X25)
		if err != nil {
			f.Fatal(err)
		}
		d := decoder{b: content, left: maxElements}
		for len(d.b) > 0 {
			m, _, err := d.envelope(X25)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(m.body.append(nil))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := decoder{b: in, left: maxElements / 2}
		body, err := d.element(3)
		if err != nil {
			return
		}
		var want Telegram
		wantErr := want.add(body)
		b := appendFrame(nil, appendMessage(nil, octetsOf([]byte{1}), listResponse, body))
		got, used, err := DecodeTelegram(b, Checks{X25, X25})
		if (err == nil) != (wantErr == nil) || err == nil && (used != Checks{X25, X25} || !reflect.DeepEqual(got, want)) {
			t.Fatalf("% X: got %+v, %v; want %+v, %v", in, got, err, want, wantErr)
		}
		for _, e := range got.Entries {
			for _, unit := range []string{"", "kWh"} {
				if v, _, err := e.Value(unit); err == nil && (v.Absent() || !v.Finite()) {
					t.Errorf("%s became %v", e.Code, v)
				}
			}
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(unhex(f, "77070100100700ff017262016200621b52fe538b2801"))
	f.Add(unhex(f, "77070100010802ff65001c01046500148e03621e52ff651b10210001"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d := decoder{b: in, left: maxElements}
		item, err := d.element(0)
		if err != nil {
			return
		}
		e, err := decodeEntry(item)
		if err != nil {
			return
		}
		if v, _, err := unsignedPower(e).Value("Wh"); err == nil && (v.Absent() || !v.Finite()) {
			t.Errorf("%s became %v", e.Code, v)
		}
	})
}
