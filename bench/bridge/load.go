package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/bench/measure"
)

// What comes in: so many publishers with a topic each, with so many messages in flight in all.
const (
	publishers = 10
	inFlight   = 2000
	run        = "7" // so that phases know each other's messages
)

// report is what the load tool says.
type report struct {
	Acked, Delivered            uint64
	Published                   float64 `json:"published_per_s"`
	Delivering                  float64 `json:"delivering_s"`
	Lost, Duplicates, Reordered uint64
	Deliver                     *struct{ P50, P99, Max float64 } `json:"deliver_us"`
	Errors                      []string
}

// rate is messages a second between the first that reached the cloud and the last.
func (r report) rate() float64 { return float64(r.Delivered) / max(r.Delivering, 1e-3) }

// loading is the load tool at work.
type loading struct {
	cmd       *exec.Cmd
	out, said bytes.Buffer
}

// tool starts the load tool, in a network namespace if one is named.
func (p *plan) tool(ctx context.Context, namespace string, args ...string) (*loading, error) {
	line := append([]string{p.load, "--qos", "1", "--json", "--size", "256", "--run", run, "--ack-wait", "5m"}, args...)
	if namespace != "" {
		line = append([]string{"ip", "netns", "exec", namespace}, line...)
	}
	l := &loading{cmd: exec.CommandContext(ctx, line[0], line[1:]...)}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.said
	return l, l.cmd.Start()
}

// end waits for its report.
func (l *loading) end() (r report, err error) {
	if err := l.cmd.Wait(); err != nil {
		return r, fmt.Errorf("load tool: %w: %s", err, strings.TrimSpace(l.said.String()))
	}
	if err := json.Unmarshal(l.out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("load tool: %w", err)
	}
	if len(r.Errors) > 0 {
		return r, fmt.Errorf("load tool: %d errors, first: %s", len(r.Errors), r.Errors[0])
	}
	return r, nil
}

func state(dir string) string { return filepath.Join(dir, "state") }

func shape() []string {
	return []string{"--pubs", strconv.Itoa(publishers), "--topics", strconv.Itoa(publishers)}
}

// fill publishes messages, each acknowledged once it is durable as far as the other side goes, and keeps in dir which
// were.
func (p *plan) fill(ctx context.Context, namespace, address, dir string, messages int, more ...string) (report, error) {
	l, err := p.tool(ctx, namespace, append(append(shape(), "--addr", address, "--phase", "publish", "--count", strconv.Itoa(messages),
		"--inflight", strconv.Itoa(inFlight/publishers), "--state", state(dir)), more...)...)
	if err != nil {
		return report{}, err
	}
	return l.end()
}

// open brings the cloud up with somebody who counts what reaches it. The relay stands still meanwhile: what it sent to a
// cloud where nobody has subscribed yet would count as lost.
func (p *plan) open(ctx context.Context, namespace string, r, cloud *relay, dir string) (*loading, error) {
	if err := r.pause(true); err != nil {
		return nil, err
	}
	err := cloud.up(ctx)
	var l *loading
	if err == nil {
		l, err = p.count(ctx, namespace, cloud.in, dir, silence)
		measure.Pause(ctx, 1500*time.Millisecond) // it has subscribed
	}
	return l, errors.Join(err, r.pause(false))
}

// count subscribes at the cloud and takes all that fill published, until nothing comes for the given time.
func (p *plan) count(ctx context.Context, namespace, address, dir string, silence time.Duration) (*loading, error) {
	return p.tool(ctx, namespace, append(shape(), "--addr", address, "--phase", "drain", "--subs", "1", "--all", "--sub-qos", "0",
		"--state", state(dir), "--drain", silence.String())...)
}
