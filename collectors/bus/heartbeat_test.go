package bus

import (
	"bytes"
	"testing"
)

func TestHeartbeatsAreKeptOutOfAnswers(t *testing.T) {
	long := heartbeats{[][]byte{[]byte("BEAT"), []byte("REG-1")}}
	short := heartbeats{[][]byte{{0xFE}}}
	for _, c := range []struct {
		beats  heartbeats
		pieces []string
		want   string
	}{
		{long, []string{"answer"}, "answer"},
		{long, []string{"BEAT", "answer"}, "answer"},
		{long, []string{"BEATanswer"}, "answer"},
		{long, []string{"BEATREG-1BEATanswer"}, "answer"},
		{long, []string{"ans", "BEAT", "wer"}, "answer"},
		{long, []string{"ans", "BEATwer"}, "answer"},
		{long, []string{"ansBEATwer"}, "ansBEATwer"}, // within a piece it is data
		{long, []string{"BE", "ATanswer"}, "answer"},
		{short, []string{"\xFE\xFEanswer"}, "answer"},
		{short, []string{"ans", "\xFE", "wer"}, "answer"},
		{short, []string{"ans", "\xFEwer"}, "ans\xFEwer"}, // too short not to be data
	} {
		var received []byte
		for _, piece := range c.pieces {
			received = append(received, piece...)
			received = c.beats.strip(received, len(piece))
		}
		if string(received) != c.want {
			t.Errorf("%q: got %q, want %q", c.pieces, received, c.want)
		}
	}
}

func TestRegistrations(t *testing.T) {
	patterns := [][]byte{[]byte("PUMP-1"), []byte("PUMP-2"), []byte("\x00\x01")}
	for _, c := range []struct {
		sent      string
		which     int
		rest      string
		undecided bool
	}{
		{"", -1, "", true}, {"PUMP-", -1, "", true}, {"\x00", -1, "", true},
		{"PUMP-2", 1, "", false}, {"PUMP-1data", 0, "data", false}, {"\x00\x01", 2, "", false},
		{"PUMP-3", -1, "", false}, {"GET / HTTP/1.1\r\n", -1, "", false},
	} {
		which, rest, undecided := registered(patterns, []byte(c.sent))
		if which != c.which || string(rest) != c.rest || undecided != c.undecided {
			t.Errorf("%q: got %d, %q, %v; want %d, %q, %v", c.sent, which, rest, undecided, c.which, c.rest, c.undecided)
		}
	}
	if which, rest, _ := registered([][]byte{nil}, []byte("x")); which != 0 || string(rest) != "x" {
		t.Errorf("a line that takes everybody: got %d, %q", which, rest)
	}
}

func FuzzRegistration(f *testing.F) {
	f.Add([]byte("A1"), []byte("B"), []byte("A1data"))
	f.Add([]byte{}, []byte{}, []byte("x"))
	f.Add([]byte("AB"), []byte("AC"), []byte("A"))
	f.Fuzz(func(t *testing.T, a, b, sent []byte) {
		if clash(a, b) {
			return // refused by the configuration
		}
		patterns := [][]byte{a, b}
		which, rest, undecided := registered(patterns, sent)
		switch {
		case which >= 0 && (undecided || !bytes.Equal(append(bytes.Clone(patterns[which]), rest...), sent)):
			t.Errorf("%q: %d, %q, %v", sent, which, rest, undecided)
		case which < 0 && !undecided && (bytes.HasPrefix(a, sent) || bytes.HasPrefix(b, sent)):
			t.Errorf("%q was refused, and is the beginning of %q or %q", sent, a, b)
		}
		// A decision stands, whatever comes behind.
		if which >= 0 {
			if again, _, _ := registered(patterns, append(bytes.Clone(sent), 'x')); again != which {
				t.Errorf("%q is %d, with a byte more %d", sent, which, again)
			}
		}
	})
}

func FuzzHeartbeats(f *testing.F) {
	f.Add([]byte("BEAT"), []byte("REG"), []byte("BEATansBEATwer"), uint8(7))
	f.Add([]byte{0xFE}, []byte{}, []byte("\xFE\xFEx\xFE"), uint8(1))
	f.Fuzz(func(t *testing.T, beat, registration, stream []byte, size uint8) {
		h := newHeartbeats(&Settings{Heartbeat: beat, Registration: registration})
		whole := bytes.Clone(stream)
		var received []byte
		removed := 0
		for piece := range chunks(stream, int(size)+1) {
			received = append(received, piece...)
			before := len(received)
			received = h.strip(received, len(piece))
			removed += before - len(received)
		}
		if len(received)+removed != len(whole) {
			t.Fatalf("%d bytes came, %d were kept, %d taken out", len(whole), len(received), removed)
		}
		if removed == 0 && !bytes.Equal(received, whole) {
			t.Fatalf("%q became %q", whole, received)
		}
		for _, packet := range h.packets {
			if bytes.Contains(whole, packet) {
				return
			}
		}
		if removed != 0 {
			t.Fatalf("%d bytes taken out of %q, in which there is no packet", removed, whole)
		}
	})
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(bytes.Clone(b[:n])) {
				return
			}
			b = b[n:]
		}
	}
}
