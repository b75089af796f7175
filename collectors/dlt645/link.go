package dlt645

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/collectors/bus"
	"sluice/collectors/meterline"
)

// link is what all parts of a meter share: the line, and what has been learned about the meter.
type link struct {
	client  *bus.Client
	address bus.Address
	edition Edition
	number  MeterNumber
	timeout time.Duration

	passwordFile, operatorFile string
	broadcast                  bool // the clock is set by broadcast
	useBlocks                  bool

	mu      sync.Mutex // guards what follows: a Write may run beside a Read
	blocks  map[ID]blockState
	learned int
}

// fetch brings the bytes behind an identifier, from as many frames as the meter makes of them.
func (l *link) fetch(ctx context.Context, line meterline.Exchanger, id ID) ([]byte, error) {
	if id == clockID {
		return l.fetchClock(ctx, line)
	}
	q := question{edition: l.edition, meter: l.number, function: l.edition.readFunction(), id: id}
	var data, last []byte
	for range maxFrames {
		heard, err := l.ask(ctx, line, q)
		if silent(err) && q.sequence > 0 {
			return nil, &answerError{"the rest of the answer is missing: " + err.Error()}
		}
		if err != nil {
			return nil, err
		}
		// Continuations of 1997 carry no number. One that is the frame before, byte for byte, was most
		// likely sent twice.
		if q.sequence > 0 && l.edition == Edition1997 && bytes.Equal(heard.data, last) && varied(last) {
			return nil, &answerError{"the meter sent a part of the answer twice"}
		}
		data, last = append(data, heard.data...), heard.data
		if !heard.more {
			return data, nil
		}
		q.function, q.sequence = l.edition.nextFunction(), q.sequence+1
	}
	return nil, &answerError{fmt.Sprintf("the answer does not end after %d frames", maxFrames)}
}

// varied says whether b is more than one byte again and again, as counters that stand at 0 are.
func varied(b []byte) bool {
	return slices.ContainsFunc(b, func(c byte) bool { return c != b[0] })
}

// ask does one exchange.
func (l *link) ask(ctx context.Context, line meterline.Exchanger, q question) (*listener, error) {
	heard := &listener{question: q}
	_, err := line.Exchange(ctx, bus.Request{
		Frame: q.frame(), Timeout: l.timeout, Gap: min(l.timeout, meterline.MaxPause), Answer: heard.hear, Protocol: "dlt645",
		Overhear: shape.Overhear,
		Late:     -1, // an answer names the meter and the data, and a late one is passed over
	})
	if noReply, ok := errors.AsType[*bus.NoReplyError](err); ok {
		heard.Echo = heard.Echo || noReply.Echo
		why := heard.why(noReply.Received)
		shape.Judge(l.client, q.frame(), noReply.Received, func(frame []byte) bool { return parse(frame).Meter == q.meter }, why)
		return nil, &meterline.SilenceError{Waited: noReply.Waited, Why: why}
	}
	if err != nil {
		return nil, err
	}
	if !heard.ok {
		refusal := l.edition.refusal(heard.errors)
		l.client.Refused(refusal)
		return nil, &answerError{refusal}
	}
	return heard, nil
}
