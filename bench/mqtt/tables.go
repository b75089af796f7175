package main

import (
	"fmt"
	"io"
	"strings"

	"sluice/bench/measure"
)

// failures says why, below a table, what failed did so.
func (p *plan) failures(w io.Writer, of map[string][]outcome) {
	for _, c := range p.measured {
		for _, o := range of[c.name] {
			if o.wrong != nil {
				fmt.Fprintf(w, "\n%s: %s\n", c.name, strings.Join(strings.Fields(o.wrong.Error()), " "))
				break // the first tells most
			}
		}
	}
}

// loadTable says all that was measured of one case.
func (p *plan) loadTable(w io.Writer, k loadCase, of map[string][]outcome) {
	fmt.Fprintf(w, "\n**%s** (`%s`)\n\n", k.title, k.name)
	head, rule := "| broker | acknowledged/s | delivered/s | lost % | PUBACK p50 / p99 / p99.9 ms | CPU µs/message | written/message | peak RSS MB |", "|---|---|---|---|---|---|---|---|"
	if k.disk {
		head, rule = head+" disk: syncs/s, p50 / p99 ms |", rule+"---|"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, rule)
	for _, c := range p.measured {
		list := of[c.name]
		if len(list) == 0 {
			continue
		}
		acks := "–"
		if k.name != "qos0" {
			q := func(which func(quantiles) float64) string {
				return milliseconds(measure.MedianOf(list, func(o outcome) float64 {
					if o.Ack == nil {
						return 0
					}
					return which(*o.Ack)
				}))
			}
			acks = q(func(q quantiles) float64 { return q.P50 }) + " / " + q(func(q quantiles) float64 { return q.P99 }) +
				" / " + q(func(q quantiles) float64 { return q.P999 })
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %.0f |", c.name,
			measure.Spread(list, func(o outcome) float64 { return o.Published }, measure.Short), measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.Arrived }), measure.Short),
			measure.SpreadOf(measure.Values(list, outcome.lost), percent), acks, measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.cpu }), measure.Digits),
			measure.Short(measure.MedianOf(list, func(o outcome) float64 { return o.written })), measure.MedianOf(list, func(o outcome) float64 { return o.peak }))
		if k.disk {
			fmt.Fprintf(w, " %s, %s / %s |", measure.Short(measure.MedianOf(list, func(o outcome) float64 { return o.disk.Rate() })),
				milliseconds(measure.MedianOf(list, func(o outcome) float64 { return o.disk.Quantile(.5) })),
				milliseconds(measure.MedianOf(list, func(o outcome) float64 { return o.disk.Quantile(.99) })))
		}
		fmt.Fprintln(w)
	}
	p.failures(w, of)
}

func (p *plan) asleepTable(w io.Writer, n int, of map[string][]outcome) {
	fmt.Fprintf(w, "\n**%d messages for a sleeping session, kill -9, wake** (`%s`)\n\n", n, caseAsleep)
	fmt.Fprintln(w, "| broker | arrived | out of order | twice | published/s | drained/s | anonymous MB: before, waiting; after the kill, peak of draining | written/payload | restart ms |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, c := range p.measured {
		list := of[c.name]
		if len(list) == 0 {
			continue
		}
		whole := func(v float64) string { return fmt.Sprintf("%.0f", v) }
		mid := func(what figure) float64 { return measure.MedianOf(list, what) }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %.1f, %.1f; %.1f, %.1f | %s | %.0f |\n", c.name,
			measure.Spread(list, func(o outcome) float64 { return float64(o.asleep.arrived) }, whole),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return float64(o.asleep.reordered) }), whole),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return float64(o.Duplicates) }), whole),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.asleep.publish }), measure.Short),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.asleep.drain }), measure.Short),
			mid(func(o outcome) float64 { return o.asleep.before }), mid(func(o outcome) float64 { return o.asleep.backlog }),
			mid(func(o outcome) float64 { return o.asleep.restarted }), mid(func(o outcome) float64 { return o.asleep.draining }),
			measure.SpreadOf(measure.Values(list, func(o outcome) float64 { return o.asleep.written }), measure.Digits),
			mid(func(o outcome) float64 { return float64(o.asleep.restart.Milliseconds()) }))
	}
	p.failures(w, of)
}

func (p *plan) idleTable(w io.Writer, n int, of map[string][]outcome) {
	fmt.Fprintf(w, "\n**%d idle connections**, MB\n\n", n)
	fmt.Fprintln(w, "| broker | empty: RSS (anonymous + files), proportional | with them: RSS (anonymous + files), proportional | KB a connection |")
	fmt.Fprintln(w, "|---|---|---|---|")
	for _, c := range p.measured {
		list := of[c.name]
		if len(list) == 0 {
			continue
		}
		cell := func(which func(idle) held) string {
			mid := func(what func(held) float64) float64 {
				return measure.MedianOf(list, func(o outcome) float64 { return what(which(o.idle)) })
			}
			return fmt.Sprintf("%.1f (%.1f + %.1f), %.1f", mid(func(h held) float64 { return h.RSS() }), mid(func(h held) float64 { return h.Anon }),
				mid(func(h held) float64 { return h.File }), mid(func(h held) float64 { return h.pss }))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", c.name, cell(func(i idle) held { return i.empty }),
			cell(func(i idle) held { return i.full }), measure.Spread(list, func(o outcome) float64 { return o.idle.each() }, measure.Digits))
	}
	p.failures(w, of)
}

func milliseconds(us float64) string { return measure.Digits(us / 1000) }

func percent(part float64) string { return fmt.Sprintf("%.1f", 100*part) }
