package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"sluice/collectors"
	drivers "sluice/collectors/all"
	"sluice/collectors/bus"
	"sluice/gateway/config"
	"sluice/web"
)

// device is one polled device in its place.
type device struct {
	config    config.Device
	address   string
	poller    *collectors.Poller
	commander *collectors.Commander
	commands  *commands
}

// deviceSpec is everything that a device's place depends on. A serial line is not part of it: when
// its settings change, the line is reopened under the devices on it.
type deviceSpec struct {
	Gateway string
	Device  config.Device
}

func (g *Gateway) devicePlace(c *config.Config, d config.Device, drivers map[string]collectors.Driver) place {
	return place{name: "device " + d.Name, spec: deviceSpec{c.Gateway.Name, d}, open: func(part) (part, error) {
		opened, err := drivers[d.Driver].Open(d.Name, d.Options)
		if err != nil {
			return nil, err
		}
		derived, err := derivedOf(d, opened.Points())
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", d.Name, err)
		}
		log := g.log.With("part", "collectors")
		from := &commands{gateway: g, topic: "commands/" + c.Gateway.Name + "/" + d.Name}
		return &device{config: d, address: endpoint(d.Options), commands: from,
			poller: &collectors.Poller{
				Gateway: c.Gateway.Name, Name: d.Name, Device: opened, Sink: tracedSink{g.broker, g.tracer},
				Interval: time.Duration(d.Interval), Groups: groupsOf(d), Derived: derived, Aligned: d.Aligned,
				Defaults: collectors.Policy{Report: d.Report, MaxSilence: time.Duration(d.MaxSilence), OnError: d.OnError},
				Log:      log,
				Clock:    g.floor.now,
			},
			commander: &collectors.Commander{
				Gateway: c.Gateway.Name, Name: d.Name, Device: opened, Commands: from, Log: log,
			},
		}, nil
	}}
}

func groupsOf(d config.Device) (groups []collectors.Group) {
	for _, g := range d.Groups {
		groups = append(groups, collectors.Group{Name: g.Name, Interval: time.Duration(g.Interval)})
	}
	return groups
}

// checkDevices reports what goes wrong between the points, groups and expressions of devices that are
// each sound in itself.
func checkDevices(c *config.Config, report func(path, problem string)) {
	buses, err := bus.NewSet(linesOf(c))
	if err != nil {
		return // which is reported where the buses stand
	}
	defer buses.Close()
	known := drivers.Drivers(buses, nil)
	points := map[string][]string{}
	for i, d := range c.Devices {
		at := fmt.Sprintf("devices[%d].", i)
		opened, err := known[d.Driver].Open(d.Name, d.Options)
		if err != nil {
			continue // a bus that is not there has been reported
		}
		derived, err := derivedOf(d, opened.Points())
		if wrong, ok := errors.AsType[*derivedError](err); ok {
			report(fmt.Sprintf("%sderived[%d].expression", at, wrong.index), wrong.err.Error())
		}
		collectors.CheckGroups(opened, groupsOf(d), derived, func(path, problem string) { report(at+path, problem) })
		for _, p := range opened.Points() {
			points[d.Name] = append(points[d.Name], p.Name)
		}
		for _, p := range d.Derived {
			points[d.Name] = append(points[d.Name], p.Name)
		}
		opened.Close()
	}
	checkWatched(c, points, report)
}

// checkWatched reports alarms on points that their device does not have.
func checkWatched(c *config.Config, points map[string][]string, report func(path, problem string)) {
	for i, a := range c.Alarms {
		if a.Point == "" || a.Point == "*" {
			continue
		}
		have, watched := points[a.Device], a.Device
		if a.Device == "*" {
			watched = "any device"
			for _, names := range points {
				have = append(have, names...)
			}
		}
		if len(have) > 0 && !slices.Contains(have, a.Point) {
			report(fmt.Sprintf("alarms[%d].point", i), fmt.Sprintf("%s has no point %q", watched, a.Point))
		}
	}
}

// Run polls the device and carries out commands for it until ctx ends.
func (d *device) Run(ctx context.Context) error {
	if err := d.commands.open(); err != nil {
		return err
	}
	defer d.commands.close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var worker sync.WaitGroup
	worker.Go(func() {
		failed = d.commander.Run(ctx)
		stop()
	})
	err := d.poller.Run(ctx)
	worker.Wait()
	return errors.Join(err, failed)
}

func (d *device) Close() { d.poller.Device.Close() }

// show gives what the page says of the device.
func (d *device) show() web.Device {
	s := d.poller.State()
	shown := web.Device{
		Name:      d.config.Name,
		Driver:    d.config.Driver,
		Address:   d.address,
		State:     s.State,
		Since:     s.Since,
		LastError: s.LastError,
		Polls:     s.Polls,
		Failures:  s.Failures,
		Readings:  s.Readings,
		Seq:       s.Seq,
		Interval:  milliseconds(time.Duration(d.config.Interval)),
		Points:    make([]web.Point, len(s.Points)),
	}
	if !s.LastPoll.IsZero() {
		shown.LastPoll = &s.LastPoll
	}
	for i, p := range s.Points {
		shown.Points[i] = web.Point{Name: p.Name, Unit: p.Unit, Error: p.Error, Writable: p.Writable}
		if !p.Value.Absent() {
			shown.Points[i].Value = p.Value
		}
	}
	return shown
}
