package modbus

import (
	"testing"

	"sluice/collectors/bus"
)

func TestFramesAreDissected(t *testing.T) {
	for _, test := range []struct {
		dir  bus.Direction
		pdu  string
		want string
	}{
		{bus.Out, "03 006b 0003", "read holding:107 to 109"},
		{bus.Out, "04 0008 0001", "read input:8"},
		{bus.Out, "01 0013 0013", "read coil:19 to 37"},
		{bus.Out, "05 00ac ff00", "write coil:172 = on"},
		{bus.Out, "06 0001 0003", "write holding:1 = 3"},
		{bus.Out, "0f 0013 000a 02 cd01", "write coil:19 to 28 = cd 01"},
		{bus.Out, "10 0001 0002 04 000a 0102", "write holding:1 to 2 = 000a 0102"},
		{bus.Out, "16 0004 00f2 0025", "write holding:4, kept where 00f2, set where 0025"},
		{bus.Out, "17 0003 0006 000e 0003 06 00ff 00ff 00ff", "write holding:14 to 16 = 00ff 00ff 00ff, then read holding:3 to 8"},
		{bus.Out, "2b 0e 01 00", "function 43, 3 bytes: 0e 01 00"},
		{bus.In, "03 06 022b 0000 0064", "holding = 022b 0000 0064"},
		{bus.In, "01 03 cd6b05", "coil = cd 6b 05"},
		{bus.In, "05 00ac 0000", "wrote coil:172 = off"},
		{bus.In, "06 0001 0003", "wrote holding:1 = 3"},
		{bus.In, "10 0001 0002", "wrote holding:1 to 2"},
		{bus.In, "83 02", "function 3: exception 2: illegal data address"},
		{bus.In, "03 07 022b", "function 3, 3 bytes: 07 02 2b"},
		{bus.In, "03 14 0001 0002 0003 0004 0005 0006 0007 0008 0009 000a", "holding = 0001 0002 0003 0004 0005 0006 0007 0008 … 4 bytes more"},
	} {
		for d, dissect := range map[dialect]func(bus.Direction, []byte) (string, bool){
			overTCP: DissectTCP, overRTU: DissectRTU, overASCII: DissectASCII,
		} {
			want := "unit 17: " + test.want
			if d == overTCP {
				want = "#513 " + want
			}
			frame := otherEnd(d, 513, 17, unhex(t, test.pdu))
			if got, ok := dissect(test.dir, frame); !ok || got != want {
				t.Errorf("%s: got %q, %v, want %q", spoken[d], got, ok, want)
			}
			for n := range frame[:len(frame)-2] { // ASCII is whole without CR and LF
				if text, ok := dissect(test.dir, frame[:n]); ok {
					t.Errorf("%s: %d bytes of % x are %q", spoken[d], n, frame, text)
				}
			}
		}
	}
}

func FuzzDissect(f *testing.F) {
	for _, pdu := range []string{"03 006b 0003", "10 0001 0002 04 000a 0102", "17 0003 0006 000e 0003 06 00ff 00ff 00ff", "83 02", "2b"} {
		for _, d := range []dialect{overTCP, overRTU, overASCII} {
			f.Add(otherEnd(d, 1, 1, unhex(f, pdu)), true)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, out bool) {
		for _, dissect := range []func(bus.Direction, []byte) (string, bool){DissectTCP, DissectRTU, DissectASCII} {
			if text, ok := dissect(bus.Direction(out), frame); ok == (text == "") {
				t.Errorf("% x is %q, %v", frame, text, ok)
			}
		}
	})
}
