package modbus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sluice/collectors"
	"sluice/gateway/message"
)

// maxStrikes ends a poll: a device that left two requests without an answer would let every other
// one run into its time-out too.
const maxStrikes = 2

// device reads and writes one Modbus unit. A turn is held for a whole Read or Write, so that a
// command may come at any time.
type device struct {
	turn   chan struct{}
	link   *link
	points []point
	plan   []request
}

func newDevice(o *Options) *device {
	address, err := hostPort(o.Address)
	if err != nil {
		panic("bug: options were not validated: " + err.Error())
	}
	d := &device{
		turn: make(chan struct{}, 1),
		link: newLink(fmt.Sprintf("%s unit %d", o.Address, o.Unit), address, byte(o.Unit), o.Timeout),
	}
	for i := range o.Points {
		d.points = append(d.points, newPoint(&o.Points[i]))
	}
	d.plan = makePlan(d.points, o.MaxGap)
	return d
}

func (d *device) takeTurn(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *device) leaveTurn() { <-d.turn }

// Close closes the connection. A Read after it connects anew.
func (d *device) Close() error {
	d.turn <- struct{}{}
	defer d.leaveTurn()
	d.link.close()
	return nil
}

// Points describes the points in the order of the configuration.
func (d *device) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(d.points))
	for i := range d.points {
		specs[i] = collectors.Spec{Name: d.points[i].name, Unit: d.points[i].unit}
	}
	return specs
}

func (d *device) point(name string) *point {
	for i := range d.points {
		if d.points[i].name == name {
			return &d.points[i]
		}
	}
	return nil
}

// Read walks the plan. A request that fails leaves its points with the error and the next one has
// its chance, on a new connection if need be; the device as a whole has failed when no request got
// an answer that belongs to it.
func (d *device) Read(ctx context.Context, r *message.Reading) error {
	if err := d.takeTurn(ctx); err != nil {
		return err
	}
	defer d.leaveTurn()
	r.Points = r.Points[:0]
	for i := range d.points {
		r.Points = append(r.Points, message.Point{Name: d.points[i].name})
	}
	w := walk{device: d, out: r.Points}
	for i := 0; i < len(d.plan); {
		i += w.step(ctx, i)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", d.link.name, ctx.Err())
	}
	if !w.answered {
		return w.failure
	}
	return nil
}

// walk is one Read on its way through the plan.
type walk struct {
	*device
	out      []message.Point // by index, as points
	answered bool            // at least one request was dealt with by a working device
	strikes  int
	failure  error // the first that is about the device
}

// step does request i of the plan and gives the number of requests that stand in its place now.
func (w *walk) step(ctx context.Context, i int) int {
	req := &w.plan[i]
	err := w.ask(ctx, req)
	if refusal, ok := errors.AsType[exception](err); !ok || !refusal.divisible() || req.shape == single {
		return 1
	}
	// The whole may have been refused because of a part.
	pieces := req.pieces(w.points)
	refused := make([]bool, len(pieces))
	for j := range pieces {
		err := w.ask(ctx, &pieces[j])
		refusal, ok := errors.AsType[exception](err)
		refused[j] = ok && refusal.divisible()
		if err != nil && !refused[j] {
			return 1 // something else is wrong now: the plan stays until this can be told apart
		}
	}
	now := req.replan(w.points, pieces, refused)
	w.plan = append(w.plan[:i:i], append(now, w.plan[i+1:]...)...)
	return len(now)
}

// ask does one request and fills its points, each with a value or with the error that it returns.
func (w *walk) ask(ctx context.Context, req *request) error {
	if w.strikes >= maxStrikes || ctx.Err() != nil {
		w.fail(req, w.failure)
		return w.failure
	}
	data, err := w.link.read(ctx, req.span)
	if err == nil {
		w.answered = true
		w.fill(req, data)
		return nil
	}
	refusal, isRefusal := errors.AsType[exception](err)
	if isRefusal && refusal.aboutRequest() {
		w.answered = true
		w.fail(req, err)
		return err
	}
	w.fail(req, err)
	if isRefusal {
		err = fmt.Errorf("%s: %w", w.link.name, err)
	}
	if w.failure == nil {
		w.failure = err
	}
	w.strikes++
	if _, unreachable := errors.AsType[*connectError](err); unreachable {
		w.strikes = maxStrikes
	}
	return err
}

func (w *walk) fill(req *request, data []byte) {
	var scratch [1]byte
	for _, i := range req.points {
		p := &w.points[i]
		w.out[i].Value = p.report(p.cut(data, req.span, &scratch))
		w.out[i].Error = ""
	}
}

func (w *walk) fail(req *request, err error) {
	text := "not asked"
	if err != nil {
		text = err.Error()
	}
	for _, i := range req.points {
		w.out[i].Value, w.out[i].Error = message.Value{}, text
		w.points[i].hasReported = false
	}
}

// Write sends the value once, reads it back and gives what the device then says.
func (d *device) Write(ctx context.Context, name string, value json.RawMessage) (message.Value, error) {
	p := d.point(name)
	if p == nil {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	if !p.writable {
		return message.Value{}, fmt.Errorf("point %s is read-only; its access is not rw", name)
	}
	raw, err := p.encode(value)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	if err := d.takeTurn(ctx); err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	defer d.leaveTurn()
	// The read shows that the connection, which may be an old one, still stands: a write cannot
	// be tried again.
	if _, err := d.link.read(ctx, p.span); err != nil {
		return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
	}
	if err := d.link.write(ctx, p.span, raw); err != nil {
		if _, refused := errors.AsType[exception](err); refused || !d.link.sent {
			return message.Value{}, fmt.Errorf("point %s: not written: %w", name, err)
		}
		return message.Value{}, fmt.Errorf("point %s: outcome unknown: %w", name, err)
	}
	data, err := d.link.read(ctx, p.span)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: the device took %s, but reading it back failed: %w", name, clip(value), err)
	}
	var scratch [1]byte
	back := p.cut(data, p.span, &scratch)
	v := p.value(back)
	if !bytes.Equal(back, raw) {
		return v, fmt.Errorf("point %s: the device took %s, but reads back %s", name, clip(value), v)
	}
	return v, nil
}
