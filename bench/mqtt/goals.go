package main

import (
	"fmt"
	"io"

	"sluice/bench/measure"
)

// timesPeer wishes for a multiple of a peer's rate in the same round.
func (all results) timesPeer(k loadCase, factor float64, peer string) measure.Goal {
	return all.times(ours, k, factor, peer)
}

func (all results) times(who string, k loadCase, factor float64, peer string) measure.Goal {
	g := measure.Goal{Name: k.name, Case: k.name, Wish: fmt.Sprintf("%g × %s", factor, peer)}
	if who != ours {
		g.Name += ", " + who
	}
	return g.Compare(measure.Ratios(all[k.name][who], all[k.name][peer], k.rate), "×", factor, false)
}

// judge holds everything that was measured against the wishes of the issue.
func (p *plan) judge(all results, sleepers []int) (list []measure.Goal) {
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
		all.atMost("empty", caseIdle, "30 MB of RSS, empty", "MB", 30, func(o outcome) float64 { return o.idle.empty.RSS() }),
		all.atMost("idle", caseIdle, "15 MB more with 1,000 idle connections", "MB", 15, func(o outcome) float64 { return o.idle.full.RSS() - o.idle.empty.RSS() }))
}

func (all results) atMost(name, of, wish, unit string, limit float64, what figure) measure.Goal {
	return measure.Goal{Name: name, Case: of, Wish: "at most " + wish}.Compare(measure.Values(all[of][ours], what), unit, limit, true)
}

func (all results) windowOne(k loadCase) measure.Goal {
	list := measure.Values(all[k.name][ours], func(o outcome) float64 { return k.rate(o) / max(1, o.disk.Rate()) })
	return measure.Goal{Name: k.name, Case: k.name, Wish: "0.7 × the disk's syncs a second"}.Compare(list, "×", 0.7, false)
}

func (all results) latency() measure.Goal {
	list := measure.Values(all["latency"][ours], func(o outcome) float64 {
		if o.Ack == nil {
			return 0
		}
		return o.Ack.P99 / max(1, o.disk.Quantile(.99))
	})
	return measure.Goal{Name: "latency", Case: "latency", Wish: "p99 at most 3 × the disk's p99"}.Compare(list, "×", 3, true)
}

// nothingLost takes a goal back where messages were acknowledged and never came.
func (all results) nothingLost(g measure.Goal) measure.Goal {
	g.Wish += ", nothing lost"
	var lost uint64
	for _, o := range measure.Good(all[g.Name][ours]) {
		lost += o.Lost
	}
	if g.Measured != "" {
		g.Measured += fmt.Sprintf(", %d lost", lost)
	}
	if lost > 0 {
		g.State = measure.Missed
	}
	return g
}

// asleep judges what a sleeping session was promised.
func (all results) asleep(n int) []measure.Goal {
	name := asleepName(n)
	kept := measure.Goal{Name: name, Case: name, Wish: "all, in order"}
	var lost, reordered uint64
	list := measure.Good(all[name][ours])
	for _, o := range list {
		lost, reordered = lost+o.asleep.lost, reordered+o.asleep.reordered
	}
	if len(list) > 0 {
		kept.Measured, kept.State = fmt.Sprintf("%d lost, %d out of order", lost, reordered), measure.Judged(lost+reordered == 0)
	}
	drain := measure.Goal{Name: name, Case: name, Wish: "drained at 150 k/s"}
	if rates := measure.Values(all[name][ours], func(o outcome) float64 { return o.asleep.drain }); len(rates) > 0 {
		drain.Measured, drain.State = measure.SpreadOf(rates, measure.Short)+"/s", measure.Judged(measure.Median(rates) >= 150_000)
	}
	return []measure.Goal{kept, drain,
		all.atMost(name, name, "10 MB more anonymous memory", "MB", 10, func(o outcome) float64 { return o.asleep.growth() }),
		all.atMost(name, name, "1.1 bytes written per payload byte", "bytes", 1.1, func(o outcome) float64 { return o.asleep.written })}
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
				return measure.Spread(list, func(o outcome) float64 {
					if o.Ack == nil {
						return 0
					}
					return o.Ack.P99
				}, milliseconds) + " ms"
			}
			text := measure.Spread(list, k.rate, measure.Short)
			if lost := measure.MedianOf(list, outcome.lost); lost > 0 {
				text += fmt.Sprintf("; %s %% lost", percent(lost))
			}
			return text
		})
	}
	row("CPU µs a message, window 100", "window100", func(list []outcome) string {
		return measure.Spread(list, func(o outcome) float64 { return o.cpu }, measure.Digits)
	})
	for _, n := range sleepers {
		row(fmt.Sprintf("%d for a sleeping session, after kill -9", n), asleepName(n), func(list []outcome) string {
			o := measure.Good(list)
			if len(o) == 0 {
				return "failed"
			}
			return fmt.Sprintf("%.0f kept, %.0f out of order, drained %s/s, +%s MB, %s written",
				measure.MedianOf(list, func(o outcome) float64 { return float64(o.asleep.arrived) }),
				measure.MedianOf(list, func(o outcome) float64 { return float64(o.asleep.reordered) }),
				measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.asleep.drain }), measure.Short),
				measure.Digits(measure.MedianOf(list, func(o outcome) float64 { return o.asleep.growth() })),
				measure.Digits(measure.MedianOf(list, func(o outcome) float64 { return o.asleep.written })))
		})
	}
	row("RSS MB, empty → 1,000 idle connections", caseIdle, func(list []outcome) string {
		return fmt.Sprintf("%.1f → %.1f", measure.MedianOf(list, func(o outcome) float64 { return o.idle.empty.RSS() }),
			measure.MedianOf(list, func(o outcome) float64 { return o.idle.full.RSS() }))
	})
	row(fmt.Sprintf("KB a connection, %d idle ones", p.idle), caseCrowd, func(list []outcome) string {
		return measure.Spread(list, func(o outcome) float64 { return o.idle.each() }, measure.Digits)
	})

	goals := p.judge(all, sleepers)
	for i, g := range goals {
		goals[i] = measure.Settle(g, all[g.Case][ours])
	}
	measure.Summary(w, goals)
}
