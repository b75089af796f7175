package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"sluice/bench/measure"
)

const (
	most      = 1000.0 // milliseconds to the drawn chart
	chartWide = 1264   // columns, as the page asks for in a window of 1280
)

// What is looked at.
const (
	oneDevice   = "4 points of one device"
	fourDevices = "a point each of four devices"
)

// trends fills a log, runs a gateway on it and looks at the whole day, over the API and in a browser.
func (p *plan) trends(ctx context.Context, in surroundings) error {
	others := p.others * p.readings / p.every
	say("filling the log with %d readings of %d devices that are looked at, and %d of %d others", p.readings*(1+beside), 1+beside, others, p.others)
	began := time.Now()
	end, err := p.fill(ctx, logDir(in.dir))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	say("filled in %v", time.Since(began).Round(time.Second))
	g, err := start(ctx, in.binary, in.dir, "")
	if err != nil {
		return err
	}
	defer g.process.Kill()
	day := window{end.Add(-time.Duration(p.readings) * time.Second), end}
	asked := map[string][]string{oneDevice: nil, fourDevices: nil}
	for _, name := range pointNames {
		asked[oneDevice] = append(asked[oneDevice], alone+"/"+name)
	}
	for i := range beside {
		asked[fourDevices] = append(asked[fourDevices], besideName(i)+"/value")
	}
	all := map[string]map[string][]outcome{"API": {}, "chart, page open": {}, "chart, page and all": {}}
	for round := range p.rounds {
		say("round %d of %d", round+1, p.rounds)
		for _, what := range []string{oneDevice, fourDevices} {
			api, err := g.ask(ctx, asked[what], day, p.readings)
			all["API"][what] = append(all["API"][what], outcome{api, err})
			open, whole, err := p.draw(ctx, g, asked[what], day)
			all["chart, page open"][what] = append(all["chart, page open"][what], outcome{open, err})
			all["chart, page and all"][what] = append(all["chart, page and all"][what], outcome{whole, err})
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	p.reportTrends(os.Stdout, all)
	return nil
}

func (p *plan) reportTrends(w io.Writer, all map[string]map[string][]outcome) {
	fmt.Fprintf(w, "%s\n\n**%d readings a device, one a second, among those of %d other devices, each every %d s** (`%s`)\n\n", measure.Machine(), p.readings, p.others, p.every, caseTrends)
	fmt.Fprintf(w, "| ms | %s | %s |\n|---|---|---|\n", oneDevice, fourDevices)
	var goals []measure.Goal
	for _, how := range []string{"API", "chart, page open", "chart, page and all"} {
		fmt.Fprintf(w, "| %s | %s | %s |\n", how, measure.Spread(all[how][oneDevice], took, measure.Short), measure.Spread(all[how][fourDevices], took, measure.Short))
		for _, what := range []string{oneDevice, fourDevices} {
			for _, o := range all[how][what] {
				if o.wrong != nil {
					fmt.Fprintf(os.Stderr, "%s, %s: %v\n", how, what, o.wrong)
				}
			}
		}
	}
	for _, what := range []string{oneDevice, fourDevices} {
		tries := all["chart, page open"][what]
		g := measure.Goal{Name: "trends", Case: caseTrends, Wish: fmt.Sprintf("a day of %s drawn in under 1 s", what)}
		goals = append(goals, measure.Settle(g.Compare(measure.Values(tries, took), "ms", most, true), tries))
	}
	fmt.Fprintln(w)
	measure.Summary(w, goals)
}

type window struct{ from, to time.Time }

// ask asks for the courses until they are complete, and gives the milliseconds from the first request to the last byte.
func (g *gateway) ask(ctx context.Context, points []string, day window, readings int) (float64, error) {
	query := url.Values{"point": points, "from": {day.from.UTC().Format(time.RFC3339)}, "to": {day.to.UTC().Format(time.RFC3339)}, "width": {fmt.Sprint(chartWide)}}
	counts := make([]int, len(points))
	began := time.Now()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+"/api/v1/trends?"+query.Encode(), nil)
		if err != nil {
			return 0, err
		}
		request.Header.Set("Authorization", "Bearer "+g.token)
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, err
		}
		var answer struct {
			Complete bool
			Next     string
			Series   []struct{ Count int }
		}
		err = json.NewDecoder(got.Body).Decode(&answer)
		got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK {
			return 0, errors.Join(fmt.Errorf("answered %s", got.Status), err)
		}
		for i, s := range answer.Series {
			counts[i] += s.Count
		}
		if answer.Complete {
			break
		}
		query.Set("next", answer.Next)
	}
	spent := float64(time.Since(began).Microseconds()) / 1000
	for i, n := range counts {
		if n != readings {
			return spent, fmt.Errorf("%s has %d values, want %d", points[i], n, readings)
		}
	}
	return spent, nil
}

// draw lets a browser look, once from another part of the page that is open, and once with an empty cache.
func (p *plan) draw(ctx context.Context, g *gateway, points []string, day window) (open, whole float64, err error) {
	var drawn struct{ Open, Whole float64 }
	err = p.browse(ctx, "draw.mjs", 2*time.Minute, map[string]any{"url": g.base, "points": points, "from": day.from.UTC(), "to": day.to.UTC()}, &drawn)
	return drawn.Open, drawn.Whole, err
}
