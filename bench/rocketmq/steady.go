package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"sluice/bench/measure"
	"sluice/bench/measure/remote"
	"sluice/gateway/remoting"
)

// latency is milliseconds from the time when a message was due until its acknowledgement.
type latency struct {
	p50, p99, p999 float64
}

// steady sends at a given rate, which Apache's Producer cannot, while Apache's Consumer takes what comes.
func (p *plan) steady(ctx context.Context, s *server) (o outcome, err error) {
	if err := s.createTopic(ctx, caseLatency); err != nil {
		return o, err
	}
	consumer, err := p.runTool(s, "Consumer", "-t", caseLatency, "-g", "latency_consumer", "-w", "20")
	if err != nil {
		return o, err
	}
	defer consumer.kill()
	pacer := &pacer{topic: caseLatency, rate: p.rate, ids: remoting.NewUniqueIDs(netip.MustParseAddr("127.0.0.1"), os.Getpid(), rand.Uint32())}
	for range 4 {
		c, err := remote.Dial(s.broker)
		if err != nil {
			return o, err
		}
		defer c.Close()
		pacer.to = append(pacer.to, c)
	}
	measure.Pause(ctx, 5*time.Second) // Java starts
	seen := measure.Follow(s.pids...)
	// The first seconds, in which the way is cold, do not count.
	if err := pacer.run(ctx, 2*time.Second); err != nil {
		seen.End()
		return o, err
	}
	pacer.took = nil
	from := time.Now()
	err = pacer.run(ctx, p.length())
	until := time.Now()
	seen.End()
	if err != nil {
		return o, err
	}
	o.rate = float64(len(pacer.took)) / until.Sub(from).Seconds()
	o.cpu, o.held, o.latency = 1e6*seen.Cores(from, until)/o.rate, seen.Most(), pacer.quantiles()
	taken, err := consumer.report(ctx, s, 0)
	o.consumed = taken.rate
	return o, err
}

// pacer sends messages when they are due, whatever became of those before.
type pacer struct {
	topic string
	rate  int
	to    []*remote.Conn
	ids   *remoting.UniqueIDs

	mu    sync.Mutex // guards what follows
	took  []time.Duration
	wrong error
}

// mostWaiting is how many may be unanswered before a server counts as overwhelmed.
const mostWaiting = 10_000

func (p *pacer) run(ctx context.Context, length time.Duration) error {
	var open sync.WaitGroup
	waiting := make(chan struct{}, mostWaiting)
	body := make([]byte, 128)
	random := rand.NewChaCha8([32]byte{1})
	began := time.Now()
	for i := range int(length.Seconds() * float64(p.rate)) {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(p.rate))
		if early := time.Until(due); early > 0 {
			measure.Pause(ctx, early)
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case waiting <- struct{}{}:
		default:
			p.note(0, fmt.Errorf("%d messages wait for their acknowledgement: -rate %d is too much", mostWaiting, p.rate))
		}
		if p.failed() != nil {
			break
		}
		_, _ = random.Read(body) // never fails
		open.Add(1)
		p.to[i%len(p.to)].Send(remoting.SendMessageV2, body, p.fields(i, due), func(answer *remoting.Command, err error) {
			defer open.Done()
			if err == nil && answer.Code != 0 {
				err = fmt.Errorf("code %d: %s", answer.Code, answer.Remark)
			}
			p.note(time.Since(due), err)
			<-waiting
		})
	}
	if p.failed() != nil {
		return p.failed() // what is open ends with its connection
	}
	open.Wait()
	return errors.Join(p.failed(), ctx.Err())
}

// fields are those of the Java client, under their short names.
func (p *pacer) fields(i int, now time.Time) remoting.Fields {
	return remoting.Fields{{Name: "a", Value: "latency_producer"}, {Name: "b", Value: p.topic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: "4"},
		{Name: "e", Value: strconv.Itoa(i % queues)}, {Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(now.UnixMilli(), 10)},
		{Name: "h", Value: "0"}, {Name: "i", Value: "UNIQ_KEY\x01" + p.ids.Next(now) + "\x02WAIT\x01true\x02"}, {Name: "j", Value: "0"},
		{Name: "k", Value: "false"}, {Name: "m", Value: "false"}}
}

func (p *pacer) note(took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.wrong = err
		return
	}
	p.took = append(p.took, took)
}

func (p *pacer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong
}

func (p *pacer) quantiles() latency {
	at := func(q float64) float64 { return measure.Quantile(p.took, q) / 1000 }
	return latency{at(.5), at(.99), at(.999)}
}
