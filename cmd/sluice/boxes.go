package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"sluice/gateway/client"
)

// boxes are the gateways that a command is for.
type boxes struct {
	urls        []string
	file        string
	token       string
	user        string
	ca          string
	fingerprint string
	parallel    int
	asJSON      bool
}

func (b *boxes) flags(flags *flag.FlagSet) {
	flags.Func("url", "a gateway's `address`; may be given several times. Default: SLUICE_URL, else http://127.0.0.1:8080", func(text string) error {
		b.urls = append(b.urls, text)
		return nil
	})
	flags.StringVar(&b.file, "urls", "", "a `file` of addresses, one a line; token=… and fingerprint=… may follow an address; # begins a remark")
	flags.StringVar(&b.token, "token", "", "an API token; default: SLUICE_TOKEN. Without one SLUICE_PASSWORD signs in")
	flags.StringVar(&b.user, "user", "admin", "who signs in with SLUICE_PASSWORD")
	flags.StringVar(&b.ca, "ca", "", "a `file` of authorities for https, PEM; default: those of the system")
	flags.StringVar(&b.fingerprint, "fingerprint", "", "the SHA-256 of the certificate that the gateway made itself, as it says at its start")
	flags.IntVar(&b.parallel, "parallel", 16, "how many gateways are asked at a time")
	flags.BoolVar(&b.asJSON, "json", false, "print JSON, one line a gateway")
}

// box is one of them.
type box struct {
	name string
	*client.Client
}

// open makes the clients; what is wrong with an address is the user's mistake.
func (b *boxes) open() ([]box, error) {
	if b.parallel < 1 {
		return nil, usageErrorf("parallel is at least 1")
	}
	all := make([]client.Options, 0, len(b.urls))
	for _, url := range b.urls {
		all = append(all, client.Options{URL: url})
	}
	if b.file != "" {
		listed, err := readBoxes(b.file)
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, listed...)
	}
	if len(all) == 0 {
		all = append(all, client.Options{URL: cmp.Or(os.Getenv("SLUICE_URL"), "http://127.0.0.1:8080")})
	}
	opened := make([]box, 0, len(all))
	for _, o := range all {
		o.Token = cmp.Or(o.Token, b.token, os.Getenv("SLUICE_TOKEN"))
		o.User, o.Password = b.user, os.Getenv("SLUICE_PASSWORD")
		o.CA, o.Fingerprint = b.ca, cmp.Or(o.Fingerprint, b.fingerprint)
		c, err := client.New(o)
		if err != nil {
			return nil, usageError{err}
		}
		opened = append(opened, box{o.URL, c})
	}
	return opened, nil
}

// readBoxes reads a file of addresses.
func readBoxes(name string) (all []client.Options, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		one := client.Options{URL: words[0]}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "token":
				one.Token = value
			case "fingerprint":
				one.Fingerprint = value
			default:
				return nil, fmt.Errorf("%s:%d: %q is neither token=… nor fingerprint=…", name, n, word)
			}
		}
		all = append(all, one)
	}
	if len(all) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("%s has no addresses", name)
	}
	return all, lines.Err()
}

// result is what became of one of them. Value is for programs, Text for people.
type result struct {
	URL   string `json:"url"`
	OK    bool   `json:"ok"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
	text  string
}

// each does the same with all of them, some at a time, and prints what became of each as it is known.
// The error says how many failed.
func (b *boxes) each(ctx context.Context, out io.Writer, do func(context.Context, box) (value any, text string, err error)) error {
	all, err := b.open()
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	places := make(chan struct{}, b.parallel)
	results := make(chan result)
	for _, one := range all {
		working.Go(func() {
			defer one.Close()
			places <- struct{}{}
			defer func() { <-places }()
			value, text, err := do(ctx, one)
			r := result{URL: one.name, OK: err == nil, Value: value, text: text}
			if err != nil {
				r.Error = err.Error()
			}
			results <- r
		})
	}
	go func() { working.Wait(); close(results) }()
	failed, last := 0, error(nil)
	for r := range results {
		if !r.OK {
			failed++
			last = errors.New(r.Error)
		}
		if printing := b.print(out, r, len(all)); printing != nil && last == nil {
			last = printing
		}
	}
	switch {
	case failed > 0 && len(all) == 1:
		return fmt.Errorf("%s: %w", all[0].name, last)
	case failed > 0:
		return fmt.Errorf("%d of %d gateways failed", failed, len(all))
	}
	return last
}

func (b *boxes) print(out io.Writer, r result, of int) error {
	if b.asJSON {
		if r.OK && of == 1 {
			return json.NewEncoder(out).Encode(r.Value)
		}
		return json.NewEncoder(out).Encode(r)
	}
	var err error
	switch {
	case of == 1 && r.OK:
		_, err = fmt.Fprintln(out, r.text)
	case of == 1: // the error is printed once, at the end
	case r.OK:
		_, err = fmt.Fprintf(out, "%s: %s\n", r.URL, oneLine(r.text))
	default:
		_, err = fmt.Fprintf(out, "%s: FAILED: %s\n", r.URL, oneLine(r.Error))
	}
	return err
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
