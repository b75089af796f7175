package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"sluice/bench/measure"
)

const (
	pasteMost     = 1000.0 // milliseconds from the paste to its problems
	pastePatience = 2 * time.Minute
	edited        = "press"
)

// pasted is one paste.
type pasted struct {
	Checked, Check, Gateway, Task, Frame float64 // milliseconds; Gateway is processor time, Frame is exceeded by one in twenty
	Problems                             int
	Top                                  float64 // how far it scrolled, in pixels
	wrong                                error
}

// Failed implements measure.Outcome.
func (p pasted) Failed() bool { return p.wrong != nil }

// paste pastes rows into the editor of points of a real gateway, which checks them; nothing is saved.
func (p *plan) paste(ctx context.Context, in surroundings) error {
	nobody, err := measure.FreeAddress()
	if err != nil {
		return err
	}
	g, err := start(ctx, in.binary, in.dir, fmt.Sprintf(`devices:
  - name: %s
    driver: modbus
    address: tcp://%s
    interval: 1h
    points:
      - {name: first, address: "holding:0"}
      - {name: second, address: "holding:2"}
`, edited, nobody))
	if err != nil {
		return err
	}
	defer g.process.Kill()
	var all []pasted
	for round := range p.rounds {
		say("points: round %d of %d", round+1, p.rounds)
		var one pasted
		one.wrong = p.browse(ctx, "points.mjs", pastePatience, map[string]any{"url": g.base, "gateway": g.process.PID(), "device": edited, "rows": p.rows}, &one)
		if one.wrong == nil && (one.Problems == 0 || one.Top == 0) {
			one.wrong = errors.New("nothing was found or nothing scrolled")
		}
		failed("paste", one.wrong)
		all = append(all, one)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	p.reportPaste(os.Stdout, all)
	return nil
}

func (p *plan) reportPaste(w io.Writer, all []pasted) {
	fmt.Fprintf(w, "%s\n\n**%d rows pasted into the editor of points** (`%s`)\n\n", measure.Machine(), p.rows, casePoints)
	spread := func(what func(pasted) float64) string { return measure.Spread(all, what, measure.Digits) }
	checked := func(o pasted) float64 { return o.Checked }
	fmt.Fprintf(w, "| ms | |\n|---|---|\n| from the paste to its problems | %s |\n", spread(checked))
	fmt.Fprintf(w, "| of it the gateway's answer | %s |\n", spread(func(o pasted) float64 { return o.Check }))
	fmt.Fprintf(w, "| processor time of the gateway | %s |\n", spread(func(o pasted) float64 { return o.Gateway }))
	fmt.Fprintf(w, "| longest task while scrolling | %s |\n", spread(func(o pasted) float64 { return o.Task }))
	fmt.Fprintf(w, "| 19 of 20 frames while scrolling within | %s |\n", spread(func(o pasted) float64 { return o.Frame }))
	g := measure.Goal{Name: "paste", Case: casePoints, Wish: fmt.Sprintf("%d rows checked in under 1 s", p.rows)}
	measure.Summary(w, []measure.Goal{measure.Settle(g.Compare(measure.Values(all, checked), "ms", pasteMost, true), all)})
}
