package dlt645

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/gateway/message"
)

const (
	defaultTimeout = time.Second
	maxFrames      = 10 // that one value may be spread over
	maxSilent      = 2  // requests without an answer until a meter counts as absent
)

// Driver makes meters of one edition on the lines of Buses.
type Driver struct {
	Buses   *bus.Set
	Edition Edition // zero: 2007
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{Timeout: defaultTimeout, edition: d.Edition.orDefault()}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of a DL/T 645 meter", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client("bus://"+string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	edition := o.edition.orDefault()
	m := &meter{client: client, edition: edition, number: o.Meter, timeout: o.Timeout}
	for _, p := range o.Points {
		format := p.Format
		if format.kind == unknown {
			format, _ = known(p.ID)
		}
		first := question{edition: edition, meter: o.Meter, function: edition.readFunction(), id: p.ID}
		m.points = append(m.points, point{name: p.Name, unit: p.Unit, format: format, first: first, request: first.frame()})
	}
	return m, nil
}

// meter is one device.
type meter struct {
	client  *bus.Client
	edition Edition
	number  MeterNumber
	timeout time.Duration
	points  []point
	start   int // the point to begin with: one that the meter has answered, as far as known
}

type point struct {
	name    string
	unit    string
	format  Format
	first   question
	request []byte
}

// answerError is a meter's answer that holds no value: the meter is there, this point has a problem.
type answerError struct{ problem string }

func (e *answerError) Error() string { return e.problem }

// silenceError is the lack of a valid answer; why says what came instead, if anything did.
type silenceError struct {
	waited time.Duration
	why    string
}

func (e *silenceError) Error() string {
	if e.why == "" {
		return fmt.Sprintf("no answer within %v", e.waited)
	}
	return "no valid answer: " + e.why
}

// Read asks for one point after the other. A meter that answers nothing is given up after two
// requests, so that an absent one does not keep a shared line busy; since some meters are silent
// about data that they do not have, the next poll then begins with two other points.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	n := len(m.points)
	r.Points = slices.Grow(r.Points[:0], n)[:n]
	first, heard := m.start, false
	var silence error
	for i := range n {
		at := (first + i) % n
		value, err := m.value(ctx, &m.points[at])
		r.Points[at] = message.Point{Name: m.points[at].name, Value: value}
		if err != nil {
			r.Points[at].Error = err.Error()
		}
		switch {
		case answered(err):
			if !heard {
				heard, m.start = true, at
			}
		case silent(err):
			silence = err
			if !heard && (i+1 == maxSilent || i+1 == n) {
				m.start = (at + 1) % n
				return m.absent(err)
			}
		case heard && !errors.Is(err, context.Canceled):
			m.skip(r, first, i, err)
			return nil
		case silence != nil && errors.Is(err, context.DeadlineExceeded):
			return m.absent(silence) // which says more than that the time is over
		default:
			return fmt.Errorf("meter %s: %w", m.number, err)
		}
	}
	return nil
}

func (m *meter) absent(err error) error {
	return fmt.Errorf("meter %s on bus %s: %w", m.number, m.client.Port().Name(), err)
}

func answered(err error) bool {
	_, refused := errors.AsType[*answerError](err)
	return err == nil || refused
}

func silent(err error) bool {
	_, ok := errors.AsType[*silenceError](err)
	return ok
}

// skip marks the points from the i-th on, which the line or the time no longer allowed to ask for.
func (m *meter) skip(r *message.Reading, first, i int, err error) {
	problem := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		problem = "not asked: the time for the poll was over"
	}
	for ; i < len(m.points); i++ {
		at := (first + i) % len(m.points)
		r.Points[at] = message.Point{Name: m.points[at].name, Error: problem}
	}
}

// Unit is what the point is measured in, as the configuration says.
func (m *meter) Unit(point string) string {
	for _, p := range m.points {
		if p.name == point {
			return p.unit
		}
	}
	return ""
}

// Close leaves the line to the other devices on it.
func (m *meter) Close() error {
	m.client.Rest()
	return nil
}

func (m *meter) value(ctx context.Context, p *point) (message.Value, error) {
	data, err := m.fetch(ctx, p)
	if err != nil {
		return message.Value{}, err
	}
	value, err := p.format.Value(data)
	if err != nil {
		return message.Value{}, &answerError{err.Error()}
	}
	return value, nil
}

// fetch brings the bytes behind a point's identifier, from as many frames as the meter makes of
// them.
func (m *meter) fetch(ctx context.Context, p *point) ([]byte, error) {
	q, request := p.first, p.request
	var data []byte
	for range maxFrames {
		l := &listener{question: q}
		_, err := m.client.Exchange(ctx, bus.Request{
			Frame: request, Timeout: m.timeout, Answer: l.hear, Protocol: "dlt645",
			Late: -1, // an answer names the meter and the data, and a late one is passed over
		})
		if noReply, ok := errors.AsType[*bus.NoReplyError](err); ok {
			why := l.why(noReply.Received)
			if noReply.Echo {
				why = "only the request was heard on the line"
			}
			err = &silenceError{noReply.Waited, why}
			if q.sequence > 0 {
				return nil, &answerError{"the rest of the answer is missing: " + err.Error()}
			}
		}
		if err != nil {
			return nil, err
		}
		if !l.ok {
			refusal := m.edition.refusal(l.errors)
			m.client.Refused(refusal)
			return nil, &answerError{refusal}
		}
		data = append(data, l.data...)
		if !l.more {
			return data, nil
		}
		if m.edition == Edition1997 {
			// Its continuations carry no number, so a repeated one would pass for the next.
			return nil, &answerError{"the answer has several frames, which DL/T 645-1997 does not number"}
		}
		q.function, q.sequence = m.edition.nextFunction(), q.sequence+1
		request = q.frame()
	}
	return nil, &answerError{fmt.Sprintf("the answer does not end after %d frames", maxFrames)}
}
