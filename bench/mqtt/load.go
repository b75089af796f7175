package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"sluice/bench/measure"
)

// loadCase is one shape of traffic, sent for as long as the plan says.
type loadCase struct {
	name, title string
	args        []string
	disk        bool // the disk is measured right before and after
	delivered   bool // what counts is what arrives, not what was acknowledged
}

var loadCases = []loadCase{
	{name: "qos0", title: "QoS 0, 1 → 1, delivered", delivered: true, args: []string{"--qos", "0"}},
	{name: "window100", title: "QoS 1, 1 → 1, window 100", args: []string{"--qos", "1", "--inflight", "100"}},
	{name: "window1", title: "QoS 1, 1 → 1, window 1", disk: true, args: []string{"--qos", "1", "--inflight", "1"}},
	{name: "pairs", title: "QoS 1, 10 → 10", args: []string{"--qos", "1", "--pubs", "10", "--subs", "10", "--inflight", "100"}},
	{name: "fanin", title: "QoS 1, fan-in 100 → 1, acknowledged", args: []string{"--qos", "1", "--pubs", "100", "--inflight", "100"}},
	{name: "fanout", title: "QoS 1, fan-out 1 → 50, delivered", delivered: true, args: []string{"--qos", "1", "--subs", "50", "--inflight", "100"}},
	// A window above 1,000 makes mochi end the connection.
	{name: "latency", title: "QoS 1, 1 → 1, 5,000 a second, p99 until PUBACK", disk: true, args: []string{"--qos", "1", "--inflight", "1000", "--rate", "5000"}},
}

// refused says which measurements are left out, and why.
func (k loadCase) refused(broker string) bool {
	if broker == matched {
		return k.name != "qos0" // nothing else differs
	}
	// Its subscriber takes minutes for what came in seconds: it rewrites all that waits at every step.
	return k.name == "fanin" && broker == "mosq-dur"
}

// quantiles are microseconds.
type quantiles struct {
	P50, P99, P999, Max float64
}

// report is what the load tool says.
type report struct {
	Sent, Acked, Expected, Delivered uint64
	Published                        float64    `json:"published_per_s"`
	Arrived                          float64    `json:"delivered_per_s"`
	Ack                              *quantiles `json:"ack_us"`
	Lost, Duplicates, Reordered      uint64
	ToolCPU                          float64 `json:"tool_cpu_s"`
	Errors                           []string
}

// outcome is one measurement. Of a broker that failed only wrong is set.
type outcome struct {
	report
	cpu     float64 // microseconds a message
	written float64 // bytes a message
	peak    float64 // MB of RSS
	disk    measure.Disk

	asleep asleep
	idle   idle
	wrong  error
}

// rate is the messages a second that a case is about. Where a message is acknowledged and delivered
// once, it must be both.
func (k loadCase) rate(o outcome) float64 {
	switch {
	case k.delivered:
		return o.Arrived
	case k.name == "fanin":
		return o.Published
	}
	return min(o.Published, o.Arrived)
}

// Failed says that no figure of it counts.
func (o outcome) Failed() bool { return o.wrong != nil }

func (o outcome) lost() float64 {
	if o.Expected == 0 {
		return 0
	}
	return float64(o.Lost) / float64(o.Expected)
}

// tool runs the load tool to its end.
func (p *plan) tool(ctx context.Context, r *running, args ...string) (report, error) {
	cmd := exec.CommandContext(ctx, p.tools.load, append([]string{"--addr", r.address}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if dead := r.Alive(); dead != nil {
			return report{}, dead
		}
		return report{}, fmt.Errorf("load tool: %w: %s", err, strings.TrimSpace(said.String()))
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		return got, fmt.Errorf("load tool: %w", err)
	}
	if len(got.Errors) > 0 {
		return got, fmt.Errorf("load tool: %d errors, first: %s", len(got.Errors), got.Errors[0])
	}
	return got, r.Alive()
}

// load measures one case with one broker, on a fresh directory.
func (p *plan) load(ctx context.Context, c contestant, k loadCase) outcome {
	return p.fresh(ctx, c, func(r *running, o *outcome) error {
		length := time.Duration(p.seconds * float64(time.Second))
		if k.disk {
			if err := o.disk.Probe(p.work, length/2); err != nil {
				return err
			}
		}
		stopProfile, err := p.profiled(c, k.name, r.PID())
		if err != nil {
			return err
		}
		before, err := used(r.PID())
		if err != nil {
			return err
		}
		seen := measure.Follow(r.PID())
		o.report, err = p.tool(ctx, r, append([]string{"--duration", length.String()}, k.args...)...)
		seen.End()
		after, gone := used(r.PID())
		if wrong := stopProfile(); err == nil {
			err = wrong
		}
		if err != nil {
			return err
		}
		if gone != nil {
			return gone
		}
		messages := o.Acked
		if k.name == "qos0" {
			messages = o.Sent
		}
		o.cpu = float64((after.cpu - before.cpu).Microseconds()) / float64(max(1, messages))
		o.written = float64(after.written-before.written) / float64(max(1, messages))
		o.peak = seen.Most().RSS()
		if k.disk {
			return o.disk.Probe(p.work, length/2)
		}
		return nil
	})
}

// fresh runs a measurement with a new broker on a new directory and removes both.
func (p *plan) fresh(ctx context.Context, c contestant, run func(*running, *outcome) error) (o outcome) {
	syscall.Sync() // what others have left to write must not be written during this
	dir, err := os.MkdirTemp(p.work, c.name+"-")
	if err != nil {
		return outcome{wrong: err}
	}
	defer os.RemoveAll(dir)
	r, err := c.start(ctx, dir)
	if err != nil {
		return outcome{wrong: err}
	}
	defer func() { r.Kill() }() // a measurement may have started it anew
	if err := run(r, &o); err != nil {
		o.wrong = err
	}
	return o
}

// profiled records where the gateway spends its processor time until the returned function is called.
func (p *plan) profiled(c contestant, name string, pid int) (stop func() error, err error) {
	if p.profile == "" || c.name != ours && c.name != matched {
		return func() error { return nil }, nil
	}
	if c.name != ours {
		name += "-" + c.name
	}
	return measure.Profile(p.profile, name, pid)
}
