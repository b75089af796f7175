package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"sluice/bench/measure"
	"sluice/bench/measure/remote"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// What the real broker has: the topic is the first level of those that the load tool uses.
const (
	rocketTopic  = "mqttload"
	rocketQueues = 8
	// The stock client's best: so many messages share a request. One request of it at a time, from each of so many
	// goroutines.
	batchOf, batches = 32, 32
)

// realBroker answers after the disk has it.
func realBroker(ctx context.Context, dir string) (*rocketmqtest.Real, error) {
	real, err := rocketmqtest.Launch(ctx, dir, rocketmqtest.Options{
		Broker: map[string]string{"flushDiskType": "SYNC_FLUSH", "mappedFileSizeCommitLog": "1073741824", "mappedFileSizeConsumeQueue": "6000000",
			"maxHashSlotNum": "5000000", "maxIndexNum": "20000000"},
		BrokerJVM:     []string{"-XX:TieredStopAtLevel=4", "-Xms2g", "-Xmx2g", "-Xmn1g", "-XX:MaxDirectMemorySize=2g"},
		NameServerJVM: []string{"-XX:TieredStopAtLevel=4"},
	})
	if err != nil {
		return nil, err
	}
	if err := remote.CreateTopic(ctx, real.Broker, real.NameServer, rocketTopic, rocketQueues); err != nil {
		real.Stop()
		return nil, err
	}
	return real, nil
}

// toRocketMQ drains a backlog into a real broker, which is warm: Java compiles what runs often.
func (p *plan) toRocketMQ(ctx context.Context, dir string) (o outcome, err error) {
	r, err := p.gatewayWith(dir, "", "")
	if err != nil {
		return o, err
	}
	if err := r.up(ctx); err != nil {
		return o, err
	}
	defer func() { r.kill() }()
	came, err := p.fill(ctx, "", r.in, dir, p.messages)
	if err != nil {
		return o, err
	}
	o.filled = came.Published
	r.kill()
	real, err := realBroker(ctx, filepath.Join(dir))
	if err != nil {
		return o, err
	}
	defer real.Stop()
	if err := p.warm(ctx, real); err != nil {
		return o, err
	}
	web, err := measure.FreeAddress()
	if err != nil {
		return o, err
	}
	if err := writeConfig(dir, r.in, web, fmt.Sprintf("driver: rocketmq, name_servers: [\"%s\"], window: %d", real.NameServer, p.window), ""); err != nil {
		return o, err
	}
	counted, err := newCounter(ctx, real)
	if err != nil {
		return o, err
	}
	defer counted.client.Close()
	if err := r.up(ctx); err != nil {
		return o, err
	}
	seen := measure.Follow(r.pids()...)
	err = counted.until(ctx, p.messages, func() error { return errors.Join(r.alive(), real.Alive()) })
	seen.End()
	o.rate, o.held = counted.rate(), seen.Most().RSS()
	o.cpu = 1e6 * seen.Cores(counted.first, counted.last) / max(o.rate, 1)
	return o, err
}

// bareRocketMQ sends messages from memory with the stock client, one a request, as its users do.
func (p *plan) bareRocketMQ(ctx context.Context, dir string) (o outcome, err error) {
	return p.stock(ctx, dir, func(c rocketmq.Producer) error {
		window := make(chan struct{}, p.window)
		var mu sync.Mutex
		var wrong error
		for i := 0; i < p.messages && ctx.Err() == nil; i++ {
			window <- struct{}{}
			err := c.SendAsync(ctx, func(_ context.Context, _ *primitive.SendResult, err error) {
				if err != nil {
					mu.Lock()
					wrong = err
					mu.Unlock()
				}
				<-window
			}, primitive.NewMessage(rocketTopic, payload(i%publishers, i/publishers)))
			if err != nil {
				return err
			}
		}
		for range p.window {
			window <- struct{}{}
		}
		mu.Lock()
		defer mu.Unlock()
		return wrong
	})
}

// batchedRocketMQ is the same with the stock client's batches.
func (p *plan) batchedRocketMQ(ctx context.Context, dir string) (o outcome, err error) {
	return p.stock(ctx, dir, func(c rocketmq.Producer) error {
		work := make(chan []*primitive.Message, batches)
		var all sync.WaitGroup
		errs := make([]error, batches)
		for i := range batches {
			all.Go(func() {
				for batch := range work {
					if _, err := c.SendSync(ctx, batch...); err != nil {
						errs[i] = err
					}
				}
			})
		}
		for i := 0; i < p.messages && ctx.Err() == nil; {
			var batch []*primitive.Message
			for ; len(batch) < batchOf && i < p.messages; i++ {
				batch = append(batch, primitive.NewMessage(rocketTopic, payload(i%publishers, i/publishers)))
			}
			work <- batch
		}
		close(work)
		all.Wait()
		return errors.Join(errs...)
	})
}

func (p *plan) stock(ctx context.Context, dir string, send func(rocketmq.Producer) error) (o outcome, err error) {
	real, err := realBroker(ctx, dir)
	if err != nil {
		return o, err
	}
	defer real.Stop()
	if err := p.warm(ctx, real); err != nil {
		return o, err
	}
	c, err := stockProducer(real)
	if err != nil {
		return o, err
	}
	counted, err := newCounter(ctx, real)
	if err != nil {
		return o, err
	}
	defer counted.client.Close()
	seen := measure.Follow(os.Getpid()) // nothing else in this program works meanwhile
	sent := make(chan error, 1)
	go func() { sent <- send(c) }()
	err = counted.until(ctx, p.messages, real.Alive)
	seen.End()
	o.rate, o.held = counted.rate(), seen.Most().RSS()
	o.cpu = 1e6 * seen.Cores(counted.first, counted.last) / max(o.rate, 1)
	return o, errors.Join(err, <-sent, c.Shutdown())
}

func stockProducer(real *rocketmqtest.Real) (rocketmq.Producer, error) {
	rlog.SetLogLevel("error")
	c, err := rocketmq.NewProducer(producer.WithNsResolver(primitive.NewPassthroughResolver([]string{real.NameServer})),
		producer.WithGroupName("bench"), producer.WithSendMsgTimeout(30*time.Second))
	if err != nil {
		return nil, err
	}
	return c, c.Start()
}

// warm gives the broker ten seconds of load before it is measured.
func (p *plan) warm(ctx context.Context, real *rocketmqtest.Real) error {
	c, err := stockProducer(real)
	if err != nil {
		return err
	}
	until := time.Now().Add(10 * time.Second)
	var all sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		all.Go(func() {
			for n := 0; time.Now().Before(until) && ctx.Err() == nil && errs[i] == nil; n++ {
				_, errs[i] = c.SendSync(ctx, primitive.NewMessage(rocketTopic, payload(0, n)))
			}
		})
	}
	all.Wait()
	return errors.Join(errors.Join(errs...), c.Shutdown())
}

// counter counts what a broker stores from now on.
type counter struct {
	client      *remote.Conn
	before, at  int64 // of all, and at the first look that saw one more
	total       int64
	first, last time.Time
}

func newCounter(ctx context.Context, real *rocketmqtest.Real) (*counter, error) {
	client, err := remote.Dial(real.Broker)
	if err != nil {
		return nil, err
	}
	before, err := client.Stored(ctx, rocketTopic, rocketQueues)
	return &counter{client: client, before: before}, err
}

func (c *counter) rate() float64 {
	return float64(c.total-c.at) / max(c.last.Sub(c.first).Seconds(), 1e-3)
}

func (c *counter) until(ctx context.Context, messages int, alive func() error) error {
	for moved := time.Now(); ; measure.Pause(ctx, 50*time.Millisecond) {
		stored, err := c.client.Stored(ctx, rocketTopic, rocketQueues)
		if err = errors.Join(err, alive(), ctx.Err()); err != nil {
			return err
		}
		now := time.Now()
		if stored -= c.before; stored > c.total {
			if c.total == 0 {
				c.at, c.first = stored, now
			}
			c.total, c.last, moved = stored, now, now
		}
		if c.total >= int64(messages) {
			return nil
		}
		if now.Sub(moved) > silence {
			return fmt.Errorf("%d of %d arrived", c.total, messages)
		}
	}
}
