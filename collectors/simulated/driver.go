// Package simulated is a device without hardware: its values follow from the clock alone, so that
// whoever sees a reading knows what it must say. It is for those who try the gateway before the
// cabinet is wired. It hides nothing but the waves.
package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/collectors"
	"sluice/gateway/message"
)

// Driver makes simulated devices. The zero value is ready.
type Driver struct {
	// Now is the clock that values follow; nil is that of the machine.
	Now func() time.Time
	// Unplugged says whether the devices are away, for tests; nil: never.
	Unplugged func() bool
}

// Options gives the defaults.
func (d *Driver) Options() any { return &Options{} }

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of a simulated device", name, options)
	}
	machine := &machine{now: d.Now, unplugged: d.Unplugged, points: o.waves(), held: map[int]message.Value{}}
	if machine.now == nil {
		machine.now = time.Now
	}
	shown := make([]int, len(machine.points))
	for i := range shown {
		shown[i] = i
	}
	return &device{machine: machine, shown: shown}, nil
}

// machine is what a device and its parts share.
type machine struct {
	now       func() time.Time
	unplugged func() bool
	points    []wave

	mu   sync.Mutex            // guards what follows
	held map[int]message.Value // what was written to a point, by its index
}

// device is a machine, or a part of it.
type device struct {
	*machine
	shown []int
}

var errUnplugged = errors.New("the simulated device is unplugged")

// Points describes what Read fills in.
func (d *device) Points() []collectors.Spec {
	specs := make([]collectors.Spec, len(d.shown))
	for i, at := range d.shown {
		specs[i] = d.points[at].spec
	}
	return specs
}

// Part is the same machine with some of its points.
func (d *device) Part(points []int) collectors.Device {
	part := &device{machine: d.machine}
	for _, i := range points {
		part.shown = append(part.shown, d.shown[i])
	}
	return part
}

// Read computes every point for this moment.
func (d *device) Read(ctx context.Context, r *message.Reading) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	now := d.now()
	r.Points = slices.Grow(r.Points[:0], len(d.shown))[:len(d.shown)]
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, at := range d.shown {
		value, written := d.held[at]
		if !written {
			value = d.points[at].at(now)
		}
		r.Points[i] = message.Point{Name: d.points[at].spec.Name, Value: value}
	}
	return nil
}

func (d *device) reach(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.unplugged != nil && d.unplugged() {
		return errUnplugged
	}
	return nil
}

// Write lets a point hold a value, until the device is opened anew.
func (d *device) Write(ctx context.Context, name string, raw json.RawMessage) (message.Value, error) {
	at := slices.IndexFunc(d.shown, func(i int) bool { return d.points[i].spec.Name == name })
	if at < 0 {
		return message.Value{}, fmt.Errorf("there is no point %q", name)
	}
	point := d.shown[at]
	if !d.points[point].writable {
		return message.Value{}, fmt.Errorf("point %s is not writable; its configuration says access: r", name)
	}
	value, err := d.points[point].parse(raw)
	if err != nil {
		return message.Value{}, fmt.Errorf("point %s: %w", name, err)
	}
	if err := d.reach(ctx); err != nil {
		return message.Value{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[point] = value
	return value, nil
}

// Close has nothing to let go of.
func (d *device) Close() error { return nil }
