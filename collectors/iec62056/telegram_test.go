package iec62056

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/collectors/bus"
)

// checksummed makes a telegram with its CRC out of lines.
func checksummed(lines ...string) []byte {
	b := []byte(strings.Join(lines, "\r\n") + "\r\n!")
	return fmt.Appendf(b, "%04X\r\n", crc16(b))
}

func TestTelegramsArePickedOutOfWhatIsHeard(t *testing.T) {
	one := checksummed(`/SLC5\2SIM-7`, "", "1-0:1.8.1(000001.000*kWh)")
	two := checksummed(`/SLC5\2SIM-7`, "", "1-0:1.8.1(000002.000*kWh)")
	bad := bytes.Replace(one, []byte("000001"), []byte("000009"), 1)
	for _, c := range []struct {
		name  string
		heard []byte
		want  string // of the value; empty: no telegram
	}{
		{"one", one, "000001.000*kWh"},
		{"the end of one before", append(bytes.Clone(one[20:]), two...), "000002.000*kWh"},
		{"the newest of two", append(bytes.Clone(one), two...), "000002.000*kWh"},
		{"a good one and the start of the next", append(bytes.Clone(one), two[:30]...), "000001.000*kWh"},
		{"a damaged one behind a good one", append(bytes.Clone(one), bad...), "000001.000*kWh"},
		{"one that broke off", append(bytes.Clone(two[:40]), append([]byte("\r\n"), one...)...), "000001.000*kWh"},
		{"damaged", bad, ""},
		{"cut short", one[:len(one)-2], ""},
		{"no checksum", []byte("/SLC5x\r\n\r\n1-0:1.8.1(000001.000*kWh)\r\n!\r\n"), ""},
		{"noise", []byte("\x00/!\r\n!/\xFF"), ""},
	} {
		f := &pushed{checked: true}
		_, ok := listener{f}.hear(c.heard)
		if ok != (c.want != "") {
			t.Errorf("%s: complete %v, %v", c.name, ok, f.err)
			continue
		}
		if !ok {
			continue
		}
		if items, err := ParseReadout(f.data); err != nil || len(items) != 1 || items[0].Values[0] != c.want {
			t.Errorf("%s: got %v, %v; want %s", c.name, items, err, c.want)
		}
	}
}

func TestTelegramsWithoutChecksum(t *testing.T) {
	telegram := []byte("/SLCxSIM-7\r\n\r\n1.8.0(0001.5*kWh)\r\n!\r\n")
	for _, sent := range [][]byte{telegram, withParity(telegram)} {
		f := &pushed{}
		if _, ok := (listener{f}).hear(sent); !ok || string(f.data) != "1.8.0(0001.5*kWh)\r\n!" {
			t.Errorf("% X: got %q, %v, %v", sent, f.data, ok, f.err)
		}
	}
	// A single wrong bit is seen by the parity, and nothing is left out.
	damaged := withParity(telegram)
	damaged[bytes.IndexByte(damaged, '.')+8] ^= 0x01
	f := &pushed{}
	if _, ok := (listener{f}).hear(damaged); ok {
		t.Errorf("a damaged telegram gave %q", f.data)
	}
}

func TestIdentificationsAreFoundBehindTheEcho(t *testing.T) {
	for _, c := range []struct {
		mode, heard, want string
		complete          bool
	}{
		{modeAuto, "/SLC5x\r\n", "/SLC5x", true},
		{modeAuto, "/?!\r\n/SLC5x\r\n", "/SLC5x", true},
		{modeAuto, "\x00\x7F//SLC5x\r\n", "/SLC5x", true},
		{modeAuto, "/SLC5x\r", "", false},
		{modeAuto, "/SLCxx\r\n", "", false}, // the data follows at once
		{modeAuto, "/SLCxx\r\n1.8.0(1.5*kWh)\r\n!\r\n", "/SLCxx", true},
		{modeA, "/SLC5x\r\n", "", false},
		{modeA, "/SLC5x\r\n1.8.0(1.5*kWh)\r\n!\r\n", "/SLC5x", true},
		{modeC, "/SLCxx\r\n", "/SLCxx", true},
	} {
		for _, heard := range [][]byte{[]byte(c.heard), withParity([]byte(c.heard))} {
			f := &identified{mode: c.mode, data: telegram{plain: true}}
			_, ok := listener{f}.hear(heard)
			if ok != c.complete || ok && f.id.String() != c.want {
				t.Errorf("mode %s, %q: got %v, %s", c.mode, heard, ok, f.id)
			}
		}
	}
}

func TestMessagesAreExplained(t *testing.T) {
	readout := Block{Data: []byte("1.8.0(1.5*kWh)\r\n2.8.0(1.5*kWh)\r\n!\r\n")}.Append(nil)
	for _, c := range []struct {
		out     bool
		message []byte
		want    string
	}{
		{true, signOn("", 0), "sign-on to any meter"},
		{true, signOn("123", 40), "sign-on to meter 123"},
		{true, withParity(signOn("", 0)), "sign-on to any meter"},
		{true, acknowledgement('5', '0'), "acknowledged: readout at 9600 baud"},
		{true, acknowledgement('0', '1'), "acknowledged: programming mode at 300 baud"},
		{true, []byte{nak}, "repeat the last message (NAK)"},
		{true, Block{Command: "R5", Data: []byte("1.8.0()")}.Append(nil), "R5 1.8.0()"},
		{true, breakOff.Append(nil), "break"},
		{true, []byte("hello"), ""},
		{false, []byte("/SLC5SIM\r\n"), "meter /SLC5SIM, mode c, offers 9600 baud"},
		{false, []byte("/SLCxSIM\r\n"), "meter /SLCxSIM, mode a"},
		{false, readout, "readout of 2 registers"},
		{false, withParity(readout), "readout of 2 registers"},
		{false, Block{Data: []byte("1.8.0(1.5*kWh)")}.Append(nil), "readout: 1.8.0(1.5*kWh)"},
		{false, Block{Command: "P0", Data: []byte("(123)")}.Append(nil), "P0 (123)"},
		{false, bytes.Replace(readout, []byte("1.5"), []byte("1.4"), 1), "the message is damaged: its block check is"},
		{false, checksummed("/SLC5SIM", "", "1-0:1.8.1(1.0*kWh)"), "telegram of /SLC5SIM: 1-0:1.8.1(1.0*kWh)"},
		{false, []byte{nak}, "not understood (NAK)"},
		{false, []byte("hello"), ""},
	} {
		got, ok := dissectBoth(c.out, c.message)
		if ok != (c.want != "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: got %q, %v; want %q", c.message, got, ok, c.want)
		}
	}
}

func TestWhatCameInsteadIsExplained(t *testing.T) {
	for _, c := range []struct {
		heard string
		fault bus.Fault
		want  string
	}{
		{"", bus.Garbled, ""},
		{"/SLC5", bus.Damaged, `5 characters came, beginning with "/SLC5"`},
		{string(withParity([]byte("/SLC5"))), bus.Damaged, `5 characters came, beginning with "/SLC5"`},
		{"\xF8\xF8\x00\xF8", bus.Garbled, "4 characters came that are no text: the rate or the parity may be wrong"},
		{"1.8.0(0001", bus.Damaged, `10 characters came, beginning with "1.8.0(0001"`},
	} {
		if fault, got := explain([]byte(c.heard)); got != c.want || fault != c.fault {
			t.Errorf("%q: got %d, %q, want %d, %q", c.heard, fault, got, c.fault, c.want)
		}
	}
}

// A readout with its characters damaged and lost at random, as parity in software hears it, is
// refused or is what was sent. Lost characters of one kind can cancel out in the block check.
func TestNoiseNeverGivesAWrongReadout(t *testing.T) {
	data := "0.0.0(12345678)\r\n1.8.0(000123.456*kWh)\r\n1.8.1(000100.000*kWh)\r\n2.8.0(000000.000*kWh)\r\n16.7.0(+000.500*kW)\r\n!\r\n"
	sent := withParity(Block{Data: []byte(data)}.Append(nil))
	random := rand.New(rand.NewPCG(1, 2))
	known := shapes{}
	good, passedCheck := 0, 0
	for range 20000 {
		var heard []byte
		for _, c := range sent {
			switch random.IntN(200) {
			case 0:
				c ^= 1 << random.IntN(8)
			case 1:
				continue
			}
			heard = append(heard, c)
		}
		f := &telegram{}
		if _, ok := (listener{f}).hear(heard); !ok || f.err != nil {
			continue
		}
		if string(f.block.Data) != data {
			passedCheck++
		}
		if known.believe("", f.block.Data) != nil {
			continue
		}
		if good++; string(f.block.Data) != data {
			t.Fatalf("took %q for %q", f.block.Data, data)
		}
	}
	if good < 1000 || passedCheck == 0 {
		t.Errorf("%d readouts came through, and %d damaged ones past the block check: this tests nothing", good, passedCheck)
	}
}

func TestANewFormNeedsMoreMessages(t *testing.T) {
	s := shapes{}
	for i, c := range []struct {
		message string
		want    string // of the error
	}{
		{"1.8.0(001.5*kWh)", "it is the first"},
		{"1.8.0(01.5*kWh)", "it is the first"},
		{"1.8.0(001.6*kWh)", "it is the first"},
		{"1.8.0(001.7*kWh)", ""},
		{"1.8.0(-99.7*kWh)", ""},
		{"1.8.0(01.7*kWh)", "another form"},
		{"1.8.0(01.7*kWh)", "another form"},
		{"1.8.0(001.8*kWh)", ""},
		{"1.8.0(01.7*kWh)", "another form"},
		{"1.8.0(01.7*kWh)", "another form"},
		{"1.8.0(01.8*kWh)", ""},
		{"1.8.0(01.9*kWh)", ""},
	} {
		err := s.believe("", []byte(c.message))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("message %d: got %v, want %q", i, err, c.want)
		}
	}
	if s.believe("other", []byte("1.8.0(01.9*kWh)")) == nil {
		t.Error("another kind of message has the same form")
	}
}
