package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sluice/bench/measure"
)

// planner is one way in which Telegraf's Modbus input makes requests of points.
type planner struct {
	name   string
	insert int // the most registers that nobody wants and that max_insert may read between two points
}

// planners are all there are; 50 is what the example of max_insert has, 125 the most that it takes.
var planners = []planner{{"none", 0}, {"shrink", 0}, {"rearrange", 0}, {"max_insert", 16}, {"max_insert", 50}, {"max_insert", 125}}

func (how planner) String() string {
	if how.insert == 0 {
		return how.name
	}
	return fmt.Sprintf("%s of %d", how.name, how.insert)
}

// buildTelegraf builds it with its tag custom and just the plugins that are used here.
func (p *plan) buildTelegraf() error {
	out := filepath.Join(p.root, ".cache", "telegraf-modbus")
	if _, err := os.Stat(out); err != nil { // else it has been built, which takes minutes
		cmd := exec.Command("go", "build", "-tags", "custom,inputs.modbus,outputs.discard,outputs.file,serializers.influx", "-o", out, "github.com/influxdata/telegraf/cmd/telegraf")
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

// discarded throws away what was read.
const discarded = "[[outputs.discard]]\n"

// telegrafFleet polls the same devices, and throws away what it has read. That it reads all of it, and right, is seen
// once beforehand: to write it down is not what is measured.
func (p *plan) telegrafFleet(ctx context.Context, dir string) (o outcome, err error) {
	if !p.proved {
		if err := p.proveTelegraf(ctx, dir); err != nil {
			return o, err
		}
		p.proved = true
	}
	k, err := startDevices(fleetDevices)
	if err != nil {
		return o, err
	}
	defer k.close()
	path, err := writeTelegraf(dir, k.addresses, upTo(fleetPoints), fleetInterval, planners[0], discarded)
	if err != nil {
		return o, err
	}
	return p.follow(ctx, k, poller{name: telegraf, dir: dir, args: []string{p.telegraf, "--config", path}, points: fleetPoints})
}

// proveTelegraf lets it write what it reads at the same rate, and counts that.
func (p *plan) proveTelegraf(ctx context.Context, dir string) error {
	k, err := startDevices(fleetDevices)
	if err != nil {
		return err
	}
	defer k.close()
	written := filepath.Join(dir, "readings")
	to := fmt.Sprintf("[[outputs.file]]\nfiles = [%q]\ndata_format = \"influx\"\n", written)
	path, err := writeTelegraf(dir, k.addresses, upTo(fleetPoints), fleetInterval, planners[0], to)
	if err != nil {
		return err
	}
	process, err := measure.Start(telegraf, dir, filepath.Join(dir, "log"), nil, p.telegraf, "--config", path)
	if err != nil {
		return err
	}
	defer process.Kill()
	if err := process.Until(ctx, k.answered(20*fleetDevices)); err != nil {
		return err
	}
	return poller{
		name: telegraf, points: fleetPoints, inHand: 3 * fleetDevices * fleetPoints,
		made: func(context.Context) (tally, error) {
			file, err := os.Open(written)
			if err != nil {
				return tally{}, err
			}
			defer file.Close()
			made, err := lineProtocol(file)
			if err == nil {
				measure.Say("%s wrote %d readings with %d values, all of them right", telegraf, made.readings, made.values)
			}
			return made, err
		},
	}.prove(ctx, k, process)
}

// telegrafPlan counts its requests for one poll of the scattered points.
func (p *plan) telegrafPlan(ctx context.Context, dir string, how planner) (o outcome, err error) {
	k, err := startDevices(1)
	if err != nil {
		return o, err
	}
	defer k.close()
	path, err := writeTelegraf(dir, k.addresses, scattered(), 10*time.Second, how, discarded)
	if err != nil {
		return o, err
	}
	cmd := exec.CommandContext(ctx, p.telegraf, "--config", path, "--test")
	var said bytes.Buffer
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		return o, fmt.Errorf("%w: %s", err, said.Bytes()[max(0, said.Len()-500):])
	}
	made, err := lineProtocol(bytes.NewReader(text))
	if err == nil && made.values != scatteredPoints {
		err = fmt.Errorf("it read %d of %d points", made.values, scatteredPoints)
	}
	if err != nil {
		return o, err
	}
	n, err := k.requests()
	o.count = float64(n)
	return o, err
}

// writeTelegraf is a configuration with one request a device, of which Telegraf's planner makes as many as it takes.
func writeTelegraf(dir string, addresses []string, numbers []int, every time.Duration, how planner, to string) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "[agent]\ninterval = %q\nflush_interval = \"1s\"\nmetric_buffer_limit = 100000\nomit_hostname = true\n%s", every, to)
	for i, address := range addresses {
		fmt.Fprintf(&text, "[[inputs.modbus]]\nname = \"d%d\"\ncontroller = \"tcp://%s\"\ntimeout = \"1s\"\nconfiguration_type = \"request\"\n", i, address)
		fmt.Fprintf(&text, "[[inputs.modbus.request]]\nslave_id = 1\nbyte_order = \"ABCD\"\nregister = \"holding\"\noptimization = %q\n", how.name)
		if how.insert > 0 {
			fmt.Fprintf(&text, "optimization_max_register_fill = %d\n", how.insert)
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
