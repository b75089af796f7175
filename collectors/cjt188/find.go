package cjt188

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Found is a meter that answered.
type Found struct {
	Meter MeterNumber
	Type  byte
	Name  string // of the type, for people
}

// Search says how to look for meters.
type Search struct {
	Timeout  time.Duration       // for one question; 0: half a second
	Progress func(asked, of int) // called after every question; nil: nobody watches
	Found    func(Found)         // called for every meter at once; nil likewise
}

// Find asks whoever is on the line for its address, in the ways that meters are known to listen to:
// with either order of the identifier, and with each type of meter, since some do not know that AA
// stands for any. When several meters answer at once, which shows as damaged frames, it asks those
// alone whose lowest two digits are 00, 01 and so on, and goes into further digits where that is not
// enough. Meters that do not know such a partial address stay hidden then; Find says so when it found
// none.
func Find(ctx context.Context, c *bus.Client, s Search) ([]Found, error) {
	if s.Timeout <= 0 {
		s.Timeout = 500 * time.Millisecond
	}
	f := &finder{client: c, search: s, known: map[MeterNumber]bool{}, of: len(manners)}
	crowded := false
	for _, m := range manners {
		if crowded && m.kind != wildcard {
			f.of--
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
		if err := f.narrow(ctx, m, everyMeter, len(everyMeter)-1); err != nil {
			return f.found, err
		}
	}
	if crowded && len(f.found) == 0 {
		return nil, errors.New("several meters answer at once, and none of them to a part of its address: connect one at a time")
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
	client    *bus.Client
	search    Search
	found     []Found
	known     map[MeterNumber]bool
	asked, of int
}

// narrow goes through the values of one byte of the address, from the lowest byte up.
func (f *finder) narrow(ctx context.Context, m manner, pattern MeterNumber, at int) error {
	f.of += 100
	for n := range byte(100) {
		pattern[at] = n/10<<4 | n%10
		several, err := f.ask(ctx, m, pattern)
		if err != nil {
			return err
		}
		if several && at > 0 {
			if err := f.narrow(ctx, m, pattern, at-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask sends one question and takes every frame that comes. several says that what came cannot be
// one meter's answer alone.
func (f *finder) ask(ctx context.Context, m manner, pattern MeterNumber) (several bool, err error) {
	q := question{kind: m.kind, meter: pattern, function: readAddress, id: addressOf, order: m.order, serial: 1}
	// The answer is never taken as complete: a second meter may be slower than the first.
	heard, err := everything(ctx, f.client, q.frame(), f.search.Timeout)
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
		if frame.Control == readAddress|fromMeter {
			answers++
			f.add(Found{Meter: frame.Meter, Type: frame.Type, Name: typeName(frame.Type)})
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

// everything sends a request and gives all that is heard until the line is quiet again.
func everything(ctx context.Context, c *bus.Client, frame []byte, timeout time.Duration) ([]byte, error) {
	_, err := c.Exchange(ctx, bus.Request{
		Frame: frame, Timeout: timeout, Gap: timeout, Late: -1, Quiet: true, Protocol: "cjt188",
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
