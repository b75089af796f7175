package main

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"sluice/bench/measure"
)

// asleep is what happened to the messages for a session whose client was away.
type asleep struct {
	publish, drain           float64 // messages a second
	arrived, lost, reordered uint64
	restart                  time.Duration // until somebody was let in again
	before, backlog          float64       // MB of anonymous memory, settled
	restarted, draining      float64       // and in the process after the kill; draining is the peak
	written                  float64       // bytes to the disk per payload byte, of both processes
}

// growth is the most that the messages took of memory, waiting or while they were handed out.
func (a asleep) growth() float64 { return max(a.backlog-a.before, a.draining-a.restarted) }

const (
	payload = 256             // bytes: what the load tool sends
	settle  = 2 * time.Second // for what is merged, collected and given back after a load
)

// sleep lets a session miss n messages, kills the broker as a power cut would kill the process, and
// wakes the session up.
func (p *plan) sleep(ctx context.Context, c contestant, n int) outcome {
	return p.fresh(ctx, c, func(r *running, o *outcome) error {
		a := &o.asleep
		phase := func(name string, more ...string) (report, error) {
			return p.tool(ctx, r, append([]string{"--run", "7", "--id", "sleeper", "--persistent", "--qos", "1", "--subs", "1",
				"--state", filepath.Join(r.dir, "acknowledged"), "--phase", name}, more...)...)
		}
		if _, err := phase("setup"); err != nil {
			return err
		}
		measure.Pause(ctx, settle)
		held, err := measure.MemoryOf(r.PID())
		if err != nil {
			return err
		}
		a.before = held.Anon
		first, err := used(r.PID())
		if err != nil {
			return err
		}
		sent, err := phase("publish", "--count", strconv.Itoa(n), "--inflight", "1000", "--ack-wait", "5m")
		if err != nil {
			return err
		}
		a.publish = sent.Published
		measure.Pause(ctx, settle)
		if held, err = measure.MemoryOf(r.PID()); err != nil {
			return err
		}
		a.backlog = held.Anon
		last, err := used(r.PID())
		if err != nil {
			return err
		}
		r.Kill()

		died := time.Now()
		if err := r.again(ctx); err != nil {
			return err
		}
		a.restart = time.Since(died)
		if held, err = measure.MemoryOf(r.PID()); err != nil {
			return err
		}
		a.restarted = held.Anon
		seen := measure.Follow(r.PID())
		o.report, err = phase("drain", "--drain", "5s")
		seen.End()
		if err != nil {
			return err
		}
		again, err := used(r.PID())
		if err != nil {
			return err
		}
		a.draining = seen.Anon()
		a.drain, a.arrived, a.lost, a.reordered = o.Arrived, o.Delivered, o.Lost, o.Reordered
		a.written = float64(last.written-first.written+again.written) / float64(n*payload)
		return nil
	})
}
