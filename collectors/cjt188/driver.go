package cjt188

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/collectors/meterline"
	"sluice/gateway/message"
)

const (
	defaultTimeout = time.Second
	defaultValve   = 20 * time.Second
	forgetAfter    = 3 // failures in a row after which what was learned of a meter no longer counts
)

// Driver makes meters on the lines of Buses.
type Driver struct {
	Buses *bus.Set
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{
		Timeout: defaultTimeout, Type: Type(types["water"]), IDOrder: "auto", UnitPosition: "auto",
		Serial: 1, ValveTime: defaultValve,
	}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of a CJ/T 188 meter", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	m := &meter{
		link: &link{
			client: client, address: o.Address, timeout: o.Timeout,
			kind: byte(o.Type), number: o.Meter, serial: byte(o.Serial),
			order: idOrders[o.IDOrder], orderFixed: idOrders[o.IDOrder] != orderUnknown,
			place: unitPlaces[o.UnitPosition], placeFixed: unitPlaces[o.UnitPosition] != placeUnknown,
		},
		class: class(byte(o.Type)), valveTime: o.ValveTime,
	}
	for i := range o.Points {
		m.points = append(m.points, newPoint(m.class, &o.Points[i]))
	}
	m.plan()
	return m, nil
}

// point is a PointOptions made ready.
type point struct {
	item
	slot     slot
	decimals int
	unit     string
	writable bool
	spec     collectors.Spec
}

func newPoint(k *kind, o *PointOptions) point {
	what, _ := k.find(o.itemName())
	s := k.slotOf(what)
	p := point{item: what, slot: s, decimals: s.decimals, unit: o.Unit, writable: o.Access == "rw"}
	if o.Decimals != nil {
		p.decimals = *o.Decimals
	}
	if p.unit == "" {
		p.unit = natural[s.quantity]
	}
	p.spec = collectors.Spec{Name: o.Name, Unit: p.unit, Policy: o.Policy, Writable: p.writable}
	return p
}

// meter is one device, or a part of one.
type meter struct {
	*link
	class     *kind
	valveTime time.Duration
	points    []point
	requests  []request
}

// request is one exchange and the points that its answer holds.
type request struct {
	id     ID
	points []int
}

// plan makes one request for all that 901F holds and one for each earlier month.
func (m *meter) plan() {
	m.requests = nil
	for i := range m.points {
		id := currentData
		if m.points[i].month > 0 {
			id = firstMonth + ID(m.points[i].month-1)
		}
		at := slices.IndexFunc(m.requests, func(r request) bool { return r.id == id })
		if at < 0 {
			at = len(m.requests)
			m.requests = append(m.requests, request{id: id})
		}
		m.requests[at].points = append(m.requests[at].points, i)
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
	part := &meter{link: m.link, class: m.class, valveTime: m.valveTime}
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

// Read asks for everything that the points need. A meter that does not answer the first request is
// not asked for more.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	n := len(m.points)
	r.Points = slices.Grow(r.Points[:0], n)[:n]
	heard := false
	var failure error
	for i := range m.requests {
		q := &m.requests[i]
		if failure != nil {
			m.fail(r, q, "not asked: "+failure.Error())
			continue
		}
		data, err := m.ask(ctx, q.id, false)
		switch refusal, isRefusal := errors.AsType[*refusalError](err); {
		case err == nil:
			heard = true
			m.fill(r, q, data)
		case isRefusal:
			heard = true
			m.fail(r, q, refusal.Error())
		case !heard:
			return err
		default:
			failure = err
			m.fail(r, q, err.Error())
		}
	}
	return nil
}

func (m *meter) fail(r *message.Reading, q *request, problem string) {
	for _, i := range q.points {
		r.Points[i] = message.Point{Name: m.points[i].spec.Name, Error: problem}
	}
}

// fill gives every point of q its value from the answer.
func (m *meter) fill(r *message.Reading, q *request, data []byte) {
	slots := m.class.layout
	if q.id != currentData {
		slots = slots[:1]
	}
	want := 0
	for _, s := range slots {
		want += s.bytes
	}
	if len(data) != want {
		m.fail(r, q, fmt.Sprintf("the meter sent %d bytes for %s where a %s meter has %d", len(data), q.id, m.class.name, want))
		return
	}
	where, problem := m.unitPlace(slots, data)
	for _, i := range q.points {
		p := &m.points[i]
		r.Points[i] = message.Point{Name: p.spec.Name}
		if problem != nil && p.slot.united() {
			r.Points[i].Error = problem.Error()
			continue
		}
		from := 0
		if p.item.slot > 0 {
			from = m.class.offset(p.item.slot)
		}
		value, err := p.slot.value(data[from:from+p.slot.bytes], where, p.decimals, p.unit, p.part)
		r.Points[i].Value = value
		if err != nil {
			r.Points[i].Error = err.Error()
		}
	}
}

// link is what all parts of a device share: the line, and what has been learned about the meter.
type link struct {
	client  *bus.Client
	address bus.Address
	timeout time.Duration
	kind    byte
	number  MeterNumber
	serial  byte

	orderFixed, placeFixed bool // the configuration says so

	mu     sync.Mutex // guards what follows: a Write may run beside a Read
	order  idOrder
	place  unitPlace
	misses int
}

// refusalError is a meter's answer that it will not answer.
type refusalError struct{ problem string }

func (e *refusalError) Error() string { return e.problem }

// ask brings the data behind an identifier. As long as it is not known in which order the meter
// wants the identifier's bytes, both are tried.
func (l *link) ask(ctx context.Context, id ID, urgent bool) ([]byte, error) {
	turn, err := l.client.Take(ctx, urgent)
	if err != nil {
		return nil, fmt.Errorf("meter %s on %s: %w", l.number, meterline.Place(l.address), err)
	}
	defer turn.Release()
	return l.askOn(ctx, turn, id)
}

func (l *link) askOn(ctx context.Context, line meterline.Exchanger, id ID) ([]byte, error) {
	var silence error
	var refusal *refusalError
	for _, order := range l.orders() {
		q := question{kind: l.kind, meter: l.number, function: readData, id: id, order: order, serial: l.serial}
		data, err := l.exchange(ctx, line, q)
		if err == nil {
			l.learned(order)
			return data, nil
		}
		if refused, ok := errors.AsType[*refusalError](err); ok {
			refusal = refused
			continue
		}
		if silence == nil {
			silence = err
		}
		if !silent(err) {
			break
		}
	}
	if refusal != nil {
		return nil, refusal
	}
	l.missed()
	return nil, fmt.Errorf("meter %s on %s: %w", l.number, meterline.Place(l.address), silence)
}

func silent(err error) bool {
	s, ok := errors.AsType[*meterline.SilenceError](err)
	return ok && s.Why == ""
}

func (l *link) orders() []idOrder {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.order != orderUnknown {
		return []idOrder{l.order}
	}
	return []idOrder{highFirst, lowFirst}
}

func (l *link) learned(order idOrder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order, l.misses = order, 0
}

// missed forgets what was learned when the meter has not answered for a while: it may be another one
// by now.
func (l *link) missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.misses++; l.misses < forgetAfter {
		return
	}
	if !l.orderFixed {
		l.order = orderUnknown
	}
	if !l.placeFixed {
		l.place = placeUnknown
	}
}

func (l *link) unitPlace(slots []slot, data []byte) (unitPlace, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.placeFixed {
		return l.place, nil
	}
	where, err := place(slots, data, l.place)
	if where != placeUnknown && len(slots) > 1 {
		l.place = where
	}
	return where, err
}

func (l *link) exchange(ctx context.Context, line meterline.Exchanger, q question) ([]byte, error) {
	heard := &listener{question: q}
	_, err := line.Exchange(ctx, bus.Request{
		Frame: q.frame(), Timeout: l.timeout, Gap: min(l.timeout, meterline.MaxPause), Answer: heard.hear, Protocol: "cjt188",
		Overhear: shape.Overhear,
		Late:     -1, // answers say what they are about
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
		l.client.Refused(heard.refusal)
		return nil, &refusalError{heard.refusal}
	}
	return heard.data, nil
}
