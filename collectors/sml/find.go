package sml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// Found is a meter that was heard.
type Found struct {
	Server string   // its id in hex digits
	Codes  []string // what it tells
	Baud   int
	Checks Checks
	Raw    []byte
}

// Find listens for the telegram of a meter that pushes, at each rate, or without any at 9600 baud,
// for as long as wait.
func Find(ctx context.Context, c *bus.Client, wait time.Duration, rates ...int) ([]Found, error) {
	if len(rates) == 0 {
		rates = []int{defaultBaud}
	}
	var found []Found
	for _, rate := range rates {
		o := Options{Baud: rate}
		l := &listener{}
		raw, err := c.Exchange(ctx, bus.Request{
			Timeout: wait, Gap: wait, Answer: l.hear, Character: o.character(), Protocol: protocol, Quiet: true,
		})
		if _, silent := errors.AsType[*bus.NoReplyError](err); silent && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return found, err
		}
		f := Found{Server: l.telegram.ServerID(), Baud: rate, Checks: l.used, Raw: raw}
		for _, e := range l.telegram.Entries {
			f.Codes = append(f.Codes, e.Code.String())
		}
		found = append(found, f)
	}
	return found, nil
}

// Dissect says in one line what a telegram is, for the bus monitor.
func Dissect(dir bus.Direction, frame []byte) (summary string, ok bool) {
	start := bytes.Index(frame, begin)
	if start < 0 {
		return "", false
	}
	if dir == bus.Out {
		if _, _, err := DecodeFrame(frame[start:], X25); err != nil {
			return err.Error(), true
		}
		return "request for the list of values", true
	}
	t, used, err := DecodeTelegram(frame[start:], Checks{})
	if err != nil {
		return err.Error(), true
	}
	summary = fmt.Sprintf("meter %s: %d values", t.ServerID(), len(t.Entries))
	for _, e := range t.Entries {
		if v, unit, err := e.Value(""); err == nil && unit != "" {
			summary += fmt.Sprintf(", %s = %s %s", e.Code, v, unit)
			break
		}
	}
	if used.Frame == Kermit || used.Message == Kermit {
		summary += ", checksum Kermit"
	}
	return summary, true
}
