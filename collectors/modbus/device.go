package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors"
	"sluice/gateway/message"
)

const (
	// maxStrikes ends a poll: a device that left two requests without an answer would let every
	// other one run into its time-out too. One that was silent in the last poll has one strike.
	maxStrikes = 2

	// A device that says it is busy is asked again after growing pauses, for so long in one poll.
	firstPause = 100 * time.Millisecond
	patience   = 1500 * time.Millisecond
)

// device reads and writes one Modbus unit, or some of its points. The line is taken for each request
// anew, so that other devices on it and commands have their turn.
type device struct {
	*planner
	unit *unit
}

func newDevice(o *Options, u *unit, overhead int) *device {
	points := make([]point, len(o.Points))
	for i := range o.Points {
		points[i] = newPoint(&o.Points[i])
	}
	return &device{planner: newPlanner(points, o.Limits.with(overhead), u.known), unit: u}
}

// Part gives a device that reads some of the points, by their indexes. It has a plan of its own and
// shares the line and what is learned.
func (d *device) Part(indexes []int) collectors.Device {
	points := make([]point, len(indexes))
	for i, index := range indexes {
		points[i] = d.points[index]
	}
	return &device{planner: newPlanner(points, d.limits, d.known), unit: d.unit}
}

// Close lets go of the line, for all parts. A Read after it connects anew.
func (d *device) Close() error {
	d.unit.wire.rest()
	return nil
}

// Points describes the points in the order of the configuration.
func (d *device) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(d.points))
	for i := range d.points {
		specs[i] = d.points[i].spec
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
func (d *device) Read(ctx context.Context, r *message.Reading) error { return d.read(ctx, r, nil) }

// ReadRaw is Read, and gives the registers of each point.
func (d *device) ReadRaw(ctx context.Context, r *message.Reading) (raw []string, err error) {
	raw = make([]string, len(d.points))
	return raw, d.read(ctx, r, raw)
}

// read is Read; raw, unless it is nil, gets what each point was made of.
func (d *device) read(ctx context.Context, r *message.Reading, raw []string) error {
	r.Points = r.Points[:0]
	for i := range d.points {
		r.Points = append(r.Points, message.Point{Name: d.points[i].name})
	}
	w := walk{device: d, out: r.Points, raw: raw, bearable: 1, patience: patience}
	if d.unit.alive.Load() {
		w.bearable = maxStrikes
	}
	d.poll(func(req *request) error { return w.ask(ctx, req) }, w.fail)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", d.unit.name, ctx.Err())
	}
	d.unit.alive.Store(w.alive)
	if !w.answered && w.failure != nil {
		return w.failure
	}
	return nil
}

// walk is one Read on its way through the plan.
type walk struct {
	*device
	out      []message.Point // by index, as points
	raw      []string        // likewise, what they were made of; nil: nobody asks
	answered bool            // at least one request was dealt with by a working device
	alive    bool            // at least one was answered at all
	strikes  int             // requests without an answer
	bearable int             // strikes that end the poll
	patience time.Duration   // left, for a device that is busy
	failure  error           // the first that is about the device
}

// ask does one request and fills its points, each with a value or with the error that it returns.
func (w *walk) ask(ctx context.Context, req *request) error {
	err := ctx.Err()
	if err == nil && w.strikes >= w.bearable {
		err = w.failure
	}
	if err != nil {
		w.fail(req, err)
		return err
	}
	err = w.fetch(ctx, req)
	for pause := firstPause; isBusy(err) && pause <= w.patience && sleep(ctx, pause); pause *= 2 {
		w.patience -= pause
		err = w.fetch(ctx, req)
	}
	if err != nil {
		w.fail(req, err)
	}
	w.judge(err)
	return err
}

// fetch asks once. Points are filled while the turn lasts, since the data lies in the unit's buffer.
func (w *walk) fetch(ctx context.Context, req *request) error {
	if err := w.unit.take(ctx, false); err != nil {
		return err
	}
	defer w.unit.release()
	data, err := w.unit.fetch(ctx, req.span)
	if err != nil {
		return err
	}
	var scratch [1]byte
	for _, i := range req.points {
		p := &w.points[i]
		own := p.cut(data, req.span, &scratch)
		p.fill(&w.out[i], own)
		if w.raw != nil {
			w.raw[i] = p.written(own)
		}
	}
	return nil
}

// judge draws from the end of one request what it says about the device.
func (w *walk) judge(err error) {
	refusal, isRefusal := errors.AsType[exception](err)
	switch {
	case err == nil, isRefusal && refusal.about() == aboutRequest:
		w.answered, w.alive, w.bearable = true, true, maxStrikes
		return
	case isRefusal && refusal.about() == aboutGateway:
		w.strikes++
	case isRefusal:
		w.alive = true
	default:
		w.strikes++
	}
	if _, unusable := errors.AsType[*lineError](err); unusable {
		w.strikes = maxStrikes
	}
	if isRefusal {
		err = fmt.Errorf("%s: %w", w.unit.name, err)
	}
	if w.failure == nil {
		w.failure = err
	}
}

func isBusy(err error) bool {
	refusal, ok := errors.AsType[exception](err)
	return ok && refusal.about() == aboutNow
}

func (w *walk) fail(req *request, err error) {
	for _, i := range req.points {
		w.out[i].Value, w.out[i].Error = message.Value{}, err.Error()
	}
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
