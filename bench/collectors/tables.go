package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"sluice/bench/measure"
)

func rate(o outcome) float64  { return o.rate }
func share(o outcome) float64 { return o.share }
func lost(o outcome) float64  { return 1e6 * (1 - o.share) / o.rate } // microseconds an exchange
func cpu(o outcome) float64   { return o.cpu }
func rss(o outcome) float64   { return o.rss }
func anon(o outcome) float64  { return o.anon }
func count(o outcome) float64 { return o.count }

// tables prints all that was measured.
func (p *plan) tables(w io.Writer, all results) {
	table := func(name, title, head string, order []string, columns ...func(outcome) float64) {
		of := all[name]
		if len(of) == 0 {
			return
		}
		fmt.Fprintf(w, "\n**%s** (`%s`)\n\n| | %s |\n|---|", title, name, head)
		for range columns {
			fmt.Fprint(w, "---|")
		}
		fmt.Fprintln(w)
		for _, who := range order {
			if len(of[who]) == 0 {
				continue
			}
			fmt.Fprintf(w, "| %s |", who)
			for _, column := range columns {
				fmt.Fprintf(w, " %s |", measure.Spread(of[who], column, measure.Short))
			}
			fmt.Fprintln(w)
		}
		for _, who := range order {
			for _, o := range of[who] {
				if o.wrong != nil {
					fmt.Fprintf(w, "\n%s failed: %v\n", who, o.wrong)
				}
			}
		}
	}
	var lines []string
	for _, l := range wires {
		lines = append(lines, l.String())
	}
	table(caseLoop, "One device over Modbus TCP, 125 registers a request", "requests/s", []string{ours, bare}, rate)
	table(caseWire, "RTU on a line with real byte timing", "requests/s | of the least time | µs lost an exchange", lines, rate, share, lost)
	table(caseFleet, "100 devices, 100 points each, ten times a second", "points/s | µs of processor time a point | RSS MB | anonymous MB",
		[]string{ours, telegraf}, rate, cpu, rss, anon)
	table(casePlan, fmt.Sprintf("%d points scattered over %d registers; at least %d requests of %d registers cover them",
		scatteredPoints, scatteredOver, fewest(scattered()), perRequest), "requests", slices.Sorted(maps.Keys(all[casePlan])), count)
	table(caseGateway, "10,000 contiguous points once a second, the whole gateway", "points/s | µs a point | RSS MB | anonymous MB", []string{ours}, rate, cpu, rss, anon)
}

// judge holds what was measured against the goals.
func judge(all results) (goals []measure.Goal) {
	goal := func(name, of, wish string) measure.Goal { return measure.Goal{Name: of, Case: name, Wish: wish} }
	loops := all[caseLoop]
	goals = append(goals, goal(caseLoop, "one device over TCP", "at least 0.9 of a bare loop").
		Compare(measure.Ratios(loops[ours], loops[bare], rate), "", 0.9, false))
	for _, l := range wires {
		goals = append(goals, goal(caseWire, "RTU, "+l.String(), "at least 0.97 of the least time").
			Compare(measure.Values(all[caseWire][l.String()], share), "", 0.97, false))
	}
	fleets := all[caseFleet]
	goals = append(goals,
		goal(caseFleet, "100,000 points a second", "all of them").Compare(measure.Values(fleets[ours], rate), "/s", 0.99*fleetDevices*fleetPoints*10, false),
		goal(caseFleet, "processor time a point", "at most half of Telegraf's").Compare(measure.Ratios(fleets[ours], fleets[telegraf], cpu), "", 0.5, true),
		goal(caseFleet, "RSS", "at most half of Telegraf's").Compare(measure.Ratios(fleets[ours], fleets[telegraf], rss), "", 0.5, true),
		goal(caseGateway, "10,000 points a second", "at most 60 MB RSS").Compare(measure.Values(all[caseGateway][ours], rss), "MB", 60, true))
	return goals
}
