package modbus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"sluice/collectors/bus"
)

// Search says how to look for units on a line.
type Search struct {
	Protocol string        // modbus-tcp, modbus-rtu or modbus-ascii
	Units    []byte        // which; none: 1 to 247
	Timeout  time.Duration // for each; 0: 300 ms
	// Character, on a serial line, are settings other than its own to look at.
	Character *bus.Character
	First     bool // one that answers is enough
	// Progress, if there is one, hears before each question how many of all have been asked.
	Progress func(unit byte, done, all int)
	// Found, if there is one, hears of every unit at once. It may ask it more.
	Found func(Found)
}

// Found is a unit that answered.
type Found struct {
	Unit   byte
	Answer string // in words: "holding = 0028", or the exception
	Raw    []byte // the frame
}

const searchTimeout = 300 * time.Millisecond

// Find asks each unit for its first holding register, which changes nothing in any device. Whatever
// a unit answers, be it that it has no such register, shows that it is there. Each question is a
// turn of its own, after those of others who wait, so that a line in operation goes on. When ctx ends
// it returns what it found until then and the reason.
func Find(ctx context.Context, c *bus.Client, s Search) ([]Found, error) {
	return find(ctx, busWire{c}, s)
}

func find(ctx context.Context, w wire, s Search) ([]Found, error) {
	spokenAs, err := s.dialect()
	if err != nil {
		return nil, err
	}
	w = s.settled(w)
	defer w.rest()
	units := s.Units
	if len(units) == 0 {
		for unit := byte(1); unit <= 247; unit++ {
			units = append(units, unit)
		}
	}
	var ids atomic.Uint32
	var found []Found
	for i, unit := range units {
		if s.Progress != nil {
			s.Progress(unit, i, len(units))
		}
		t := target{dialect: spokenAs}
		l := newLink(t, fmt.Sprintf("unit %d", unit), t.framer(unit, &ids), s.patience(), w, nil)
		l.quiet = true
		one, err := l.isThere(ctx)
		if err != nil {
			return found, err
		}
		if one == nil {
			continue
		}
		found = append(found, *one)
		if s.Found != nil {
			s.Found(*one)
		}
		if s.First {
			break
		}
	}
	return found, ctx.Err()
}

func (s *Search) dialect() (dialect, error) {
	spokenAs := slices.Index(protocols[:], s.Protocol)
	if s.Protocol == "" || spokenAs < 0 {
		return 0, fmt.Errorf("%q is not a protocol; there are %v", s.Protocol, protocols[overTCP:])
	}
	return dialect(spokenAs), nil
}

func (s *Search) patience() time.Duration {
	if s.Timeout <= 0 {
		return searchTimeout
	}
	return s.Timeout
}

// settled is w with the search's own settings of the line, if it has any.
func (s *Search) settled(w wire) wire {
	if s.Character == nil {
		return w
	}
	return settledWire{w, s.Character}
}

// settledWire is a line on which every exchange has settings that are not the line's.
type settledWire struct {
	wire
	character *bus.Character
}

func (w settledWire) take(ctx context.Context, urgent bool) (turn, error) {
	t, err := w.wire.take(ctx, urgent)
	if err != nil {
		return nil, err
	}
	return settledTurn{t, w.character}, nil
}

type settledTurn struct {
	turn
	character *bus.Character
}

func (t settledTurn) Exchange(ctx context.Context, q bus.Request) ([]byte, error) {
	q.Character = t.character
	return t.turn.Exchange(ctx, q)
}

// isThere gives nil for a unit that does not answer; an error means that there is no use in asking
// the next one.
func (l *link) isThere(ctx context.Context) (*Found, error) {
	if err := l.take(ctx, false); err != nil {
		return nil, err
	}
	defer l.release()
	data, err := l.ask(ctx, readOrder(span{Holding, 0, 1}))
	refusal, refused := errors.AsType[exception](err)
	_, unusable := errors.AsType[*lineError](err)
	answer := ""
	switch {
	case err == nil:
		answer = fmt.Sprintf("holding:0 = %d", binary.BigEndian.Uint16(data))
	case refused && refusal.about() == aboutGateway:
		return nil, nil // the gateway says that there is nobody
	case refused:
		answer = refusal.Error()
	case ctx.Err() != nil || unusable:
		return nil, err
	default:
		return nil, nil
	}
	unit, _ := l.question(l.request)
	return &Found{Unit: unit, Answer: answer, Raw: slices.Clone(l.heard)}, nil
}
