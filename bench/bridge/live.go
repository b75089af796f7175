package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sluice/bench/measure"
)

// freshRate is how many new messages a second come in while the old ones go up.
const freshRate = 100

// live measures how long new messages take to the cloud while a backlog fills in behind.
func (p *plan) live(ctx context.Context, dir string) (o outcome, err error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return o, err
	}
	cloud := p.cloud(dir, address)
	r, err := p.gatewayWith(dir, fmt.Sprintf("driver: mqtt, address: \"tcp://%s\", window: %d, retry: 1s", address, p.window), ", order: live-first")
	if err != nil {
		return o, err
	}
	if err := r.up(ctx); err != nil {
		return o, err
	}
	defer r.kill()
	came, err := p.fill(ctx, "", r.in, dir, p.messages)
	if err != nil {
		return o, err
	}
	o.filled = came.Published
	old, err := p.open(ctx, "", r, cloud, dir)
	defer cloud.kill()
	if err != nil {
		return o, err
	}
	// As many seconds as the backlog takes at 100,000 a second: new messages that meet no old ones say nothing.
	length := max(2*time.Second, time.Duration(p.messages)*10*time.Microsecond)
	// The line is back when the first message arrives: those before wait for a try to connect, as they would in any order.
	measure.Pause(ctx, 1500*time.Millisecond)
	fresh, err := p.tool(ctx, "", "--addr", r.in, "--sub-addr", cloud.in, "--prefix", "mqttload/fresh", "--id", "fresh", "--pubs", "1",
		"--rate", strconv.Itoa(freshRate), "--duration", length.String(), "--drain", silence.String())
	if err != nil {
		return o, err
	}
	type ended struct {
		report report
		err    error
		at     time.Time
	}
	gone := make(chan ended, 1)
	go func() {
		got, err := old.end()
		gone <- ended{got, err, time.Now()}
	}()
	new, err := fresh.end()
	until := time.Now()
	before := <-gone
	if err := errors.Join(err, before.err, r.alive(), cloud.alive()); err != nil {
		return o, err
	}
	if alone := until.Sub(before.at); alone > length/2 {
		return o, fmt.Errorf("for %v of %v no backlog was left: more -messages are needed", alone.Round(time.Millisecond), length)
	}
	if new.Deliver == nil {
		return o, errors.New("no new message arrived")
	}
	o.took(before.report)
	o.lost += new.Lost
	o.delay = quantiles{new.Deliver.P50 / 1000, new.Deliver.P99 / 1000, new.Deliver.Max / 1000}
	return o, nil
}
