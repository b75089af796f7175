package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sluice/gateway"
)

func uplink(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "test" {
		return usageErrorf("sluice uplink test NAME --config FILE is all there is")
	}
	return uplinkTest(ctx, args[1:], os.Stdout)
}

// uplinkTest prints each step of the test of an uplink as it ends. It needs no running gateway and
// leaves one alone: the test has a connection and a client id of its own.
func uplinkTest(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sluice uplink test", flag.ContinueOnError)
	path := flags.String("config", "sluice.yaml", "the configuration file")
	limit := flags.Duration("timeout", 2*time.Minute, "how long all of it may take")
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return usageError{err}
	}
	if rest := flags.Args(); name == "" && len(rest) == 1 {
		name = rest[0]
	} else if len(rest) > 0 {
		return usageErrorf("%s takes one name, not %q", flags.Name(), rest)
	}
	if name == "" {
		return usageErrorf("%s: which uplink?", flags.Name())
	}
	c, err := load(*path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	err = gateway.TestUplink(ctx, c, name, newLog(false), func(s gateway.Step) { printStep(out, s) })
	if errors.Is(err, gateway.ErrNoUplink) || errors.Is(err, gateway.ErrNoTest) {
		return usageError{err}
	}
	if err != nil {
		return fmt.Errorf("uplink %s does not work: %w", name, err)
	}
	fmt.Fprintf(out, "uplink %s works\n", name)
	return nil
}

func printStep(out io.Writer, s gateway.Step) {
	mark, text := "ok    ", s.Detail
	if s.Err != nil {
		mark, text = "failed", s.Err.Error()
	}
	fmt.Fprintf(out, "%s  %-18s %8s  %s\n", mark, s.Name, s.Took.Round(100*time.Microsecond), text)
}
