package cjt188

import (
	"bytes"
	"context"
	"slices"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/meterline"
)

// Found is a meter that answered.
type Found struct {
	Meter MeterNumber
	Type  byte
	Name  string // of the type, for people
	Raw   []byte // the frame
}

// Search says how to look for meters.
type Search struct {
	Timeout   time.Duration       // for one question; 0: half a second
	Character *bus.Character      // on a serial line; nil: its own
	Progress  func(asked, of int) // called after every question; nil: nobody watches
	Found     func(Found)         // called for every meter at once; nil likewise
}

// Find asks whoever is on the line for its address, in the ways that meters are known to listen to:
// with either order of the identifier, and with each type of meter, since some do not know that AA
// stands for any. When several meters answer at once, which shows as damaged frames, it asks those
// alone whose lowest two digits are 00, 01 and so on, and goes into further digits where that is not
// enough. Meters that do not know such a partial address stay hidden then; Find says so when it found
// none.
func Find(ctx context.Context, c *bus.Client, s Search) ([]Found, error) {
	f := &finder{tell: s.Found, Search: meterline.Search{
		Line: c, Shape: shape, Protocol: "cjt188", Timeout: s.Timeout, Character: s.Character, Progress: s.Progress, Of: len(manners),
	}}
	crowded := false
	for _, m := range manners {
		if crowded && m.kind != wildcard {
			f.Of--
			continue // they were told apart without
		}
		several, err := f.ask(ctx, m, everyMeter)
		if err != nil {
			return f.found, err
		}
		if !several {
			continue
		}
		crowded = true
		err = f.Narrow(ctx, len(everyMeter), func(ctx context.Context, number []byte) (bool, error) {
			return f.ask(ctx, m, MeterNumber(number))
		})
		if err != nil {
			return f.found, err
		}
	}
	if crowded && len(f.found) == 0 {
		return nil, meterline.ErrCrowded
	}
	return f.found, nil
}

var everyMeter = MeterNumber{wildcard, wildcard, wildcard, wildcard, wildcard, wildcard, wildcard}

// manner is a way to ask for an address.
type manner struct {
	kind  byte
	order idOrder
}

var manners = []manner{
	{wildcard, highFirst}, {wildcard, lowFirst}, {0x10, highFirst}, {0x20, highFirst}, {0x30, highFirst}, {0x40, highFirst},
}

type finder struct {
	meterline.Search
	tell  func(Found)
	found []Found
}

// ask sends one question and adds those who answer it.
func (f *finder) ask(ctx context.Context, m manner, pattern MeterNumber) (several bool, err error) {
	q := question{kind: m.kind, meter: pattern, function: readAddress, id: addressOf, order: m.order, serial: 1}
	return f.Ask(ctx, q.frame(), func(frame []byte) bool {
		answer := parse(frame)
		if answer.Control != readAddress|fromMeter {
			return false
		}
		f.add(Found{Meter: answer.Meter, Type: answer.Type, Name: typeName(answer.Type), Raw: bytes.Clone(frame)})
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
