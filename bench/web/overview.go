package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/bench/measure"
)

const (
	pageMost    = 10.0 // percent of one core, of renderer and GPU process together
	gatewayMost = 3.0  // percent of one core more than without a page
	growthMost  = 1.0  // MB in ten minutes; what V8 keeps of its own varies by some hundred kB
	judgedFrom  = 600  // seconds from which growth can be told from warming up
	settle      = 10   // seconds after the start of the gateway, and of the page, that do not count
)

// view is a part of the page that is looked at; shown is there when it is.
type view struct{ name, hash, shown string }

func (p *plan) views() []view {
	return []view{
		{"Overview", "#/", "[data-verdict]"},
		{"Devices", "#/devices", "[data-device]"},
		{"one device", "#/devices/" + deviceName(0), "[data-point]"},
	}
}

// seen is one look at one view. Cores are parts of one core.
type seen struct {
	Cores   struct{ Gateway, Renderer, GPU, Rest float64 }
	Samples []sample
	without float64 // of the gateway, before
	wrong   error
}

// sample is what the page held after a garbage collection.
type sample struct{ Second, Heap, Nodes, Listeners float64 }

// Failed implements measure.Outcome.
func (s seen) Failed() bool { return s.wrong != nil }

func (s seen) page() float64 { return 100 * (s.Cores.Renderer + s.Cores.GPU) }
func (s seen) more() float64 { return 100 * (s.Cores.Gateway - s.without) }
func (s seen) first() sample { return s.Samples[0] }
func (s seen) last() sample  { return s.Samples[len(s.Samples)-1] }

// growth is in MB in ten minutes.
func (s seen) growth() float64 { return slope(s.Samples) * 600 / 1e6 }

// slope is by how many bytes a second the heap grows, by least squares. The first sample is from before the page had
// drawn everything once, and does not count where there are enough others.
func slope(of []sample) float64 {
	if len(of) > 3 {
		of = of[1:]
	}
	var x, y, xy, xx float64
	for _, s := range of {
		x, y = x+s.Second/float64(len(of)), y+s.Heap/float64(len(of))
	}
	for _, s := range of {
		xy, xx = xy+(s.Second-x)*(s.Heap-y), xx+(s.Second-x)*(s.Second-x)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// overview leaves the page open on a large plant, each view in a browser of its own, and before each round the gateway
// alone.
func (p *plan) overview(ctx context.Context, in surroundings) error {
	all, err := p.plant(ctx, in)
	if err != nil {
		return err
	}
	defer all.close()
	measure.Pause(ctx, settle*time.Second)
	got := map[string][]seen{}
	for round := range p.rounds {
		say("overview: round %d of %d, the gateway alone", round+1, p.rounds)
		without, err := coresOf(ctx, all.process.PID(), time.Duration(p.seconds)*time.Second)
		if err != nil {
			return errors.Join(err, all.alive())
		}
		for _, v := range p.views() {
			say("overview: round %d of %d, %s", round+1, p.rounds, v.name)
			s := seen{without: without}
			s.wrong = p.browse(ctx, "overview.mjs", time.Duration(p.seconds)*2*time.Second+2*time.Minute, map[string]any{
				"url": all.base, "hash": v.hash, "shown": v.shown, "gateway": all.process.PID(), "seconds": p.seconds, "settle": settle,
			}, &s)
			if s.wrong == nil && len(s.Samples) < 2 {
				s.wrong = errors.New("the browser has no samples")
			}
			failed(v.name, s.wrong)
			got[v.name] = append(got[v.name], s)
			if err := errors.Join(ctx.Err(), all.alive()); err != nil {
				return err
			}
		}
	}
	p.reportOverview(os.Stdout, got)
	return nil
}

// coresOf is how much of one core a process uses.
func coresOf(ctx context.Context, pid int, d time.Duration) (float64, error) {
	before, err1 := measure.ProcessorTime(measure.Proc(pid))
	began := time.Now()
	measure.Pause(ctx, d)
	spent := time.Since(began)
	after, err2 := measure.ProcessorTime(measure.Proc(pid))
	return (after - before).Seconds() / spent.Seconds(), errors.Join(err1, err2, ctx.Err())
}

func (p *plan) reportOverview(w io.Writer, got map[string][]seen) {
	fmt.Fprintf(w, "%s\n\n**An open page, %d devices of %d points, each every second, %d s a view** (`%s`)\n\n", measure.Machine(), p.devices, p.points, p.seconds, caseOverview)
	fmt.Fprintf(w, "| %% of one core | renderer and GPU process | of it GPU | rest of the browser | gateway, page open | without | more |\n|---|---|---|---|---|---|---|\n")
	for _, v := range p.views() {
		spread := func(what func(seen) float64) string { return measure.Spread(got[v.name], what, measure.Digits) }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", v.name, spread(seen.page), spread(func(s seen) float64 { return 100 * s.Cores.GPU }),
			spread(func(s seen) float64 { return 100 * s.Cores.Rest }), spread(func(s seen) float64 { return 100 * s.Cores.Gateway }),
			spread(func(s seen) float64 { return 100 * s.without }), spread(seen.more))
	}
	fmt.Fprintf(w, "\n| after garbage collection | heap at first, MB | at last | growth in 10 min, MB | DOM nodes at first | at last | listeners at first | at last |\n|---|---|---|---|---|---|---|---|\n")
	for _, v := range p.views() {
		spread := func(what func(seen) float64) string { return measure.Spread(got[v.name], what, measure.Short) }
		growth := "–" // warming up is all that a short look sees
		if p.seconds >= judgedFrom {
			growth = spread(seen.growth)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", v.name, spread(func(s seen) float64 { return s.first().Heap / 1e6 }), spread(func(s seen) float64 { return s.last().Heap / 1e6 }),
			growth, spread(func(s seen) float64 { return s.first().Nodes }), spread(func(s seen) float64 { return s.last().Nodes }),
			spread(func(s seen) float64 { return s.first().Listeners }), spread(func(s seen) float64 { return s.last().Listeners }))
	}
	var goals []measure.Goal
	judge := func(v view, wish string, what func(seen) float64, unit string, most float64) {
		g := measure.Goal{Name: v.name, Case: caseOverview, Wish: wish}
		goals = append(goals, measure.Settle(g.Compare(measure.Values(got[v.name], what), unit, most, true), got[v.name]))
	}
	for _, v := range p.views() {
		judge(v, "renderer and GPU process together under 10 % of one core", seen.page, "%", pageMost)
		judge(v, "at most 3 % of one core more in the gateway", seen.more, "%", gatewayMost)
		if p.seconds >= judgedFrom {
			judge(v, "no growth: under 1 MB in 10 minutes", seen.growth, "MB", growthMost)
		}
	}
	measure.Summary(w, goals)
}
