package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sluice/bench/measure"
)

const (
	password  = "bench-password-of-a-day"
	most      = 1000.0 // milliseconds to the drawn chart
	chartWide = 1264   // columns, as the page asks for in a window of 1280
)

// What is looked at.
const (
	oneDevice   = "4 points of one device"
	fourDevices = "a point each of four devices"
)

// trends fills a log, runs a gateway on it and looks at the whole day, over the API and in a browser.
func (p *plan) trends(ctx context.Context) error {
	dir, err := measure.OnRealDisk(p.dir, p.root, "sluice-web-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := measure.Gateway(p.root, p.sluice, "", dir)
	if err != nil {
		return err
	}
	others := p.others * p.readings / p.every
	say("filling the log with %d readings of %d devices that are looked at, and %d of %d others", p.readings*(1+beside), 1+beside, others, p.others)
	began := time.Now()
	end, err := p.fill(ctx, logDir(dir))
	if err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	say("filled in %v", time.Since(began).Round(time.Second))
	g, err := p.start(ctx, binary, dir)
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
			open, whole, err := g.draw(ctx, p.root, asked[what], day)
			all["chart, page open"][what] = append(all["chart, page open"][what], outcome{open, err})
			all["chart, page and all"][what] = append(all["chart, page and all"][what], outcome{whole, err})
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	p.report(os.Stdout, all)
	return nil
}

func (p *plan) report(w io.Writer, all map[string]map[string][]outcome) {
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

// gateway is one that runs, and a session with it.
type gateway struct {
	process *measure.Process
	base    string
	token   string
}

func (p *plan) start(ctx context.Context, binary, dir string) (*gateway, error) {
	address, err := measure.FreeAddress()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("gateway: {name: %s}\nstore: {dir: %q, limit: 32GiB}\nweb: {listen: %q}\n", gatewayName, logDir(dir), address)
	file := filepath.Join(dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	process, err := measure.Start("the gateway", dir, filepath.Join(dir, "log"), []string{"SLUICE_ADMIN_PASSWORD=" + password}, binary, "run", "--config", file)
	if err != nil {
		return nil, err
	}
	g := &gateway{process: process, base: "http://" + address}
	return g, process.Until(ctx, func() error { return g.signIn(ctx) })
}

func (g *gateway) signIn(ctx context.Context) error {
	body, err := json.Marshal(map[string]string{"user": "admin", "password": password})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.base+"/api/v1/session", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Requested-With", "sluice")
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	var opened struct{ Token string }
	if err := json.NewDecoder(got.Body).Decode(&opened); err != nil || opened.Token == "" {
		return errors.Join(fmt.Errorf("signing in is answered %s", got.Status), err)
	}
	g.token = opened.Token
	return nil
}

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
func (g *gateway) draw(ctx context.Context, root string, points []string, day window) (open, whole float64, err error) {
	want, err := json.Marshal(map[string]any{
		"url": g.base, "password": password, "points": points, "from": day.from.UTC(), "to": day.to.UTC(), "modules": filepath.Join(root, "web/ui/"),
	})
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(root, "bench/web/draw.mjs"), string(want))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("the browser: %w", err)
	}
	var drawn struct{ Open, Whole float64 }
	if err := json.Unmarshal(out, &drawn); err != nil {
		return 0, 0, fmt.Errorf("the browser says %q: %w", out, err)
	}
	return drawn.Open, drawn.Whole, nil
}
