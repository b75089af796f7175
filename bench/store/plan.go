package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"sluice/bench/measure"
)

// plan is what one call of the benchmark measures.
type plan struct {
	rounds    int
	seconds   float64
	sustained float64
	messages  int
	read      int
	backlog   int
	churn     float64
	trickle   float64
	month     int
	only      string
	dir       string
}

func (p plan) run(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d rounds in turns, min / median / max; ratio: to the plain file in the same round\n\n", measure.Machine(), p.rounds)
	parts := []struct {
		name string
		run  func(io.Writer) error
	}{
		{"append", p.appends},
		{"groups", p.groups},
		{"churn", p.fifo},
		{"read", p.reads},
		{"open", p.opens},
		{"keys", p.keys},
		{"memory", p.memory},
		{"trickle", p.trickles},
		{"month", p.months},
	}
	for _, part := range parts {
		if !strings.Contains(part.name, p.only) {
			continue
		}
		if err := part.run(w); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintln(w)
	}
	return nil
}

var everybody = []string{file, ours, bolt, pebbly}

// appends compares the contestants under waiting appenders and under one with a wide window.
func (p plan) appends(w io.Writer) error {
	fmt.Fprintln(w, "| case | contestant | messages/s | ratio | p50 / p99 µs | CPU µs/message | written/payload | anon MB |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, c := range []struct {
		name string
		job  job
	}{
		{"pipelined, window 65,536", job{Case: "pipelined", N: 65536, Seconds: p.sustained}},
		{"256 appenders", job{Case: "append", N: 256, Seconds: p.seconds}},
		{"16 appenders", job{Case: "append", N: 16, Seconds: p.seconds}},
		{"1 appender", job{Case: "append", N: 1, Seconds: p.seconds}},
	} {
		all, err := p.compare(everybody, c.job)
		if err != nil {
			return err
		}
		for _, name := range everybody {
			of := all[name]
			fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f / %.0f | %.2f | %.2f | %.1f |\n", c.name, name,
				spread(of, rate), ratios(of, all[file], rate), measure.MedianOf(of, func(r result) float64 { return r.P50 }),
				measure.MedianOf(of, func(r result) float64 { return r.P99 }), measure.MedianOf(of, func(r result) float64 { return r.CPU }),
				measure.MedianOf(of, func(r result) float64 { return r.Written }), measure.MedianOf(of, func(r result) float64 { return r.Anon }))
		}
	}
	return nil
}

// groups measures what is written for groups of 200 that are waited for.
func (p plan) groups(w io.Writer) error {
	fmt.Fprintln(w, "| groups of 200 | messages/s | ratio | written/payload |")
	fmt.Fprintln(w, "|---|---|---|---|")
	all, err := p.compare(everybody, job{Case: "groups", N: 200, Seconds: p.seconds})
	if err != nil {
		return err
	}
	for _, name := range everybody {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", name, spread(all[name], rate), ratios(all[name], all[file], rate),
			spreadFine(all[name], func(r result) float64 { return r.Written }))
	}
	return nil
}

func (p plan) fifo(w io.Writer) error {
	fmt.Fprintln(w, "| first in, first out | messages/s | live MB | disk median MB | disk peak MB | median/live | peak/live | written/payload | anon MB |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	all, err := p.compare([]string{ours}, job{Case: "churn", N: p.backlog, Seconds: p.churn})
	if err != nil {
		return err
	}
	of := all[ours]
	fmt.Fprintf(w, "| backlog %d | %s | %.1f | %s | %s | %.2f | %.2f | %.2f | %.1f |\n", p.backlog, spread(of, rate),
		measure.MedianOf(of, live), spread(of, func(r result) float64 { return r.DiskMedian }), spread(of, func(r result) float64 { return r.DiskPeak }),
		measure.MedianOf(of, func(r result) float64 { return r.DiskMedian / r.Live }), measure.MedianOf(of, func(r result) float64 { return r.DiskPeak / r.Live }),
		measure.MedianOf(of, func(r result) float64 { return r.Written }), measure.MedianOf(of, func(r result) float64 { return r.Anon }))
	return nil
}

func (p plan) reads(w io.Writer) error {
	fmt.Fprintln(w, "| reading in order | cold messages/s | warm messages/s | ratio | CPU µs/message | delivered by a consumer |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	dirs := make(map[string]string)
	for _, name := range []string{file, ours} {
		dir, err := os.MkdirTemp(p.dir, "store-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if _, err := (job{Case: "fill", Engine: name, Dir: dir, N: p.read}).child(); err != nil {
			return err
		}
		dirs[name] = dir
	}
	all := make(map[string][]result)
	for range p.rounds {
		for _, name := range []string{file, ours} {
			r, err := (job{Case: "read", Engine: name, Dir: dirs[name], N: p.read}).child()
			if err != nil {
				return err
			}
			all[name] = append(all[name], r)
		}
	}
	for _, name := range []string{file, ours} {
		of := all[name]
		warm := func(r result) float64 { return r.Warm }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.2f | %s |\n", name, spread(of, func(r result) float64 { return r.Cold }),
			spread(of, warm), ratios(of, all[file], warm), measure.MedianOf(of, func(r result) float64 { return r.CPU }),
			spread(of, func(r result) float64 { return r.Delivered }))
	}
	return nil
}

func (p plan) opens(w io.Writer) error {
	fmt.Fprintf(w, "| opening a log of %d messages | ms | anon MB |\n|---|---|---|\n", p.messages)
	for _, c := range []struct {
		name, fill     string
		fills, opening int
		warm           bool
	}{
		{"after a clean close, from the disk", "fill", 1, p.rounds, false},
		{"after a clean close, files in memory", "fill", 1, p.rounds, true},
		{"after kill -9, from the disk (first opening only)", "fillkill", max(1, min(3, p.rounds)), 1, false},
	} {
		var all []result
		for range c.fills {
			of, err := p.opening(c.fill, c.opening, c.warm)
			if err != nil {
				return err
			}
			all = append(all, of...)
		}
		fmt.Fprintf(w, "| %s | %s | %.1f |\n", c.name, spread(all, func(r result) float64 { return r.Open }),
			measure.MedianOf(all, func(r result) float64 { return r.Anon }))
	}
	return nil
}

// opening fills a log and opens it n times.
func (p plan) opening(fill string, n int, warm bool) (all []result, err error) {
	dir, err := os.MkdirTemp(p.dir, "store-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := (job{Case: fill, Engine: ours, Dir: dir, N: p.messages}).child(); err != nil {
		return nil, err
	}
	for range n {
		r, err := (job{Case: "open", Engine: ours, Dir: dir, N: p.messages, Warm: warm}).child()
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (p plan) memory(w io.Writer) error {
	fmt.Fprintln(w, "| 20,000 readings a second, backlog 100,000 | messages/s | anon MB | RSS MB | CPU µs/message | written/payload | disk peak MB |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	all, err := p.compare([]string{ours}, job{Case: "pace", N: 100_000, Seconds: max(10, p.churn/2)})
	if err != nil {
		return err
	}
	of := all[ours]
	fmt.Fprintf(w, "| sluice | %s | %s | %s | %.2f | %.2f | %.1f |\n", spread(of, rate), spread(of, func(r result) float64 { return r.Anon }),
		spread(of, func(r result) float64 { return r.RSS }), measure.MedianOf(of, func(r result) float64 { return r.CPU }),
		measure.MedianOf(of, func(r result) float64 { return r.Written }), measure.MedianOf(of, func(r result) float64 { return r.DiskPeak }))
	return nil
}

// trickles run beside one another: each is idle nearly all the time.
func (p plan) trickles(w io.Writer) error {
	fmt.Fprintln(w, "| 10 readings a second, one by one | written/payload | MB written a day | CPU % of a core | anon MB |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	lingers := []time.Duration{-1, 500 * time.Millisecond, time.Second, 2 * time.Second}
	type outcome struct {
		result
		err error
	}
	results := make([]chan outcome, len(lingers))
	for i, linger := range lingers {
		dir, err := os.MkdirTemp(p.dir, "store-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		results[i] = make(chan outcome, 1)
		go func() {
			r, err := (job{Case: "trickle", Engine: ours, Dir: dir, Seconds: p.trickle, Linger: linger}).child()
			results[i] <- outcome{r, err}
		}()
	}
	var failure error
	for i, linger := range lingers {
		r := <-results[i]
		failure = errors.Join(failure, r.err)
		name := "linger " + linger.String()
		if linger < 0 {
			name = "without linger"
		}
		fmt.Fprintf(w, "| %s | %.2f | %.0f | %.2f | %.1f |\n", name, r.Written, r.PerDay, r.CPU, r.Anon)
	}
	return failure
}

// compare runs a job with every contestant in each round, the order turning by one.
func (p plan) compare(names []string, j job) (map[string][]result, error) {
	all := make(map[string][]result)
	for round := range p.rounds {
		for i := range names {
			j.Engine = names[(i+round)%len(names)]
			r, err := p.fresh(j)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.Engine, err)
			}
			all[j.Engine] = append(all[j.Engine], r)
		}
	}
	return all, nil
}

// fresh runs a job in a new directory.
func (p plan) fresh(j job) (result, error) {
	dir, err := os.MkdirTemp(p.dir, "store-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	j.Dir = dir
	return j.child()
}

// child runs the job in a process of its own.
func (j job) child() (result, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return result{}, err
	}
	command := exec.Command("/proc/self/exe", "-one", string(text))
	command.Stderr = os.Stderr
	out, err := command.Output()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok && j.Case == "fillkill" {
		if status, ok := exited.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
			return result{}, nil
		}
	}
	if err != nil {
		return result{}, err
	}
	var r result
	return r, json.Unmarshal(out, &r)
}

func rate(r result) float64 { return r.Rate }
func live(r result) float64 { return r.Live }

func spread(of []result, what func(result) float64) string {
	return three("%.0f", measure.Values(of, what))
}

func spreadFine(of []result, what func(result) float64) string {
	return three("%.2f", measure.Values(of, what))
}

func ratios(of, to []result, what func(result) float64) string {
	return three("%.2f", measure.Ratios(of, to, what))
}

// three writes the smallest, the median and the largest of a sorted list.
func three(format string, list []float64) string {
	if len(list) == 0 {
		return "–"
	}
	return fmt.Sprintf(format+" / "+format+" / "+format, list[0], measure.Median(list), list[len(list)-1])
}
