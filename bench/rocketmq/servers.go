package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"sluice/bench/measure"
	"sluice/bench/measure/remote"
	rocketmqtest "sluice/testpeers/rocketmq"
)

// Names of the servers.
const (
	ours       = "sluice"
	syncFlush  = "sync-flush"  // Apache's, which answers after the disk has it
	asyncFlush = "async-flush" // Apache's as it comes: within half a second the disk has it
)

// contestant is one server in one configuration.
type contestant struct {
	name  string
	start func(ctx context.Context, dir string) (*server, error)
}

// server is a running one. Where broker and name server are two processes, it is both.
type server struct {
	name               string
	nameServer, broker string
	pids               []int
	dir                string // of its files
	alive              func() error
	stop               func()
}

// jvm are the sizes of Apache's two machines.
type jvm struct {
	broker, nameServer []string
}

func (p *plan) apache(name string, options jvm) contestant {
	return contestant{name, func(ctx context.Context, dir string) (*server, error) {
		flush := "SYNC_FLUSH"
		if name == asyncFlush {
			flush = "ASYNC_FLUSH"
		}
		real, err := rocketmqtest.Launch(ctx, dir, rocketmqtest.Options{
			Broker: map[string]string{
				"flushDiskType": flush,
				// The sizes that the stock broker has; those of testpeers are for small tests.
				"mappedFileSizeCommitLog": "1073741824", "mappedFileSizeConsumeQueue": "6000000",
				"maxHashSlotNum": "5000000", "maxIndexNum": "20000000", "transactionCheckInterval": "30000",
			},
			BrokerJVM:     append([]string{"-XX:TieredStopAtLevel=4"}, options.broker...),
			NameServerJVM: append([]string{"-XX:TieredStopAtLevel=4"}, options.nameServer...),
		})
		if err != nil {
			return nil, err
		}
		return &server{name: name, nameServer: real.NameServer, broker: real.Broker, dir: dir,
			pids: []int{real.BrokerPID(), real.NameServerPID()}, alive: real.Alive, stop: real.Stop}, nil
	}}
}

// generous is a heap in which Apache's broker is not slowed down by its collector.
func (p *plan) generous() jvm {
	return jvm{broker: []string{"-Xms" + p.heap, "-Xmx" + p.heap, "-Xmn" + half(p.heap), "-XX:MaxDirectMemorySize=2g"}}
}

// half is half of a size like 2g or 300m, for the young generation.
func half(size string) string {
	n, err := strconv.Atoi(size[:max(0, len(size)-1)])
	if err != nil || n < 1 {
		return size // Java says what is wrong with it
	}
	if size[len(size)-1] == 'g' {
		return fmt.Sprintf("%dm", n*512)
	}
	return fmt.Sprintf("%d%c", max(1, n/2), size[len(size)-1])
}

// gateway is the whole gateway with its page, as it comes.
func (p *plan) gateway() contestant {
	return contestant{ours, func(ctx context.Context, dir string) (*server, error) {
		address, err := measure.FreeAddress()
		if err != nil {
			return nil, err
		}
		web, err := measure.FreeAddress()
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("gateway: {name: bench}\nstore: {dir: %s}\nweb: {listen: '%s'}\nrocketmq: {listen: '%s', nameserver: \"\"}\n",
			filepath.Join(dir, "data"), web, address)
		path := filepath.Join(dir, "sluice.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return p.again(ctx, dir, address)
	}}
}

// again starts the gateway on a directory that it had.
func (p *plan) again(ctx context.Context, dir, address string) (*server, error) {
	process, err := measure.Start("the gateway", dir, filepath.Join(dir, "log"), []string{"SLUICE_ADMIN_PASSWORD=bench-password"},
		p.sluice, "run", "--config", filepath.Join(dir, "sluice.yaml"))
	if err != nil {
		return nil, err
	}
	s := &server{name: ours, nameServer: address, broker: address, pids: []int{process.PID()}, dir: dir, alive: process.Alive, stop: process.Kill}
	return s, process.Until(ctx, func() error {
		c, err := remote.Dial(address)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// profiled records where the gateway spends its processor time until the returned function is called.
func (p *plan) profiled(s *server, name string) (stop func() error, err error) {
	if p.profile == "" || s.name != ours {
		return func() error { return nil }, nil
	}
	return measure.Profile(p.profile, name, s.pids[0])
}

// queues is how many each topic of a measurement has.
const queues = 8

func (s *server) createTopic(ctx context.Context, topic string) error {
	return remote.CreateTopic(ctx, s.broker, s.nameServer, topic, queues)
}
