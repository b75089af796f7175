package dlt645

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Found is a meter that answered.
type Found struct {
	Meter   MeterNumber
	Edition Edition
}

// Search says how to look for meters.
type Search struct {
	Edition  Edition             // zero: 2007, then 1997 if none of those answers
	Timeout  time.Duration       // for one question; 0: half a second
	Progress func(asked, of int) // called after every question; nil: nobody watches
	Found    func(Found)         // called for every meter at once; nil likewise
}

// Find asks whoever is on the line for its address. When several meters answer at once, which shows
// as damaged frames, it reads those alone whose lowest two digits are 00, 01 and so on, with AA for
// the rest, as meters allow it for reading, and goes into further digits where that is not enough.
func Find(ctx context.Context, c *bus.Client, s Search) ([]Found, error) {
	if s.Timeout <= 0 {
		s.Timeout = 500 * time.Millisecond
	}
	editions := []Edition{Edition2007, Edition1997}
	if s.Edition != 0 {
		editions = []Edition{s.Edition}
	}
	f := &finder{client: c, search: s, known: map[MeterNumber]bool{}}
	for _, edition := range editions {
		crowded, err := f.find(ctx, edition)
		if err != nil || len(f.found) > 0 {
			return f.found, err
		}
		if crowded {
			return nil, errors.New("several meters answer at once, and none of them to a part of its address: connect one at a time")
		}
	}
	return nil, nil
}

type finder struct {
	client    *bus.Client
	search    Search
	found     []Found
	known     map[MeterNumber]bool
	asked, of int
}

var everyMeter = MeterNumber{0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA}

// find looks for meters of one edition; crowded says that there are some that could not be told
// apart.
func (f *finder) find(ctx context.Context, edition Edition) (crowded bool, err error) {
	f.of++
	if edition == Edition2007 {
		f.of++
		several, err := f.ask(ctx, edition, Frame{Meter: everyMeter, Control: readAddress})
		if err != nil {
			return false, err
		}
		if !several && len(f.found) > 0 {
			return false, nil
		}
	}
	several, err := f.ask(ctx, edition, f.reading(edition, everyMeter))
	if err != nil || !several {
		return false, err
	}
	if err := f.narrow(ctx, edition, everyMeter, len(everyMeter)-1); err != nil {
		return false, err
	}
	return len(f.found) == 0, nil
}

// reading is a request for something that every meter has: its address, or its number in 1997.
func (f *finder) reading(edition Edition, pattern MeterNumber) Frame {
	id := ID{0x04000401, 4}
	if edition == Edition1997 {
		id = ID{0xC032, 2}
	}
	return Frame{Meter: pattern, Control: edition.readFunction(), Data: id.wire()}
}

// narrow goes through the values of one byte of the address, from the lowest byte up.
func (f *finder) narrow(ctx context.Context, edition Edition, pattern MeterNumber, at int) error {
	f.of += 100
	for n := range 100 {
		pattern[at] = digitPair(n)
		several, err := f.ask(ctx, edition, f.reading(edition, pattern))
		if err != nil {
			return err
		}
		if several && at > 0 {
			if err := f.narrow(ctx, edition, pattern, at-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask sends one question and takes every frame that comes. several says that what came cannot be
// one meter's answer alone. A refusal names the meter as well as an answer does.
func (f *finder) ask(ctx context.Context, edition Edition, q Frame) (several bool, err error) {
	heard, err := f.everything(ctx, q.Append([]byte{preamble, preamble, preamble, preamble}))
	if err != nil {
		return false, err
	}
	f.asked++
	if f.search.Progress != nil {
		f.search.Progress(f.asked, f.of)
	}
	answers, damaged := 0, false
	for len(heard) > 0 {
		frame, n, ok := Locate(heard)
		if !ok {
			damaged = damaged || !onlyPreamble(heard)
			break
		}
		damaged = damaged || !onlyPreamble(heard[:n-headBytes-len(frame.Data)-tailBytes])
		heard = heard[n:]
		if frame.Control&fromMeter != 0 && frame.Control&function == q.Control {
			answers++
			f.add(Found{Meter: frame.Meter, Edition: edition})
		}
	}
	return damaged || answers > 1, nil
}

func (f *finder) add(found Found) {
	if f.known[found.Meter] {
		return
	}
	f.known[found.Meter] = true
	f.found = append(f.found, found)
	if f.search.Found != nil {
		f.search.Found(found)
	}
}

func onlyPreamble(b []byte) bool {
	for _, c := range b {
		if c != preamble {
			return false
		}
	}
	return true
}

// everything gives all that is heard until the line is quiet again. No answer is ever taken as
// complete: a second meter may be slower than the first.
func (f *finder) everything(ctx context.Context, frame []byte) ([]byte, error) {
	_, err := f.client.Exchange(ctx, bus.Request{
		Frame: frame, Timeout: f.search.Timeout, Gap: f.search.Timeout, Late: -1, Quiet: true, Protocol: "dlt645",
		Answer: func([]byte) ([]byte, bool) { return nil, false },
	})
	if noReply, ok := errors.AsType[*bus.NoReplyError](err); ok {
		return noReply.Received, nil
	}
	if err == nil {
		err = errors.New("bug: an answer that never ends has ended")
	}
	return nil, fmt.Errorf("look for meters: %w", err)
}
