package main

import (
	"fmt"
	"io"
	"strings"
)

// goal is one wish of the project and what became of it in this run.
type goal struct {
	of, wish string
	measured string
	state    state
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

// times wishes for a multiple of a peer's figure in the same round.
func (all results) times(of string, factor float64, peer string) goal {
	g := goal{of: of, wish: fmt.Sprintf("at least %g × %s", factor, peer)}
	if list := ratios(all[of][ours], all[of][peer], throughput); len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" ×", judged(median(list) >= factor)
	}
	return g
}

func (all results) atMost(of, wish string, most float64, what figure) goal {
	g := goal{of: of, wish: wish}
	if list := ratios(all[of][ours], all[of][syncFlush], what); len(list) > 0 {
		g.measured, g.state = spreadOf(list, digits)+" ×", judged(median(list) <= most)
	}
	return g
}

func (all results) judge() (list []goal) {
	for _, k := range sendCases {
		list = append(list, all.times(k.name(), 2, syncFlush))
		if k.threads == 64 {
			list = append(list, all.times(k.name(), 1, asyncFlush))
		}
	}
	list = append(list, all.times(caseBoth, 1.5, syncFlush),
		all.atMost(caseLatency, "p99 lower than "+syncFlush, 1, func(o outcome) float64 { return o.latency.p99 }),
		all.atMost(caseMemory, "RSS at most 0.1 × broker and name server with the smallest heaps", 0.1, func(o outcome) float64 { return o.held.rss() }))
	grown := goal{of: caseBacklog, wish: "anonymous memory grows by at most 10 MB"}
	taken := goal{of: caseBacklog, wish: "200 k/s, or the client's limit"}
	if of := good(all[caseBacklog][ours]); len(of) > 0 {
		b := of[0].backlog
		grown.measured, grown.state = fmt.Sprintf("%+.1f MB with %d messages", b.growth(), b.waiting), judged(b.growth() <= 10)
		// What another client takes of the same server is no limit of the server's.
		taken.measured = fmt.Sprintf("%s/s by our own client, %s/s by Apache's, which then keeps %.2f cores busy and the gateway %.2f", short(b.pulled), short(b.javaTook), b.javaOwn, b.javaServer)
		taken.state = judged(max(b.pulled, b.javaTook) >= 200_000)
	}
	return append(list, grown, taken)
}

// summary says what became of the goals.
func (p *plan) summary(w io.Writer, all results) {
	var hit, of int
	var open []string
	var rows strings.Builder
	for _, g := range all.judge() {
		if list := all[g.of][ours]; g.state == unknown && len(list) > 0 && len(good(list)) == 0 {
			g.measured, g.state = "failed", missed
		}
		if g.state == unknown {
			continue
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", g.of, g.wish, g.measured, g.state)
		of++
		if g.state == reached {
			hit++
		} else {
			open = append(open, g.of+": "+g.wish)
		}
	}
	if of == 0 {
		return // a goal needs somebody to compare with
	}
	fmt.Fprintf(w, "\n| goal | wish | measured | |\n|---|---|---|---|\n%s", rows.String())
	fmt.Fprintf(w, "\nGoals: %d of %d reached", hit, of)
	if len(open) > 0 {
		fmt.Fprintf(w, "; not reached: %s", strings.Join(open, "; "))
	}
	fmt.Fprintln(w, ".")
}
