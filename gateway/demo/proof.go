package demo

import (
	"context"
	"sync"

	"sluice/bridge/cloudsim"
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/web"
)

// proof reads everything that reaches the demo's cloud and checks that no reading is missing.
type proof struct {
	line         *Line
	subscription *broker.Subscription

	mu      sync.Mutex // guards what follows
	checker cloudsim.Checker
}

// Run reads until ctx ends.
func (p *proof) Run(ctx context.Context) error {
	p.subscription.Add("plants/readings/#")
	var got []message.Delivery
	for {
		var err error
		got, err = p.subscription.Next(ctx, got[:0], 256)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		p.mu.Lock()
		for i := range got {
			p.checker.Add(got[i].Payload)
		}
		p.mu.Unlock()
	}
}

func (p *proof) show() *web.Demo {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.checker.Report()
	return &web.Demo{
		LineUp: p.line.Up(), Received: r.Received, Gaps: r.Gaps, Duplicates: r.Duplicates, Reordered: r.Reordered,
	}
}
