// Command bridge measures how fast what waited in an outage reaches a cloud, what waiting costs, and what new
// readings feel of it: the gateway beside bare clients with messages from memory, mosquitto's own bridge and
// Telegraf, in turns. Every message is counted at the cloud. Whether a goal is reached is judged, never asserted.
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
	flag.IntVar(&p.rounds, "rounds", 5, "rounds; in each every contestant is measured once")
	flag.IntVar(&p.messages, "messages", 1_000_000, "messages of 256 bytes that wait")
	flag.IntVar(&p.waiting, "waiting", 10_000_000, "messages that wait in the case memory")
	flag.IntVar(&p.window, "window", 1000, "messages in flight")
	flag.IntVar(&p.distant, "distant", 60_000, "messages of the case distance; a twelfth of it where packets get lost")
	flag.StringVar(&p.only, "only", "", "run only these cases, by comma: "+strings.Join(caseNames, ", "))
	flag.StringVar(&p.who, "contestants", strings.Join([]string{ours, bare, mosquittoBridge, telegraf}, ","), "measure these in the cases drain and kill, by comma")
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx, os.Stdout)
	stop()
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bridge benchmark:", err)
		os.Exit(1)
	}
}
