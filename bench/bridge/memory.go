package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"sluice/bench/measure"
)

// group is the memory that the machine of the case memory has, in bytes, page cache included; steady is what comes in a
// second while its memory is looked at.
const (
	group  = 128 << 20
	steady = 5000
	settle = 2 * time.Minute // until Go's runtime has given back what a burst took
)

// small measures what waiting messages cost in memory on a machine with 128 MB: the median and the most anonymous memory
// while messages come in at the same rate, without and with a backlog.
func (p *plan) small(ctx context.Context, dir string) (o outcome, err error) {
	join, leave, err := memoryGroup()
	if err != nil {
		return o, err
	}
	defer leave()
	address, err := measure.FreeAddress()
	if err != nil {
		return o, err
	}
	cloud := p.cloud(dir, address)
	r, err := p.gateway(dir, address)
	if err != nil {
		return o, err
	}
	// The shell joins before it becomes the gateway.
	r.starts[0] = func() (*measure.Process, error) {
		return measure.Start(ours, dir, filepath.Join(dir, "log"), gatewayEnv, "sh", "-c", `echo $$ > "$1" && shift && exec "$@"`, "sh", join,
			p.sluice, "run", "--config", filepath.Join(dir, "sluice.yaml"))
	}
	if err := cloud.up(ctx); err != nil {
		return o, err
	}
	defer func() { cloud.kill() }()
	if err := r.up(ctx); err != nil {
		return o, err
	}
	defer func() { r.kill() }()

	const some = 20 * steady
	at := func(i int, messages int, more ...string) error {
		seen := measure.Follow(r.pids()...)
		came, err := p.fill(ctx, "", r.in, dir, messages, more...)
		seen.End()
		o.anon[i], o.typical[i], o.filled = seen.Anon(), seen.Typical(), came.Published
		return errors.Join(err, r.alive())
	}
	paced := []string{"--rate", strconv.Itoa(steady)}
	// What a burst leaves behind in the heap is no backlog's: there is one before either measurement, and time after it.
	if err := p.burst(ctx, r, cloud, dir); err != nil {
		return o, err
	}
	measure.Pause(ctx, settle)
	if err := at(0, some, paced...); err != nil {
		return o, err
	}
	cloud.kill()
	measure.Say("%s: without a backlog %.1f MB, at most %.1f", caseMemory, o.typical[0], o.anon[0])
	if err := at(1, p.waiting); err != nil {
		return o, err
	}
	filled := o.filled
	measure.Say("%s: %d came in, %s/s, at most %.1f MB", caseMemory, p.waiting, measure.Short(filled), o.anon[1])
	kept, err := os.ReadFile(state(dir))
	if err != nil {
		return o, err
	}
	measure.Pause(ctx, settle)
	// With other topics, so that what the counter waits for stays what it is.
	if err := at(1, some, append(paced, "--prefix", "mqttload/more")...); err != nil {
		return o, err
	}
	o.filled = filled
	if err := os.WriteFile(state(dir), kept, 0o600); err != nil {
		return o, err
	}
	measure.Say("%s: with a backlog %.1f MB, at most %.1f", caseMemory, o.typical[1], o.anon[1])
	r.kill()
	if err := r.up(ctx); err != nil {
		return o, err
	}
	m, err := measure.MemoryOf(r.pids()...)
	if err != nil {
		return o, err
	}
	o.anon[2] = m.Anon
	seen := measure.Follow(r.pids()...)
	l, err := p.open(ctx, "", r, cloud, dir)
	if err != nil {
		seen.End()
		return o, err
	}
	got, err := l.end()
	seen.End()
	if err := errors.Join(err, r.alive(), cloud.alive()); err != nil {
		return o, err
	}
	o.took(got)
	o.anon[3] = seen.Anon()
	return o, nil
}

// burst lets as many messages come in as fast as they can as the other cases have, and waits until they are up.
func (p *plan) burst(ctx context.Context, r, cloud *relay, dir string) error {
	if err := writeState(dir, p.messages); err != nil {
		return err
	}
	l, err := p.count(ctx, "", cloud.in, dir, silence)
	if err != nil {
		return err
	}
	measure.Pause(ctx, time.Second) // the counter has subscribed
	_, err = p.fill(ctx, "", r.in, dir, p.messages)
	_, wrong := l.end()
	return errors.Join(err, wrong, r.alive(), cloud.alive())
}

// memoryGroup makes a control group of version 2 or 1, and gives the file that a process joins it by.
func memoryGroup() (join string, leave func(), err error) {
	for _, version := range []struct{ root, limit string }{{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}} {
		var dir string
		if dir, err = os.MkdirTemp(version.root, "sluice-bench-"); err != nil {
			continue
		}
		leave = func() { _ = os.Remove(dir) } // it is empty once its processes are gone
		if err = os.WriteFile(filepath.Join(dir, version.limit), strconv.AppendInt(nil, group, 10), 0); err == nil {
			return filepath.Join(dir, "cgroup.procs"), leave, nil
		}
		leave()
	}
	return "", nil, fmt.Errorf("a control group for memory: %w", err)
}
