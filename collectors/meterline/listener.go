package meterline

import (
	"fmt"
	"strings"
	"time"

	"sluice/collectors/bus"
)

// MaxPause is how long a meter may pause between two bytes of an answer by the standards.
const MaxPause = 500 * time.Millisecond

// Listener picks the answer to one question from what is heard on a line that others use too.
// Whatever is not the answer is passed over, and remembered in case the answer never comes.
type Listener struct {
	Echo bool   // a request was heard: of an adapter that hears itself, or of another master
	Odd  string // what came instead of the answer, in words

	used int // of the bytes received, how many are dealt with
}

// Hear shows each new frame in received to take, until take says that one settles the question. It
// gives what a bus.FrameReader does.
func (l *Listener) Hear(s Shape, received []byte, take func(frame []byte) (settled bool)) ([]byte, bool) {
	for {
		frame, n, ok := s.Find(received[l.used:])
		if !ok {
			return nil, false
		}
		from := l.used
		l.used += n
		if take(frame) {
			return received[from:l.used], true
		}
	}
}

// Why says what came instead of the answer, in the end; empty: nothing did.
func (l *Listener) Why(s Shape, received []byte) string {
	rest := received[min(l.used, len(received)):]
	switch {
	case l.Odd != "":
		return l.Odd
	case len(rest) > 0:
		return s.Diagnose(rest).Error()
	case l.Echo:
		return "only the request was heard on the line"
	}
	return ""
}

// SilenceError is the lack of a valid answer.
type SilenceError struct {
	Waited time.Duration
	Why    string // what came instead; empty: nothing did
}

// Error implements error.
func (e *SilenceError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("no answer within %v", e.Waited)
	}
	return "no valid answer: " + e.Why
}

// Place names a line for people.
func Place(address bus.Address) string {
	if name, ok := strings.CutPrefix(string(address), "bus://"); ok {
		return "bus " + name
	}
	return string(address)
}
