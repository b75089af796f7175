// Command collectors measures how fast devices are polled: the Modbus driver beside a bare loop on a socket and beside
// the time that bytes take on a serial wire, the whole gateway beside Telegraf on the same simulated devices, and how
// many requests either makes of scattered points. Whether a goal is reached is judged, never asserted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "devices" {
		fail(devices(os.Args[2:]))
		return
	}
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every contestant is measured once")
	seconds := flag.Float64("seconds", 10, "length of one measurement")
	flag.StringVar(&p.only, "only", "", "run only these cases, by comma: "+strings.Join(caseNames, ", "))
	flag.StringVar(&p.dir, "dir", "", "directory on the disk for the gateway's log; default: the temporary one, or .cache where that is in memory")
	flag.StringVar(&p.sluice, "sluice", "", "another binary of the gateway than bin/sluice")
	flag.StringVar(&p.profile, "profile", "", "record where the gateway's processor time goes, with perf, into this directory; what such a run measures is slower")
	flag.StringVar(&p.root, "root", ".", "the repository")
	flag.Parse()
	if flag.NArg() > 0 {
		fail(fmt.Errorf("there is no use for %q", flag.Args()))
	}
	p.length = time.Duration(*seconds * float64(time.Second))
	for _, path := range []*string{&p.root, &p.dir, &p.sluice, &p.profile} {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		fail(err)
		*path = full
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx, os.Stdout)
	stop()
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "collectors benchmark:", err)
		os.Exit(1)
	}
}
