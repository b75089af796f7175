package iec62056

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/gateway/message"
)

// Driver makes meters on the lines of Buses.
type Driver struct {
	Buses *bus.Set
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{Mode: modeAuto, Parity: parityPort, Read: readWhole, Timeout: defaultTimeout, Wait: defaultWait}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of an IEC 62056-21 meter", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	own := *o
	m := &meter{link: &link{client: client, o: &own, shapes: shapes{}}}
	for _, p := range o.Points {
		m.points = append(m.points, point{
			spec: collectors.Spec{Name: p.Name, Unit: p.Unit, Policy: p.Policy},
			code: p.Code, value: max(p.Value, 1), as: p.As, unit: p.Unit,
		})
	}
	return m, nil
}

// meter is one device, or a part of its points.
type meter struct {
	link   *link // shared by the parts
	points []point
}

// link is the way to the meter. Who has the turn on the line owns what is learned.
type link struct {
	client *bus.Client
	o      *Options
	heard  bool // it answered at the last attempt: silence is then worth a second one
	shapes shapes
}

type point struct {
	spec  collectors.Spec
	code  Code
	value int // which one in parentheses, from 1
	as    string
	unit  string // of the configuration, or what the meter first sent
}

// Points gives the points in the order of the configuration.
func (m *meter) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(m.points))
	for i := range m.points {
		specs[i] = m.points[i].spec
	}
	return specs
}

// Part reads some of the points. In programming mode only these are asked for.
func (m *meter) Part(points []int) collectors.Device {
	part := &meter{link: m.link}
	for _, i := range points {
		part.points = append(part.points, m.points[i])
	}
	return part
}

// Close lets a dialled line go.
func (m *meter) Close() error {
	m.link.client.Rest()
	return nil
}

// Read holds one conversation with the meter, or waits for its next telegram.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	n := len(m.points)
	r.Points = slices.Grow(r.Points[:0], n)[:n]
	err := m.link.read(ctx, m, r)
	if err == nil {
		return nil
	}
	if m.link.o.Device != "" {
		return fmt.Errorf("meter %s on %s: %w", m.link.o.Device, m.link.o.Address, err)
	}
	return fmt.Errorf("meter on %s: %w", m.link.o.Address, err)
}

func (l *link) read(ctx context.Context, m *meter, r *message.Reading) error {
	turn, err := l.client.Take(ctx, false)
	if err != nil {
		return err
	}
	defer turn.Release()
	if l.o.pushes() {
		items, err := l.listen(ctx, turn)
		m.fill(r, items)
		return err
	}
	err = l.converse(ctx, turn, m, r)
	if l.worthAnother(ctx, err) {
		err = l.converse(ctx, turn, m, r)
	}
	l.heard = err == nil
	return err
}

// worthAnother says whether to sign on once more: after damage, and after silence of a meter that
// answered before. An absent one costs a single time-out.
func (l *link) worthAnother(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	_, silent := errors.AsType[*silenceError](err)
	return errors.Is(err, errDamaged) || silent && l.heard
}

func (l *link) converse(ctx context.Context, turn *bus.Turn, m *meter, r *message.Reading) error {
	s := &session{o: l.o, turn: turn, serial: l.client.Port().Settings().Serial != "", shapes: l.shapes}
	if l.o.Read != readWhole {
		return m.readRegisters(ctx, s, r)
	}
	items, err := s.readout(ctx)
	m.fill(r, items)
	return err
}

// listen waits for the next telegram of a meter that pushes. One without a checksum needs another
// that confirms it when its form is new.
func (l *link) listen(ctx context.Context, turn *bus.Turn) ([]Item, error) {
	var doubt error
	for range 1 + repetitions {
		f := &pushed{checked: l.o.Mode == modeP1}
		if err := l.hear(ctx, turn, f); err != nil {
			return nil, errors.Join(doubt, err)
		}
		if !f.checked {
			doubt = l.shapes.believe("", f.data)
		}
		if doubt == nil {
			return ParseReadout(f.data)
		}
		turn.Verdict(bus.Damaged, doubt.Error())
	}
	return nil, doubt
}

// hear waits for one telegram. A meter whose telegrams are all damaged never pauses: the wait ends all
// the same.
func (l *link) hear(ctx context.Context, turn *bus.Turn, f *pushed) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Wait)
	defer cancel()
	_, err := turn.Exchange(ctx, bus.Request{
		Timeout: l.o.Wait, Gap: l.o.Wait, Answer: listener{f}.hear,
		Character: l.o.character(l.o.start()), Protocol: protocol,
	})
	err = silence("telegram", turn, err)
	if silent, ok := errors.AsType[*silenceError](err); ok && f.err != nil {
		silent.why = f.err.Error()
	}
	if errors.Is(err, bus.ErrNoise) && f.err != nil {
		return fmt.Errorf("no valid telegram: %w", f.err)
	}
	return err
}

// fill looks every point up in a readout.
func (m *meter) fill(r *message.Reading, items []Item) {
	for i := range m.points {
		p := &m.points[i]
		it, err := find(items, p.code)
		r.Points[i] = p.take(it, err)
	}
}

// take turns what an item holds into the point's share of a reading.
func (p *point) take(it Item, err error) message.Point {
	if err == nil && p.value > len(it.Values) {
		err = fmt.Errorf("the meter sent %d values with %s, and the point is the one numbered %d", len(it.Values), it.Code, p.value)
	}
	var v message.Value
	if err == nil {
		v, err = p.parse(it.Values[p.value-1])
	}
	if err != nil {
		return message.Point{Name: p.spec.Name, Error: err.Error()}
	}
	return message.Point{Name: p.spec.Name, Value: v}
}

func (p *point) parse(text string) (message.Value, error) {
	v, unit, err := parseValue(text, p.as, p.unit)
	if err == nil && p.unit == "" {
		p.unit = unit // so that a meter that goes over from kWh to MWh one day is still read in kWh
	}
	return v, err
}

// maxSilent is how many registers in a row may stay without an answer until the rest is given up.
const maxSilent = 2

// readRegisters asks for the points one by one. A code that several points have is asked for once.
func (m *meter) readRegisters(ctx context.Context, s *session, r *message.Reading) error {
	if err := s.program(ctx); err != nil {
		if s.rate != 0 {
			s.abandon(ctx, err)
		}
		return err
	}
	defer s.breakOff(ctx)
	known, silent := map[string]answer{}, 0
	for i := range m.points {
		p := &m.points[i]
		a, ok := known[p.code.String()]
		if !ok {
			a.item, a.err = s.register(ctx, p.code)
			known[p.code.String()] = a
			if a.heard() {
				silent = 0
			} else if silent++; silent == maxSilent || !a.silent() || ctx.Err() != nil {
				return m.brokeOff(r, i, a.err)
			}
		}
		r.Points[i] = p.take(a.item, a.err)
	}
	return nil
}

// answer is what a meter said about one register.
type answer struct {
	item Item
	err  error
}

func (a answer) heard() bool {
	_, refused := errors.AsType[*refusalError](a.err)
	return a.err == nil || refused
}

func (a answer) silent() bool {
	_, silent := errors.AsType[*silenceError](a.err)
	return silent
}

// brokeOff marks the points from the i-th on, which the line, the meter or the time no longer
// allowed to ask for.
func (m *meter) brokeOff(r *message.Reading, i int, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	for ; i < len(m.points); i++ {
		r.Points[i] = message.Point{Name: m.points[i].spec.Name, Error: err.Error()}
	}
	return nil
}
