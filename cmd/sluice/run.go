package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/firmware"
	"sluice/gateway"
	"sluice/gateway/config"
	"sluice/gateway/journal"
)

// shortestCode is as long as the codes that the gateway makes itself.
const shortestCode = 8

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sluice run", flag.ContinueOnError)
	path := flags.String("config", "sluice.yaml", "the configuration file; without this flag one is written where there is none")
	debug := flags.Bool("debug", false, "log every message too")
	if err := parse(flags, args); err != nil {
		return err
	}
	records := journal.New()
	log := slog.New(records.Handler(textLog(slog.LevelDebug)))
	named := false
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "config" })
	if !named {
		if err := begin(*path, log); err != nil {
			return err
		}
	}
	code := os.Getenv("SLUICE_SETUP_CODE")
	if code != "" && len(code) < shortestCode {
		return usageErrorf("SLUICE_SETUP_CODE has %d characters, and needs %d to withstand guessing", len(code), shortestCode)
	}
	level := ""
	if *debug {
		level = "debug"
	}
	release := firmware.ReadRelease(os.DirFS("/"))
	updater := updates(log, release)
	c, err := load(*path)
	if err != nil {
		unfit(ctx, updater, err)
		return err
	}
	if c, err = finishReset(c, *path, log); err != nil {
		return err
	}
	if updater == nil {
		updater = openUpdates(c.Store.Dir, log, release)
	}
	warn(log, c)
	limitMemory(c, log)
	systemd := newManager(os.Getenv, log.With("part", "notify"))
	var running atomic.Pointer[gateway.Gateway]
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	defer beside.Wait()
	defer end()
	defer context.AfterFunc(ctx, func() { systemd.say("STOPPING=1") })()
	beside.Go(func() {
		systemd.watch(ended, func() error {
			if g := running.Load(); g != nil {
				return g.Begun()
			}
			return errors.New("the log is being opened")
		}, func() error { return running.Load().Alive() })
	})
	g, err := gateway.New(gateway.Options{
		Config:        c,
		Path:          *path,
		Version:       version,
		Log:           log,
		Journal:       records,
		Level:         level,
		Restarts:      true,
		Firmware:      updater,
		Release:       release,
		AdminPassword: os.Getenv("SLUICE_ADMIN_PASSWORD"),
		CodeFile:      os.Getenv("SLUICE_CODE_FILE"),
		ResetFile:     os.Getenv("SLUICE_RESET_FILE"),
		Volatile:      there(os.Getenv("SLUICE_VOLATILE_FILE")),
		GivenCode:     code,
		SetupCode: func(code string) {
			fmt.Fprint(os.Stderr, welcome(&c.Web, code))
		},
		Fingerprint: func(fingerprint string) {
			fmt.Fprintf(os.Stderr, "\nThe page's certificate is the gateway's own. Compare its SHA-256 fingerprint with what the browser shows:\n  %s\n\n", fingerprint)
		},
	})
	if err != nil {
		unfit(ctx, updater, err)
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	running.Store(g)
	beside.Go(func() { reload(ended, hangups, g, systemd, log) })
	err = g.Run(ctx)
	end()
	beside.Wait()
	if errors.Is(err, gateway.ErrRestarting) {
		return again(ctx, log)
	}
	return err
}

// there says whether a file exists.
func there(path string) bool {
	_, err := os.Stat(path)
	return path != "" && err == nil
}

// reload applies the changed file at each SIGHUP.
func reload(ctx context.Context, hangups <-chan os.Signal, g *gateway.Gateway, systemd *manager, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		systemd.reloading()
		c, err := g.Reload(gateway.BySighup)
		systemd.ready()
		if err != nil {
			log.Error("the changed configuration is not applied, the old one keeps running", "err", err)
			continue
		}
		warn(log, c)
		log.Info("the changed configuration runs")
	}
}

func check(args []string) error {
	flags := flag.NewFlagSet("sluice check", flag.ContinueOnError)
	path := flags.String("config", "sluice.yaml", "the configuration file")
	if err := parse(flags, args); err != nil {
		return err
	}
	c, err := load(*path)
	if err != nil {
		return err
	}
	for _, w := range c.Warnings {
		fmt.Fprintln(os.Stderr, w)
	}
	abandoned, err := gateway.Abandons(c)
	if err != nil {
		return err
	}
	for _, w := range abandoned {
		fmt.Fprintln(os.Stderr, w)
	}
	fmt.Printf("%s is good: %d devices, %d uplinks\n", *path, len(c.Devices), len(c.Uplinks))
	return nil
}

// load reads the configuration; what is wrong with it is the user's to mend.
func load(path string) (*config.Config, error) {
	c, err := config.Load(path, gateway.Kinds())
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func warn(log *slog.Logger, c *config.Config) {
	for _, w := range c.Warnings {
		log.Warn("configuration", "at", w.Path, "line", w.Line, "warning", w.Message)
	}
}

func newLog(debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(textLog(level))
}

func textLog(level slog.Level) slog.Handler {
	return slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})
}

// again lets this process begin anew as the same program, or the one that an update has put in its
// place. So a restart works by hand, in a container and under any service manager, none of which has to
// know of it; and what the kernel counts for the process goes on.
//
// A signal to stop that came while the gateway stopped means what it says: from here on signals end the
// process, and one that was caught before has a moment to be heard.
func again(ctx context.Context, log *slog.Logger) error {
	signal.Reset(syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(10 * time.Millisecond):
	}
	program, err := os.Executable()
	if err == nil {
		log.Info("starting anew", "program", program)
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	return fmt.Errorf("start the gateway anew: %w", err) // a service manager starts it again
}

// parse reads flags and takes no other words.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageErrorf("%s takes no %q", flags.Name(), flags.Arg(0))
	}
	return nil
}
