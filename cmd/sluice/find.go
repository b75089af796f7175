package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/gateway"
)

// find looks for devices without a running gateway. What is found goes to standard output, how far it
// is to standard error.
func find(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "serial" && args[0] != "net" {
		return usageErrorf("find on what? There are: sluice find serial /dev/ttyS1, and sluice find net 192.168.1.0/24")
	}
	kind, args := args[0], args[1:]
	flags := flag.NewFlagSet("sluice find "+kind, flag.ContinueOnError)
	protocols := flags.String("protocols", "", "what to look for, such as modbus-rtu,dlt645; empty: all that is usual there")
	units := flags.String("units", "", "Modbus units to ask, such as 1-32,100; empty: all, in a network 1, 255 and 0")
	asJSON := flags.Bool("json", false, "print what is found as JSON, one device a line, as it is found")
	asYAML := flags.Bool("yaml", false, "print what to put into the configuration instead of a table")
	var bauds, parities, ports *string
	if kind == "serial" {
		bauds = flags.String("bauds", "", "rates to look at, such as 9600,2400; empty: those that are usual for each protocol")
		parities = flags.String("parities", "", "none, even, odd, or several of them; empty: likewise")
	} else {
		ports = flags.String("ports", "502", "TCP ports to look at, such as 502,503,4001")
	}
	place, err := parsePlace(flags, args)
	if err != nil {
		return err
	}
	wanted := gateway.FindRequest{Kind: "line", Serial: place, Protocols: words(*protocols), Units: *units}
	if kind == "net" {
		wanted = gateway.FindRequest{Kind: "network", Network: place, Protocols: words(*protocols), Units: *units}
		if wanted.Ports, err = numbers("ports", *ports); err != nil {
			return err
		}
	} else {
		wanted.Parities = words(*parities)
		if wanted.Bauds, err = numbers("bauds", *bauds); err != nil {
			return err
		}
	}
	show := &findings{out: os.Stdout, json: *asJSON, yaml: *asYAML}
	shown := newProgressLine(os.Stderr)
	err = gateway.Find(ctx, wanted, shown.show, show.add)
	shown.end()
	if errors.Is(err, gateway.ErrFindRequest) {
		return usageError{err}
	}
	show.end()
	if ctx.Err() != nil {
		return errors.New("cancelled; there may be more")
	}
	return err
}

// parsePlace takes one word beside the flags, before or behind them.
func parsePlace(flags *flag.FlagSet, args []string) (place string, err error) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		place, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return "", usageError{err}
	}
	if rest := flags.Args(); place == "" && len(rest) == 1 {
		place = rest[0]
	} else if len(rest) > 0 {
		return "", usageErrorf("%s takes one place, not also %q", flags.Name(), rest)
	}
	if place == "" {
		return "", usageErrorf("%s: where?", flags.Name())
	}
	return place, nil
}

func words(text string) (list []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			list = append(list, word)
		}
	}
	return list
}

func numbers(flag, text string) (list []int, err error) {
	for _, word := range words(text) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, usageErrorf("--%s: %q is not a number", flag, word)
		}
		list = append(list, n)
	}
	return list, nil
}

// findings prints what is found: as JSON at once, as a table or as a configuration at the end.
type findings struct {
	out        io.Writer
	json, yaml bool
	list       []gateway.FoundDevice
}

func (f *findings) add(d gateway.FoundDevice) {
	f.list = append(f.list, d)
	if f.json {
		line, err := json.Marshal(d)
		if err != nil {
			panic("bug: a device that JSON cannot hold: " + err.Error())
		}
		fmt.Fprintf(f.out, "%s\n", line)
	}
}

func (f *findings) end() {
	switch {
	case f.json:
	case len(f.list) == 0:
		fmt.Fprintln(f.out, "nothing was found")
	case f.yaml:
		for _, d := range f.list {
			fmt.Fprintf(f.out, "# %s, %s: %s\n%s\n", strings.TrimSpace(d.Protocol+" "+d.Settings), d.Unit, d.Answer, d.YAML)
		}
	default:
		f.table()
	}
}

func (f *findings) table() {
	table := tabwriter.NewWriter(f.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "PLACE\tPROTOCOL\tSETTINGS\tUNIT\tANSWER\tPROFILE")
	for _, d := range f.list {
		var guesses []string
		for _, g := range d.Guesses {
			guesses = append(guesses, fmt.Sprintf("%s (%.0f %%)", g.Profile, 100*g.Score))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Place, d.Protocol, d.Settings, d.Unit, d.Answer, strings.Join(guesses, ", "))
	}
	table.Flush()
}

// progressLine shows how far a search is: on a terminal in one line that is written over, elsewhere now
// and then.
type progressLine struct {
	out      *os.File
	terminal bool
	last     time.Time
	width    int
}

func newProgressLine(out *os.File) *progressLine {
	info, err := out.Stat()
	return &progressLine{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, last: time.Now()}
}

func (p *progressLine) show(now gateway.FindProgress) {
	pause := 10 * time.Second
	if p.terminal {
		pause = 200 * time.Millisecond
	}
	if time.Since(p.last) < pause || now.Now == "" {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("%d of %d, %v left: %s", now.Done, now.All, now.Left.Round(time.Second), now.Now)
	if !p.terminal {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprintf(p.out, "\r%-*s", p.width, text)
	p.width = max(p.width, len(text))
}

func (p *progressLine) end() {
	if p.width > 0 {
		fmt.Fprintf(p.out, "\r%*s\r", p.width, "")
	}
}
