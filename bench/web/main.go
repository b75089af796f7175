// Command web measures what the page and its API take: a day of trends from the log to the drawn chart. Whether a
// goal is reached is judged, never asserted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"sluice/bench/measure"
)

// plan is what to measure.
type plan struct {
	rounds, readings, others, every int
	root, dir, sluice               string
}

const caseTrends = "trends"

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every case is measured once")
	flag.IntVar(&p.readings, "readings", 86_400, "readings of each device that is looked at, one a second")
	flag.IntVar(&p.others, "others", 200, "other devices in the log")
	flag.IntVar(&p.every, "every", 10, "seconds from one reading of another device to the next")
	flag.StringVar(&p.dir, "dir", "", "directory on the disk for the log; default: the temporary one, or .cache where that is in memory")
	flag.StringVar(&p.sluice, "sluice", "", "another binary of the gateway than bin/sluice")
	flag.StringVar(&p.root, "root", ".", "the repository")
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.Contains([]string{caseTrends}, name) {
			fail(fmt.Errorf("there is no case %q, only %s", name, caseTrends))
		}
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
	err := p.trends(ctx)
	stop()
	fail(err)
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
