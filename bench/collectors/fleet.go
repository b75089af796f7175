package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sluice/bench/measure"
)

const (
	fleetDevices  = 100
	fleetPoints   = 100
	fleetInterval = 100 * time.Millisecond
	warmUp        = 5 * time.Second
	manyPoints    = 10_000
)

// poller is a program that polls simulated devices.
type poller struct {
	name   string
	dir    string // where it runs
	args   []string
	points int // that one answer brings
	inHand int // the most points that it may have asked for and lose when it is stopped: a few polls of each device

	// made says what it made of the answers, once it has ended; nil: it does not keep that.
	made func(ctx context.Context) (tally, error)
}

// fleet is the gateway as it runs in the field, its log on the disk included.
func (p *plan) fleet(ctx context.Context, dir string) (outcome, error) {
	return p.gatewayWith(ctx, dir, fleetDevices, fleetPoints, fleetInterval)
}

// gateway is one device with many points, once a second.
func (p *plan) gateway(ctx context.Context, dir string) (outcome, error) {
	return p.gatewayWith(ctx, dir, 1, manyPoints, time.Second)
}

func (p *plan) gatewayWith(ctx context.Context, dir string, devices, points int, every time.Duration) (outcome, error) {
	k, err := startDevices(devices)
	if err != nil {
		return outcome{}, err
	}
	defer k.close()
	path, err := writeConfiguration(dir, k.addresses, points, every)
	if err != nil {
		return outcome{}, err
	}
	return p.follow(ctx, k, poller{
		name: ours, dir: dir, args: []string{p.sluice, "run", "--config", path},
		points: min(points, perRequest), inHand: 3 * devices * points,
		made: func(ctx context.Context) (tally, error) { return p.readLog(ctx, filepath.Join(dir, "data")) },
	})
}

// follow runs a program and measures it once it has warmed up. Every request that the devices answer brings its points;
// where the program keeps what it has read, that must be the same.
func (p *plan) follow(ctx context.Context, k *park, of poller) (o outcome, err error) {
	process, err := measure.Start(of.name, of.dir, filepath.Join(of.dir, "log"), nil, of.args...)
	if err != nil {
		return o, err
	}
	defer process.Kill()
	if err := process.Until(ctx, k.answered(len(k.addresses))); err != nil {
		return o, err
	}
	measure.Pause(ctx, warmUp)
	stop := func() error { return nil }
	if p.profile != "" && of.name == ours {
		if stop, err = measure.Profile(p.profile, "collectors", process.PID()); err != nil {
			return o, err
		}
	}
	seen := measure.Follow(process.PID())
	w, err := k.watch(ctx, process.PID(), p.length)
	seen.End()
	if err := errors.Join(err, process.Alive(), stop()); err != nil {
		return o, err
	}
	polled := float64(w.requests) * float64(of.points)
	if polled == 0 {
		return o, errors.New("nothing was polled")
	}
	o.rate = polled / w.took.Seconds()
	o.cpu = float64(w.used.Microseconds()) / polled
	o.rss, o.anon = seen.Most().RSS(), seen.Anon()
	return o, of.prove(ctx, k, process)
}

// stretch is what happened in some time.
type stretch struct {
	took     time.Duration
	requests uint64        // that the devices answered
	used     time.Duration // processor time of the program
}

// watch looks at the devices and a program before and after some time.
func (k *park) watch(ctx context.Context, pid int, length time.Duration) (s stretch, err error) {
	began := time.Now()
	before, err := k.requests()
	if err != nil {
		return s, err
	}
	used, err := measure.ProcessorTime(measure.Proc(pid))
	if err != nil {
		return s, err
	}
	measure.Pause(ctx, length)
	after, err := k.requests()
	if err != nil {
		return s, err
	}
	s.took = time.Since(began)
	total, err := measure.ProcessorTime(measure.Proc(pid))
	s.requests, s.used = after-before, total-used
	return s, err
}

// prove stops the program and holds what it has made of the answers against how many it got.
func (of poller) prove(ctx context.Context, k *park, process *measure.Process) error {
	if of.made == nil {
		return nil
	}
	if err := end(ctx, process); err != nil {
		return err
	}
	requests, err := k.requests()
	if err != nil {
		return err
	}
	made, err := of.made(ctx)
	if err != nil {
		return fmt.Errorf("what %s has read: %w", of.name, err)
	}
	if asked := int(requests) * of.points; made.values > asked || made.values < asked-of.inHand {
		return fmt.Errorf("%s got %d values in %d answers and made %d of them", of.name, asked, requests, made.values)
	}
	return nil
}

// end stops a program as its user would, so that it writes what it still holds.
func end(ctx context.Context, process *measure.Process) error {
	if err := syscall.Kill(process.PID(), syscall.SIGTERM); err != nil {
		return err
	}
	const patience = 15 * time.Second
	for began := time.Now(); process.Alive() == nil; measure.Pause(ctx, 10*time.Millisecond) {
		if time.Since(began) > patience || ctx.Err() != nil {
			return fmt.Errorf("it does not stop within %v", patience)
		}
	}
	return nil
}

// writeConfiguration is that of a gateway with devices of so many registers, and no listener.
func writeConfiguration(dir string, addresses []string, points int, every time.Duration) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "gateway: {name: bench}\nstore: {dir: %q}\nweb: {listen: \"\"}\nmqtt: {listen: []}\ndevices:\n", filepath.Join(dir, "data"))
	for i, address := range addresses {
		fmt.Fprintf(&text, "  - name: d%d\n    driver: modbus\n    address: tcp://%s\n    interval: %s\n    points:\n", i, address, every)
		for n := range points {
			fmt.Fprintf(&text, "      - {name: p%d, address: \"holding:%d\"}\n", n, n)
		}
	}
	path := filepath.Join(dir, "sluice.yaml")
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
}
