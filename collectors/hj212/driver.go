// Package hj212 takes the reports of data loggers that speak HJ 212, of 2017 or 2005, as pollution
// monitors in China do. Loggers connect to the gateway, so a device here is a listener's share: it
// hides who shares an address, packets and their joining, repetitions, flags, and that a logger is
// told that it was heard only when its report is durable.
package hj212

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sluice/collectors"
	"sluice/collectors/bus"
	wire "sluice/gateway/hj212"
)

const (
	defaultSilence = 2 * time.Hour   // a logger may report hourly, and once too late
	defaultTimeout = 5 * time.Second // OverTime as it is usually set
)

// Driver makes devices of loggers. It owns the addresses that they connect to: each is open while a
// device needs it.
type Driver struct {
	Log   *slog.Logger // nil: slog.Default()
	Buses *bus.Set     // shows the addresses among its lines; nil: they are shown nowhere

	mu        sync.Mutex // guards what follows
	listeners map[string]*listener
}

// Options gives the defaults.
func (d *Driver) Options() any {
	return &Options{Edition: Edition2017, TimeZone: "Asia/Shanghai", Silence: defaultSilence, Timeout: defaultTimeout}
}

// Open makes a device from what Options gave and the configuration filled in.
func (d *Driver) Open(name string, options any) (collectors.Device, error) {
	o, ok := options.(*Options)
	if !ok {
		return nil, fmt.Errorf("device %s: options of type %T are not those of an HJ 212 logger", name, options)
	}
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	zone, err := wire.Zone(o.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	s := &Station{driver: d, name: name, options: *o, zone: zone, log: d.log().With("device", name, "mn", o.MN), notes: map[string]string{}}
	for i := range o.Points {
		p := &o.Points[i]
		unit := p.Unit
		if known, ok := Lookup(p.Factor.Code); unit == "" && ok {
			unit = known.Unit
		}
		s.points = append(s.points, point{p.Name, p.Factor, p.period()})
		s.specs = append(s.specs, collectors.Spec{Name: p.Name, Unit: unit, Policy: p.Policy})
	}
	return s, nil
}

func (d *Driver) log() *slog.Logger {
	if d.Log == nil {
		return slog.Default()
	}
	return d.Log
}

// enter lets a station's logger in; the first station of an address opens it.
func (d *Driver) enter(s *Station) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	address := s.options.Listen
	l, open := d.listeners[address]
	if !open {
		var err error
		if l, err = listen(address, d.log()); err != nil {
			return err
		}
		l.shown = d.Buses.Visited(address)
	}
	if !l.add(s) {
		return fmt.Errorf("another device has the logger %s at %s already", s.options.MN, address)
	}
	if !open {
		if d.listeners == nil {
			d.listeners = make(map[string]*listener)
		}
		d.listeners[address] = l
		l.start()
	}
	return nil
}

// leave ends that, and returns when nothing of the station's is under way any more. The last station
// of an address closes it.
func (d *Driver) leave(s *Station) {
	d.mu.Lock()
	l := d.listeners[s.options.Listen]
	last := l.remove(s)
	if last {
		delete(d.listeners, s.options.Listen)
		l.stop() // under the lock: whoever enters next finds the address free
	}
	d.mu.Unlock()
	if last {
		l.running.Wait()
	}
}
