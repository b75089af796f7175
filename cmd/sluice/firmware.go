package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const firmwareUsage = `sluice firmware updates the whole system of boxes with two slots for it.

  sluice firmware status                   which slot runs, what is installed, how the proof of a new system goes
  sluice firmware install FILE_OR_URL      install a bundle and wait until it is written
  sluice firmware restart                  restart the machine, into the update if one was installed

`

// firmwareShown is what of a gateway's answer people are told.
type firmwareShown struct {
	Kind, Version, Slot string
	Commands            []string
	Waiting             *struct{ Slot, Version string }
	Install             *struct {
		Running      bool
		Phase, Error string
		Percent      int
		Version      string
	}
	Trial *struct {
		Checks []struct{ Name, State, Said string }
	}
}

// updateBoxes is "sluice firmware".
func updateBoxes(ctx context.Context, args []string) error {
	return updateBoxesIn(ctx, os.Stdout, args)
}

func updateBoxesIn(ctx context.Context, out io.Writer, args []string) error {
	var b boxes
	flags := flag.NewFlagSet("sluice firmware", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), firmwareUsage); flags.PrintDefaults() }
	b.flags(flags)
	words, err := parseWords(flags, args)
	if err != nil {
		return err
	}
	switch {
	case len(words) == 1 && words[0] == "status":
		return b.each(ctx, out, firmwareState)
	case len(words) == 1 && words[0] == "restart":
		return b.each(ctx, out, func(ctx context.Context, one box) (any, string, error) {
			answer, err := one.Ask(ctx, http.MethodPost, "firmware/restart", nil)
			return json.RawMessage(answer.Body), "it restarts", err
		})
	case len(words) == 2 && words[0] == "install":
		return b.each(ctx, out, func(ctx context.Context, one box) (any, string, error) { return installOn(ctx, one, words[1]) })
	}
	return usageErrorf("sluice firmware: status, install FILE_OR_URL, or restart")
}

func firmwareState(ctx context.Context, one box) (any, string, error) {
	answer, err := one.Ask(ctx, http.MethodGet, "firmware", nil)
	if err != nil {
		return nil, "", err
	}
	var f firmwareShown
	if err := json.Unmarshal(answer.Body, &f); err != nil {
		return nil, "", err
	}
	return json.RawMessage(answer.Body), f.text(), nil
}

func (f *firmwareShown) text() string {
	var lines []string
	switch f.Kind {
	case "rauc":
		lines = append(lines, fmt.Sprintf("slot %s runs version %s", f.Slot, cmp.Or(f.Version, "unknown")))
	case "package":
		lines = append(append(lines, "version "+f.Version+", a package; an administrator of the machine updates it:"), f.Commands...)
	default:
		lines = append(lines, "version "+f.Version+", a program that was copied there")
	}
	if i := f.Install; i != nil && i.Running {
		lines = append(lines, fmt.Sprintf("an update is on its way: %s, %d %%", i.Phase, i.Percent))
	} else if i != nil && i.Error != "" {
		lines = append(lines, "the last update was not installed: "+i.Error)
	}
	if f.Waiting != nil {
		lines = append(lines, fmt.Sprintf("version %s in slot %s waits for a restart of the machine", f.Waiting.Version, f.Waiting.Slot))
	}
	if f.Trial != nil {
		lines = append(lines, "it is on trial:")
		for _, c := range f.Trial.Checks {
			lines = append(lines, strings.TrimRight(fmt.Sprintf("  %-14s %-8s %s", c.Name, c.State, c.Said), " "))
		}
	}
	return strings.Join(lines, "\n")
}

// installLook is how often it is asked how far an installation is.
const installLook = time.Second

// installOn lets one box install a bundle, and waits until it is written.
func installOn(ctx context.Context, one box, from string) (any, string, error) {
	if err := sendBundle(ctx, one, from); err != nil {
		return nil, "", err
	}
	look := time.NewTicker(installLook)
	defer look.Stop()
	for {
		answer, err := one.Ask(ctx, http.MethodGet, "firmware", nil)
		if err != nil {
			return nil, "", err
		}
		var f firmwareShown
		if err := json.Unmarshal(answer.Body, &f); err != nil {
			return nil, "", err
		}
		switch {
		case f.Install == nil:
			return nil, "", fmt.Errorf("the gateway was started anew meanwhile; sluice firmware status says more")
		case f.Install.Running:
		case f.Install.Error != "":
			return nil, "", fmt.Errorf("%s", f.Install.Error)
		default:
			return json.RawMessage(answer.Body), fmt.Sprintf("version %s is installed and runs after sluice firmware restart", f.Install.Version), nil
		}
		select {
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-look.C:
		}
	}
}

func sendBundle(ctx context.Context, one box, from string) error {
	if strings.HasPrefix(from, "https://") || strings.HasPrefix(from, "http://") {
		_, err := one.Ask(ctx, http.MethodPost, "firmware", map[string]string{"url": from})
		return err
	}
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = one.Send(ctx, "firmware?"+url.Values{"name": {filepath.Base(from)}}.Encode(), file, info.Size())
	return err
}
