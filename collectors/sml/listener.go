package sml

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// listener picks telegrams out of what is heard on a line. Whatever is none is passed over, and
// remembered in case none comes.
type listener struct {
	allowed     Checks
	transaction []byte // only the answer to this request counts; empty: whatever the meter sends
	server      string // only this meter's telegrams count; empty: any

	dealt    int // bytes of what was received
	telegram Telegram
	used     Checks
	refusal  error // the meter's answer to the request was that there is none
	problem  error // with what came last without being what is waited for
}

// hear is a bus.FrameReader. Of several telegrams the newest counts.
func (l *listener) hear(received []byte) (frame []byte, complete bool) {
	for {
		content, check, n, err := nextFrame(received[l.dealt:], l.allowed.Frame)
		if n == 0 {
			return frame, frame != nil
		}
		from := l.dealt
		l.dealt += n
		if err == nil {
			err = l.take(content, check)
		}
		if err != nil {
			l.problem = err
			continue
		}
		frame = received[from:l.dealt]
	}
}

func (l *listener) take(content []byte, frame Check) error {
	t, check, err := decodeMessages(content, l.transaction, l.allowed.Message)
	refused, ok := errors.AsType[*attentionError](err)
	switch {
	case ok && len(l.transaction) > 0:
		l.refusal = refused
	case err != nil:
		return err
	case l.server != "" && l.server != string(t.Server):
		return &otherMeterError{t.ServerID(), Octets(l.server)}
	default:
		l.telegram, l.refusal = t, nil
	}
	l.used = Checks{frame, check}
	return nil
}

// otherMeterError says whose telegram was heard.
type otherMeterError struct {
	heard  string
	wanted Octets
}

func (e *otherMeterError) Error() string {
	return fmt.Sprintf("meter %s was heard instead of %s", e.heard, e.wanted)
}

// fault is what the line's statistics call the lack of a telegram.
func (l *listener) fault(why error) bus.Fault {
	_, other := errors.AsType[*otherMeterError](why)
	switch {
	case other:
		return bus.WrongUnit
	case errors.Is(why, errDamaged), errors.Is(why, errShort):
		return bus.Damaged
	case l.problem != nil:
		return bus.Unrelated
	}
	return bus.Garbled
}

// explain says what came instead of a telegram.
func (l *listener) explain(e *bus.NoReplyError, waited time.Duration) error {
	rest := e.Received[min(l.dealt, len(e.Received)):]
	switch {
	case l.problem != nil:
		return fmt.Errorf("no valid telegram within %v: %w", waited, l.problem)
	case len(rest) == 0:
		return fmt.Errorf("no telegram within %v", waited)
	}
	if start := bytes.Index(rest, begin); start >= 0 {
		return fmt.Errorf("no valid telegram within %v: %w: %d bytes", waited, errShort, len(rest)-start)
	}
	return fmt.Errorf("no telegram within %v, but %d bytes without the start of one: the rate may be wrong, or it is no SML meter", waited, len(rest))
}
