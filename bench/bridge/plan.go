package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sluice/bench/measure"
)

// plan is what one call of the benchmark measures.
type plan struct {
	rounds                             int
	messages, waiting, window, distant int
	only, who                          string
	dir, root, sluice, profile         string

	work                      string // a directory on the disk that is measured
	load, mosquitto, telegraf string // programs
	measured                  []contestant
}

// Names of the cases.
const (
	caseDrain    = "drain"
	caseKill     = "kill" // the same with kill -9 before the line is back
	caseRocketMQ = "rocketmq"
	caseMemory   = "memory"
	caseLive     = "live-first"
	caseDistance = "distance"
	caseLoss     = "loss" // with a window that is wide enough, and with that of the other cases
)

// caseLossNarrow is measured with caseLoss.
const caseLossNarrow = "loss-narrow"

var caseNames = []string{caseDrain, caseKill, caseRocketMQ, caseMemory, caseLive, caseDistance, caseLoss}

// outcome is one measurement. Of a contestant that failed only wrong is set.
type outcome struct {
	rate           float64 // messages a second that reached the cloud, from the first to the last
	filled         float64 // messages a second that came in before
	cpu            float64 // microseconds of the contestant's processor time a message, while they went up
	held           float64 // MB of RSS, the most since the start
	waiting        float64 // MB of RSS when all had come in
	lost           uint64
	twice, late    uint64     // came again; came behind a later one of the same topic
	anon           [4]float64 // the most: without a backlog, with it, restarted, draining
	typical        [2]float64 // the median of the first two
	delay          quantiles  // of new messages beside a backlog, in ms
	stream, useful float64    // bytes a second: a bare TCP stream's, and the messages'
	wrong          error
}

// Failed says that no figure of it counts.
func (o outcome) Failed() bool { return o.wrong != nil }

type quantiles struct{ p50, p99, most float64 }

// results are by case, then by contestant, one outcome a round.
type results map[string]map[string][]outcome

func (all results) add(name, who string, o outcome) {
	if all[name] == nil {
		all[name] = make(map[string][]outcome)
	}
	all[name][who] = append(all[name][who], o)
}

func (p *plan) wants(name string) bool {
	return p.only == "" || slices.Contains(strings.Split(p.only, ","), name)
}

func (p *plan) run(ctx context.Context, w io.Writer) error {
	for name := range strings.SplitSeq(p.only, ",") {
		if p.only != "" && !slices.Contains(caseNames, name) {
			return fmt.Errorf("-only: there is no case %q: there are %s", name, strings.Join(caseNames, ", "))
		}
	}
	var err error
	if p.work, err = measure.OnRealDisk(p.dir, p.root, "bridge-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	if err := p.prepare(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d rounds in turns, median (smallest to largest); %s; %d messages of 256 bytes, window %d\n",
		measure.Machine(), p.rounds, p.versions(), p.messages, p.window)

	all := make(results)
	order := slices.Clone(p.measured)
	for round := range p.rounds {
		for _, c := range order {
			if p.wants(caseDrain) {
				p.once(ctx, all, caseDrain, c.name, round, func(dir string) (outcome, error) { return p.drain(ctx, c, dir, false) })
			}
			if p.wants(caseKill) && c.relay != nil {
				p.once(ctx, all, caseKill, c.name, round, func(dir string) (outcome, error) { return p.drain(ctx, c, dir, true) })
			}
		}
		slices.Reverse(order)
		if p.wants(caseRocketMQ) {
			p.once(ctx, all, caseRocketMQ, ours, round, func(dir string) (outcome, error) { return p.toRocketMQ(ctx, dir) })
			p.once(ctx, all, caseRocketMQ, bare, round, func(dir string) (outcome, error) { return p.bareRocketMQ(ctx, dir) })
			p.once(ctx, all, caseRocketMQ, bareBatches, round, func(dir string) (outcome, error) { return p.batchedRocketMQ(ctx, dir) })
		}
		if p.wants(caseLive) {
			p.once(ctx, all, caseLive, ours, round, func(dir string) (outcome, error) { return p.live(ctx, dir) })
		}
		if p.wants(caseDistance) {
			p.once(ctx, all, caseDistance, ours, round, func(dir string) (outcome, error) { return p.far(ctx, dir, 0, p.window, p.distant) })
		}
		if p.wants(caseLoss) {
			p.once(ctx, all, caseLoss, ours, round, func(dir string) (outcome, error) { return p.far(ctx, dir, 0.01, wide, p.distant/2) })
			p.once(ctx, all, caseLossNarrow, ours, round, func(dir string) (outcome, error) { return p.far(ctx, dir, 0.01, p.window, p.distant/12) })
		}
	}
	if p.wants(caseMemory) {
		p.once(ctx, all, caseMemory, ours, 0, func(dir string) (outcome, error) { return p.small(ctx, dir) })
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.tables(w, all)
	measure.Summary(w, p.judge(all))
	return nil
}

// once runs a measurement in a new directory and removes it.
func (p *plan) once(ctx context.Context, all results, name, who string, round int, what func(dir string) (outcome, error)) {
	if ctx.Err() != nil {
		return
	}
	syscall.Sync() // what others left to write must not be written during this
	dir, err := os.MkdirTemp(p.work, name+"-")
	var o outcome
	if err == nil {
		o, err = what(dir)
		os.RemoveAll(dir)
	}
	o.wrong = err
	all.add(name, who, o)
	measure.Say("round %d, %s, %s: %s", round+1, name, who, o)
}

func (o outcome) String() string {
	switch {
	case o.wrong != nil:
		return "failed: " + strings.Join(strings.Fields(o.wrong.Error()), " ")
	case o.anon[1] > 0:
		return fmt.Sprintf("anonymous MB: %.1f without a backlog (at most %.1f), %.1f with it (%.1f), %.1f restarted, %.1f draining; %d lost", o.typical[0], o.anon[0], o.typical[1], o.anon[1], o.anon[2], o.anon[3], o.lost)
	case o.delay.p99 > 0:
		return fmt.Sprintf("new ones after %s ms, p99 %s ms, at most %s ms; %s/s of the old; %d lost", measure.Digits(o.delay.p50), measure.Digits(o.delay.p99), measure.Digits(o.delay.most), measure.Short(o.rate), o.lost)
	case o.stream > 0:
		return fmt.Sprintf("%s/s, %s bytes/s of messages, a bare stream %s bytes/s; %d lost", measure.Short(o.rate), measure.Short(o.useful), measure.Short(o.stream), o.lost)
	}
	return fmt.Sprintf("%s/s up, %s/s in before, CPU %s µs, RSS %.0f MB, %d lost, %d twice", measure.Short(o.rate), measure.Short(o.filled), measure.Digits(o.cpu), o.held, o.lost, o.twice)
}

// prepare finds and builds what is run.
func (p *plan) prepare() error {
	var err error
	if p.sluice, err = measure.Gateway(p.root, p.sluice, p.profile, p.work); err != nil {
		return err
	}
	p.load = filepath.Join(p.work, "mqttload")
	if err := measure.Build(filepath.Join(p.root, "bench", "mqtt"), p.load, "./mqttload"); err != nil {
		return err
	}
	if p.mosquitto, err = exec.LookPath("mosquitto"); err != nil {
		for _, path := range []string{"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
			if _, wrong := os.Stat(path); wrong == nil {
				p.mosquitto, err = path, nil
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%w: on Debian it is in mosquitto", err)
	}
	known := []contestant{{ours, p.gateway}, {bare, nil}, {mosquittoBridge, p.bridge}, {telegraf, p.telegrafs}}
	for name := range strings.SplitSeq(p.who, ",") {
		i := slices.IndexFunc(known, func(c contestant) bool { return c.name == name })
		if i < 0 {
			return fmt.Errorf("-contestants: there is no %q", name)
		}
		if name == telegraf && (p.wants(caseDrain) || p.wants(caseKill)) {
			if err := p.buildTelegraf(); err != nil {
				measure.Say("%s is left out: %v", name, err)
				continue
			}
		}
		p.measured = append(p.measured, known[i])
	}
	return nil
}

// versions is one line about who was measured.
func (p *plan) versions() string {
	words := []string{}
	out, _ := exec.Command(p.sluice, "version").CombinedOutput()
	words = append(words, strings.TrimSpace(string(out)))
	out, _ = exec.Command(p.mosquitto, "-h").CombinedOutput() // it ends with 3
	first, _, _ := strings.Cut(string(out), "\n")
	words = append(words, first)
	if p.telegraf != "" {
		words = append(words, "Telegraf "+p.telegrafVersion())
	}
	return strings.Join(words, ", ")
}
