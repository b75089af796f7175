package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"sluice/bench/measure"
	"sluice/bench/measure/remote"
	"sluice/gateway/remoting"
)

// backlog is what messages that wait cost, and how fast they are taken. Memory is anonymous, in MB.
type backlog struct {
	waiting int64
	fill    float64 // messages a second that came in

	empty, restarted    float64 // a fresh process: without messages, and with all of them
	firstTenth, atLast  float64 // the most while the first and the last tenth came in
	draining            float64 // the most while they were taken
	pulled, javaTook    float64 // messages a second: by our client, by Apache's
	pullServer, pullOwn float64 // busy cores, of the server and of our client
	javaServer, javaOwn float64 // and with Apache's
	threads             string  // the busiest of Apache's client
}

// growth is what a backlog adds, measured the two ways in which only its length differs.
func (b backlog) growth() float64 { return max(b.restarted-b.empty, b.atLast-b.firstTenth) }

func (b backlog) String() string {
	return fmt.Sprintf("%d waiting, %+.1f MB; own client %s/s (cores: server %.2f, client %.2f), Apache's %s/s (%.2f, %.2f)", b.waiting, b.growth(),
		measure.Short(b.pulled), b.pullServer, b.pullOwn, measure.Short(b.javaTook), b.javaServer, b.javaOwn)
}

// drain fills a topic with Apache's BatchProducer, starts the gateway again, and takes all messages twice.
func (p *plan) drain(ctx context.Context, s *server) (o outcome, err error) {
	b := &o.backlog
	if err := s.createTopic(ctx, caseBacklog); err != nil {
		return o, err
	}
	if b.empty, err = anonymous(ctx, s); err != nil {
		return o, err
	}
	if err := p.fill(ctx, s, b); err != nil {
		return o, fmt.Errorf("fill: %w", err)
	}
	measure.Say("%s, %s: %d messages wait, %s/s came in", caseBacklog, s.name, b.waiting, measure.Short(b.fill))
	if s.name == ours {
		s.stop() // kill -9
		started, err := p.again(ctx, s.dir, s.broker)
		if err != nil {
			return o, err
		}
		*s = *started
	}
	if b.restarted, err = anonymous(ctx, s); err != nil {
		return o, err
	}
	seen := measure.Follow(s.pids...)
	defer func() {
		seen.End()
		b.draining = seen.Anon()
	}()
	stopProfile, err := p.profiled(s, caseBacklog+"-own")
	if err != nil {
		return o, err
	}
	err = p.pullAll(ctx, s, b)
	if err := errors.Join(err, stopProfile()); err != nil {
		return o, fmt.Errorf("own client: %w", err)
	}
	if stopProfile, err = p.profiled(s, caseBacklog+"-apache"); err != nil {
		return o, err
	}
	err = p.javaDrains(ctx, s, b)
	if err := errors.Join(err, stopProfile()); err != nil {
		return o, fmt.Errorf("Apache's client: %w", err)
	}
	return o, nil
}

// anonymous is what a server holds once it has come to rest.
func anonymous(ctx context.Context, s *server) (float64, error) {
	measure.Pause(ctx, 3*time.Second)
	m, err := measure.MemoryOf(s.pids...)
	return m.Anon, err
}

func (p *plan) fill(ctx context.Context, s *server, b *backlog) error {
	c, err := remote.Dial(s.broker)
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := p.runTool(s, "BatchProducer", "-t", caseBacklog, "-w", "8", "-s", "128", "-b", "32")
	if err != nil {
		return err
	}
	defer t.kill()
	tenth := measure.Follow(s.pids...)
	var began time.Time
	var atFirst int64
	for part := 0; part < 10; measure.Pause(ctx, 100*time.Millisecond) {
		if err := errors.Join(s.alive(), ctx.Err()); err != nil {
			return errors.Join(err, end(tenth))
		}
		if b.waiting, err = c.Stored(ctx, caseBacklog, queues); err != nil {
			return errors.Join(err, end(tenth))
		}
		if began.IsZero() && b.waiting > 0 {
			began, atFirst = time.Now(), b.waiting
		}
		if b.waiting*10 < int64(part+1)*int64(p.backlog) {
			continue
		}
		_ = end(tenth)
		if part == 0 {
			b.firstTenth = tenth.Anon()
		}
		b.atLast = tenth.Anon()
		if part++; part < 10 {
			tenth = measure.Follow(s.pids...)
		}
	}
	b.fill = float64(b.waiting-atFirst) / time.Since(began).Seconds()
	t.kill()
	b.waiting, err = c.Stored(ctx, caseBacklog, queues)
	return err
}

// end is for where an error is on its way already.
func end(f *measure.Follower) error {
	f.End()
	return nil
}

// pullAll takes every message once, each queue over a connection of its own, and takes each apart. Stock
// servers hand out 32 at a time.
func (p *plan) pullAll(ctx context.Context, s *server, b *backlog) error {
	server, own := measure.Follow(s.pids...), measure.Follow(os.Getpid())
	began := time.Now()
	var all sync.WaitGroup
	counts, errs := make([]int64, queues), make([]error, queues)
	for queue := range queues {
		all.Go(func() { counts[queue], errs[queue] = pullQueue(ctx, s.broker, queue) })
	}
	all.Wait()
	until := time.Now()
	server.End()
	own.End()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var total int64
	for _, n := range counts {
		total += n
	}
	if total != b.waiting {
		return fmt.Errorf("%d messages came of %d", total, b.waiting)
	}
	b.pulled = float64(total) / until.Sub(began).Seconds()
	b.pullServer, b.pullOwn = server.Cores(began, until), own.Cores(began, until)
	return nil
}

func pullQueue(ctx context.Context, address string, queue int) (count int64, err error) {
	c, err := remote.Dial(address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	fields := remoting.Fields{{Name: "consumerGroup", Value: "puller"}, {Name: "topic", Value: caseBacklog}, {Name: "queueId", Value: strconv.Itoa(queue)},
		{Name: "maxMsgNums", Value: "32"}, {Name: "sysFlag", Value: "4"}, {Name: "commitOffset", Value: "0"}, {Name: "suspendTimeoutMillis", Value: "0"},
		{Name: "subscription", Value: "*"}, {Name: "subVersion", Value: "0"}, {Name: "expressionType", Value: "TAG"}}
	for next := int64(0); ; {
		fields.Set("queueOffset", strconv.FormatInt(next, 10))
		answer, err := c.Call(ctx, remoting.PullMessage, nil, fields)
		if answer != nil && answer.Code == remoting.PullNotFound {
			return count, nil
		}
		if err != nil {
			return count, fmt.Errorf("queue %d, offset %d: %w", queue, next, err)
		}
		for rest := answer.Body; len(rest) > 0; count++ {
			var m remoting.Stored
			if m, rest, err = remoting.ParseStored(rest); err != nil {
				return count, err
			}
			if m.QueueOffset != next {
				return count, fmt.Errorf("queue %d: offset %d came for %d", queue, m.QueueOffset, next)
			}
			next++
		}
	}
}

// javaDrains lets Apache's Consumer begin at the first message, and takes its best nine seconds.
func (p *plan) javaDrains(ctx context.Context, s *server, b *backlog) error {
	const group = "drain_consumer"
	c, err := remote.Dial(s.broker)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Rewind(ctx, group, caseBacklog, queues); err != nil {
		return err
	}
	t, err := p.runTool(s, "Consumer", "-t", caseBacklog, "-g", group, "-w", "20")
	if err != nil {
		return err
	}
	defer t.kill()
	server, own := measure.Follow(s.pids...), measure.Follow(t.pid())
	measure.Pause(ctx, 3*time.Second)
	since, before := time.Now(), threads(t.pid())
	_, err = t.report(ctx, s, max(p.length(), 20*time.Second))
	b.threads = busiest(t.pid(), before, since)
	server.End()
	own.End()
	if err != nil {
		return err
	}
	t.mu.Lock()
	best := t.lines[0]
	for _, l := range t.lines {
		if l.rate > best.rate {
			best = l
		}
	}
	t.mu.Unlock()
	b.javaTook = best.rate
	b.javaServer, b.javaOwn = server.Cores(best.at.Add(-window), best.at), own.Cores(best.at.Add(-window), best.at)
	return nil
}
