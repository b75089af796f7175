package main

import (
	"fmt"
	"io"
	"strings"
)

// goal is one wish and what became of it in this run.
type goal struct {
	name, wish string
	of         string // the case that it is about
	measured   string
	state      state
}

type state int

const (
	unknown state = iota // either side was not measured
	reached
	missed
)

func (s state) String() string {
	return [...]string{"not measured", "reached", "not reached"}[s]
}

func judged(ok bool) state {
	if ok {
		return reached
	}
	return missed
}

// timesPeer wishes for a multiple of a peer's rate in the same round.
func (all results) timesPeer(k loadCase, factor float64, peer string) goal {
	return all.times(ours, k, factor, peer)
}

func (all results) times(who string, k loadCase, factor float64, peer string) goal {
	g := goal{name: k.name, of: k.name, wish: fmt.Sprintf("%g × %s", factor, peer)}
	if who != ours {
		g.name += ", " + who
	}
	list := ratios(all[k.name][who], all[k.name][peer], k.rate)
	if len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" ×", judged(median(list) >= factor)
	}
	return g
}

// judge holds everything that was measured against the wishes of the issue.
func (p *plan) judge(all results, sleepers []int) (list []goal) {
	byName := make(map[string]loadCase)
	for _, k := range loadCases {
		byName[k.name] = k
	}
	list = append(list,
		all.timesPeer(byName["window100"], 1.5, "mosq"),
		all.windowOne(byName["window1"]),
		all.timesPeer(byName["pairs"], 1.5, "mochi"),
		all.nothingLost(all.timesPeer(byName["fanin"], 1.5, "nats")),
		all.timesPeer(byName["fanout"], 2, "mochi"),
		all.timesPeer(byName["qos0"], 1, "nats"),
		all.times(matched, byName["qos0"], 1, "nats"),
		all.latency(),
		all.atMost("cpu", "window100", "10 µs of CPU a message, window 100", "µs", 10, func(o outcome) float64 { return o.cpu }))
	for _, n := range sleepers {
		list = append(list, all.asleep(n)...)
	}
	return append(list,
		all.atMost("empty", caseIdle, "30 MB of RSS, empty", "MB", 30, func(o outcome) float64 { return o.idle.empty.rss() }),
		all.atMost("idle", caseIdle, "15 MB more with 1,000 idle connections", "MB", 15, func(o outcome) float64 { return o.idle.full.rss() - o.idle.empty.rss() }))
}

func (all results) atMost(name, of, wish, unit string, limit float64, what figure) goal {
	g := goal{name: name, of: of, wish: "at most " + wish}
	if list := values(all[of][ours], what); len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" "+unit, judged(median(list) <= limit)
	}
	return g
}

func (all results) windowOne(k loadCase) goal {
	g := goal{name: k.name, of: k.name, wish: "0.7 × the disk's syncs a second"}
	list := values(all[k.name][ours], func(o outcome) float64 { return k.rate(o) / max(1, o.disk.rate()) })
	if len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" ×", judged(median(list) >= 0.7)
	}
	return g
}

func (all results) latency() goal {
	g := goal{name: "latency", of: "latency", wish: "p99 at most 3 × the disk's p99"}
	list := values(all["latency"][ours], func(o outcome) float64 {
		if o.Ack == nil {
			return 0
		}
		return o.Ack.P99 / max(1, o.disk.quantile(.99))
	})
	if len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" ×", judged(median(list) <= 3)
	}
	return g
}

// nothingLost takes a goal back where messages were acknowledged and never came.
func (all results) nothingLost(g goal) goal {
	g.wish += ", nothing lost"
	var lost uint64
	for _, o := range good(all[g.name][ours]) {
		lost += o.Lost
	}
	if g.measured != "" {
		g.measured += fmt.Sprintf(", %d lost", lost)
	}
	if lost > 0 {
		g.state = missed
	}
	return g
}

// asleep judges what a sleeping session was promised.
func (all results) asleep(n int) []goal {
	name := asleepName(n)
	kept := goal{name: name, of: name, wish: "all, in order"}
	var lost, reordered uint64
	list := good(all[name][ours])
	for _, o := range list {
		lost, reordered = lost+o.asleep.lost, reordered+o.asleep.reordered
	}
	if len(list) > 0 {
		kept.measured, kept.state = fmt.Sprintf("%d lost, %d out of order", lost, reordered), judged(lost+reordered == 0)
	}
	drain := goal{name: name, of: name, wish: "drained at 150 k/s"}
	if rates := values(all[name][ours], func(o outcome) float64 { return o.asleep.drain }); len(rates) > 0 {
		drain.measured, drain.state = spreadOf(rates, short)+"/s", judged(median(rates) >= 150_000)
	}
	return []goal{kept, drain,
		all.atMost(name, name, "10 MB more anonymous memory", "MB", 10, func(o outcome) float64 { return o.asleep.growth() }),
		all.atMost(name, name, "1.1 bytes written per payload byte", "bytes", 1.1, func(o outcome) float64 { return o.asleep.written })}
}

// failed takes a goal for missed where every try of ours broke.
func (all results) failed(g goal) goal {
	if list := all[g.of][ours]; len(list) > 0 && len(good(list)) == 0 {
		g.measured, g.state = "failed", missed
	}
	return g
}

// summary is the table of the issue, one row a case, and what became of its goals.
func (p *plan) summary(w io.Writer, all results, sleepers []int) {
	head, rule := "| case |", "|---|"
	for _, c := range p.measured {
		head, rule = head+" "+c.name+" |", rule+"---|"
	}
	fmt.Fprintf(w, "\n## Side by side\n\n%s\n%s\n", head, rule)
	row := func(title, name string, cell func([]outcome) string) {
		if all[name] == nil {
			return
		}
		fmt.Fprintf(w, "| %s |", title)
		for _, c := range p.measured {
			if list := all[name][c.name]; len(list) > 0 {
				fmt.Fprintf(w, " %s |", cell(list))
			} else {
				fmt.Fprint(w, " – |")
			}
		}
		fmt.Fprintln(w)
	}
	for _, k := range loadCases {
		row(k.title, k.name, func(list []outcome) string {
			if k.name == "latency" {
				return spread(list, func(o outcome) float64 {
					if o.Ack == nil {
						return 0
					}
					return o.Ack.P99
				}, milliseconds) + " ms"
			}
			text := spread(list, k.rate, short)
			if lost := median(values(list, outcome.lost)); lost > 0 {
				text += fmt.Sprintf("; %s %% lost", percent(lost))
			}
			return text
		})
	}
	row("CPU µs a message, window 100", "window100", func(list []outcome) string {
		return spread(list, func(o outcome) float64 { return o.cpu }, digits)
	})
	for _, n := range sleepers {
		row(fmt.Sprintf("%d for a sleeping session, after kill -9", n), asleepName(n), func(list []outcome) string {
			o := good(list)
			if len(o) == 0 {
				return "failed"
			}
			return fmt.Sprintf("%.0f kept, %.0f out of order, drained %s/s, +%s MB, %s written",
				median(values(list, func(o outcome) float64 { return float64(o.asleep.arrived) })),
				median(values(list, func(o outcome) float64 { return float64(o.asleep.reordered) })),
				spreadOf(values(list, func(o outcome) float64 { return o.asleep.drain }), short),
				digits(median(values(list, func(o outcome) float64 { return o.asleep.growth() }))),
				digits(median(values(list, func(o outcome) float64 { return o.asleep.written }))))
		})
	}
	row("RSS MB, empty → 1,000 idle connections", caseIdle, func(list []outcome) string {
		return fmt.Sprintf("%.1f → %.1f", median(values(list, func(o outcome) float64 { return o.idle.empty.rss() })),
			median(values(list, func(o outcome) float64 { return o.idle.full.rss() })))
	})
	row(fmt.Sprintf("KB a connection, %d idle ones", p.idle), caseCrowd, func(list []outcome) string {
		return spread(list, func(o outcome) float64 { return o.idle.each() }, digits)
	})

	fmt.Fprintf(w, "\n| goal | wish | measured | |\n|---|---|---|---|\n")
	var hit, of int
	var open []string
	for _, g := range p.judge(all, sleepers) {
		if g = all.failed(g); g.state == unknown {
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", g.name, g.wish, g.measured, g.state)
		of++
		if g.state == reached {
			hit++
		} else {
			open = append(open, g.name+": "+g.wish)
		}
	}
	fmt.Fprintf(w, "\nGoals: %d of %d reached", hit, of)
	if len(open) > 0 {
		fmt.Fprintf(w, "; not reached: %s", strings.Join(open, "; "))
	}
	fmt.Fprintln(w, ".")
}
