package meterline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Exchanger is a line or a turn on it.
type Exchanger interface {
	Exchange(ctx context.Context, q bus.Request) ([]byte, error)
}

// Search asks whoever is on a line, one question a turn, so that the line's other devices go on
// meanwhile.
type Search struct {
	Line      Exchanger
	Shape     Shape
	Protocol  string              // as the monitor calls it
	Timeout   time.Duration       // for one question; 0: half a second
	Character *bus.Character      // on a serial line; nil: its own
	Progress  func(asked, of int) // called after every question; nil: nobody watches
	Of        int                 // how many questions there will be, as far as is known

	asked int
}

const searchTimeout = 500 * time.Millisecond

// ErrCrowded says that a search found nobody in a crowd.
var ErrCrowded = errors.New("several meters answer at once, and none of them to a part of its address: connect one at a time")

// Ask sends a question and shows every frame that comes to take, which says whether a meter has
// answered with it. several says that what came cannot be one meter's answer alone.
func (s *Search) Ask(ctx context.Context, question []byte, take func(frame []byte) (answer bool)) (several bool, err error) {
	heard, err := s.everything(ctx, question)
	if err != nil {
		return false, err
	}
	s.asked++
	if s.Progress != nil {
		s.Progress(s.asked, s.Of)
	}
	answers, damaged := 0, false
	for len(heard) > 0 {
		frame, n, ok := s.Shape.Find(heard)
		if !ok {
			damaged = damaged || !onlyPreamble(heard)
			break
		}
		damaged = damaged || !onlyPreamble(heard[:n-len(frame)])
		heard = heard[n:]
		if take(frame) {
			answers++
		}
	}
	return damaged || answers > 1, nil
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
func (s *Search) everything(ctx context.Context, question []byte) ([]byte, error) {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = searchTimeout
	}
	_, err := s.Line.Exchange(ctx, bus.Request{
		Frame: question, Timeout: timeout, Gap: timeout, Late: -1, Quiet: true, Protocol: s.Protocol, Character: s.Character,
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

// Narrow asks those alone whose lowest two digits are 00, 01 and so on up to 99, with wildcards for
// the rest, and goes into the next two where several answer to that. A number is as long as size says
// and has its highest digits first; ask must not keep it.
func (s *Search) Narrow(ctx context.Context, size int, ask func(ctx context.Context, number []byte) (several bool, err error)) error {
	return s.narrow(ctx, bytes.Repeat([]byte{Wildcard}, size), size-1, ask)
}

// narrow goes through the values of one byte of the number.
func (s *Search) narrow(ctx context.Context, number []byte, at int, ask func(ctx context.Context, number []byte) (bool, error)) error {
	s.Of += 100
	for pair := range byte(100) {
		number[at] = pair/10<<4 | pair%10
		several, err := ask(ctx, number)
		if err != nil {
			return err
		}
		if several && at > 0 {
			if err := s.narrow(ctx, number, at-1, ask); err != nil {
				return err
			}
		}
	}
	number[at] = Wildcard
	return nil
}
