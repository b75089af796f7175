package main

import (
	"fmt"
	"io"
	"strings"

	"sluice/bench/measure"
)

// tables prints all that was measured.
func (p *plan) tables(w io.Writer, all results, found heaps) {
	p.side(w, all)
	for _, name := range append(caseNames()[:len(sendCases)], caseBoth, caseMemory) {
		p.loadTable(w, name, all[name])
	}
	fmt.Fprintln(w, "\nApache's tools send one text again and again, which the gateway's log stores compressed.")
	p.latencyTable(w, all[caseLatency])
	p.heapList(w, found)
	p.backlogTable(w, all[caseBacklog])
}

// side is one row a case and one column a server.
func (p *plan) side(w io.Writer, all results) {
	head, rule := "| case |", "|---|"
	for _, c := range p.measured {
		head, rule = head+" "+c.name+" |", rule+"---|"
	}
	fmt.Fprintf(w, "\n%s\n%s\n", head, rule)
	row := func(title, name string, what figure, format func(float64) string) {
		if all[name] == nil {
			return
		}
		fmt.Fprintf(w, "| %s |", title)
		for _, c := range p.measured {
			fmt.Fprintf(w, " %s |", measure.Spread(all[name][c.name], what, format))
		}
		fmt.Fprintln(w)
	}
	for _, k := range sendCases {
		row(k.title()+", a second", k.name(), throughput, measure.Short)
	}
	row("producing and consuming at once, 128 bytes, threads: 64; the lower of both a second", caseBoth, throughput, measure.Short)
	row(fmt.Sprintf("p99 of a send at %d a second while consuming, ms", p.rate), caseLatency, func(o outcome) float64 { return o.latency.p99 }, measure.Digits)
	row("RSS while producing and consuming, MB (Apache's: smallest heaps, both processes)", caseMemory, func(o outcome) float64 { return o.held.RSS() }, measure.Digits)
	row("a backlog taken by our own client, a second", caseBacklog, func(o outcome) float64 { return o.backlog.pulled }, measure.Short)
	row("a backlog taken by Apache's consumer, a second", caseBacklog, func(o outcome) float64 { return o.backlog.javaTook }, measure.Short)
	row("the disk itself: 4 KiB appends with fdatasync a second, before each", caseDisk, func(o outcome) float64 { return o.disk.Rate() }, measure.Short)
}

func (p *plan) loadTable(w io.Writer, name string, of map[string][]outcome) {
	if of == nil {
		return
	}
	fmt.Fprintf(w, "\n**%s**\n\n| server | sent/s | consumed/s | mean ms | failed | server's CPU µs/message | peak RSS MB (anonymous + files) |\n|---|---|---|---|---|---|---|\n", name)
	for _, c := range p.measured {
		list := of[c.name]
		if len(list) == 0 {
			continue
		}
		mid := func(what figure) float64 { return measure.MedianOf(list, what) }
		consumed := "–"
		if list[0].twoWays {
			consumed = measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.consumed }), measure.Short)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f | %s | %.0f (%.0f + %.0f) |\n", c.name, measure.Spread(list, func(o outcome) float64 { return o.rate }, measure.Short), consumed,
			measure.Digits(mid(func(o outcome) float64 { return o.mean })), mid(func(o outcome) float64 { return float64(o.failed) }),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.cpu }), measure.Digits), mid(func(o outcome) float64 { return o.held.RSS() }),
			mid(func(o outcome) float64 { return o.held.Anon }), mid(func(o outcome) float64 { return o.held.File }))
	}
	p.failures(w, of)
}

func (p *plan) latencyTable(w io.Writer, of map[string][]outcome) {
	if of == nil {
		return
	}
	fmt.Fprintf(w, "\n**%s**: 128 random bytes at %d a second, from the time when each was due\n\n| server | p50 ms | p99 ms | p99.9 ms | server's CPU µs/message |\n|---|---|---|---|---|\n", caseLatency, p.rate)
	for _, c := range p.measured {
		list := of[c.name]
		cell := func(what figure) string { return measure.SpreadOf(measure.Values(list, what), measure.Digits) }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", c.name, measure.Spread(list, func(o outcome) float64 { return o.latency.p50 }, measure.Digits),
			cell(func(o outcome) float64 { return o.latency.p99 }), cell(func(o outcome) float64 { return o.latency.p999 }), cell(func(o outcome) float64 { return o.cpu }))
	}
	p.failures(w, of)
}

func (p *plan) heapList(w io.Writer, found heaps) {
	if len(found.tried) == 0 {
		return
	}
	fmt.Fprintf(w, "\nSmallest heaps that carry nine tenths of what a large one does, with no send failed (0: none of those tried): broker %d MB, name server %d MB. Tried: %s.\n",
		found.broker, found.nameServer, strings.Join(found.tried, "; "))
}

func (p *plan) backlogTable(w io.Writer, of map[string][]outcome) {
	if of == nil {
		return
	}
	fmt.Fprintf(w, "\n**%s** of 128 bytes, filled by Apache's BatchProducer\n\n", caseBacklog)
	fmt.Fprintln(w, "| server | messages | came in/s | anonymous MB: empty; most in the first, in the last tenth; a fresh process with all; most while taken | own client/s (busy cores: server, client) | Apache's consumer/s (server, client) | busiest threads of Apache's, of one core |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, c := range p.measured {
		for _, o := range measure.Good(of[c.name]) {
			b := o.backlog
			again := fmt.Sprintf("%.1f", b.restarted)
			if c.name != ours {
				again = "not restarted"
			}
			fmt.Fprintf(w, "| %s | %d | %s | %.1f; %.1f, %.1f; %s; %.1f | %s (%.2f, %.2f) | %s (%.2f, %.2f) | %s |\n", c.name, b.waiting, measure.Short(b.fill), b.empty, b.firstTenth, b.atLast, again,
				b.draining, measure.Short(b.pulled), b.pullServer, b.pullOwn, measure.Short(b.javaTook), b.javaServer, b.javaOwn, b.threads)
		}
	}
	p.failures(w, of)
}

// failures says why, below a table, what failed did so.
func (p *plan) failures(w io.Writer, of map[string][]outcome) {
	for _, c := range p.measured {
		for _, o := range of[c.name] {
			if o.wrong != nil {
				first, _, _ := strings.Cut(o.wrong.Error(), "\n")
				fmt.Fprintf(w, "\n%s: %s\n", c.name, first)
				break // the first tells most
			}
		}
	}
}
