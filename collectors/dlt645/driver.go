package dlt645

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/meterline"
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
	return &Options{Timeout: defaultTimeout, ClockWrite: "set", edition: d.Edition.orDefault()}
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
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	m := &meter{link: &link{
		client: client, address: o.Address, edition: o.edition.orDefault(), number: o.Meter, timeout: o.Timeout,
		passwordFile: o.PasswordFile, operatorFile: o.OperatorFile, broadcast: o.ClockWrite == "broadcast",
		useBlocks: o.Blocks,
	}}
	for i := range o.Points {
		m.points = append(m.points, newPoint(&o.Points[i]))
	}
	m.plan()
	return m, nil
}

// point is a PointOptions made ready.
type point struct {
	spec     collectors.Spec
	id       ID
	format   Format
	at       int // where it begins in the answer; -1: it is all of it
	writable bool
}

func newPoint(o *PointOptions) point {
	p := point{
		spec: collectors.Spec{Name: o.Name, Unit: o.Unit, Policy: o.Policy, Writable: o.Access == "rw"},
		id:   o.ID, format: o.format(), at: o.place(), writable: o.Access == "rw",
	}
	if p.id == clockID {
		p.format, _ = parseFormat(clockNotation)
	}
	return p
}

// meter is one device, or a part of one.
type meter struct {
	*link
	points   []point
	requests []request
	planned  int // what was learned when the plan was made
	start    int // the request to begin with: one that the meter has answered, as far as known
}

// answerError is a meter's answer that holds no value: the meter is there, this point has a problem.
type answerError struct{ problem string }

func (e *answerError) Error() string { return e.problem }

// Read makes one request after the other. A meter that answers nothing is given up after two, so
// that an absent one does not keep a shared line busy; since some meters are silent about data that
// they do not have, the next poll then begins with two others.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	if m.planned != m.lessons() {
		m.plan()
	}
	r.Points = slices.Grow(r.Points[:0], len(m.points))[:len(m.points)]
	n := len(m.requests)
	first, heard := m.start, false
	var silence error
	var failed []int // requests for blocks that did not do
	for i := range n {
		at := (first + i) % n
		q := &m.requests[at]
		var data []byte
		err := overdue(ctx)
		if err == nil {
			data, err = m.fetch(ctx, m.client, q.id)
		}
		switch {
		case answered(err):
			if !heard {
				heard, m.start = true, at
			}
			if !m.fill(r, q, data, err) {
				failed = append(failed, at)
			}
		case silent(err):
			silence = err
			m.fail(r, q, err.Error())
			if q.block {
				failed = append(failed, at)
			}
			if !heard && (i+1 == maxSilent || i+1 == n) {
				m.start = (at + 1) % n
				m.suspect(failed)
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
	m.askSingly(ctx, r, failed)
	m.probe(ctx)
	return nil
}

// overdue says that the time is over, a moment before the context does: its timer is a little late.
func overdue(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func (m *meter) absent(err error) error {
	return fmt.Errorf("meter %s on %s: %w", m.number, meterline.Place(m.address), err)
}

func answered(err error) bool {
	_, refused := errors.AsType[*answerError](err)
	return err == nil || refused
}

func silent(err error) bool {
	_, ok := errors.AsType[*meterline.SilenceError](err)
	return ok
}

// fill gives the points of q their values. It says no when q is for a block that the meter does not
// have in this form.
func (m *meter) fill(r *message.Reading, q *request, data []byte, err error) bool {
	if err != nil {
		m.fail(r, q, err.Error())
		return !q.block
	}
	if q.block {
		each := m.points[q.points[0]].format.bytes
		data = trimBlock(m.edition, data, each)
		if len(data) == 0 || len(data)%each != 0 {
			m.fail(r, q, fmt.Sprintf("the meter sent %d bytes for the block %s, whose values have %d", len(data), q.id, each))
			return false
		}
	}
	complete := true
	for k, i := range q.points {
		p := &m.points[i]
		r.Points[i] = message.Point{Name: p.spec.Name}
		value, err := p.value(data, q.places[k])
		r.Points[i].Value = value
		if err != nil {
			r.Points[i].Error = err.Error()
			complete = complete && !errors.Is(err, errTooShort)
		}
	}
	return complete || !q.block
}

var errTooShort = errors.New("the answer is too short")

// value cuts the point out of an answer, or takes all of it.
func (p *point) value(data []byte, at int) (message.Value, error) {
	if at < 0 {
		return p.format.Value(data)
	}
	if len(data) < at+p.format.bytes {
		return message.Value{}, fmt.Errorf("%w: it has %d bytes, the value would be at byte %d", errTooShort, len(data), at)
	}
	return p.format.Value(data[at : at+p.format.bytes])
}

func (m *meter) fail(r *message.Reading, q *request, problem string) {
	for _, i := range q.points {
		r.Points[i] = message.Point{Name: m.points[i].spec.Name, Error: problem}
	}
}

// skip marks the requests from the i-th on, which the line or the time no longer allowed to make.
func (m *meter) skip(r *message.Reading, first, i int, err error) {
	problem := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		problem = "not asked: the time for the poll was over"
	}
	for ; i < len(m.requests); i++ {
		m.fail(r, &m.requests[(first+i)%len(m.requests)], problem)
	}
}

// askSingly asks for the points of blocks one by one, and remembers to do so from now on.
func (m *meter) askSingly(ctx context.Context, r *message.Reading, failed []int) {
	for _, at := range failed {
		q := &m.requests[at]
		m.learn(q.id, badBlock)
		for _, i := range q.points {
			p := &m.points[i]
			data, err := m.fetch(ctx, m.client, p.id)
			r.Points[i] = message.Point{Name: p.spec.Name}
			if err == nil {
				r.Points[i].Value, err = p.value(data, p.at)
			}
			if err != nil {
				r.Points[i].Error = err.Error()
			}
			if err != nil && !answered(err) && !silent(err) && ctx.Err() != nil {
				return
			}
		}
	}
}

// Points are what Read fills in.
func (m *meter) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(m.points))
	for i := range m.points {
		specs[i] = m.points[i].spec
	}
	return specs
}

// Part is the same meter with some of its points.
func (m *meter) Part(points []int) collectors.Device {
	part := &meter{link: m.link}
	for _, i := range points {
		part.points = append(part.points, m.points[i])
	}
	part.plan()
	return part
}

// Close lets go of the line; the other devices on it keep it.
func (m *meter) Close() error {
	m.client.Rest()
	return nil
}
