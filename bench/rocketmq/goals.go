package main

import (
	"fmt"
	"io"

	"sluice/bench/measure"
)

func wished(of, wish string) measure.Goal { return measure.Goal{Name: of, Case: of, Wish: wish} }

// times wishes for a multiple of a peer's figure in the same round.
func (all results) times(of string, factor float64, peer string) measure.Goal {
	return wished(of, fmt.Sprintf("at least %g × %s", factor, peer)).Compare(measure.Ratios(all[of][ours], all[of][peer], throughput), "×", factor, false)
}

func (all results) atMost(of, wish string, most float64, what figure) measure.Goal {
	return wished(of, wish).Compare(measure.Ratios(all[of][ours], all[of][syncFlush], what), "×", most, true)
}

func (all results) judge() (list []measure.Goal) {
	for _, k := range sendCases {
		list = append(list, all.times(k.name(), 2, syncFlush))
		if k.threads == 64 {
			list = append(list, all.times(k.name(), 1, asyncFlush))
		}
	}
	list = append(list, all.times(caseBoth, 1.5, syncFlush),
		all.atMost(caseLatency, "p99 lower than "+syncFlush, 1, func(o outcome) float64 { return o.latency.p99 }),
		all.atMost(caseMemory, "RSS at most 0.1 × broker and name server with the smallest heaps", 0.1, func(o outcome) float64 { return o.held.RSS() }))
	grown := wished(caseBacklog, "anonymous memory grows by at most 10 MB")
	taken := wished(caseBacklog, "200 k/s, or the client's limit")
	if of := measure.Good(all[caseBacklog][ours]); len(of) > 0 {
		b := of[0].backlog
		grown.Measured, grown.State = fmt.Sprintf("%+.1f MB with %d messages", b.growth(), b.waiting), measure.Judged(b.growth() <= 10)
		// What another client takes of the same server is no limit of the server's.
		taken.Measured = fmt.Sprintf("%s/s by our own client, %s/s by Apache's, which then keeps %.2f cores busy and the gateway %.2f", measure.Short(b.pulled), measure.Short(b.javaTook), b.javaOwn, b.javaServer)
		taken.State = measure.Judged(max(b.pulled, b.javaTook) >= 200_000)
	}
	return append(list, grown, taken)
}

// summary says what became of the goals.
func (p *plan) summary(w io.Writer, all results) {
	goals := all.judge()
	for i, g := range goals {
		goals[i] = measure.Settle(g, all[g.Case][ours])
	}
	measure.Summary(w, goals)
}
