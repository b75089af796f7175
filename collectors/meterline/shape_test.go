package meterline

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"sluice/collectors/bus"
)

// toy frames have a number of one digit pair, which is decimal, and a control code.
var toy = Shape{Head: 4, Fits: func(head []byte) bool {
	return len(head) < 2 || head[1]>>4 <= 9 && head[1]&0xF <= 9
}}

func frameOf(number, control byte, data ...byte) []byte {
	b := append([]byte{Start, number, control, byte(len(data))}, data...)
	return Seal(b, 0)
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWholeRefusesWhatIsNotOneFrame(t *testing.T) {
	good := "68 12 81 02 68 16 7B 16"
	for _, c := range []struct{ frame, want string }{
		{good, ""},
		{"FE FE FE FE " + good, ""},
		{"", "no frame"},
		{"FE FE", "no frame"},
		{"00 " + good, "no frame"},
		{"68 1A 81 02", "no frame"}, // not a decimal number
		{"68 1A", "no frame"},       // nor can it become one
		{"68", "cut short: 1 bytes"},
		{good[:8], "cut short: 3 bytes"},
		{good[:20], "cut short: 7 of 8 bytes"},
		{strings.Replace(good, "7B", "7C", 1), "its checksum is 7C and should be 7B"},
		{good[:21] + "17", "it ends in 17, not in 16"},
		{good + " 00", "1 bytes follow the frame"},
		{good + good, "8 bytes follow the frame"},
	} {
		frame, err := toy.Whole(unhex(t, c.frame))
		if c.want == "" {
			if err != nil || !bytes.Equal(frame, unhex(t, good)) {
				t.Errorf("%s: got % X, %v", c.frame, frame, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got % X, %v; want %q", c.frame, frame, err, c.want)
		}
	}
}

func TestFindResynchronises(t *testing.T) {
	good := frameOf(0x12, 0x81, 0x68, 0x16)
	for _, noise := range []string{"", "FE", "68", "68 68 68", "16", "68 12 81", "68 12 81 FF 00", "68 12 81 02 68 16 7C 16"} {
		b := append(unhex(t, noise), good...)
		frame, upTo, ok := toy.Find(append(b, 0x68, 0x00))
		if !ok || upTo != len(b) || !bytes.Equal(frame, good) {
			t.Errorf("after %q: got % X up to %d of %d, %v", noise, frame, upTo, len(b), ok)
		}
	}
	if frame, _, ok := toy.Find(good[:len(good)-1]); ok {
		t.Errorf("% X was found before its end", frame)
	}
}

func TestDiagnoseNamesTheClosestCandidate(t *testing.T) {
	for _, c := range []struct {
		heard, want string
		is          error
	}{
		{"", "0 bytes of noise, no frame", nil},
		{"00 01 02", "3 bytes of noise, no frame", nil},
		{"68 AB 68", "the frame is cut short: 1 bytes", ErrShort},
		{"68 12 81 02 68", "the frame is cut short: 5 of 8 bytes", ErrShort},
		{"68 12 68 12 81 00 FC 16", "the frame is damaged: its checksum is FC and should be FB", ErrDamaged},
	} {
		got := toy.Diagnose(unhex(t, c.heard))
		if got.Error() != c.want {
			t.Errorf("%s: got %q, want %q", c.heard, got, c.want)
		}
		for _, kind := range []error{ErrShort, ErrDamaged} {
			if errors.Is(got, kind) != (kind == c.is) {
				t.Errorf("%s: %q is %v: %v", c.heard, got, kind, errors.Is(got, kind))
			}
		}
	}
}

// hear gives a listener what has been received in pieces, and the numbers that take sees.
func hear(l *Listener, wanted byte, pieces ...[]byte) (answer []byte, numbers []byte) {
	var received []byte
	for _, piece := range pieces {
		received = append(received, piece...)
		answer, ok := l.Hear(toy, received, func(frame []byte) bool {
			numbers = append(numbers, frame[1])
			return frame[1] == wanted
		})
		if ok {
			return answer, numbers
		}
	}
	return nil, numbers
}

func TestListenerSeesEveryFrameOnce(t *testing.T) {
	first, second, third := frameOf(0x01, 0x81), frameOf(0x02, 0x81, 1, 2, 3), frameOf(0x03, 0x81)
	for cut := range len(second) {
		answer, numbers := hear(new(Listener), 0x02, []byte{0xFE}, first, second[:cut], second[cut:], third)
		if !bytes.Equal(answer, second) || !bytes.Equal(numbers, []byte{1, 2}) {
			t.Errorf("cut at %d: got % X, after the frames % X", cut, answer, numbers)
		}
	}
}

func TestListenerSaysWhatCameInstead(t *testing.T) {
	other, damaged := frameOf(0x01, 0x81), append(frameOf(0x02, 0x81)[:4], 0, 0x16)
	for _, c := range []struct {
		name     string
		listener Listener
		received []byte
		want     string
	}{
		{"nothing", Listener{}, nil, ""},
		{"the request", Listener{Echo: true}, nil, "only the request was heard on the line"},
		{"another frame", Listener{Odd: "meter 1 answered"}, other, "meter 1 answered"},
		{"a damaged frame", Listener{}, damaged, "the frame is damaged: its checksum is 00 and should be EB"},
		{"a damaged frame behind another", Listener{}, append(bytes.Clone(other), damaged...), "the frame is damaged: its checksum is 00 and should be EB"},
		{"the request and a damaged frame", Listener{Echo: true}, damaged, "the frame is damaged: its checksum is 00 and should be EB"},
	} {
		l := c.listener
		hear(&l, 0x99, c.received)
		if got := l.Why(toy, c.received); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		_ = l.Why(toy, nil) // a line may take back what it has shown, such as an echo
	}
}

func TestPlaces(t *testing.T) {
	for address, want := range map[bus.Address]string{"bus://line": "bus line", "tcp://10.0.0.7:4001": "tcp://10.0.0.7:4001"} {
		if got := Place(address); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

// FuzzShape checks that what is found is what Seal makes, is found by all ways alike, and is not found
// twice.
func FuzzShape(f *testing.F) {
	good := frameOf(0x12, 0x81, 0x68, 0x16)
	f.Add(good, 3)
	f.Add(append([]byte{0xFE, 0xFE, 0x68, 0x12, 0x81, 0xFF}, good...), 7)
	f.Add(append(bytes.Clone(good), good...), 9)
	f.Add([]byte{0x68, 0x12, 0x81, 0x00, 0xFB, 0x17}, 0)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		rest, count := in, 0
		for {
			frame, upTo, ok := toy.Find(rest)
			if !ok {
				break
			}
			if upTo > len(rest) || !bytes.HasSuffix(rest[:upTo], frame) {
				t.Fatalf("found % X in % X up to %d, where it is not", frame, rest, upTo)
			}
			if again := Seal(bytes.Clone(frame[:len(frame)-Tail]), 0); !bytes.Equal(again, frame) {
				t.Fatalf("% X does not survive a round trip: % X", frame, again)
			}
			if whole, err := toy.Whole(append(Begin(), frame...)); err != nil || !bytes.Equal(whole, frame) {
				t.Fatalf("% X is found, but alone it is % X, %v", frame, whole, err)
			}
			rest, count = rest[upTo:], count+1
		}
		if err := toy.Diagnose(rest); err == nil || errors.Is(err, errNoFrame) {
			t.Errorf("% X: there is no frame for the reason %v", rest, err)
		}
		if whole, err := toy.Whole(in); err == nil && (count != 1 || !bytes.HasSuffix(in, whole)) {
			t.Errorf("% X is the one frame % X, but %d are found", in, whole, count)
		}
		if _, numbers := hear(new(Listener), 0xFF, in); len(numbers) != count {
			t.Errorf("% X: heard %d frames, want %d", in, len(numbers), count)
		}
		// In pieces more may be heard: as long as a frame is not whole, its data may have one.
		cut = max(0, min(cut, len(in)))
		l := new(Listener)
		if answer, numbers := hear(l, 0xFF, in[:cut], in[cut:]); answer != nil || count == 1 && len(numbers) == 0 {
			t.Errorf("% X | % X: heard % X and took % X", in[:cut], in[cut:], numbers, answer)
		}
		_ = l.Why(toy, in)
	})
}
