package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// idle is what connections cost that do nothing.
type idle struct {
	connections int
	empty, full memory
}

// each is KB of RSS a connection.
func (i idle) each() float64 {
	return (i.full.rss() - i.empty.rss()) * 1024 / float64(max(1, i.connections))
}

// crowd measures a broker with n silent connections.
func (p *plan) crowd(ctx context.Context, c contestant, n int) outcome {
	return p.fresh(ctx, c, func(r *running, o *outcome) error {
		pause(ctx, settle)
		var err error
		if o.idle.empty, err = memoryOf(r.pid()); err != nil {
			return err
		}
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		files := openFiles(r.pid())
		var said strings.Builder
		cmd := exec.CommandContext(ctx, p.tools.load, "--addr", r.address(), "--pubs", "0", "--subs", "0",
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
		for began := time.Now(); openFiles(r.pid()) < files+n; pause(ctx, 20*time.Millisecond) {
			select {
			case <-gone:
				return fmt.Errorf("after %d connections: %s", openFiles(r.pid())-files, strings.TrimSpace(said.String()))
			default:
			}
			if time.Since(began) > 2*time.Minute {
				return fmt.Errorf("%d connections after 2 minutes", openFiles(r.pid())-files)
			}
		}
		pause(ctx, settle)
		o.idle.connections = n
		o.idle.full, err = memoryOf(r.pid())
		return err
	})
}
