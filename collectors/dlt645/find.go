package dlt645

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/meterline"
)

// Found is a meter that answered.
type Found struct {
	Meter   MeterNumber
	Edition Edition
	Raw     []byte // the frame
}

// Search says how to look for meters.
type Search struct {
	Edition   Edition             // zero: 2007, then 1997 if none of those answers
	Timeout   time.Duration       // for one question; 0: half a second
	Character *bus.Character      // on a serial line; nil: its own
	Progress  func(asked, of int) // called after every question; nil: nobody watches
	Found     func(Found)         // called for every meter at once; nil likewise
}

// Find asks whoever is on the line for its address. When several meters answer at once, which shows
// as damaged frames, it reads those alone whose lowest two digits are 00, 01 and so on, with AA for
// the rest, as meters allow it for reading, and goes into further digits where that is not enough.
func Find(ctx context.Context, c *bus.Client, s Search) ([]Found, error) {
	editions := []Edition{Edition2007, Edition1997}
	if s.Edition != 0 {
		editions = []Edition{s.Edition}
	}
	f := &finder{tell: s.Found, Search: meterline.Search{
		Line: c, Shape: shape, Protocol: "dlt645", Timeout: s.Timeout, Character: s.Character, Progress: s.Progress,
	}}
	for _, edition := range editions {
		crowded, err := f.find(ctx, edition)
		if err != nil || len(f.found) > 0 {
			return f.found, err
		}
		if crowded {
			return nil, meterline.ErrCrowded
		}
	}
	return nil, nil
}

type finder struct {
	meterline.Search
	tell  func(Found)
	found []Found
}

var everyMeter = MeterNumber{
	meterline.Wildcard, meterline.Wildcard, meterline.Wildcard, meterline.Wildcard, meterline.Wildcard, meterline.Wildcard,
}

// find looks for meters of one edition; crowded says that there are some that could not be told
// apart.
func (f *finder) find(ctx context.Context, edition Edition) (crowded bool, err error) {
	f.Of++
	if edition == Edition2007 {
		f.Of++
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
	err = f.Narrow(ctx, len(everyMeter), func(ctx context.Context, number []byte) (bool, error) {
		return f.ask(ctx, edition, f.reading(edition, MeterNumber(number)))
	})
	if err != nil {
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

// ask sends one question and adds those who answer it. A refusal names the meter as well as an
// answer does.
func (f *finder) ask(ctx context.Context, edition Edition, q Frame) (several bool, err error) {
	return f.Ask(ctx, q.Append(meterline.Begin()), func(frame []byte) bool {
		answer := parse(frame)
		if answer.Control&fromMeter == 0 || answer.Control&function != q.Control {
			return false
		}
		f.add(Found{Meter: answer.Meter, Edition: edition, Raw: bytes.Clone(frame)})
		return true
	})
}

func (f *finder) add(found Found) {
	if slices.ContainsFunc(f.found, func(known Found) bool { return known.Meter == found.Meter }) {
		return
	}
	f.found = append(f.found, found)
	if f.tell != nil {
		f.tell(found)
	}
}

// Phases asks a meter of 2007 for the voltages of its phases, and says how many it has: 1 when it
// refuses the second one, 3 when it gives it, 0 when that is not known.
func Phases(ctx context.Context, c *bus.Client, s Search, meter MeterNumber) (int, error) {
	if s.Timeout <= 0 {
		s.Timeout = 500 * time.Millisecond
	}
	const second = 0x02010200
	q := question{edition: Edition2007, meter: meter, function: Edition2007.readFunction(), id: ID{second, 4}}
	heard := &listener{question: q}
	_, err := c.Exchange(ctx, bus.Request{
		Frame: q.frame(), Timeout: s.Timeout, Gap: s.Timeout, Late: -1, Protocol: "dlt645", Character: s.Character, Answer: heard.hear,
	})
	_, silent := errors.AsType[*bus.NoReplyError](err)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case silent:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("ask meter %s for its phases: %w", meter, err)
	case !heard.ok:
		return 1, nil
	case slices.ContainsFunc(heard.data, func(b byte) bool { return b != 0 && b != 0xFF }):
		return 3, nil
	}
	return 0, nil // a phase without voltage may be one that is not there
}
