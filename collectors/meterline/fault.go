package meterline

import (
	"bytes"
	"errors"

	"sluice/collectors/bus"
)

// Judge tells a line, for its statistics, what it was that came instead of the answer to a question,
// and in words why that is none. own says whether a frame is of the meter that was asked.
func (s Shape) Judge(c *bus.Client, question, received []byte, own func(frame []byte) bool, why string) {
	if received = bytes.TrimPrefix(received, question); why != "" && len(received) > 0 {
		c.Verdict(s.fault(received, own), why)
	}
}

// fault looks at what came behind the echo, if there was one.
func (s Shape) fault(received []byte, own func(frame []byte) bool) bus.Fault {
	fault := bus.Garbled
	for rest := received; ; {
		frame, n, ok := s.Find(rest)
		switch {
		case !ok && fault != bus.Garbled:
			return fault
		case !ok:
			if err := s.Diagnose(received); errors.Is(err, ErrDamaged) || errors.Is(err, ErrShort) {
				return bus.Damaged
			}
			return bus.Garbled
		case !s.answers(frame):
			return bus.Unrelated // another master's, with its answers
		case !own(frame):
			fault = bus.WrongUnit
		case fault == bus.Garbled:
			fault = bus.Unrelated
		}
		rest = rest[n:]
	}
}

// answers says whether a meter has sent a frame: the control code stands before the length.
func (s Shape) answers(frame []byte) bool { return frame[s.Head-2]&FromMeter != 0 }

// Overhear is a bus.Request's.
func (s Shape) Overhear(b []byte) (heard bus.Overheard) {
	for {
		frame, n, ok := s.Find(b)
		switch {
		case !ok:
			return heard
		case s.answers(frame):
			heard.Answer()
		default:
			heard.Request()
		}
		b = b[n:]
	}
}
