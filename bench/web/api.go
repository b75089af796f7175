package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sluice/bench/measure"
)

// What is asked for, and over how many connections.
var (
	apiPaths = [...]string{"/api/v1/status?points=none", "/api/v1/session", "/healthz"}
	apiConns = [...]int{1, 16}
)

// served is what a server did in one round.
type served struct {
	rate  float64 // requests a second
	each  float64 // processor time of the server for each, in microseconds
	held  float64 // RSS at most, in MB
	bytes float64 // of a body
	wrong error
}

// Failed implements measure.Outcome.
func (s served) Failed() bool { return s.wrong != nil }

// contestant is a server that can be asked.
type contestant struct {
	name    string
	process *measure.Process
	address string
	path    func(path string) string
}

// asked is one cell of the table.
type asked struct {
	who, path string
	conns     int
}

// api asks a gateway with devices that it polls, and in turns a bare program of gin that answers JSON as long.
func (p *plan) api(ctx context.Context, in surroundings) error {
	all, err := p.plant(ctx, in)
	if err != nil {
		return err
	}
	defer all.close()
	token, err := all.program(ctx)
	if err != nil {
		return err
	}
	measure.Pause(ctx, settle*time.Second)
	idle, err := coresOf(ctx, all.process.PID(), 5*time.Second)
	if err != nil {
		return err
	}
	ours := contestant{"gateway", all.process, all.base[len("http://"):], func(path string) string { return path }}
	sizes := map[string]string{}
	for _, path := range apiPaths {
		size, err := length(ctx, all.base+path, token)
		if err != nil {
			return err
		}
		sizes[path] = strconv.Itoa(size)
	}
	bare, err := startBare(ctx, p.root, in.dir, sizes)
	if err != nil {
		return err
	}
	defer bare.process.Kill()
	got := map[asked][]served{}
	for round := range p.rounds {
		say("api: round %d of %d", round+1, p.rounds)
		for _, path := range apiPaths {
			for _, conns := range apiConns {
				turn := []contestant{ours, bare}
				if round%2 == 1 {
					slices.Reverse(turn)
				}
				for _, c := range turn {
					s := c.serve(ctx, path, token, conns, p.each)
					failed(fmt.Sprintf("%s, %s, %d connections", c.name, path, conns), s.wrong)
					key := asked{c.name, path, conns}
					got[key] = append(got[key], s)
					if err := errors.Join(ctx.Err(), all.alive(), bare.process.Alive()); err != nil {
						return err
					}
				}
			}
		}
	}
	p.reportAPI(os.Stdout, got, idle)
	return nil
}

// startBare builds and starts the bare program.
func startBare(ctx context.Context, root, dir string, sizes map[string]string) (c contestant, err error) {
	program := filepath.Join(dir, "bare")
	if err := measure.Build(filepath.Join(root, "bench/web"), program, "./bare"); err != nil {
		return c, err
	}
	address, err := measure.FreeAddress()
	if err != nil {
		return c, err
	}
	args := []string{program, address}
	for _, size := range sizes {
		if !slices.Contains(args, size) {
			args = append(args, size)
		}
	}
	process, err := measure.Start("bare gin", dir, filepath.Join(dir, "bare.log"), nil, args...)
	if err != nil {
		return c, err
	}
	c = contestant{"bare gin", process, address, func(path string) string { return "/" + sizes[path] }}
	return c, process.Until(ctx, func() error {
		for _, path := range apiPaths {
			if _, err := length(ctx, "http://"+address+c.path(path), ""); err != nil {
				return err
			}
		}
		return nil
	})
}

// length is that of an answer's body.
func length(ctx context.Context, url, token string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		return 0, errors.Join(fmt.Errorf("GET %s is answered %s", url, got.Status), err)
	}
	return len(body), nil
}

// serve asks one server for one path over so many connections.
func (c contestant) serve(ctx context.Context, path, token string, conns int, d time.Duration) (s served) {
	text := "GET " + c.path(path) + " HTTP/1.1\r\nHost: " + c.address + "\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	// The first requests open connections and let the heap grow to what it will be.
	if _, s.wrong = ask(ctx, c.address, text, conns, d/4); s.wrong != nil {
		return s
	}
	before, err := measure.ProcessorTime(measure.Proc(c.process.PID()))
	if err != nil {
		s.wrong = err
		return s
	}
	follower := measure.Follow(c.process.PID())
	began := time.Now()
	total, err := ask(ctx, c.address, text, conns, d)
	spent := time.Since(began)
	follower.End()
	after, err2 := measure.ProcessorTime(measure.Proc(c.process.PID()))
	if s.wrong = errors.Join(err, err2); s.wrong != nil {
		return s
	}
	n := float64(total.requests)
	return served{rate: n / spent.Seconds(), each: float64((after - before).Microseconds()) / n, held: follower.Most().RSS(), bytes: float64(total.bytes) / n}
}

func (p *plan) reportAPI(w io.Writer, got map[asked][]served, idle float64) {
	fmt.Fprintf(w, "%s\n\n**The API beside a bare handler of gin that answers JSON as long to anybody** (`%s`). The gateway polls %d devices of %d points every second all the while, which takes %s %% of one core.\n\n", measure.Machine(), caseAPI, p.devices, p.points, measure.Digits(100*idle))
	fmt.Fprintf(w, "| | bytes | connections | gateway, requests/s | bare gin | ratio | gateway, µs of processor a request | bare gin | gateway, RSS in MB | bare gin |\n|---|---|---|---|---|---|---|---|---|---|\n")
	rate, each := func(s served) float64 { return s.rate }, func(s served) float64 { return s.each }
	held, bytes := func(s served) float64 { return s.held }, func(s served) float64 { return s.bytes }
	for _, path := range apiPaths {
		for _, conns := range apiConns {
			ours, bare := got[asked{"gateway", path, conns}], got[asked{"bare gin", path, conns}]
			fmt.Fprintf(w, "| `%s` | %.0f | %d | %s | %s | %s | %s | %s | %s | %s |\n", path, measure.MedianOf(ours, bytes), conns,
				measure.Spread(ours, rate, measure.Short), measure.Spread(bare, rate, measure.Short), measure.SpreadOf(measure.Ratios(ours, bare, rate), measure.Digits),
				measure.Spread(ours, each, measure.Digits), measure.Spread(bare, each, measure.Digits), measure.Spread(ours, held, measure.Digits), measure.Spread(bare, held, measure.Digits))
		}
	}
}
