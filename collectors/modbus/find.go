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
	// Progress, if there is one, hears before each question how many of all have been asked.
	Progress func(unit byte, done, all int)
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
	spokenAs := dialect(slices.Index(protocols[:], s.Protocol))
	if s.Protocol == "" || int(spokenAs) >= len(protocols) {
		return nil, fmt.Errorf("%q is not a protocol; there are %v", s.Protocol, protocols[overTCP:])
	}
	defer w.rest()
	units := s.Units
	if len(units) == 0 {
		for unit := byte(1); unit <= 247; unit++ {
			units = append(units, unit)
		}
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = searchTimeout
	}
	var ids atomic.Uint32
	var found []Found
	for i, unit := range units {
		if s.Progress != nil {
			s.Progress(unit, i, len(units))
		}
		t := target{dialect: spokenAs}
		l := newLink(t, fmt.Sprintf("unit %d", unit), t.framer(unit, &ids), timeout, w, nil)
		l.quiet = true
		one, err := l.isThere(ctx)
		if err != nil {
			return found, err
		}
		if one != nil {
			found = append(found, *one)
		}
	}
	return found, ctx.Err()
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
