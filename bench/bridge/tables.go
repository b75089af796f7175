package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sluice/bench/measure"
)

// The stock client's batches are shown beside it.
const bareBatches = "bare client, batches"

// tables prints all that was measured.
func (p *plan) tables(w io.Writer, all results) {
	p.rates(w, "Draining to mosquitto after an outage", all[caseDrain], []string{ours, bare, mosquittoBridge, telegraf})
	p.rates(w, "The same with kill -9 before the line is back", all[caseKill], []string{ours, mosquittoBridge, telegraf})
	p.rates(w, "Draining to Apache RocketMQ, SYNC_FLUSH", all[caseRocketMQ], []string{ours, bare, bareBatches})
	if list := all[caseLive][ours]; len(list) > 0 {
		fmt.Fprintf(w, "\n**New messages, %d a second, while a backlog goes up, order live-first** (`%s`)\n\n| delay ms: p50 | p99 | longest | backlog up/s | lost |\n|---|---|---|---|---|\n", freshRate, caseLive)
		row(w, list, "", func(o outcome) float64 { return o.delay.p50 }, func(o outcome) float64 { return o.delay.p99 }, func(o outcome) float64 { return o.delay.most },
			func(o outcome) float64 { return o.rate }, lost)
		failures(w, ours, list)
	}
	for _, k := range []struct{ name, title string }{{caseDistance, "200 ms there and back"}, {caseLoss, "200 ms there and back, 1 % of the packets lost, a window of 20,000"}, {caseLossNarrow, "The same with the window of the other cases"}} {
		if list := all[k.name][ours]; len(list) > 0 {
			fmt.Fprintf(w, "\n**%s** (`%s`)\n\n| up/s | bytes of messages/s | a bare TCP stream, bytes/s | twice | lost |\n|---|---|---|---|---|\n", k.title, k.name)
			row(w, list, "", func(o outcome) float64 { return o.rate }, func(o outcome) float64 { return o.useful }, func(o outcome) float64 { return o.stream }, twice, lost)
			failures(w, ours, list)
		}
	}
	if list := all[caseMemory][ours]; len(list) > 0 {
		fmt.Fprintf(w, "\n**%d messages wait in a control group of %d MB**, anonymous MB (`%s`)\n\n| without, %d a second coming in: the median | the most | with them, the same coming in: the median | the most | restarted | going up | in/s | up/s | lost |\n|---|---|---|---|---|---|---|---|---|\n",
			p.waiting, group>>20, caseMemory, steady)
		row(w, list, "", func(o outcome) float64 { return o.typical[0] }, func(o outcome) float64 { return o.anon[0] }, func(o outcome) float64 { return o.typical[1] },
			func(o outcome) float64 { return o.anon[1] }, func(o outcome) float64 { return o.anon[2] },
			func(o outcome) float64 { return o.anon[3] }, func(o outcome) float64 { return o.filled }, func(o outcome) float64 { return o.rate }, lost)
		failures(w, ours, list)
	}
}

func lost(o outcome) float64  { return float64(o.lost) }
func twice(o outcome) float64 { return float64(o.twice) }

func (p *plan) rates(w io.Writer, title string, of map[string][]outcome, order []string) {
	if len(of) == 0 {
		return
	}
	fmt.Fprintf(w, "\n**%s**\n\n| | up/s | in/s before | CPU µs/message going up | RSS MB: when all wait, at most | lost | twice | behind a later one |\n|---|---|---|---|---|---|---|---|\n", title)
	for _, name := range order {
		if len(of[name]) == 0 {
			continue
		}
		row(w, of[name], name, func(o outcome) float64 { return o.rate }, func(o outcome) float64 { return o.filled }, func(o outcome) float64 { return o.cpu },
			func(o outcome) float64 { return o.waiting }, func(o outcome) float64 { return o.held }, lost, twice, func(o outcome) float64 { return float64(o.late) })
	}
	for _, name := range order {
		failures(w, name, of[name])
	}
}

// row is one contestant's figures. The most of a memory stands beside what waiting took.
func row(w io.Writer, list []outcome, name string, figures ...func(outcome) float64) {
	var cells []string
	for _, f := range figures {
		cells = append(cells, measure.SpreadOf(measure.Values(list, f), measure.Short))
	}
	if name != "" {
		cells[3] += ", " + cells[4]
		cells = append([]string{name}, slices.Delete(cells, 4, 5)...)
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// failures says why what failed did so.
func failures(w io.Writer, name string, list []outcome) {
	for _, o := range list {
		if o.wrong != nil {
			fmt.Fprintf(w, "\n%s: %s\n", name, strings.Join(strings.Fields(o.wrong.Error()), " "))
			break // the first tells most
		}
	}
}

// judge holds what was measured against the wishes of the project.
func (p *plan) judge(all results) []measure.Goal {
	rate := func(o outcome) float64 { return o.rate }
	of := func(name string) []outcome { return all[name][ours] }
	var nothing []float64
	for _, name := range []string{caseDrain, caseKill, caseRocketMQ, caseMemory, caseLive, caseDistance, caseLoss} {
		nothing = append(nothing, measure.Values(of(name), lost)...)
	}
	if len(nothing) > 1 {
		nothing = []float64{slices.Max(nothing)}
	}
	return []measure.Goal{
		measure.Goal{Name: caseDrain, Wish: "at least 0.8 × the bare client"}.Compare(measure.Ratios(of(caseDrain), all[caseDrain][bare], rate), "×", 0.8, false),
		measure.Goal{Name: caseDrain, Wish: "faster than mosquitto's bridge"}.Compare(measure.Ratios(of(caseDrain), all[caseDrain][mosquittoBridge], rate), "×", 1, false),
		measure.Goal{Name: caseDrain, Wish: "faster than Telegraf"}.Compare(measure.Ratios(of(caseDrain), all[caseDrain][telegraf], rate), "×", 1, false),
		measure.Goal{Name: caseRocketMQ, Wish: "at least 0.8 × the bare client"}.Compare(measure.Ratios(of(caseRocketMQ), all[caseRocketMQ][bare], rate), "×", 0.8, false),
		measure.Goal{Name: caseMemory, Wish: "anonymous memory at most 1.2 × that without a backlog"}.Compare(measure.Values(of(caseMemory), func(o outcome) float64 { return o.typical[1] / o.typical[0] }), "×", 1.2, true),
		measure.Goal{Name: caseMemory, Wish: "likewise its peaks"}.Compare(measure.Values(of(caseMemory), func(o outcome) float64 { return o.anon[1] / o.anon[0] }), "×", 1.2, true),
		measure.Goal{Name: caseLive, Wish: "p99 of new messages at most 1,000 ms"}.Compare(measure.Values(of(caseLive), func(o outcome) float64 { return o.delay.p99 }), "ms", 1000, true),
		measure.Goal{Name: caseDistance, Wish: fmt.Sprintf("at least 0.8 × window by round trip, %.0f/s", p.overRoundTrip())}.Compare(measure.Values(of(caseDistance), func(o outcome) float64 { return o.rate / p.overRoundTrip() }), "×", 0.8, false),
		measure.Goal{Name: caseLoss, Wish: "at least 0.8 × a bare TCP stream"}.Compare(measure.Values(of(caseLoss), func(o outcome) float64 { return o.useful / o.stream }), "×", 0.8, false),
		measure.Goal{Name: "all", Wish: "nothing lost"}.Compare(nothing, "messages", 0, true),
	}
}

func (p *plan) overRoundTrip() float64 { return float64(p.window) / roundTrip.Seconds() }
