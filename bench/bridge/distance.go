package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"sluice/bench/measure"
)

// roundTrip is the way to the cloud and back.
const roundTrip = 200 * time.Millisecond

// wide is a window that does not bound what a way with losses carries: each loss holds up all that comes behind it for
// a round trip, which a window of 1,000 does not bridge.
const wide = 20_000

// far measures a backlog over a long way, on which a share of the packets is lost, and then a bare TCP stream on it.
func (p *plan) far(ctx context.Context, dir string, loss float64, window, messages int) (o outcome, err error) {
	w, err := newWay(roundTrip/2, loss)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	address := net.JoinHostPort(farIP, "1883")
	cloud := p.cloud(dir, address)
	cloud.inside(w.far)
	const in = "127.0.0.1:1883"
	r := &relay{in: in, starts: []func() (*measure.Process, error){func() (*measure.Process, error) {
		return measure.Start(ours, dir, filepath.Join(dir, "log"), gatewayEnv, p.sluice, "run", "--config", filepath.Join(dir, "sluice.yaml"))
	}}}
	r.inside(w.near)
	if err := writeConfig(dir, in, "127.0.0.1:8080", fmt.Sprintf("driver: mqtt, address: \"tcp://%s\", window: %d, retry: 1s", address, window), ""); err != nil {
		return o, err
	}
	if err := r.up(ctx); err != nil {
		return o, err
	}
	defer r.kill()
	came, err := p.fill(ctx, w.near.name, in, dir, messages)
	if err != nil {
		return o, err
	}
	o.filled = came.Published
	l, err := p.open(ctx, w.far.name, r, cloud, dir)
	defer cloud.kill()
	if err != nil {
		return o, err
	}
	got, err := l.end()
	if err := errors.Join(err, r.alive(), cloud.alive()); err != nil {
		return o, err
	}
	o.took(got)
	// A PUBLISH: two bytes of head and two of length, the topic, the packet's number.
	o.useful = o.rate * float64(256+4+len(topicOf(0))+2)
	r.kill() // what else it has to say shares the way
	o.stream, err = w.stream(ctx, time.Duration(got.Delivering*float64(time.Second)))
	return o, err
}

// stream sends as fast as it goes to the other end, and measures what arrives between the first byte and the last: the
// kernel's own buffers would flatter the sender.
func (w *way) stream(ctx context.Context, length time.Duration) (rate float64, err error) {
	var listener net.Listener
	if err := w.far.do(func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(farIP, "5001"))
		return err
	}); err != nil {
		return 0, err
	}
	defer listener.Close()
	type result struct {
		bytes int64
		took  time.Duration
		err   error
	}
	got := make(chan result, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- result{err: err}
			return
		}
		defer conn.Close()
		var first [1]byte
		if _, err := io.ReadFull(conn, first[:]); err != nil {
			got <- result{err: err}
			return
		}
		began := time.Now()
		n, err := io.Copy(io.Discard, conn)
		got <- result{n, time.Since(began), err}
	}()
	var conn net.Conn
	if err := w.near.do(func() (err error) {
		conn, err = net.DialTimeout("tcp", listener.Addr().String(), 10*time.Second)
		return err
	}); err != nil {
		return 0, err
	}
	defer conn.Close()
	block := make([]byte, 16<<10)
	for until := time.Now().Add(length); time.Now().Before(until) && ctx.Err() == nil; {
		if _, err := conn.Write(block); err != nil {
			return 0, err
		}
	}
	conn.Close()
	r := <-got
	if r.err != nil || r.took == 0 {
		return 0, errors.Join(r.err, ctx.Err())
	}
	return float64(r.bytes) / r.took.Seconds(), nil
}

// inside lets a relay's programs live in a namespace.
func (r *relay) inside(n namespace) {
	for i, start := range r.starts {
		r.starts[i] = func() (process *measure.Process, err error) {
			err = n.do(func() (err error) {
				process, err = start()
				return err
			})
			return process, err
		}
	}
	r.greet = func(address string) error {
		return n.do(func() error { return greet(address) })
	}
}

// temporary names are those of this process.
func temporary(name string) string { return fmt.Sprintf("sluice-bench-%d-%s", os.Getpid(), name) }
