package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice/bench/measure"
)

// plan is what one call of the benchmark measures.
type plan struct {
	rounds        int
	seconds, warm float64
	only, servers string
	rate, backlog int
	heap, heaps   string
	dir, root     string
	sluice        string
	profile       string

	work     string // a directory on the disk that is measured
	measured []contestant
}

func (p *plan) length() time.Duration { return time.Duration(p.seconds * float64(time.Second)) }

// outcome is one measurement. Of a server that failed only wrong is set.
type outcome struct {
	rate     float64 // messages a second that were acknowledged
	consumed float64 // and that were consumed at the same time
	twoWays  bool    // both counts
	mean     float64 // milliseconds of one send, as the tool has it
	failed   int64
	cpu      float64        // microseconds of the server's processor time a message
	held     measure.Memory // the most of it
	latency  latency
	disk     measure.Disk
	backlog  backlog
	wrong    error
}

// Failed says that no figure of it counts.
func (o outcome) Failed() bool { return o.wrong != nil }

// figure is one number of an outcome.
type figure func(outcome) float64

// results are by case, then by server, one outcome a round.
type results map[string]map[string][]outcome

func (all results) add(name, server string, o outcome) {
	if all[name] == nil {
		all[name] = make(map[string][]outcome)
	}
	all[name][server] = append(all[name][server], o)
}

// Names of the cases that are more than sending.
const (
	caseBoth    = "both"
	caseLatency = "latency"
	caseMemory  = "memory"
	caseBacklog = "backlog"
	caseDisk    = "disk" // measured with every one
)

func caseNames() (names []string) {
	for _, k := range sendCases {
		names = append(names, k.name())
	}
	return append(names, caseBoth, caseLatency, caseMemory, caseBacklog)
}

func (p *plan) wants(name string) bool {
	return p.only == "" || slices.Contains(strings.Split(p.only, ","), name)
}

func (p *plan) measures(name string) bool {
	return slices.ContainsFunc(p.measured, func(c contestant) bool { return c.name == name })
}

func (p *plan) run(ctx context.Context, w io.Writer) error {
	for name := range strings.SplitSeq(p.only, ",") {
		if p.only != "" && !slices.Contains(caseNames(), name) {
			return fmt.Errorf("-only: there is no case %q: there are %s", name, strings.Join(caseNames(), ", "))
		}
	}
	var err error
	if p.work, err = measure.OnRealDisk(p.dir, p.root, "rocketmq-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	if err := p.prepare(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d rounds in turns, runs of %g s, median (smallest to largest); %s; Apache's broker has a heap of %s; every topic has %d queues\n",
		measure.Machine(), p.rounds, p.seconds, p.versions(), p.heap, queues)

	all := make(results)
	cases := p.inRounds()
	order := slices.Clone(p.measured)
	for round := 0; round < p.rounds && len(cases) > 0; round++ {
		for _, c := range order {
			p.session(ctx, c, cases, all, fmt.Sprintf("round %d, %s", round+1, c.name))
		}
		slices.Reverse(order)
	}
	var found heaps
	if p.wants(caseMemory) {
		found = p.memory(ctx, all)
	}
	if p.wants(caseBacklog) {
		for _, c := range p.measured {
			if c.name != syncFlush { // it reads as the other one does
				all.add(caseBacklog, c.name, p.fresh(ctx, c, p.drain))
				p.tell(caseBacklog+", "+c.name, all[caseBacklog][c.name])
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.tables(w, all, found)
	p.summary(w, all)
	return nil
}

// roundCase is measured once a round with a server that is running already.
type roundCase struct {
	name    string
	measure func(context.Context, *server) (outcome, error)
}

func (p *plan) inRounds() (cases []roundCase) {
	for _, k := range sendCases {
		cases = append(cases, roundCase{k.name(), func(ctx context.Context, s *server) (outcome, error) { return p.sending(ctx, s, k) }})
	}
	cases = append(cases, roundCase{caseBoth, p.both}, roundCase{caseLatency, p.steady})
	return slices.DeleteFunc(cases, func(k roundCase) bool { return !p.wants(k.name) })
}

// session measures one server's cases of one round. It is alone on the machine, and warm: Java
// compiles what runs often.
func (p *plan) session(ctx context.Context, c contestant, cases []roundCase, all results, title string) {
	if ctx.Err() != nil {
		return
	}
	var d outcome
	d.wrong = d.disk.Probe(p.work, time.Second)
	all.add(caseDisk, c.name, d)
	broke := p.fresh(ctx, c, func(ctx context.Context, s *server) (outcome, error) {
		if err := p.warmUp(ctx, s); err != nil {
			return outcome{}, err
		}
		for _, k := range cases {
			syscall.Sync() // what was left to write must not be written during the next
			stopProfile, err := p.profiled(s, k.name)
			if err != nil {
				return outcome{}, err
			}
			o, wrong := k.measure(ctx, s)
			o.wrong = errors.Join(wrong, stopProfile())
			all.add(k.name, c.name, o)
			p.tell(title+", "+k.name, all[k.name][c.name])
			if dead := s.alive(); dead != nil {
				return outcome{}, dead
			}
		}
		return outcome{}, nil
	})
	if broke.wrong != nil {
		measure.Say("%s: %v", title, broke.wrong)
		for _, k := range cases {
			// Rounds are compared one by one: a hole would shift them.
			if len(all[k.name][c.name]) < len(all[caseDisk][c.name]) {
				all.add(k.name, c.name, outcome{wrong: broke.wrong})
			}
		}
	}
}

// fresh runs a measurement with a new server on a new directory and removes both.
func (p *plan) fresh(ctx context.Context, c contestant, run func(context.Context, *server) (outcome, error)) (o outcome) {
	syscall.Sync()
	dir, err := os.MkdirTemp(p.work, c.name+"-")
	if err != nil {
		return outcome{wrong: err}
	}
	defer os.RemoveAll(dir)
	s, err := c.start(ctx, dir)
	if err != nil {
		return outcome{wrong: err}
	}
	defer func() { s.stop() }() // a measurement may have started another one in its place
	o, o.wrong = run(ctx, s)
	return o
}

// prepare finds what is run.
func (p *plan) prepare() error {
	var err error
	if p.sluice, err = measure.Gateway(p.root, p.sluice, p.profile, p.work); err != nil {
		return err
	}
	known := map[string]contestant{ours: p.gateway(), syncFlush: p.apache(syncFlush, p.generous()), asyncFlush: p.apache(asyncFlush, p.generous())}
	for name := range strings.SplitSeq(p.servers, ",") {
		c, ok := known[name]
		if !ok || p.measures(name) {
			return fmt.Errorf("-servers: %q is unknown, or named twice", name)
		}
		p.measured = append(p.measured, c)
	}
	return nil
}

// versions is one line about who was measured.
func (p *plan) versions() string {
	words := []string{"Apache RocketMQ"}
	jars, _ := filepath.Glob(filepath.Join(p.root, "testpeers", "target", "lib", "rocketmq-broker-*.jar"))
	for _, jar := range jars {
		words = append(words, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(jar), "rocketmq-broker-"), ".jar"))
	}
	out, _ := exec.Command(p.sluice, "version").CombinedOutput()
	java, _ := exec.Command("java", "-version").CombinedOutput()
	first, _, _ := strings.Cut(string(java), "\n")
	return strings.Join(words, " ") + ", " + strings.TrimSpace(string(out)) + ", " + first
}

func (p *plan) tell(title string, list []outcome) {
	o := list[len(list)-1]
	switch {
	case o.wrong != nil:
		measure.Say("%s: failed: %v", title, o.wrong)
	case o.backlog.waiting > 0:
		measure.Say("%s: %s", title, o.backlog)
	case o.latency.p99 > 0:
		measure.Say("%s: p50 %s ms, p99 %s ms", title, measure.Digits(o.latency.p50), measure.Digits(o.latency.p99))
	case !o.twoWays:
		measure.Say("%s: %s/s sent, %d failed, CPU %s µs, RSS %.0f MB", title, measure.Short(o.rate), o.failed, measure.Digits(o.cpu), o.held.RSS())
	default:
		measure.Say("%s: %s/s sent, %s/s consumed, %d failed, CPU %s µs, RSS %.0f MB", title, measure.Short(o.rate), measure.Short(o.consumed), o.failed, measure.Digits(o.cpu), o.held.RSS())
	}
}
