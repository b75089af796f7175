package meterline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sluice/collectors/bus"
)

// crowd is a line with meters that answer whoever asks for a part of their numbers, all at the same
// time, so that two spoil each other's answers. Numbers have two bytes.
type crowd struct {
	meters   [][2]byte
	apart    bool // they answer one after the other
	preamble bool
	fails    error // after so many questions
	after    int

	asked []bus.Request
}

// pair frames carry a number of two bytes and a control code.
var pair = Shape{Head: 5, Fits: func([]byte) bool { return true }}

func pairFrame(b []byte, number [2]byte, control byte) []byte {
	from := len(b)
	return Seal(append(b, Start, number[0], number[1], control, 0), from)
}

func (c *crowd) Exchange(_ context.Context, q bus.Request) ([]byte, error) {
	c.asked = append(c.asked, q)
	if c.fails != nil && len(c.asked) > c.after {
		return nil, c.fails
	}
	frame, err := pair.Whole(q.Frame)
	if err != nil {
		return nil, err
	}
	silence := &bus.NoReplyError{Waited: q.Timeout}
	answers := 0
	for _, m := range c.meters {
		if !matches(frame[1], m[0]) || !matches(frame[2], m[1]) {
			continue
		}
		if answers++; c.preamble {
			silence.Received = append(silence.Received, Begin()...)
		}
		silence.Received = pairFrame(silence.Received, m, FromMeter|1)
	}
	if answers > 1 && !c.apart {
		silence.Received[len(silence.Received)/2] ^= 0x10 // some of both
	}
	return nil, silence
}

func matches(pattern, digits byte) bool { return pattern == Wildcard || pattern == digits }

// look asks everybody, and narrows when several answer.
func look(t *testing.T, s *Search) (found [][2]byte, err error) {
	t.Helper()
	ask := func(ctx context.Context, number []byte) (bool, error) {
		return s.Ask(ctx, pairFrame(Begin(), [2]byte(number), 1), func(frame []byte) bool {
			if m := [2]byte(frame[1:3]); !slices.Contains(found, m) {
				found = append(found, m)
			}
			return frame[3] == FromMeter|1
		})
	}
	s.Of = 1
	several, err := ask(t.Context(), []byte{Wildcard, Wildcard})
	if err == nil && several {
		err = s.Narrow(t.Context(), 2, ask)
	}
	return found, err
}

func TestMetersAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name  string
		line  crowd
		asked int
	}{
		{name: "nobody", asked: 1},
		{name: "one", line: crowd{meters: [][2]byte{{0x12, 0x34}}}, asked: 1},
		{name: "one, after a preamble", line: crowd{meters: [][2]byte{{0x12, 0x34}}, preamble: true}, asked: 1},
		{name: "two", line: crowd{meters: [][2]byte{{0x12, 0x34}, {0x12, 0x99}}}, asked: 101},
		{name: "two that answer one after the other", line: crowd{meters: [][2]byte{{0x12, 0x34}, {0x12, 0x99}}, apart: true}, asked: 101},
		{name: "alike in the last digits", line: crowd{meters: [][2]byte{{0x00, 0x00}, {0x99, 0x00}, {0x05, 0x07}}, preamble: true}, asked: 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked, of := 0, 0
			s := &Search{Line: &c.line, Shape: pair, Protocol: "pair", Progress: func(n, all int) { asked, of = n, all }}
			found, err := look(t, s)
			if err != nil || len(found) != len(c.line.meters) {
				t.Errorf("found %X, %v; there are %X", found, err, c.line.meters)
			}
			for _, m := range c.line.meters {
				if !slices.Contains(found, m) {
					t.Errorf("%X was not found", m)
				}
			}
			if asked != c.asked || of != c.asked || len(c.line.asked) != c.asked {
				t.Errorf("asked %d times and told of %d of %d, want %d", len(c.line.asked), asked, of, c.asked)
			}
			for _, q := range c.line.asked {
				if q.Protocol != "pair" || q.Timeout != 500*time.Millisecond || q.Gap != q.Timeout || q.Late >= 0 {
					t.Errorf("asked with %+v", q)
				}
			}
		})
	}
}

func TestASearchEndsWithItsLine(t *testing.T) {
	gone := errors.New("the line hung up")
	for after := range 3 {
		line := &crowd{meters: [][2]byte{{0x12, 0x34}, {0x12, 0x99}}, fails: gone, after: after}
		s := &Search{Line: line, Shape: pair, Timeout: time.Second}
		if _, err := look(t, s); !errors.Is(err, gone) || len(line.asked) != after+1 {
			t.Errorf("asked %d times, then got %v; want %v after %d", len(line.asked), err, gone, after)
		}
		if got := line.asked[0].Timeout; got != time.Second {
			t.Errorf("waited %v for an answer, want a second", got)
		}
	}
}
