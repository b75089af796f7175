// Command rocketmq measures the gateway's RocketMQ listener beside Apache RocketMQ, with the benchmark
// tools that Apache ships: the same Java programs, one run, the servers in turns. What counts are the
// ratios of one round; whether a goal is reached is judged, never asserted.
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
)

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every server is measured once")
	flag.Float64Var(&p.seconds, "seconds", 15, "length of one run; the tools report over its last nine seconds, so it is at least 10")
	flag.Float64Var(&p.warm, "warm", 10, "seconds of load that a server gets before it is measured")
	flag.StringVar(&p.only, "only", "", "run only these cases, by comma: "+strings.Join(caseNames(), ", "))
	flag.StringVar(&p.servers, "servers", strings.Join([]string{ours, syncFlush, asyncFlush}, ","), "measure these, by comma")
	flag.IntVar(&p.rate, "rate", 1000, "messages a second of the case latency")
	flag.IntVar(&p.backlog, "messages", 5_000_000, "messages of the case backlog")
	flag.StringVar(&p.heap, "heap", "2g", "heap of Apache's broker, but for the case memory")
	flag.StringVar(&p.heaps, "heaps", "64,96,128,192,256,384,512", "heaps in MB that the case memory tries, from small to large")
	flag.StringVar(&p.dir, "dir", "", "directory on the disk to measure; default: the temporary one, or .cache where that is in memory")
	flag.StringVar(&p.sluice, "sluice", "", "another binary of the gateway than bin/sluice")
	flag.StringVar(&p.profile, "profile", "", "record where the gateway's processor time goes, with perf, into this directory; what such a run measures is slower")
	flag.StringVar(&p.root, "root", ".", "the repository")
	flag.Parse()
	if flag.NArg() > 0 {
		fail(fmt.Errorf("there is no use for %q", flag.Args()))
	}
	p.seconds = max(p.seconds, 10)
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
		fmt.Fprintln(os.Stderr, "rocketmq benchmark:", err)
		os.Exit(1)
	}
}
