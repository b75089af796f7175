package main

import (
	"fmt"
	"io"
	"strings"
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
				return milliseconds(median(values(list, func(o outcome) float64 {
					if o.Ack == nil {
						return 0
					}
					return which(*o.Ack)
				})))
			}
			acks = q(func(q quantiles) float64 { return q.P50 }) + " / " + q(func(q quantiles) float64 { return q.P99 }) +
				" / " + q(func(q quantiles) float64 { return q.P999 })
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %.0f |", c.name,
			spread(list, func(o outcome) float64 { return o.Published }, short), spreadOf(values(list, func(o outcome) float64 { return o.Arrived }), short),
			spreadOf(values(list, outcome.lost), percent), acks, spreadOf(values(list, func(o outcome) float64 { return o.cpu }), digits),
			short(median(values(list, func(o outcome) float64 { return o.written }))), median(values(list, func(o outcome) float64 { return o.peak })))
		if k.disk {
			fmt.Fprintf(w, " %s, %s / %s |", short(median(values(list, func(o outcome) float64 { return o.disk.rate() }))),
				milliseconds(median(values(list, func(o outcome) float64 { return o.disk.quantile(.5) }))),
				milliseconds(median(values(list, func(o outcome) float64 { return o.disk.quantile(.99) }))))
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
		mid := func(what figure) float64 { return median(values(list, what)) }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %.1f, %.1f; %.1f, %.1f | %s | %.0f |\n", c.name,
			spread(list, func(o outcome) float64 { return float64(o.asleep.arrived) }, whole),
			spreadOf(values(list, func(o outcome) float64 { return float64(o.asleep.reordered) }), whole),
			spreadOf(values(list, func(o outcome) float64 { return float64(o.Duplicates) }), whole),
			spreadOf(values(list, func(o outcome) float64 { return o.asleep.publish }), short),
			spreadOf(values(list, func(o outcome) float64 { return o.asleep.drain }), short),
			mid(func(o outcome) float64 { return o.asleep.before }), mid(func(o outcome) float64 { return o.asleep.backlog }),
			mid(func(o outcome) float64 { return o.asleep.restarted }), mid(func(o outcome) float64 { return o.asleep.draining }),
			spreadOf(values(list, func(o outcome) float64 { return o.asleep.written }), digits),
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
		held := func(which func(idle) memory) string {
			mid := func(what func(memory) float64) float64 {
				return median(values(list, func(o outcome) float64 { return what(which(o.idle)) }))
			}
			return fmt.Sprintf("%.1f (%.1f + %.1f), %.1f", mid(memory.rss), mid(func(m memory) float64 { return m.Anon }),
				mid(func(m memory) float64 { return m.File }), mid(func(m memory) float64 { return m.Pss }))
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", c.name, held(func(i idle) memory { return i.empty }),
			held(func(i idle) memory { return i.full }), spread(list, func(o outcome) float64 { return o.idle.each() }, digits))
	}
	p.failures(w, of)
}
