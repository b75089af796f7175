package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sluice/bench/measure"
)

// plan is what one call of the benchmark measures.
type plan struct {
	rounds                           int
	length                           time.Duration
	only, dir, root, sluice, profile string

	work     string // a directory on the disk
	telegraf string // the program; "" where it could not be built
	proved   bool   // it reads what it is to read
}

// Names of the cases and of who is measured in them.
const (
	caseLoop    = "loop"    // one device over Modbus TCP, 125 registers a request
	caseWire    = "wire"    // RTU on a line with real byte timing
	caseFleet   = "fleet"   // 100 devices ten times a second with 100 points each
	casePlan    = "plan"    // 1,000 points scattered over 5,000 registers
	caseGateway = "gateway" // 10,000 contiguous points a second

	ours     = "sluice"
	bare     = "bare loop"
	telegraf = "telegraf"
)

var caseNames = []string{caseLoop, caseWire, caseFleet, casePlan, caseGateway}

// outcome is one measurement. Of one that failed only wrong is set.
type outcome struct {
	rate  float64 // requests a second, or points a second
	share float64 // of the time that the bytes and the silences take
	cpu   float64 // microseconds of processor time a point
	rss   float64 // MB, at most
	anon  float64
	count float64 // requests for a whole poll
	wrong error
}

// Failed says that no figure of it counts.
func (o outcome) Failed() bool { return o.wrong != nil }

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
	if p.work, err = measure.OnRealDisk(p.dir, p.root, "collectors-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	if p.sluice, err = measure.Gateway(p.root, p.sluice, p.profile, p.work); err != nil {
		return err
	}
	if p.wants(caseFleet) || p.wants(casePlan) {
		if err := p.buildTelegraf(); err != nil {
			measure.Say("%s is left out: %v", telegraf, err)
		}
	}
	version, _ := exec.Command(p.sluice, "version").CombinedOutput()
	fmt.Fprintf(w, "%s, %d rounds in turns, runs of %v, median (smallest to largest); %s; Telegraf %s\n",
		measure.Machine(), p.rounds, p.length, strings.TrimSpace(string(version)), p.telegrafVersion())
	all := make(results)
	for round := range p.rounds {
		p.once(ctx, all, round)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.tables(w, all)
	measure.Summary(w, judge(all))
	return nil
}

// once measures everything once. Every second round the contestants of a case change places.
func (p *plan) once(ctx context.Context, all results, round int) {
	type turn struct {
		name, who string
		what      func(ctx context.Context, dir string) (outcome, error)
	}
	var turns []turn
	add := func(name, who string, what func(context.Context, string) (outcome, error)) {
		if p.wants(name) {
			turns = append(turns, turn{name, who, what})
		}
	}
	add(caseLoop, ours, p.driverLoop)
	add(caseLoop, bare, p.bareLoop)
	for _, each := range wires {
		add(caseWire, each.String(), func(ctx context.Context, _ string) (outcome, error) { return p.wire(ctx, each) })
	}
	add(caseFleet, ours, p.fleet)
	if p.telegraf != "" {
		add(caseFleet, telegraf, p.telegrafFleet)
	}
	if round == 0 { // it counts, so once is enough
		add(casePlan, ours, p.ourPlan)
		if p.telegraf != "" {
			for _, how := range planners {
				add(casePlan, telegraf+", "+how.String(), func(ctx context.Context, dir string) (outcome, error) { return p.telegrafPlan(ctx, dir, how) })
			}
		}
	}
	add(caseGateway, ours, p.gateway)
	if round%2 == 1 {
		slices.Reverse(turns)
	}
	for _, t := range turns {
		if ctx.Err() != nil {
			return
		}
		dir, err := os.MkdirTemp(p.work, t.name+"-")
		var o outcome
		if err == nil {
			o, err = t.what(ctx, dir)
			os.RemoveAll(dir)
		}
		o.wrong = err
		all.add(t.name, t.who, o)
		measure.Say("round %d, %s, %s: %s", round+1, t.name, t.who, o)
	}
}

func (o outcome) String() string {
	var words []string
	say := func(v float64, format string, show func(float64) string) {
		if v > 0 {
			words = append(words, fmt.Sprintf(format, show(v)))
		}
	}
	if o.wrong != nil {
		return "failed: " + strings.Join(strings.Fields(o.wrong.Error()), " ")
	}
	say(o.rate, "%s/s", measure.Short)
	say(o.share, "%s of the line", measure.Digits)
	say(o.cpu, "%s µs a point", measure.Digits)
	say(o.rss, "RSS %s MB", measure.Digits)
	say(o.anon, "of it anonymous %s", measure.Digits)
	say(o.count, "%s requests", measure.Digits)
	return strings.Join(words, ", ")
}
