// Command web measures what the page and its API take: the first load over a slow line, an open page on a large
// plant, a day of trends from the log to the drawn chart, a paste of thousands of points, and requests a second.
// Whether a goal is reached is judged, never asserted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice/bench/measure"
)

// plan is what to measure.
type plan struct {
	rounds                   int
	readings, others, every  int           // trends
	devices, points, seconds int           // overview
	each                     time.Duration // api
	rows                     int           // points
	root, dir, sluice        string
}

const (
	caseTrends   = "trends"
	caseLoad     = "load"
	caseOverview = "overview"
	caseAPI      = "api"
	casePoints   = "points"
)

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every case is measured once")
	flag.IntVar(&p.readings, "readings", 86_400, "trends: readings of each device that is looked at, one a second")
	flag.IntVar(&p.others, "others", 200, "trends: other devices in the log")
	flag.IntVar(&p.every, "every", 10, "trends: seconds from one reading of another device to the next")
	flag.IntVar(&p.devices, "devices", 200, "overview, api: devices of the gateway")
	flag.IntVar(&p.points, "points", 25, "overview, api: points of each device, read every second")
	flag.IntVar(&p.seconds, "seconds", 60, "overview: how long each view is looked at; from 600 on growth is judged")
	flag.DurationVar(&p.each, "each", 2*time.Second, "api: how long each server is asked")
	flag.IntVar(&p.rows, "rows", 5000, "points: rows that are pasted")
	flag.StringVar(&p.dir, "dir", "", "directory on the disk for the log; default: the temporary one, or .cache where that is in memory")
	flag.StringVar(&p.sluice, "sluice", "", "another binary of the gateway than bin/sluice")
	flag.StringVar(&p.root, "root", ".", "the repository")
	flag.Parse()
	cases := map[string]func(context.Context, surroundings) error{
		caseTrends: p.trends, caseLoad: p.load, caseOverview: p.overview, caseAPI: p.api, casePoints: p.paste,
	}
	names := []string{caseLoad, caseOverview, caseTrends, casePoints, caseAPI}
	asked := flag.Args()
	if len(asked) == 0 {
		asked = names
	}
	for _, name := range asked {
		if cases[name] == nil {
			fail(fmt.Errorf("there is no case %q, only %s", name, strings.Join(names, ", ")))
		}
	}
	if min(p.rounds, p.seconds, p.devices, p.points, p.rows, p.readings, p.every) < 1 || p.each <= 0 {
		fail(fmt.Errorf("what is counted begins at 1"))
	}
	for _, path := range []*string{&p.root, &p.dir, &p.sluice} {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		fail(err)
		*path = full
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	for _, name := range names {
		if slices.Contains(asked, name) && err == nil {
			err = p.within(ctx, cases[name])
		}
	}
	stop()
	fail(err)
}

// surroundings are what a case has to itself: a directory on the disk that is removed after it, and the gateway's
// program.
type surroundings struct{ dir, binary string }

func (p *plan) within(ctx context.Context, run func(context.Context, surroundings) error) error {
	dir, err := measure.OnRealDisk(p.dir, p.root, "sluice-web-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := measure.Gateway(p.root, p.sluice, "", dir)
	if err != nil {
		return err
	}
	return run(ctx, surroundings{dir, binary})
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "web benchmark:", err)
		os.Exit(1)
	}
}

// outcome is one measurement, in milliseconds.
type outcome struct {
	took  float64
	wrong error
}

// Failed implements measure.Outcome.
func (o outcome) Failed() bool { return o.wrong != nil }

func took(o outcome) float64 { return o.took }

func say(format string, args ...any) { measure.Say(format, args...) }

// failed says what went wrong with a measurement, which then counts for nothing.
func failed(what string, err error) {
	if err != nil {
		say("%s: %v", what, err)
	}
}
