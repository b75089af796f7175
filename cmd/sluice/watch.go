package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"sluice/gateway/client"
)

const watchUsage = `sluice watch [flags] [WHAT] prints what changes in gateways that run, until it is stopped.

  sluice watch                        state, rates and backlog, each second
  sluice watch press                  a device's values; press/temperature: of one point
  sluice watch log                    the gateway's own records

`

// watch is "sluice watch".
func watch(ctx context.Context, args []string) error { return watchIn(ctx, os.Stdout, args) }

func watchIn(ctx context.Context, out io.Writer, args []string) error {
	var b boxes
	flags := flag.NewFlagSet("sluice watch", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), watchUsage); flags.PrintDefaults() }
	b.flags(flags)
	words, err := parseWords(flags, args)
	if err != nil {
		return err
	}
	what := strings.TrimPrefix(strings.Join(words, " "), "devices/")
	if len(words) > 1 {
		return usageErrorf("sluice watch takes one name, not also %q", words[1])
	}
	all, err := b.open()
	if err != nil {
		return err
	}
	lines := &lines{out: out, json: b.asJSON, several: len(all) > 1}
	var watching sync.WaitGroup
	failures := make([]error, len(all))
	for i, one := range all {
		watching.Go(func() {
			defer one.Close()
			failures[i] = follow(ctx, one, what, lines)
		})
	}
	watching.Wait()
	return errors.Join(failures...)
}

// follow watches one gateway and comes back to it when it was away.
func follow(ctx context.Context, one box, what string, lines *lines) error {
	const longest = 30 * time.Second
	w := watched{what: what, box: one.name, lines: lines}
	wait := time.Second
	for {
		begun := time.Now()
		following, stop := context.WithCancel(ctx)
		w.stop = stop
		err := one.Follow(following, w.path(), w.heard)
		stop()
		if ctx.Err() != nil {
			return nil
		}
		if refused, ok := errors.AsType[*client.Problem](err); ok && refused.Status != 503 && refused.Status < 500 {
			return fmt.Errorf("%s: %w", one.name, err) // asking again would not help
		}
		if w.failed != nil {
			return fmt.Errorf("%s: %w", one.name, w.failed)
		}
		if time.Since(begun) > longest {
			wait = time.Second
		}
		fmt.Fprintf(os.Stderr, "%s: %v; next try in %v\n", one.name, err, wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

// lines prints whole lines of several gateways.
type lines struct {
	json, several bool

	mu  sync.Mutex // guards what follows
	out io.Writer
}

func (l *lines) print(box string, value json.RawMessage, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.json && l.several:
		fmt.Fprintf(l.out, "{\"url\":%q,\"value\":%s}\n", box, value)
	case l.json:
		fmt.Fprintf(l.out, "%s\n", value)
	case l.several:
		fmt.Fprintf(l.out, "%s: %s\n", box, text)
	default:
		fmt.Fprintln(l.out, text)
	}
}

// watched is what is followed of one gateway.
type watched struct {
	what, box string
	lines     *lines
	last      string // what was printed, so that only changes are
	after     string // the last record's number
	stop      func() // ends the stream
	failed    error  // why it was ended
}

// fail ends it: what is to be watched is not there.
func (w *watched) fail(err error) {
	w.failed = err
	w.stop()
}

func (w *watched) path() string {
	switch w.what {
	case "log", "logs":
		if w.after != "" {
			return "logs/events?after=" + w.after
		}
		return "logs/events"
	case "", "status":
		return "events?points=none"
	}
	device, _, _ := strings.Cut(w.what, "/")
	return "events?points=" + url.QueryEscape(device)
}

func (w *watched) heard(event, id string, data []byte) {
	switch {
	case event == "record":
		w.after = id
		w.record(data)
	case event == "lost":
		w.lines.print(w.box, data, "… some records came too fast to be shown")
	case event == "status" && (w.what == "" || w.what == "status"):
		w.status(data)
	case event == "status":
		w.device(data)
	}
}

func (w *watched) record(data []byte) {
	var r struct {
		Time              time.Time
		Level, Part, Text string
		Attrs             []struct{ Key, Value string }
	}
	if json.Unmarshal(data, &r) != nil {
		return // of a newer version; the next one may be read
	}
	text := fmt.Sprintf("%s %-5s %s", r.Time.Local().Format("15:04:05.000"), strings.ToUpper(r.Level), r.Text)
	if r.Part != "" {
		text += " part=" + r.Part
	}
	for _, a := range r.Attrs {
		text += fmt.Sprintf(" %s=%q", a.Key, a.Value)
	}
	w.lines.print(w.box, data, text)
}

// watchedStatus is what is shown of a status.
type watchedStatus struct {
	Time    time.Time
	Gateway string
	Devices []struct {
		Name, State string
		LastError   string `json:"last_error"`
		Points      []struct {
			Name, Unit, Error string
			Value             json.RawMessage
		}
	}
	Uplinks []struct {
		Name, State string
		Backlog     uint64
	}
	Log struct{ Rate float64 }
}

func (w *watched) status(data []byte) {
	var s watchedStatus
	if json.Unmarshal(data, &s) != nil {
		return
	}
	up := 0
	for _, d := range s.Devices {
		if d.State == "online" || d.State == "degraded" {
			up++
		}
	}
	text := fmt.Sprintf("%s %s: %d of %d devices answer, %.1f messages/s", s.Time.Local().Format("15:04:05"), s.Gateway, up, len(s.Devices), s.Log.Rate)
	for _, u := range s.Uplinks {
		text += fmt.Sprintf(", %s %s with %d waiting", u.Name, u.State, u.Backlog)
	}
	w.lines.print(w.box, data, text)
}

// device prints a device's values when they are others than before.
func (w *watched) device(data []byte) {
	var s watchedStatus
	if json.Unmarshal(data, &s) != nil {
		return
	}
	name, point, one := strings.Cut(w.what, "/")
	for _, d := range s.Devices {
		if d.Name != name {
			continue
		}
		values, found := map[string]json.RawMessage{}, false
		text := ""
		for _, p := range d.Points {
			if one && p.Name != point {
				continue
			}
			found = true
			value := strings.Trim(string(p.Value), `"`) + p.Unit
			if p.Error != "" {
				value = "(" + p.Error + ")"
			}
			text += " " + p.Name + "=" + value
			values[p.Name] = p.Value
		}
		if one && !found {
			w.fail(fmt.Errorf("the device %s has no point %q", name, point))
			return
		}
		if d.State != "online" {
			text = " " + strings.TrimSpace(d.State+" "+d.LastError) + text
		}
		if text == w.last {
			return
		}
		w.last = text
		body, err := json.Marshal(map[string]any{"time": s.Time, "device": name, "state": d.State, "values": values})
		if err == nil {
			w.lines.print(w.box, body, s.Time.Local().Format("15:04:05")+" "+name+":"+text)
		}
		return
	}
	w.fail(fmt.Errorf("there is no device %q", name))
}
