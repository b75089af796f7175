package dlt645

import (
	"bytes"
	"errors"

	"sluice/collectors/bus"
)

// judge tells the line what it was that came instead of an answer, for its statistics.
func (l *link) judge(q question, received []byte, why string) {
	if received = bytes.TrimPrefix(received, q.frame()); why != "" && len(received) > 0 {
		l.client.Verdict(faultIn(received, q.meter), why)
	}
}

// faultIn looks at what came behind the echo, if there was one.
func faultIn(received []byte, asked MeterNumber) bus.Fault {
	fault := bus.Garbled
	for rest := received; ; {
		f, n, ok := Locate(rest)
		switch {
		case !ok && fault != bus.Garbled:
			return fault
		case !ok:
			if err := Diagnose(received); errors.Is(err, errDamaged) || errors.Is(err, errShort) {
				return bus.Damaged
			}
			return bus.Garbled
		case f.Control&fromMeter == 0:
			return bus.Unrelated // another master's, with its answers
		case f.Meter != asked:
			fault = bus.WrongUnit
		case fault == bus.Garbled:
			fault = bus.Unrelated
		}
		rest = rest[n:]
	}
}

// overhear is a bus.Request's.
func overhear(b []byte) (heard bus.Overheard) {
	for {
		f, n, ok := Locate(b)
		switch {
		case !ok:
			return heard
		case f.Control&fromMeter == 0:
			heard.Request()
		default:
			heard.Answer()
		}
		b = b[n:]
	}
}
