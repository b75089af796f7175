package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"

	"sluice/gateway/client"
)

const getUsage = `sluice get [flags] [NAME [PART]] reads the API of gateways that run.

  sluice get                                   the status
  sluice get devices/press                     a device; devices/press/temperature is a point
  sluice get uplinks/cloud backlog             a part of an answer; deeper ones with dots
  sluice get config devices.press.interval     a setting
  sluice get 'logs?level=warn'                 any path of the API below /api/v1

`

// get is "sluice get".
func get(ctx context.Context, args []string) error { return getFrom(ctx, os.Stdout, args) }

func getFrom(ctx context.Context, out io.Writer, args []string) error {
	var b boxes
	flags := flag.NewFlagSet("sluice get", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), getUsage); flags.PrintDefaults() }
	b.flags(flags)
	words, err := parseWords(flags, args)
	if err != nil {
		return err
	}
	if len(words) > 2 {
		return usageErrorf("sluice get takes a name and a part of it, not also %q", words[2])
	}
	words = append(words, "", "")
	at := client.Find(words[0], words[1])
	return b.each(ctx, out, func(ctx context.Context, one box) (any, string, error) {
		answer, err := one.Ask(ctx, http.MethodGet, at.Path, nil)
		if err != nil {
			return nil, "", err
		}
		value, err := client.Pick(answer.Body, at.In)
		if err != nil {
			return nil, "", err
		}
		text, err := shown(value)
		return value, text, err
	})
}

// parseWords reads flags and other words, in any order.
func parseWords(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				os.Exit(0)
			}
			return nil, usageError{err}
		}
		args = flags.Args()
		if len(args) == 0 {
			return words, nil
		}
		words, args = append(words, args[0]), args[1:]
	}
}

// shown is a value for people: a text as it is, everything else as JSON.
func shown(value any) (string, error) {
	if text, ok := value.(string); ok {
		return text, nil
	}
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}
