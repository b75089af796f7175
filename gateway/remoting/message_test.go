package remoting

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func storedExample() Stored {
	return Stored{
		QueueID: 1, Flag: -1, QueueOffset: 5, PhysicalOffset: 1 << 40, SysFlag: SysMultiTags, BornTime: 1795345665221,
		BornHost: netip.MustParseAddrPort("10.0.0.9:50123"), StoreTime: 1795345665300, StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"),
		Body: []byte("body"), Topic: "readings", Properties: "TAGS\x01a\x02",
	}
}

func TestStoredMessages(t *testing.T) {
	for name, change := range map[string]func(s, back *Stored){
		"plain":        func(_, _ *Stored) {},
		"empty":        func(s, back *Stored) { s.Body, s.Topic, s.Properties = []byte{}, "", ""; *back = *s },
		"a long topic": func(s, back *Stored) { s.Topic = strings.Repeat("t", 128); back.Topic = s.Topic },
		"a born host of v6": func(s, back *Stored) {
			s.BornHost = netip.MustParseAddrPort("[fd00::7]:1")
			*back = *s
			back.SysFlag |= SysBornHostV6
		},
		"a broker of v6": func(s, back *Stored) {
			s.StoreHost = netip.MustParseAddrPort("[fd00::7]:1")
			*back = *s
			back.SysFlag |= SysStoreHostV6
		},
		"a flag that lies": func(s, _ *Stored) { s.SysFlag |= SysBornHostV6 | SysStoreHostV6 },
		"v4 on a dual socket": func(s, _ *Stored) {
			s.BornHost = netip.MustParseAddrPort("[::ffff:10.0.0.9]:50123")
		},
		"no host": func(s, back *Stored) {
			s.BornHost = netip.AddrPort{}
			back.BornHost = netip.MustParseAddrPort("0.0.0.0:0")
		},
	} {
		s, want := storedExample(), storedExample()
		change(&s, &want)
		b, err := AppendStored([]byte("before"), &s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, rest, err := ParseStored(b[len("before"):])
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: rest %x, error %v\ngot  %+v\nwant %+v", name, rest, err, got, want)
		}
	}
}

func TestAppendStoredRefusesWhatHasNoRoom(t *testing.T) {
	for _, change := range []func(*Stored){
		func(s *Stored) { s.Topic = strings.Repeat("t", 1<<15) },
		func(s *Stored) { s.Properties = strings.Repeat("p", 1<<15) },
	} {
		s := storedExample()
		change(&s)
		if b, err := AppendStored(nil, &s); !errors.Is(err, ErrTooLarge) || len(b) > 0 {
			t.Errorf("%d bytes, error %v", len(b), err)
		}
	}
}

// Every length of a message is made too small, too large and negative.
func TestParseStoredRefusesLies(t *testing.T) {
	s := storedExample()
	whole, err := AppendStored(nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	body := len(whole) - 2 - len(s.Properties) - 1 - len(s.Topic) - 4 - len(s.Body)
	for name, change := range map[string]func(b []byte) []byte{
		"nothing":           func([]byte) []byte { return nil },
		"a cut message":     func(b []byte) []byte { return b[:len(b)-1] },
		"size 0":            func(b []byte) []byte { binary.BigEndian.PutUint32(b, 0); return b },
		"a negative size":   func(b []byte) []byte { b[0] = 0xff; return b },
		"a size too small":  func(b []byte) []byte { b[3]--; return b },
		"a size too large":  func(b []byte) []byte { b[3]++; return append(b, 0) },
		"an unknown magic":  func(b []byte) []byte { copy(b[4:], "\xcb\xd4\x31\x94"); return b },
		"a negative body":   func(b []byte) []byte { b[body] = 0x80; return b },
		"a large body":      func(b []byte) []byte { b[body+2] = 1; return b },
		"a negative topic":  func(b []byte) []byte { b[body+4+len(s.Body)] = 0x80; return b },
		"a large topic":     func(b []byte) []byte { b[body+4+len(s.Body)] = 0x7f; return b },
		"fewer properties":  func(b []byte) []byte { b[len(b)-len(s.Properties)-1]--; return b },
		"more properties":   func(b []byte) []byte { b[len(b)-len(s.Properties)-1]++; return b },
		"a port of 17 bits": func(b []byte) []byte { b[4+4+4+4+4+8+8+4+8+4+1] = 1; return b },
	} {
		if got, _, err := ParseStored(change(bytes.Clone(whole))); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
}

func TestParseBatchRefusesLies(t *testing.T) {
	whole, err := AppendPart(nil, Part{Flag: 1, Body: []byte("b"), Properties: "a\x01b"})
	if err != nil {
		t.Fatal(err)
	}
	if smallest, _ := AppendPart(nil, Part{Body: []byte("b")}); len(smallest) != 23 {
		t.Errorf("a body of one byte without properties takes %d bytes, want 23", len(smallest))
	}
	for name, change := range map[string]func(b []byte) []byte{
		"nothing":             func([]byte) []byte { return nil },
		"a cut batch":         func(b []byte) []byte { return b[:len(b)-1] },
		"the end of a second": func(b []byte) []byte { return append(b, 0, 0, 0) },
		"size 0":              func(b []byte) []byte { b[3] = 0; return b },
		"a negative size":     func(b []byte) []byte { b[0] = 0x80; return b },
		"a negative body":     func(b []byte) []byte { b[16] = 0x80; return b },
		"a large body":        func(b []byte) []byte { b[19] = 200; return b },
		"a small body":        func(b []byte) []byte { b[19] = 0; return b },
		"negative properties": func(b []byte) []byte { b[21] = 0x80; return b },
		"large properties":    func(b []byte) []byte { b[22]++; return b },
	} {
		if got, err := ParseBatch(change(bytes.Clone(whole)), 10); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
	if _, err := ParseBatch(bytes.Repeat(whole, 3), 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("three messages where two may be: %v", err)
	}
}

func TestProperties(t *testing.T) {
	for text, want := range map[string][]Property{
		"":                           nil,
		"a\x01b\x02":                 {{"a", "b"}},
		"a\x01b\x02c\x01d":           {{"a", "b"}, {"c", "d"}},
		"a\x01\x02\x02c\x01d\x01e":   {{"a", ""}, {"c", "d\x01e"}},
		"KEYS\x01Zähler 1\x02":       {{"KEYS", "Zähler 1"}},
		"a\x01first\x02a\x01second":  {{"a", "first"}, {"a", "second"}},
		"WAIT\x01true\x02TAGS\x01*|": {{"WAIT", "true"}, {"TAGS", "*|"}},
	} {
		if got, err := ParseProperties(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"a", "\x01b\x02", "a\x01b\x02c", "a\x01b\x02\x01"} {
		if got, err := ParseProperties(text); !errors.Is(err, ErrFrame) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if _, err := ParseProperties(strings.Repeat("a\x01b\x02", 1<<13)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("32 KiB of properties: %v", err)
	}
}

func TestAppendPropertiesRefusesWhatWouldReadDifferently(t *testing.T) {
	for _, p := range []Property{{"", "a"}, {"a\x01", "b"}, {"a\x02", "b"}, {"a", "\x02b"}} {
		if got, err := AppendProperties([]byte("before"), []Property{{"x", "y"}, p}); err == nil || string(got) != "before" {
			t.Errorf("%q became %q, %v", p, got, err)
		}
	}
	if _, err := AppendProperties(nil, []Property{{"a", strings.Repeat("b", MaxProperties)}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("properties of 32,770 bytes: %v", err)
	}
}

func FuzzParseStored(f *testing.F) {
	for _, topic := range []string{"readings", strings.Repeat("t", 200)} {
		s := storedExample()
		s.Topic = topic
		b, err := AppendStored(nil, &s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		s.BornHost, s.StoreHost = netip.MustParseAddrPort("[fd00::7]:1"), netip.MustParseAddrPort("[fd00::8]:2")
		if b, err = AppendStored(b, &s); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(javaWrote(f, "stored-5.5.0"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for rest := in; len(rest) > 0; {
			s, next, err := ParseStored(rest)
			if err != nil {
				return
			}
			if len(next) >= len(rest) {
				t.Fatalf("%x: no progress", rest)
			}
			rest = next
			b, err := AppendStored(nil, &s)
			if err != nil {
				t.Fatalf("%+v cannot be written: %v", s, err)
			}
			again, _, err := ParseStored(b)
			// An IPv4 address written as IPv6 comes back as what it is, with its bit cleared.
			again.SysFlag, s.SysFlag = again.SysFlag&^(SysBornHostV6|SysStoreHostV6), s.SysFlag&^(SysBornHostV6|SysStoreHostV6)
			if err != nil || !reflect.DeepEqual(s, again) {
				t.Errorf("%x does not survive a round trip: %v\nfirst %+v\nthen  %+v", in, err, s, again)
			}
		}
	})
}

func FuzzParseBatch(f *testing.F) {
	f.Add(javaWrote(f, "batch-5.5.0"))
	f.Add([]byte{0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		parts, err := ParseBatch(in, 1000)
		if err != nil {
			return
		}
		var b []byte
		for _, p := range parts {
			if b, err = AppendPart(b, p); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := ParseBatch(b, 1000); err != nil || len(b) != len(in) || !reflect.DeepEqual(again, parts) {
			t.Errorf("%x does not survive a round trip: %v", in, err)
		}
	})
}

func FuzzParseProperties(f *testing.F) {
	f.Add("KEYS\x01a b\x02TAGS\x01press\x02WAIT\x01true")
	f.Add("a\x01\x02\x02b\x01c\x01")
	f.Fuzz(func(t *testing.T, in string) {
		properties, err := ParseProperties(in)
		if err != nil {
			return
		}
		b, err := AppendProperties(nil, properties)
		if errors.Is(err, ErrTooLarge) && len(in) == MaxProperties {
			return // the missing end was one byte too many
		}
		if err != nil {
			t.Fatalf("%q cannot be written: %v", in, err)
		}
		if again, err := ParseProperties(string(b)); err != nil || !slices.Equal(again, properties) {
			t.Errorf("%q does not survive a round trip: %q, %v", in, again, err)
		}
	})
}

func BenchmarkAppendStored(b *testing.B) {
	s := storedExample()
	s.Body = make([]byte, 256)
	buf, err := AppendStored(nil, &s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if buf, err = AppendStored(buf[:0], &s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseProperties(b *testing.B) {
	text := javaSendCommand().Ext.Get("i")
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ParseProperties(text); err != nil {
			b.Fatal(err)
		}
	}
}
