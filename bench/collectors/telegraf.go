package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sluice/bench/measure"
)

// optimizations are the planners of Telegraf's Modbus input.
var optimizations = []string{"none", "shrink", "rearrange", "max_insert"}

// buildTelegraf builds it with its tag custom and just the plugins that are used here.
func (p *plan) buildTelegraf() error {
	out := filepath.Join(p.root, ".cache", "telegraf-modbus")
	if _, err := os.Stat(out); err != nil { // else it has been built, which takes minutes
		cmd := exec.Command("go", "build", "-tags", "custom,inputs.modbus,outputs.discard", "-o", out, "github.com/influxdata/telegraf/cmd/telegraf")
		cmd.Dir, cmd.Env = filepath.Join(p.root, "bench", "collectors", "peers"), append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build it: %w\n%s", err, text[max(0, len(text)-800):])
		}
	}
	p.telegraf = out
	return nil
}

// telegrafVersion is what its module says: a build of one's own has no version.
func (p *plan) telegrafVersion() string {
	text, _ := os.ReadFile(filepath.Join(p.root, "bench", "collectors", "peers", "go.mod"))
	_, version, _ := strings.Cut(string(text), "telegraf ")
	version, _, _ = strings.Cut(version, "\n")
	return version
}

// telegrafFleet polls the same devices, and throws away what it has read.
func (p *plan) telegrafFleet(ctx context.Context, dir string) (outcome, error) {
	k, err := startDevices(fleetDevices)
	if err != nil {
		return outcome{}, err
	}
	defer k.close()
	path, err := writeTelegraf(dir, k.addresses, upTo(fleetPoints), fleetInterval, "none", 0)
	if err != nil {
		return outcome{}, err
	}
	return p.follow(ctx, k, fleetPoints, telegraf, dir, p.telegraf, "--config", path)
}

// telegrafPlan counts its requests for one poll of the scattered points.
func (p *plan) telegrafPlan(ctx context.Context, dir, how string) (o outcome, err error) {
	k, err := startDevices(1)
	if err != nil {
		return o, err
	}
	defer k.close()
	path, err := writeTelegraf(dir, k.addresses, scattered(), 10*time.Second, how, maxInsert)
	if err != nil {
		return o, err
	}
	if text, err := exec.CommandContext(ctx, p.telegraf, "--config", path, "--test").CombinedOutput(); err != nil {
		return o, fmt.Errorf("%w: %s", err, text[max(0, len(text)-500):])
	}
	n, err := k.requests()
	measure.Say("%s %s: %d requests", telegraf, how, n)
	o.count = float64(n)
	return o, err
}

// maxInsert is how many registers that nobody wants its planner max_insert may read between two points.
const maxInsert = 16

func writeTelegraf(dir string, addresses []string, numbers []int, every time.Duration, how string, insert int) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "[agent]\ninterval = %q\nflush_interval = \"1s\"\nmetric_buffer_limit = 100000\nomit_hostname = true\n[[outputs.discard]]\n", every)
	for i, address := range addresses {
		fmt.Fprintf(&text, "[[inputs.modbus]]\nname = \"d%d\"\ncontroller = \"tcp://%s\"\ntimeout = \"1s\"\nconfiguration_type = \"request\"\n", i, address)
		fmt.Fprintf(&text, "[[inputs.modbus.request]]\nslave_id = 1\nbyte_order = \"ABCD\"\nregister = \"holding\"\noptimization = %q\n", how)
		if how == "max_insert" {
			fmt.Fprintf(&text, "optimization_max_register_fill = %d\n", insert)
		}
		text.WriteString("fields = [\n")
		for _, n := range numbers {
			fmt.Fprintf(&text, "{address=%d, name=\"p%d\", type=\"UINT16\"},\n", n, n)
		}
		text.WriteString("]\n")
	}
	path := filepath.Join(dir, "telegraf.conf")
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
}
