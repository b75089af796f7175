package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// browse lets one of the scripts beside this file drive a browser of its own, and reads what it prints.
func (p *plan) browse(ctx context.Context, script string, within time.Duration, want map[string]any, got any) error {
	want = maps.Clone(want)
	want["password"], want["modules"] = password, filepath.Join(p.root, "web/ui/")
	text, err := json.Marshal(want)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(p.root, "bench/web", script), string(text))
	cmd.Stderr = os.Stderr
	// It closes its browser when it is interrupted; killed, it would leave it behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	if err := json.Unmarshal(out, got); err != nil {
		return fmt.Errorf("%s says %q: %w", script, out, err)
	}
	return nil
}
