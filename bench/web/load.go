package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/bench/measure"
)

// The line that the page comes over.
const (
	lineMbit     = 10
	lineRound    = 20     // milliseconds there and back
	loadMost     = 1500.0 // milliseconds until somebody can sign in
	overHTTP     = "HTTP"
	overHTTPS    = "HTTPS"
	loadPatience = time.Minute
)

// loaded is one first load.
type loaded struct {
	Paint, Usable   float64 // milliseconds
	Bytes, Requests float64
	Protocol        string
	Browser         string
	wrong           error
}

// Failed implements measure.Outcome.
func (l loaded) Failed() bool { return l.wrong != nil }

// load opens the page with an empty cache, with and without TLS in turns.
func (p *plan) load(ctx context.Context, in surroundings) error {
	plain, err := measure.FreeAddress()
	if err != nil {
		return err
	}
	secure, err := measure.FreeAddress()
	if err != nil {
		return err
	}
	g, err := startAt(ctx, in.binary, in.dir, plain, fmt.Sprintf("web: {listen: %q, tls: {listen: %q}}\n", plain, secure))
	if err != nil {
		return err
	}
	defer g.process.Kill()
	all := map[string][]loaded{}
	for round := range p.rounds {
		say("load: round %d of %d", round+1, p.rounds)
		for _, way := range []struct{ name, url string }{{overHTTP, "http://" + plain}, {overHTTPS, "https://" + secure}} {
			var l loaded
			l.wrong = p.browse(ctx, "load.mjs", loadPatience, map[string]any{"url": way.url, "mbit": lineMbit, "latency": lineRound}, &l)
			failed(way.name, l.wrong)
			all[way.name] = append(all[way.name], l)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	p.reportLoad(os.Stdout, all)
	return nil
}

func (p *plan) reportLoad(w io.Writer, all map[string][]loaded) {
	var browser string
	for _, l := range measure.Good(append(all[overHTTP], all[overHTTPS]...)) {
		browser = l.Browser
	}
	fmt.Fprintf(w, "%s, Chromium %s\n\n**First load over %d Mbit/s with %d ms there and back, empty cache** (`%s`)\n\n", measure.Machine(), browser, lineMbit, lineRound, caseLoad)
	fmt.Fprintf(w, "| | protocol | first contentful paint, ms | sign-in usable, ms | kB | requests |\n|---|---|---|---|---|---|\n")
	var goals []measure.Goal
	for _, way := range []string{overHTTP, overHTTPS} {
		tries := all[way]
		protocol := "–"
		for _, l := range measure.Good(tries) {
			protocol = l.Protocol
		}
		spread := func(what func(loaded) float64) string { return measure.Spread(tries, what, measure.Digits) }
		usable := func(l loaded) float64 { return l.Usable }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %.0f |\n", way, protocol, spread(func(l loaded) float64 { return l.Paint }), spread(usable),
			spread(func(l loaded) float64 { return l.Bytes / 1000 }), measure.MedianOf(tries, func(l loaded) float64 { return l.Requests }))
		g := measure.Goal{Name: "first load", Case: caseLoad, Wish: "sign-in usable in under 1.5 s over " + way}
		goals = append(goals, measure.Settle(g.Compare(measure.Values(tries, usable), "ms", loadMost, true), tries))
	}
	measure.Summary(w, goals)
}
