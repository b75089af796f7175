package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// fleet is the gateway as it runs in the field, its log on the disk included.
func (p *plan) fleet(ctx context.Context, dir string) (outcome, error) {
	k, err := startDevices(fleetDevices)
	if err != nil {
		return outcome{}, err
	}
	defer k.close()
	path, err := writeConfiguration(dir, k.addresses, fleetPoints, fleetInterval)
	if err != nil {
		return outcome{}, err
	}
	return p.follow(ctx, k, fleetPoints, ours, dir, p.sluice, "run", "--config", path)
}

// gateway is one device with many points, once a second.
func (p *plan) gateway(ctx context.Context, dir string) (outcome, error) {
	k, err := startDevices(1)
	if err != nil {
		return outcome{}, err
	}
	defer k.close()
	path, err := writeConfiguration(dir, k.addresses, manyPoints, time.Second)
	if err != nil {
		return outcome{}, err
	}
	return p.follow(ctx, k, perRequest, ours, dir, p.sluice, "run", "--config", path)
}

// follow runs a program and measures it once it has warmed up. Every request that the devices answer brings so many
// points.
func (p *plan) follow(ctx context.Context, k *park, points int, name, dir string, args ...string) (o outcome, err error) {
	process, err := measure.Start(name, dir, filepath.Join(dir, "log"), nil, args...)
	if err != nil {
		return o, err
	}
	defer process.Kill()
	measure.Pause(ctx, warmUp)
	stop := func() error { return nil }
	if p.profile != "" && name == ours {
		if stop, err = measure.Profile(p.profile, "collectors", process.PID()); err != nil {
			return o, err
		}
	}
	seen := measure.Follow(process.PID())
	began := time.Now()
	before, err := k.requests()
	if err != nil {
		return o, err
	}
	used, err := measure.ProcessorTime(measure.Proc(process.PID()))
	if err != nil {
		return o, err
	}
	measure.Pause(ctx, p.length)
	after, err := k.requests()
	if err != nil {
		return o, err
	}
	took := time.Since(began)
	total, err := measure.ProcessorTime(measure.Proc(process.PID()))
	seen.End()
	if err := errors.Join(err, process.Alive(), stop()); err != nil {
		return o, err
	}
	polled := float64(after-before) * float64(points)
	if polled == 0 {
		return o, errors.New("nothing was polled")
	}
	o.rate = polled / took.Seconds()
	o.cpu = float64((total - used).Microseconds()) / polled
	o.rss, o.anon = seen.Most().RSS(), seen.Anon()
	return o, nil
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
