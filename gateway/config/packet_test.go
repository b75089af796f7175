package config

import (
	"strings"
	"testing"
)

func TestPacketsAreTextOrHex(t *testing.T) {
	for _, c := range []struct{ written, bytes, again string }{
		{"DTU-1", "DTU-1", "DTU-1"},
		{"hex:0a0B", "\n\v", "hex:0A0B"},
		{"hex:44 54 55", "DTU", "DTU"},
		{"hex:6865783A", "hex:", "hex:6865783A"},
		{"", "", ""},
	} {
		var p Packet
		if err := p.UnmarshalText([]byte(c.written)); err != nil || string(p) != c.bytes {
			t.Errorf("%q: got %q, %v; want %q", c.written, string(p), err, c.bytes)
		}
		if got := p.String(); got != c.again {
			t.Errorf("%q is written again as %q, want %q", c.written, got, c.again)
		}
	}
	for _, wrong := range []string{"hex:", "hex:0", "hex:zz", "hex:0A0", strings.Repeat("x", 65)} {
		var p Packet
		if err := p.UnmarshalText([]byte(wrong)); err == nil {
			t.Errorf("%q was taken as %q", wrong, string(p))
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, seed := range []string{"DTU-1", "hex:0A0B", "hex:", "\x00", "hex:68 65", "hex:6865783a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, written string) {
		var p, again Packet
		if p.UnmarshalText([]byte(written)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(p.String())); err != nil || again != p {
			t.Errorf("%q is %q, which is written as %q and read again as %q, %v", written, string(p), p.String(), string(again), err)
		}
	})
}
