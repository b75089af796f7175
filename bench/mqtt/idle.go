package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"sluice/bench/measure"
)

// idle is what connections cost that do nothing.
type idle struct {
	connections int
	empty, full held
}

// held is what a process holds, in MB.
type held struct {
	measure.Memory
	pss float64
}

func heldBy(pid int) (held, error) {
	memory, err1 := measure.MemoryOf(pid)
	pss, err2 := measure.FromProc(pid, "smaps_rollup", "Pss:")
	return held{memory, float64(pss) / (1 << 20)}, errors.Join(err1, err2)
}

// each is KB of RSS a connection.
func (i idle) each() float64 {
	return (i.full.RSS() - i.empty.RSS()) * 1024 / float64(max(1, i.connections))
}

// crowd measures a broker with n silent connections.
func (p *plan) crowd(ctx context.Context, c contestant, n int) outcome {
	return p.fresh(ctx, c, func(r *running, o *outcome) error {
		measure.Pause(ctx, settle)
		var err error
		if o.idle.empty, err = heldBy(r.PID()); err != nil {
			return err
		}
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		files := openFiles(r.PID())
		var said strings.Builder
		cmd := exec.CommandContext(ctx, p.tools.load, "--addr", r.address, "--pubs", "0", "--subs", "0",
			"--idle", strconv.Itoa(n), "--duration", "1h")
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			return err
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = cmd.Wait() // it is killed, or says on stderr why not
		}()
		defer func() { <-gone }()
		defer leave()
		for began := time.Now(); openFiles(r.PID()) < files+n; measure.Pause(ctx, 20*time.Millisecond) {
			select {
			case <-gone:
				return fmt.Errorf("after %d connections: %s", openFiles(r.PID())-files, strings.TrimSpace(said.String()))
			default:
			}
			if time.Since(began) > 2*time.Minute {
				return fmt.Errorf("%d connections after 2 minutes", openFiles(r.PID())-files)
			}
		}
		measure.Pause(ctx, settle)
		o.idle.connections = n
		o.idle.full, err = heldBy(r.PID())
		return err
	})
}
