// Package modbus reads and writes devices that speak Modbus TCP, RTU, ASCII, or RTU and ASCII over a
// TCP connection. It hides goburrow/modbus, the frames, the planning of requests, and the ways in
// which devices and converters misbehave: what they answer becomes a value only when it is proved
// to be this request's answer.
package modbus

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"sluice/collectors"
	"sluice/collectors/bus"
)

// Driver opens Modbus devices on the lines of Buses.
type Driver struct {
	Buses *bus.Set

	ids atomic.Uint32 // transaction ids, one row for all devices

	mu   sync.Mutex // guards what follows
	owed map[string]*debts
}

// Options gives *Options with the defaults.
func (*Driver) Options() any {
	return &Options{
		Unit: 1, Timeout: defaultTimeout, Limits: defaultLimits(), Write: writeAuto, BitWrite: bitMask,
	}
}

// Open takes *Options and touches no line: the first Read connects.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options are %T, want %T", name, options, o)
	}
	var problems []string
	o.Validate(func(path, problem string) { problems = append(problems, path+": "+problem) })
	if problems != nil {
		return nil, fmt.Errorf("device %s: %s", name, strings.Join(problems, "; "))
	}
	t, err := parseTarget(o.Address)
	if err != nil {
		return nil, fmt.Errorf("device %s: address: %w", name, err)
	}
	client, err := d.Buses.Client(t.line, name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return d.open(o, t, busWire{client}), nil
}

func (d *Driver) open(o *Options, t target, w wire) *device {
	f := t.framer(byte(o.Unit), &d.ids)
	name := fmt.Sprintf("%s unit %d", o.Address, o.Unit)
	return newDevice(o, &unit{
		link:  newLink(t, name, f, o.Timeout, w, d.debts(t, f, o.Unit)),
		style: o.Write, bits: o.BitWrite, known: &holes{},
	})
}

// debts are those of a unit, which may be configured as several devices. They are kept as long as
// the gateway runs: a new configuration does not make an answer come in time.
func (d *Driver) debts(t target, f framer, unit int) *debts {
	if f.matched() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := fmt.Sprintf("%s %d", t.line, unit)
	if d.owed[key] == nil {
		if d.owed == nil {
			d.owed = make(map[string]*debts)
		}
		d.owed[key] = &debts{}
	}
	return d.owed[key]
}
