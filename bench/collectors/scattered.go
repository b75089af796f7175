package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"sluice/collectors/bus"
	"sluice/gateway/message"
)

const (
	scatteredPoints = 1000
	scatteredOver   = 5000
)

// scattered are the registers of the case plan, the same every time.
func scattered() []int {
	random := rand.New(rand.NewPCG(7, 7))
	return slices.Sorted(slices.Values(random.Perm(scatteredOver)[:scatteredPoints]))
}

// fewest is how many requests cover the registers when any gap may be read along.
func fewest(numbers []int) (n int) {
	for end := -1; ; {
		i := slices.IndexFunc(numbers, func(at int) bool { return at > end })
		if i < 0 {
			return n
		}
		n, end = n+1, numbers[i]+perRequest-1
	}
}

// ourPlan counts the gateway's requests for one poll of the scattered points.
func (p *plan) ourPlan(ctx context.Context, _ string) (o outcome, err error) {
	k, err := startDevices(1)
	if err != nil {
		return o, err
	}
	defer k.close()
	buses, err := bus.NewSet(nil)
	if err != nil {
		return o, err
	}
	defer buses.Close()
	numbers := scattered()
	device, err := openModbus(buses, "tcp://"+k.addresses[0], numbers)
	if err != nil {
		return o, err
	}
	defer device.Close()
	var r message.Reading
	if err := device.Read(ctx, &r); err != nil {
		return o, err
	}
	for i, point := range r.Points {
		if point.Value != message.Uint(uint64(numbers[i])) {
			return o, fmt.Errorf("register %d is %v, %s", numbers[i], point.Value, point.Error)
		}
	}
	n, err := k.requests()
	o.count = float64(n)
	return o, err
}
