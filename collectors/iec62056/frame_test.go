package iec62056

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
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
	Protocol, Frame string
	Valid           bool
	DecodesTo       string `json:"decodes_to"`
	Source          string
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

func TestPublishedFrames(t *testing.T) {
	meanings := map[string]string{ // by what decodes_to begins with
		"sign-on": "", "ACK": "", "NEGATIVE": "",
		"R1": "R1 00:04:00()", "reply": " (0007)", "password": "P0 (1234567)", "W2": "W2 C003(9102409229)", "R2": "R2 128.10.0000()",
	}
	if len(vectors(t)) != 8 {
		t.Errorf("%d published frames, want 8", len(vectors(t)))
	}
	for _, v := range vectors(t) {
		frame := unhex(t, v.Frame)
		kind, _, _ := strings.Cut(strings.Trim(v.DecodesTo, ":"), " ")
		want, known := meanings[strings.Trim(kind, ":")]
		if !known {
			t.Errorf("%s: nobody knows what %q should give", v.Frame, v.DecodesTo)
		}
		switch kind {
		case "sign-on":
			if got := signOn("", 0); !bytes.Equal(got, frame) {
				t.Errorf("sign-on is % X, want % X", got, frame)
			}
			if got := withParity(frame); !bytes.Equal(got, unhex(t, "AF 3F 21 8D 0A")) {
				t.Errorf("sign-on with parity is % X", got)
			}
		case "ACK:":
			code, _ := rateCode(4800)
			if got := acknowledgement(code, '0'); !bytes.Equal(got, frame) {
				t.Errorf("acknowledgement is % X, want % X", got, frame)
			}
		default:
			k, err := DecodeBlock(frame)
			if !v.Valid {
				if err == nil || !strings.Contains(err.Error(), "should be 6E") {
					t.Errorf("%s: got %+v, %v; want a refusal", v.Frame, k, err)
				}
				continue
			}
			if got := fmt.Sprintf("%s %s", k.Command, k.Data); err != nil || got != want {
				t.Errorf("%s: got %q, %v; want %q", v.Frame, got, err, want)
			}
			if again := k.Append(nil); !bytes.Equal(again, frame) {
				t.Errorf("%s became % X", v.Frame, again)
			}
		}
	}
}

func TestChecksum(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0xBB3D { // the check value of CRC-16/ARC
		t.Errorf("got %04X", got)
	}
	if got := breakOff.Append(nil); !bytes.Equal(got, unhex(t, "01 42 30 03 71")) {
		t.Errorf("the break is % X", got)
	}
}

func TestIdentifications(t *testing.T) {
	for _, c := range []struct {
		line, maker, model, mode string
		rate                     int
	}{
		{"/LGZ4ZMD120AC.K750", "LGZ", "ZMD120AC.K750", "c", 4800},
		{`/ISk5\2MT174-0001`, "ISk", `\2MT174-0001`, "c", 9600},
		{"/ABB0", "ABB", "", "c", 300},
		{"/ABB6x", "ABB", "x", "c", 19200},
		{"/ABB7x", "ABB", "x", "a", 0},
		{"/ABBAx", "ABB", "x", "b", 600},
		{"/ABBFx", "ABB", "x", "b", 19200},
		{"/ABBGx", "ABB", "x", "a", 0},
		{"/KAM MC", "KAM", "MC", "a", 0},
	} {
		id, err := DecodeIdentification([]byte(c.line + "\r\n"))
		mode, rate := id.handshake()
		if err != nil || id.Maker != c.maker || id.Model != c.model || mode != c.mode || rate != c.rate || id.String() != c.line {
			t.Errorf("%s: got %+v, mode %s, %d baud, %v", c.line, id, mode, rate, err)
		}
	}
	for _, bad := range []string{"", "/", "/?!", "/AB", "/A1B5x", "ABB5x", "/ABB5x\x00", "/ABB5x!", "/ABB5" + strings.Repeat("x", 64)} {
		if id, err := DecodeIdentification([]byte(bad + "\r\n")); err == nil {
			t.Errorf("%q was accepted as %+v", bad, id)
		}
	}
	if _, err := DecodeIdentification([]byte("/ABB5x\n")); err == nil {
		t.Error("an identification without its line end was accepted")
	}
}

func TestDamagedBlocksAreRefused(t *testing.T) {
	good := Block{Data: []byte("1.8.0(0001.5*kWh)\r\n!\r\n")}.Append(nil)
	for _, c := range []struct {
		frame []byte
		want  string
	}{
		{good[1:], "neither with SOH nor with STX"},
		{good[:len(good)-1], "cut short"},
		{append(bytes.Clone(good), 0), "1 bytes follow"},
		{bytes.Replace(good, []byte("0001.5"), []byte("0001.4"), 1), "block check"},
		{bytes.Replace(good, []byte("0001"), []byte("0002"), 1), "block check"},
		{Block{Data: []byte("1.8.0(\x00\x00)")}.Append(nil), "holds a character 00"},
		{Block{Data: []byte("1.8.0(\xB1\xB1)")}.Append(nil), "holds a character B1"},
		{Block{Command: "B"}.Append(nil), "no command"},
		{Block{Command: "b0"}.Append(nil), "no command"},
	} {
		if k, err := DecodeBlock(c.frame); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("% X: got %+v, %v; want %q", c.frame, k, err, c.want)
		}
	}
}

func TestParityInSoftware(t *testing.T) {
	all := make([]byte, 128)
	for i := range all {
		all[i] = byte(i)
	}
	sent := withParity(all)
	if got := withoutParity(sent); !bytes.Equal(got, all) {
		t.Errorf("parity changes characters: % X", got)
	}
	for i := range sent {
		for bit := range 8 {
			damaged := bytes.Clone(sent)
			damaged[i] ^= 1 << bit
			if got := withoutParity(damaged); got[i] != 0 {
				t.Errorf("%02X with bit %d wrong became %02X", sent[i], bit, got[i])
			}
		}
	}
}

func FuzzBlock(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Frame))
	}
	f.Add(Block{Data: []byte("1.8.0(0001.5*kWh)\r\n!\r\n")}.Append(nil))
	f.Add(breakOff.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := DecodeBlock(in)
		if err != nil {
			return
		}
		if again := k.Append(nil); !bytes.Equal(again, in) {
			t.Errorf("% X became % X", in, again)
		}
	})
}

func FuzzIdentification(f *testing.F) {
	for _, line := range []string{"/LGZ4ZMD120AC.K750\r\n", "/KAM MC\r\n", "/?!\r\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		id, err := DecodeIdentification(in)
		if err != nil {
			return
		}
		if again := id.Append(nil); !bytes.Equal(again, in) {
			t.Errorf("%q became %q", in, again)
		}
		_, _ = id.handshake()
	})
}

// Whatever is on the line, a listener neither panics nor takes more than there is, and what it takes
// for a message is one.
func FuzzListeners(f *testing.F) {
	data := Block{Data: []byte("1.8.0(0001.5*kWh)\r\n!\r\n")}.Append(nil)
	push := []byte("/ABB5\\x\r\n\r\n1-0:1.8.0(0001.5*kWh)\r\n!")
	push = fmt.Appendf(push, "%04X\r\n", crc16(push))
	for _, seed := range [][]byte{
		data, withParity(data), push, []byte("/ABB5x\r\n"), []byte("/ABBxx\r\n1.8.0(1.5*kWh)\r\n!\r\n"),
		append([]byte("/?!\r\n/ABB5x\r\n"), data...), {nak}, append(withParity([]byte("/ABB5x\r\n")), 0xFF),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		block, single, any := &telegram{}, &answered{}, &telegram{plain: true}
		id, whole := &identified{mode: modeAuto, data: telegram{plain: true}}, &identified{mode: modeA}
		checked, unchecked := &pushed{checked: true}, &pushed{}
		for _, finder := range []finder{block, single, any, id, whole, checked, unchecked} {
			if got, ok := (listener{finder}).hear(in); ok && !bytes.HasPrefix(in, got) {
				t.Errorf("%T took % X out of % X", finder, got, in)
			}
		}
		_, _ = explain(in)
		_, _ = Dissect(true, in)
		_, _ = Dissect(false, in)
	})
}
