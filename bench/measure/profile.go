package measure

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Profile records with perf where a process spends its processor time until the returned function is called, which
// then writes dir/NAME.self and dir/NAME.total (callers included) beside perf's own file. The kernel's share is in it.
func Profile(dir, name string, pid int) (stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, name+".perf")
	cmd := exec.Command("perf", "record", "--quiet", "--call-graph", "fp", "--freq", "997", "--pid", strconv.Itoa(pid), "--output", data)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: on Debian perf is in linux-perf", err)
	}
	return func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return errors.Join(fmt.Errorf("perf: %w: %s", err, said.String()), cmd.Wait())
		}
		_ = cmd.Wait() // it ends with the signal that it was sent
		for _, view := range []struct{ name, children string }{{"self", "--no-children"}, {"total", "--children"}} {
			report := exec.Command("perf", "report", "--input", data, "--stdio", view.children, "--call-graph", "none",
				"--sort", "symbol", "--percent-limit", "0.5")
			text, err := report.Output()
			if err != nil {
				return fmt.Errorf("perf report: %w: %s", err, said.String())
			}
			if err := os.WriteFile(filepath.Join(dir, name+"."+view.name), trimmed(string(text)), 0o644); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// trimmed leaves out the columns that are empty here, and comments.
func trimmed(report string) []byte {
	var text []byte
	for line := range strings.Lines(report) {
		if line = strings.TrimRight(line, " -\n"); line != "" && line[0] != '#' {
			text = append(append(text, line...), '\n')
		}
	}
	return text
}
