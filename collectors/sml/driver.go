package sml

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	"sluice/gateway/message"
)

const (
	protocol   = "sml"
	answerGap  = time.Second // the longest pause within the answer to a request
	maxStrikes = 3           // telegrams of another checksum until that is the meter's
)

// clientID is who asks, in requests.
var clientID = []byte("SLUICE")

// Driver makes meters on the lines of Buses.
type Driver struct {
	Buses *bus.Set
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{Mode: modePush, Baud: defaultBaud, Quirk: quirkAuto, Wait: defaultWait}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of an SML meter", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	client, err := d.Buses.Client(string(o.Address), name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	own := *o
	m := &meter{link: &link{client: client, o: &own}}
	for _, p := range o.Points {
		m.points = append(m.points, point{
			spec: collectors.Spec{Name: p.Name, Unit: p.Unit, Policy: p.Policy}, code: p.Code, unit: p.Unit,
		})
	}
	return m, nil
}

// meter is one device, or a part of its points.
type meter struct {
	link   *link // shared by the parts
	points []point
}

type point struct {
	spec collectors.Spec
	code Code
	unit string // of the configuration, or what the meter first sent
}

// link is the way to the meter. Who has the turn on the line owns what is learned.
type link struct {
	client  *bus.Client
	o       *Options
	checks  Checks // that the meter uses, as far as known
	strikes int    // telegrams in a row whose checksums were others
	asked   uint32 // requests so far, which tells their answers apart
}

// Points gives the points in the order of the configuration.
func (m *meter) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(m.points))
	for i := range m.points {
		specs[i] = m.points[i].spec
	}
	return specs
}

// Part reads some of the points.
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

// Read waits for the meter's next telegram, or asks for one.
func (m *meter) Read(ctx context.Context, r *message.Reading) error {
	t, err := m.link.telegram(ctx)
	if err != nil {
		return fmt.Errorf("meter on %s: %w", m.link.o.Address, err)
	}
	n := len(m.points)
	r.Points = slices.Grow(r.Points[:0], n)[:n]
	mend := m.link.o.Quirk == quirkDZG || m.link.o.Quirk == quirkAuto && hasDZGQuirk(t.Server)
	for i := range m.points {
		r.Points[i] = m.points[i].take(t, mend)
	}
	return nil
}

// take finds the point's value in a telegram.
func (p *point) take(t Telegram, mend bool) message.Point {
	e, err := find(t.Entries, p.code)
	if mend {
		e = unsignedPower(e)
	}
	var v message.Value
	if err == nil {
		var unit string
		v, unit, err = e.Value(p.unit)
		if err == nil && p.unit == "" {
			p.unit = unit // so that a meter that goes over from Wh to kWh one day is still read in Wh
		}
	}
	if err != nil {
		return message.Point{Name: p.spec.Name, Error: err.Error()}
	}
	return message.Point{Name: p.spec.Name, Value: v}
}

// telegram gives the next telegram of the meter.
func (l *link) telegram(ctx context.Context) (Telegram, error) {
	turn, err := l.client.Take(ctx, false)
	if err != nil {
		return Telegram{}, err
	}
	defer turn.Release()
	h := &listener{allowed: l.checks, server: string(l.o.Server)}
	q := bus.Request{
		Timeout: l.o.Wait, Gap: l.o.Wait, Answer: h.hear, Character: l.o.character(), Protocol: protocol,
	}
	if l.o.Mode == modeRequest {
		l.asked++
		h.transaction = binary.BigEndian.AppendUint32(nil, l.asked)
		q.Frame = request(h.transaction, clientID, []byte(l.o.Server), []byte(l.o.List))
		q.Gap = answerGap
	}
	if l.o.Mode == modePush {
		// A meter whose telegrams are all damaged never pauses: the wait ends all the same.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.o.Wait)
		defer cancel()
	}
	_, err = turn.Exchange(ctx, q)
	if noReply, ok := errors.AsType[*bus.NoReplyError](err); ok {
		err = h.explain(noReply, l.o.Wait)
		if len(noReply.Received) > 0 {
			turn.Verdict(h.fault(err), err.Error())
		}
	}
	if errors.Is(err, bus.ErrNoise) && h.problem != nil {
		err = fmt.Errorf("no valid telegram: %w", h.problem)
	}
	if err != nil {
		l.strike(err)
		return Telegram{}, err
	}
	l.checks, l.strikes = h.used, 0
	if h.refusal != nil {
		turn.Refused(h.refusal.Error())
	}
	return h.telegram, h.refusal
}

// strike forgets which checksums the meter uses when it seems to be another meter now.
func (l *link) strike(err error) {
	if !errors.Is(err, errDamaged) {
		return
	}
	if l.strikes++; l.strikes >= maxStrikes {
		l.checks, l.strikes = Checks{}, 0
	}
}
