package mbus

import (
	"bytes"
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
	defaultTimeout   = 500 * time.Millisecond
	defaultTelegrams = 10
	maxUnheard       = 2 // resets without an answer, data with one, until resetting is given up
)

// Driver makes meters on the lines of Buses.
type Driver struct {
	Buses *bus.Set
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{Timeout: defaultTimeout, Telegrams: defaultTelegrams}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of an M-Bus meter", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	m := &meter{
		client: client, address: o.Meter, application: o.Application, telegrams: o.Telegrams,
		timeout: patience(o.Timeout, o.Baud), character: characters(o.Baud), fcb: true,
	}
	for _, p := range o.Points {
		m.points = append(m.points, p)
		m.specs = append(m.specs, collectors.Spec{Name: p.Name, Unit: p.shownUnit(), Policy: p.Policy})
	}
	return m, nil
}

// patience is how long an answer may take to begin: at low rates longer than the configuration says.
func patience(timeout time.Duration, baud int) time.Duration {
	if baud == 0 {
		return timeout
	}
	const spare = 100 * time.Millisecond // beyond the 50 ms of the standard, for converters
	return max(timeout, 330*time.Second/time.Duration(baud)+spare)
}

// characters are those of M-Bus at that rate; nil: as the line is set.
func characters(baud int) *bus.Character {
	if baud == 0 {
		return nil
	}
	return &bus.Character{Baud: baud, DataBits: 8, Parity: "even", StopBits: 1}
}

// shownUnit is what values of the point are in.
func (p *PointOptions) shownUnit() string {
	if p.Unit != "" {
		return p.Unit
	}
	return p.Record.usual().name
}

// meter is one device.
type meter struct {
	client      *bus.Client
	address     Address
	application Application
	telegrams   int
	timeout     time.Duration
	character   *bus.Character
	points      []PointOptions
	specs       []collectors.Spec

	// What was learned. A meter that answers requests for data but no reset of the link is deaf to
	// it; then the frame count bit goes on from reading to reading.
	unheard int
	synced  bool // fcb is another than the meter saw last
	fcb     bool
}

// Points describes the points in the order of the configuration.
func (m *meter) Points() []collectors.Spec { return m.specs }

// Close lets the line rest.
func (m *meter) Close() error {
	m.client.Rest()
	m.synced = false
	return nil
}

// Read asks for all telegrams of the meter's answer and takes the points out of them.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	return m.read(ctx, r, m.points)
}

func (m *meter) read(ctx context.Context, r *message.Reading, points []PointOptions) error {
	a, err := m.ask(ctx)
	if err != nil {
		return fmt.Errorf("meter %s on %s: %w", m.address, m.client.Port().Name(), err)
	}
	n := len(points)
	r.Points = slices.Grow(r.Points[:0], n)[:n]
	for i := range points {
		p := &points[i]
		value, err := p.value(a)
		r.Points[i] = message.Point{Name: p.Name, Value: value}
		if err != nil {
			r.Points[i] = message.Point{Name: p.Name, Error: err.Error()}
		}
	}
	return nil
}

// Part gives a device with some of the points. The meter sends all records at once, so a part is
// read like the whole.
func (m *meter) Part(points []int) collectors.Device {
	p := &part{whole: m}
	for _, i := range points {
		p.points, p.specs = append(p.points, m.points[i]), append(p.specs, m.specs[i])
	}
	return p
}

type part struct {
	whole  *meter
	points []PointOptions
	specs  []collectors.Spec
}

func (p *part) Points() []collectors.Spec { return p.specs }

func (p *part) Read(ctx context.Context, r *message.Reading) error {
	return p.whole.read(ctx, r, p.points)
}

func (p *part) Close() error { return p.whole.Close() }

// value takes the point out of an answer.
func (p *PointOptions) value(a *answer) (message.Value, error) {
	if p.Record.kind == ofHeader {
		value, known := headerFields[p.Record.name](&a.header)
		if !known {
			return message.Value{}, fmt.Errorf("the meter's telegram does not say %s", p.Record)
		}
		return value, nil
	}
	r, err := a.find(&p.Record)
	switch {
	case err != nil && a.missing != nil:
		return message.Value{}, fmt.Errorf("%w, but not all of its answer came: %w", err, a.missing)
	case err != nil:
		return message.Value{}, err
	case r.Problem != "":
		return message.Value{}, errors.New(r.Problem)
	case p.Unit == "" || r.scale.unit.dimension == none:
		return r.Value, nil
	}
	return r.In(p.Unit)
}

// ask has the line for the whole conversation: a meter that is selected must not lose that to
// another device's turn.
func (m *meter) ask(ctx context.Context) (*answer, error) {
	turn, err := m.client.Take(ctx, false)
	if err != nil {
		return nil, err
	}
	defer turn.Release()
	s := &session{line: turn, meter: m.address, timeout: m.timeout, character: m.character}
	if m.address.secondary {
		return m.askSelected(ctx, s)
	}
	return m.askPrimary(ctx, s)
}

func (m *meter) askPrimary(ctx context.Context, s *session) (*answer, error) {
	s.fcb = m.fcb
	left := tries
	if m.unheard < maxUnheard {
		err := s.reset(ctx)
		if _, silent := errors.AsType[*silenceError](err); err != nil && !silent {
			return nil, err
		}
		if err != nil {
			left-- // an absent meter costs three time-outs in all
			m.unheard++
		} else {
			m.unheard, m.synced = 0, true
		}
	}
	if !m.synced {
		// Perhaps the meter takes the first request for a repeated one and sends what it sent last,
		// however long ago.
		if _, err := m.collect(ctx, s, left); err != nil {
			m.forget(err)
			return nil, err
		}
		m.synced = true
	}
	a, err := m.collect(ctx, s, left)
	m.fcb = s.fcb
	m.forget(err)
	return a, err
}

// forget drops what was learned about resets when the meter is not there at all.
func (m *meter) forget(err error) {
	if _, silent := errors.AsType[*silenceError](err); silent {
		m.unheard, m.synced = 0, false
	}
}

// askSelected selects, reads and lets go again. Letting go makes the meter forget the frame count bit,
// so that its next reading begins anew.
func (m *meter) askSelected(ctx context.Context, s *session) (*answer, error) {
	s.fcb = m.fcb
	synced := m.synced
	m.synced = false
	if synced {
		if err := s.choose(ctx); err != nil {
			return nil, err
		}
	} else {
		known, err := s.chooseAfresh(ctx)
		if err == nil && !known {
			_, err = m.collect(ctx, s, tries) // see askPrimary
		}
		if err != nil {
			return nil, err
		}
	}
	a, err := m.collect(ctx, s, tries)
	if err != nil {
		return nil, err
	}
	err = s.reset(ctx)
	m.fcb = s.fcb
	if _, silent := errors.AsType[*silenceError](err); err == nil || silent {
		m.synced = true
	}
	return a, nil
}

// collect asks for telegrams until the meter has no more. What came before one that is missing is
// good.
func (m *meter) collect(ctx context.Context, s *session, left int) (*answer, error) {
	if m.application.given {
		if err := s.application(ctx, m.application.code); err != nil {
			return nil, fmt.Errorf("reset of the application: %w", err)
		}
	}
	var a answer
	var last Frame
	for n := range m.telegrams {
		f, err := s.telegram(ctx, left)
		var t Telegram
		if err == nil {
			t, err = m.decode(s.line, f)
		}
		if err == nil && n > 0 {
			err = follows(&a, t, last, f)
		}
		if err != nil && n > 0 && !errors.Is(err, context.Canceled) {
			a.missing = fmt.Errorf("telegram %d: %w", n+1, err)
			return &a, nil
		}
		if err != nil {
			return nil, err
		}
		a.add(t)
		if !t.More {
			return &a, nil
		}
		last, left = f, tries
	}
	a.missing = fmt.Errorf("the answer has more than %d telegrams", m.telegrams)
	return &a, nil
}

// decode takes a telegram, which must be from the meter that was asked.
func (m *meter) decode(line exchanger, f Frame) (Telegram, error) {
	t, err := DecodeTelegram(f.Info, f.Data)
	if _, refused := errors.AsType[*refusedError](err); refused {
		line.Refused(err.Error())
		return Telegram{}, err
	}
	if err != nil {
		line.Verdict(bus.Damaged, err.Error())
		return Telegram{}, err
	}
	if !m.address.secondary || !t.Header.Named {
		return t, nil
	}
	asked := m.address.identity
	if t.Header.Fixed {
		asked = Identity{ID: asked.ID, Maker: anyMaker, Version: anyByte, Medium: anyByte}
	}
	if !asked.matches(t.Header.Identity) {
		err := fmt.Errorf("meter %s answered", t.Header.Identity)
		line.Verdict(bus.WrongUnit, err.Error())
		return Telegram{}, err
	}
	return t, nil
}

// follows says why a telegram cannot be the one after last.
func follows(a *answer, t Telegram, last, f Frame) error {
	switch {
	case bytes.Equal(f.Data, last.Data):
		return errors.New("the meter sends the same telegram again instead of the next")
	case t.Header.Named && t.Header.Identity != a.header.Identity:
		return fmt.Errorf("it is from meter %s", t.Header.Identity)
	}
	return nil
}
