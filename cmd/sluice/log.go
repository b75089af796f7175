package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/store"
)

const logUsage = `sluice log works on the log of a gateway that is stopped. DIR is the configuration's store.dir.

  sluice log check DIR                   read everything and say whether all parts agree
  sluice log stat [--json] DIR           what is in it, and what keeps it there
  sluice log dump [flags] DIR            its messages
  sluice log export [--out FILE] DIR     everything in one portable file, or to standard output
  sluice log restore [--in FILE] DIR     such a file, or an online backup, into an empty folder

Each explains its flags with -h.
`

// logTool is "sluice log".
func logTool(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, logUsage)
		return usageErrorf("which of them?")
	}
	name, rest := args[0], args[1:]
	switch name {
	case "check":
		return logCheck(rest)
	case "stat":
		return logStat(rest)
	case "dump":
		return logDump(ctx, rest)
	case "export":
		return logExport(ctx, rest)
	case "restore":
		return logRestore(ctx, rest)
	case "help", "-h", "--help":
		fmt.Print(logUsage)
		return nil
	}
	fmt.Fprint(os.Stderr, logUsage)
	return usageErrorf("there is no command \"log %s\"", name)
}

// parseDir reads flags and one folder, in any order.
func parseDir(flags *flag.FlagSet, args []string) (dir string, err error) {
	return parseOne(flags, args, "folder")
}

// parseOne reads flags and one other argument, in any order. what says what that is.
func parseOne(flags *flag.FlagSet, args []string, what string) (one string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				os.Exit(0)
			}
			return "", usageError{err}
		}
		args = flags.Args()
		switch {
		case len(args) == 0 && one == "":
			return "", usageErrorf("%s: which %s?", flags.Name(), what)
		case len(args) == 0:
			return one, nil
		case one != "":
			return "", usageErrorf("%s takes one %s, not also %q", flags.Name(), what, args[0])
		}
		one, args = args[0], args[1:]
	}
}

func newLogFlags(name, does string) *flag.FlagSet {
	flags := flag.NewFlagSet("sluice log "+name, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "sluice log %s [flags] DIR: %s\n", name, does)
		flags.PrintDefaults()
	}
	return flags
}

func logCheck(args []string) error {
	flags := newLogFlags("check", "read everything and say whether all parts agree")
	dir, err := parseDir(flags, args)
	if err != nil {
		return err
	}
	report, err := store.Check(dir)
	if err != nil {
		return blame(err)
	}
	sayRepaired(report.Repaired)
	for _, finding := range report.Findings {
		fmt.Println(finding)
	}
	for _, hole := range report.Holes {
		fmt.Printf("known damage: positions %d to %d cannot be served\n", hole.First, hole.Last)
	}
	if n := len(report.Findings); n > 0 {
		return fmt.Errorf("%s is not sound: %d findings", dir, n)
	}
	fmt.Printf("%s is sound: epoch %d, positions %d to %d, %d messages in %d blocks, %d cursors, %d devices\n",
		dir, report.Epoch, report.First, report.Last, report.Messages, report.Blocks, report.Cursors, report.Devices)
	return nil
}

func sayRepaired(repaired bool) {
	if repaired {
		fmt.Fprintln(os.Stderr, "the gateway did not stop in an orderly way: the database's files were brought to an end first, as its next start would have done")
	}
}

// openLog opens a log for reading.
func openLog(dir string) (*store.Closed, error) {
	log, err := store.OpenClosed(dir)
	if err != nil {
		return nil, blame(err)
	}
	sayRepaired(log.Repaired)
	return log, nil
}

// blame makes a mistake of the one who typed the command what is one, and every error one line.
func blame(err error) error {
	if errors.Is(err, store.ErrNoLog) || errors.Is(err, store.ErrNotEmpty) {
		return usageError{err}
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

func logExport(ctx context.Context, args []string) (err error) {
	flags := newLogFlags("export", "everything in one portable file")
	out := flags.String("out", "-", "the `file`, which must not exist yet; - is standard output")
	dir, err := parseDir(flags, args)
	if err != nil {
		return err
	}
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var to io.Writer = os.Stdout
	finish := func() error { return nil }
	if *out != "-" {
		file, opening := os.OpenFile(*out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if opening != nil {
			return usageErrorf("export the log: %w", opening)
		}
		to, finish = file, func() error { return errors.Join(file.Sync(), file.Close()) }
		defer func() {
			if err != nil {
				file.Close()
				os.Remove(*out) // half an export is of no use
			}
		}()
	}
	admin, err := closedAdmin(dir)
	if err != nil {
		return err
	}
	p := newProgress()
	sum, err := log.ExportWith(ctx, to, admin, p.show)
	p.end()
	if admin != nil {
		err = errors.Join(err, admin.Close())
	}
	if err == nil {
		err = finish()
	}
	if err != nil {
		return fmt.Errorf("export the log in %s: %w", dir, err)
	}
	fmt.Fprintf(os.Stderr, "exported positions %d to %d: %d messages, %d cursors, %d devices, %d bytes\n",
		sum.First, sum.Last, sum.Messages, sum.Cursors, sum.Devices, sum.Bytes)
	for _, d := range log.Damage() {
		fmt.Fprintf(os.Stderr, "not in it, because of damage: positions %d to %d\n", d.First, d.Last)
	}
	return nil
}

// closedAdmin opens the users and revisions beside a log; nil when there are none.
func closedAdmin(dir string) (*store.Admin, error) {
	path := filepath.Join(dir, "admin")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return store.OpenAdmin(path)
}

func logRestore(ctx context.Context, args []string) error {
	flags := newLogFlags("restore", "make a log from an export or an online backup, in an empty folder")
	in := flags.String("in", "-", "the `file`; - is standard input")
	dir, err := parseDir(flags, args)
	if err != nil {
		return err
	}
	from := os.Stdin
	if *in != "-" {
		if from, err = os.Open(*in); err != nil {
			return usageErrorf("restore a log: %w", err)
		}
		defer from.Close()
	}
	p := newProgress()
	dir = filepath.Clean(dir)
	r, err := store.RestoreWith(ctx, dir, filepath.Join(dir, "admin"), from, p.show)
	p.end()
	if err != nil {
		return blame(err)
	}
	fmt.Fprintf(os.Stderr, "restored positions %d to %d of %s: %d messages, %d cursors, %d devices; epoch %d follows %d\n",
		r.First, r.Last, r.Time.Format(time.RFC3339), r.Messages, r.Cursors, r.Devices, r.NewEpoch, r.Epoch)
	return nil
}

// progress tells a person at a terminal how far something is.
type progress struct {
	terminal bool
	said     time.Time
}

func newProgress() *progress {
	info, err := os.Stderr.Stat()
	return &progress{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, said: time.Now()}
}

func (p *progress) show(e store.Exported) {
	if !p.terminal || time.Since(p.said) < time.Second {
		return
	}
	p.said = time.Now()
	fmt.Fprintf(os.Stderr, "\r%d messages, %d MB ", e.Messages, e.Bytes>>20)
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
