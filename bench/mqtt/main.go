// Command mqtt measures the gateway's MQTT listener beside Debian's mosquitto, the mochi server and
// nats-server: one load tool, one run, the brokers in turns, each measurement on a fresh one. What
// counts are the ratios of one round; whether a goal is reached is judged, never asserted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every broker is measured once")
	flag.Float64Var(&p.seconds, "seconds", 3, "length of one run")
	flag.StringVar(&p.only, "only", "", "run only these cases, by comma: "+strings.Join(caseNames(), ", "))
	flag.StringVar(&p.brokers, "brokers", "sluice,matched,mosq,mosq-dur,mochi,nats", "measure these, by comma; there is sink too, the load tool's own null broker")
	flag.StringVar(&p.sleepers, "sleep", "50000,1000000", "messages that a sleeping session misses, by comma; from a million on it is measured in one round")
	flag.IntVar(&p.idle, "idle", 10_000, "connections of the case crowd")
	flag.StringVar(&p.dir, "dir", "", "directory on the disk to measure; default: the temporary one, or .cache where that is in memory")
	flag.StringVar(&p.sluice, "sluice", "", "another binary of the gateway than bin/sluice")
	flag.StringVar(&p.profile, "profile", "", "record where the gateway's processor time goes, with perf, into this directory; what such a run measures is slower")
	flag.StringVar(&p.root, "root", ".", "the repository")
	flag.Parse()
	if flag.NArg() > 0 {
		fail(fmt.Errorf("there is no use for %q", flag.Args()))
	}
	for _, path := range []*string{&p.root, &p.dir, &p.sluice, &p.profile} {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		fail(err)
		*path = full
	}
	fail(moreFiles())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx, os.Stdout)
	stop()
	fail(err)
}

// moreFiles raises the limit of open files, for our children too: 10,000 connections need as many.
func moreFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

func (p *plan) sleeping() (counts []int, err error) {
	for word := range strings.SplitSeq(p.sleepers, ",") {
		n, wrong := strconv.Atoi(strings.TrimSpace(word))
		if wrong != nil || n < 1 {
			err = errors.Join(err, fmt.Errorf("-sleep: %q is no number of messages", word))
		}
		counts = append(counts, n)
	}
	return counts, err
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "mqtt benchmark:", err)
		os.Exit(1)
	}
}
