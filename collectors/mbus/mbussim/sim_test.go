package mbussim

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func line(t *testing.T, meters ...Meter) *Line {
	t.Helper()
	l, err := New(Options{Meters: meters})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The expected answer is a published frame of a real meter.
func TestAMeterAnswersInPublishedFrames(t *testing.T) {
	gwf := Meter{Primary: 1, ID: "00182007", Maker: "GWF", Version: 0x35, Medium: 7, Telegrams: [][]byte{unhex(t, "0C 78 07 20 18 00 0C 16 69 02 00 00")}}
	want := unhex(t, "68 1B 1B 68 08 01 72 07 20 18 00 E6 1E 35 07 4C 00 00 00 0C 78 07 20 18 00 0C 16 69 02 00 00 96 16")
	l := line(t, gwf)
	l.meters[0].access = 0x4B
	if got := l.Answer(unhex(t, "10 40 01 41 16")); !bytes.Equal(got, []byte{0xE5}) {
		t.Errorf("a reset is answered by % X", got)
	}
	if got := l.Answer(unhex(t, "10 7B 01 7C 16")); !bytes.Equal(got, want) {
		t.Errorf("got % X, want % X", got, want)
	}
	if got := l.Answer(unhex(t, "10 5B 02 5D 16")); got != nil {
		t.Errorf("meter 2 answers % X", got)
	}
}

func TestTheFrameCountBitIsObeyed(t *testing.T) {
	l := line(t, Meter{Primary: 1, ID: "00000001", Maker: "TST", Telegrams: [][]byte{{0x01, 0x13, 0x01}, {0x01, 0x13, 0x02}}})
	ask := func(frame string) byte {
		answer := l.Answer(unhex(t, frame))
		i := bytes.Index(answer, []byte{0x01, 0x13})
		if i < 0 {
			t.Fatalf("got % X", answer)
		}
		return answer[i+2]
	}
	one, zero := "10 7B 01 7C 16", "10 5B 01 5C 16"
	var got []byte
	for _, frame := range []string{one, one, zero, zero, one, zero} {
		got = append(got, ask(frame))
	}
	l.Answer(unhex(t, "10 40 01 41 16"))
	got = append(got, ask(zero), ask(zero))
	if want := []byte{1, 1, 2, 2, 1, 2, 1, 1}; !bytes.Equal(got, want) {
		t.Errorf("got telegrams %v, want %v", got, want)
	}
	if seen := l.Seen(); seen.Repeats != 3 || seen.Reads != 8 {
		t.Errorf("saw %+v", seen)
	}
}

func TestSelectionAndCollision(t *testing.T) {
	l := line(t, Meter{ID: "11490378", Maker: "ACW", Version: 14, Medium: 22}, Meter{ID: "11490379", Maker: "ACW", Version: 14, Medium: 22})
	read := unhex(t, "10 7B FD 78 16")
	choose := func(identity string) []byte {
		b := append(unhex(t, "68 0B 0B 68 53 FD 52"), unhex(t, identity)...)
		return l.Answer(append(b, checksum(b[4:]), 0x16))
	}
	if got := l.Answer(read); got != nil {
		t.Errorf("nobody is selected, but % X answers", got)
	}
	if got := choose("78 03 49 11 77 04 0E 16"); !bytes.Equal(got, []byte{0xE5}) {
		t.Errorf("one was selected, and % X answers", got)
	}
	one := l.Answer(read)
	if _, whole, valid := measure(one); !whole || !valid {
		t.Errorf("the selected meter answers % X", one)
	}
	if got := choose("7F 03 49 11 FF FF FF FF"); !bytes.Equal(got, []byte{0xE5, 0xE5}) {
		t.Errorf("two were selected, and % X answers", got)
	}
	if both := l.Answer(read); len(both) != len(one)+1 || checks(both) {
		t.Errorf("of two answers % X is heard", both)
	}
	if got := choose("78 03 49 11 77 04 0E 17"); got != nil {
		t.Errorf("nobody has this medium, but % X answers", got)
	}
	if got := l.Answer(read); got != nil {
		t.Errorf("the selection has ended, but % X answers", got)
	}
}

func checks(b []byte) bool {
	_, whole, valid := measure(b)
	return whole && valid
}

func TestTheLineAnswersOnItsPort(t *testing.T) {
	l, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	defer running.Wait()
	defer cancel()
	port, err := os.OpenFile(l.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if _, err := port.Write(unhex(t, "00 10 40 01 42 16 10 40 01 41 16")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(port, answer); err != nil || answer[0] != 0xE5 {
		t.Errorf("got % X, %v", answer, err)
	}
	if seen := l.Seen(); seen != (Counts{Requests: 1, Resets: 1, Damaged: 6}) {
		t.Errorf("saw %+v", seen)
	}
}

func TestEnergyOnlyGrows(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	last, powers := StateAt(start), map[int64]bool{}
	for at := range 3600 {
		s := StateAt(start.Add(time.Duration(at) * time.Second))
		if s.Energy < last.Energy || s.Volume < last.Volume {
			t.Fatalf("the counters fell from %+v to %+v", last, s)
		}
		powers[s.Power] = true
		last = s
	}
	// An hour at 12 kW on average.
	if grown := last.Energy - StateAt(start).Energy; grown < 11 || grown > 13 || len(powers) < 200 {
		t.Errorf("energy grew by %d kWh, and there were %d different powers", grown, len(powers))
	}
}

func TestMetersNeedANumberAndAMaker(t *testing.T) {
	for _, bad := range []Meter{{ID: "1", Maker: "ABC"}, {ID: "12345678", Maker: "A"}, {ID: "1234567X", Maker: "ABC"}} {
		if _, err := New(Options{Meters: []Meter{bad}}); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte{0x10, 0x5B, 0x01, 0x5C, 0x16})
	f.Add([]byte{0x68, 0x03, 0x03, 0x68, 0x53, 0x05, 0xBB, 0x13, 0x16})
	f.Add([]byte{0x68, 0x68, 0x68})
	f.Fuzz(func(t *testing.T, in []byte) {
		l, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		for b := in; ; {
			q, rest, damaged, ok := next(b)
			if damaged > len(b) || len(rest) > len(b) {
				t.Fatalf("% X: %d damaged, %d left", b, damaged, len(rest))
			}
			if !ok {
				return
			}
			if !bytes.Contains(b, q.raw) {
				t.Errorf("% X is not in % X", q.raw, b)
			}
			l.Answer(q.raw)
			b = rest
		}
	})
}
