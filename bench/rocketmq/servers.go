package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

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
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		web, err := freePort()
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("gateway: {name: bench}\nstore: {dir: %s}\nweb: {listen: 127.0.0.1:%d}\nrocketmq: {listen: 127.0.0.1:%d, nameserver: \"\"}\n",
			filepath.Join(dir, "data"), web, port)
		path := filepath.Join(dir, "sluice.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return p.again(ctx, dir, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}}
}

// again starts the gateway on a directory that it had.
func (p *plan) again(ctx context.Context, dir, address string) (*server, error) {
	log := filepath.Join(dir, "log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(p.sluice, "run", "--config", filepath.Join(dir, "sluice.yaml"))
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	cmd.Env = append(os.Environ(), "SLUICE_ADMIN_PASSWORD=bench-password")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	exited := make(chan struct{})
	var ended error
	go func() {
		defer close(exited)
		ended = cmd.Wait()
	}()
	s := &server{name: ours, nameServer: address, broker: address, pids: []int{cmd.Process.Pid}, dir: dir}
	s.alive = func() error {
		select {
		case <-exited:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the gateway ended by itself: %w: …%s", errors.Join(ended, errors.New("see its log")), text[max(0, len(text)-500):])
		default:
			return nil
		}
	}
	s.stop = func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-exited
	}
	for began := time.Now(); ; pause(ctx, 10*time.Millisecond) {
		c, err := dial(address)
		if err == nil {
			c.close()
			return s, nil
		}
		if dead := errors.Join(s.alive(), ctx.Err()); dead != nil {
			s.stop()
			return nil, dead
		}
		if time.Since(began) > 30*time.Second {
			s.stop()
			return nil, fmt.Errorf("the gateway lets nobody in: %w", err)
		}
	}
}

// freePort is below the ports that outgoing connections take.
func freePort() (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
