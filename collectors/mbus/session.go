package mbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

const (
	tries = 3 // of one request; EN 13757-2 wants a request repeated twice

	protocol = "mbus"
)

// exchanger is a line that is ours for the moment: a turn on a bus.
type exchanger interface {
	Exchange(ctx context.Context, q bus.Request) ([]byte, error)
	Verdict(fault bus.Fault, text string) // on what came last
	Refused(text string)                  // so did the meter, in that frame
}

// session is one conversation with one meter, within one turn.
type session struct {
	line      exchanger
	meter     Address
	timeout   time.Duration
	character *bus.Character
	// fcb is the frame count bit of the next request that has one. It is toggled when a request was
	// answered, so that the meter knows a new one from one that is repeated.
	fcb bool
}

// silenceError is the lack of a valid answer; why says what came instead, if anything did.
type silenceError struct {
	waited time.Duration
	why    string
}

func (e *silenceError) Error() string {
	if e.why == "" {
		return fmt.Sprintf("no answer within %v", e.waited)
	}
	return fmt.Sprintf("no valid answer within %v: %s", e.waited, e.why)
}

// reset brings the link into its first state: the next request has a frame count bit of 1 and is new
// to the meter, whatever was asked before and by whom. A meter that does not answer may not have
// heard it, so then the bit goes on as before.
func (s *session) reset(ctx context.Context) error {
	err := s.command(ctx, short(sndNKE, s.meter.primary), 1)
	if err == nil {
		s.fcb = true
	}
	return err
}

// choose makes the meter with the session's identity listen to the network address.
func (s *session) choose(ctx context.Context) error {
	return s.command(ctx, long(sndUD, addressNetwork, ciSelect, s.meter.identity.wire()...), tries)
}

// chooseAfresh is choose for a meter of which nobody knows what frame count bit it saw last. The reset
// in between ends the selection, so that there are two. known is false when the meter did not answer
// the reset.
func (s *session) chooseAfresh(ctx context.Context) (known bool, err error) {
	if err := s.choose(ctx); err != nil {
		return false, err
	}
	err = s.reset(ctx)
	if _, silent := errors.AsType[*silenceError](err); err != nil && !silent {
		return false, err
	}
	return err == nil, s.choose(ctx)
}

// application resets the meter's application and lets it prepare the telegrams of that subcode.
func (s *session) application(ctx context.Context, code byte) error {
	err := s.command(ctx, s.counted(long(sndUD, s.meter.primary, ciReset, code)), tries)
	if err == nil {
		s.fcb = !s.fcb
	}
	return err
}

// counted puts the frame count bit in.
func (s *session) counted(f Frame) Frame {
	if s.fcb {
		f.Control |= fcbBit
	}
	return f
}

// command sends what is answered by a single character.
func (s *session) command(ctx context.Context, f Frame, times int) error {
	var err error
	for range times {
		if _, err = s.exchange(ctx, f, &ackListener{}); err == nil {
			return nil
		}
		if _, silent := errors.AsType[*silenceError](err); !silent {
			return err
		}
	}
	return err
}

// telegram asks for one telegram, again if need be, and gives its frame.
func (s *session) telegram(ctx context.Context, times int) (Frame, error) {
	var err error
	for range times {
		l := &dataListener{meter: s.meter}
		if _, err = s.exchange(ctx, s.counted(short(reqUD2, s.meter.primary)), l); err == nil {
			s.fcb = !s.fcb
			return l.frame, nil
		}
		if _, silent := errors.AsType[*silenceError](err); !silent {
			return Frame{}, err
		}
	}
	return Frame{}, err
}

// listener picks an answer from what is heard on the line.
type listener interface {
	hear(received []byte) (frame []byte, complete bool)
	why(received []byte) (bus.Fault, string) // there was none
}

func (s *session) exchange(ctx context.Context, f Frame, l listener) ([]byte, error) {
	answer, err := s.line.Exchange(ctx, bus.Request{
		Frame: f.Append(nil), Timeout: s.timeout, Answer: l.hear, Character: s.character, Protocol: protocol,
		// An answer that comes late is the one to this request or says whose it is.
		Late: -1, Overhear: overhear,
	})
	none, ok := errors.AsType[*bus.NoReplyError](err)
	switch {
	case !ok:
		return answer, err
	case none.Echo:
		return nil, &silenceError{none.Waited, onlyEcho}
	}
	fault, why := l.why(none.Received)
	if why != "" {
		s.line.Verdict(fault, why)
	}
	return nil, &silenceError{none.Waited, why}
}

// overhear is a bus.Request's.
func overhear(b []byte) (heard bus.Overheard) {
	for {
		f, n, ok := find(b)
		switch {
		case !ok:
			return heard
		case f.Control&fromMaster != 0:
			heard.Request()
		default:
			heard.Answer()
		}
		b = b[n:]
	}
}

// ackListener waits for E5.
type ackListener struct{}

func (ackListener) hear(received []byte) ([]byte, bool) {
	n, ok := acknowledged(received)
	if !ok {
		return nil, false
	}
	return received[n-1 : n], true
}

func (ackListener) why(received []byte) (bus.Fault, string) {
	if f, _, ok := find(received); ok && f.Control&fromMaster == 0 {
		return bus.Unrelated, "the meter sent data instead of an acknowledgement"
	}
	return whyNot(received)
}

const onlyEcho = "only the request was heard on the line"

func whyNot(received []byte) (bus.Fault, string) {
	if len(received) == 0 {
		return bus.Garbled, ""
	}
	if f, n, ok := find(received); ok && f.Control&fromMaster != 0 {
		if received = received[n:]; len(received) == 0 {
			return bus.Unrelated, onlyEcho
		}
	}
	err := diagnose(received)
	if errors.Is(err, errDamaged) || errors.Is(err, errShort) {
		return bus.Damaged, err.Error()
	}
	return bus.Garbled, err.Error()
}

// dataListener waits for the data of one meter.
type dataListener struct {
	meter Address
	used  int // of the bytes received, how many are dealt with
	frame Frame
	odd   string
	fault bus.Fault // that odd is
}

func (l *dataListener) hear(received []byte) ([]byte, bool) {
	for {
		f, n, ok := find(received[l.used:])
		if !ok {
			return nil, false
		}
		from := l.used
		l.used += n
		if l.take(f) {
			// The bus may use the bytes again, and the frame is looked at later.
			l.frame.Data = bytes.Clone(f.Data)
			return received[from:l.used], true
		}
	}
}

func (l *dataListener) take(f Frame) bool {
	switch {
	case f.Control&fromMaster != 0:
		return false // an adapter that hears itself, or another master
	case f.Kind != Long || f.Control&kindMask != rspUD:
		l.fault, l.odd = bus.Unrelated, fmt.Sprintf("the meter answered with control byte %02X, not with data", f.Control)
		return false
	case !l.meter.secondary && l.meter.primary != addressTest && f.Address != l.meter.primary:
		l.fault, l.odd = bus.WrongUnit, fmt.Sprintf("meter %d answered", f.Address)
		return false
	}
	l.frame = f
	return true
}

func (l *dataListener) why(received []byte) (bus.Fault, string) {
	if l.odd != "" {
		return l.fault, l.odd
	}
	if _, ok := acknowledged(received); ok {
		return bus.Unrelated, "the meter acknowledged and sent no data"
	}
	return whyNot(received)
}
