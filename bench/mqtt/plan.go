package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/bench/measure"
)

// plan is what one call of the benchmark measures.
type plan struct {
	rounds        int
	seconds       float64
	only, brokers string
	sleepers      string
	idle          int
	dir, root     string
	sluice        string
	profile       string

	work     string // a directory on the disk that is measured
	tools    tools
	measured []contestant
}

// figure is one number of an outcome.
type figure func(outcome) float64

// results are by case, then by broker, one outcome a round.
type results map[string]map[string][]outcome

// Names of the cases that are more than traffic.
const (
	caseAsleep = "asleep"
	caseIdle   = "idle"
	caseCrowd  = "crowd"
)

func caseNames() (names []string) {
	for _, k := range loadCases {
		names = append(names, k.name)
	}
	return append(names, caseAsleep, caseIdle, caseCrowd)
}

func (p *plan) wants(name string) bool {
	return p.only == "" || slices.Contains(strings.Split(p.only, ","), name)
}

func (p *plan) run(ctx context.Context, w io.Writer) error {
	for name := range strings.SplitSeq(p.only, ",") {
		if p.only != "" && !slices.Contains(caseNames(), name) {
			return fmt.Errorf("-only: there is no case %q: there are %s", name, strings.Join(caseNames(), ", "))
		}
	}
	sleepers, err := p.sleeping()
	if err != nil {
		return err
	}
	if p.work, err = measure.OnRealDisk(p.dir, p.root, "mqtt-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	bin := filepath.Join(p.work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if p.measured, p.tools, err = p.contestants(bin); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d rounds of %g s in turns, median (smallest to largest); %s\n", measure.Machine(), p.rounds, p.seconds, p.tools.versions(p.measured))

	all := make(results)
	for _, k := range loadCases {
		if !p.wants(k.name) {
			continue
		}
		all[k.name] = p.inTurns(ctx, k.name, p.rounds, k.refused, func(c contestant) outcome { return p.load(ctx, c, k) },
			func(o outcome) string {
				return fmt.Sprintf("%s/s, %.1f %% lost, CPU %.1f µs", measure.Short(k.rate(o)), 100*o.lost(), o.cpu)
			})
		p.loadTable(w, k, all[k.name])
	}
	if p.wants(caseAsleep) {
		for _, n := range sleepers {
			rounds := min(3, p.rounds)
			if n >= 1_000_000 {
				rounds = 1
			}
			name := asleepName(n)
			// mosq-dur rewrites all that waits with each message: 50,000 would take it hours.
			all[name] = p.inTurns(ctx, name, rounds, func(broker string) bool { return broker == "mosq-dur" || broker == "sink" || broker == matched },
				func(c contestant) outcome { return p.sleep(ctx, c, n) },
				func(o outcome) string {
					return fmt.Sprintf("%d of %d arrived, %d out of order, %s/s", o.asleep.arrived, n, o.asleep.reordered, measure.Short(o.asleep.drain))
				})
			p.asleepTable(w, n, all[name])
		}
	}
	for _, k := range []struct {
		name           string
		rounds, number int
	}{{caseIdle, min(3, p.rounds), 1000}, {caseCrowd, 1, p.idle}} {
		if !p.wants(k.name) {
			continue
		}
		all[k.name] = p.inTurns(ctx, k.name, k.rounds, func(broker string) bool { return broker == "sink" || broker == matched },
			func(c contestant) outcome { return p.crowd(ctx, c, k.number) },
			func(o outcome) string {
				return fmt.Sprintf("%.1f MB, %d connections %.1f KB each", o.idle.empty.RSS(), o.idle.connections, o.idle.each())
			})
		p.idleTable(w, k.number, all[k.name])
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.summary(w, all, sleepers)
	return nil
}

func asleepName(n int) string { return fmt.Sprint(caseAsleep, " ", n) }

// inTurns measures every broker once a round, the order reversed from round to round.
func (p *plan) inTurns(ctx context.Context, name string, rounds int, refused func(string) bool, run func(contestant) outcome, tell func(outcome) string) map[string][]outcome {
	of := make(map[string][]outcome)
	order := slices.Clone(p.measured)
	for round := range rounds {
		for _, c := range order {
			if refused(c.name) || ctx.Err() != nil {
				continue
			}
			o := run(c)
			of[c.name] = append(of[c.name], o)
			if o.wrong != nil {
				measure.Say("%s, round %d, %s: failed: %v", name, round+1, c.name, o.wrong)
				continue
			}
			measure.Say("%s, round %d, %s: %s", name, round+1, c.name, tell(o))
		}
		slices.Reverse(order)
	}
	return of
}
