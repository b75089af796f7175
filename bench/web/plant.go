package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"sluice/bench/measure"
)

// plant is a gateway with many devices, which one simulator answers for, and a cloud that takes all of it.
type plant struct {
	*gateway
	around []*measure.Process
}

func (p *plan) plant(ctx context.Context, in surroundings) (_ *plant, err error) {
	all := &plant{}
	defer func() {
		if err != nil {
			all.close()
		}
	}()
	devices, err := all.beside(ctx, in, "the devices", func(_, address string) []string {
		return []string{in.binary, "simulate", "modbus", "-listen", address, "-every", "1s"}
	})
	if err != nil {
		return nil, err
	}
	cloud, err := all.beside(ctx, in, "the cloud", func(port, _ string) []string { return []string{"mosquitto", "-p", port} })
	if err != nil {
		return nil, err
	}
	all.gateway, err = start(ctx, in.binary, in.dir, p.configuration(devices, cloud))
	return all, err
}

// beside starts a server at a free address and waits until it listens.
func (all *plant) beside(ctx context.Context, in surroundings, name string, args func(port, address string) []string) (string, error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	process, err := measure.Start(name, in.dir, filepath.Join(in.dir, strings.ReplaceAll(name, " ", "-")+".log"), nil, args(port, address)...)
	if err != nil {
		return "", err
	}
	all.around = append(all.around, process)
	return address, process.Until(ctx, func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (all *plant) close() {
	if all.gateway != nil {
		all.process.Kill()
	}
	for _, process := range all.around {
		process.Kill()
	}
}

// alive says which of them has ended: without it what was measured is something else.
func (all *plant) alive() error {
	for _, process := range append(all.around, all.process) {
		if err := process.Alive(); err != nil {
			return err
		}
	}
	return nil
}

func deviceName(i int) string { return fmt.Sprintf("meter-%03d", i+1) }

// configuration has devices whose points are not beside each other in pairs, as in meters.
func (p *plan) configuration(devices, cloud string) string {
	var b strings.Builder
	b.WriteString("devices:\n")
	for d := range p.devices {
		fmt.Fprintf(&b, "  - name: %s\n    driver: modbus\n    address: tcp://%s\n    unit: %d\n    interval: 1s\n    points:\n", deviceName(d), devices, 1+d%247)
		for i := range p.points {
			fmt.Fprintf(&b, "      - {name: p%d, address: \"holding:%d\", type: uint16}\n", i, 2*i)
		}
	}
	fmt.Fprintf(&b, "uplinks:\n  - name: cloud\n    driver: mqtt\n    address: tcp://%s\n    forward:\n      - {from: \"readings/#\", to: \"{topic}\"}\n", cloud)
	return b.String()
}
