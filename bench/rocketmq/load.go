package main

import (
	"context"
	"fmt"
	"time"

	"sluice/bench/measure"
)

// sendCase is synchronous sending by Apache's Producer.
type sendCase struct{ threads, size int }

var sendCases = []sendCase{{1, 128}, {16, 128}, {64, 128}, {1, 1024}, {16, 1024}, {64, 1024}}

func (k sendCase) name() string { return fmt.Sprintf("send-%d-%d", k.threads, k.size) }

func (k sendCase) title() string {
	return fmt.Sprintf("synchronous sends, %d bytes, threads: %d", k.size, k.threads)
}

// warmUp is load that nobody looks at.
func (p *plan) warmUp(ctx context.Context, s *server) error {
	if p.warm <= 0 {
		return nil
	}
	if err := s.createTopic(ctx, "warm"); err != nil {
		return err
	}
	t, err := p.runTool(s, "Producer", producer("warm", 64, 128)...)
	if err != nil {
		return err
	}
	defer t.kill()
	measure.Pause(ctx, time.Duration(p.warm*float64(time.Second)))
	return s.alive()
}

// sending measures one case of producing.
func (p *plan) sending(ctx context.Context, s *server, k sendCase) (o outcome, err error) {
	topic := k.name()
	if err := s.createTopic(ctx, topic); err != nil {
		return o, err
	}
	t, err := p.runTool(s, "Producer", producer(topic, k.threads, k.size)...)
	if err != nil {
		return o, err
	}
	defer t.kill()
	seen := measure.Follow(s.pids...)
	l, err := t.report(ctx, s, p.length())
	seen.End()
	if err != nil {
		return o, err
	}
	return o, o.sent(l, seen)
}

// sent takes over what a producer reported and what the server used meanwhile.
func (o *outcome) sent(l timed, seen *measure.Follower) error {
	if l.rate == 0 {
		return fmt.Errorf("nothing was acknowledged in %v, %d sends failed", window, l.failed)
	}
	o.rate, o.mean, o.failed = l.rate, l.mean, l.failed
	o.cpu = 1e6 * seen.Cores(l.at.Add(-window), l.at) / max(1, l.rate)
	o.held = seen.Most()
	return nil
}

// both measures producing with 64 threads while Apache's Consumer takes what comes.
func (p *plan) both(ctx context.Context, s *server) (o outcome, err error) {
	if err := s.createTopic(ctx, caseBoth); err != nil {
		return o, err
	}
	consumer, err := p.runTool(s, "Consumer", "-t", caseBoth, "-g", "both_consumer", "-w", "20")
	if err != nil {
		return o, err
	}
	defer consumer.kill()
	producer, err := p.runTool(s, "Producer", producer(caseBoth, 64, 128)...)
	if err != nil {
		return o, err
	}
	defer producer.kill()
	seen := measure.Follow(s.pids...)
	l, err := producer.report(ctx, s, p.length())
	if err != nil {
		seen.End()
		return o, err
	}
	taken, err := consumer.report(ctx, s, 0)
	seen.End()
	if err != nil {
		return o, err
	}
	err = o.sent(l, seen)
	o.consumed, o.twoWays = taken.rate, true
	o.failed += taken.failed
	return o, err
}

// throughput is what a case is about: where what is sent is consumed as well, it must be both.
func throughput(o outcome) float64 {
	if o.twoWays {
		return min(o.rate, o.consumed)
	}
	return o.rate
}
