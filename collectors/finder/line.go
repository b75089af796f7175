package finder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/collectors/bus"
)

// LineSearch is a search over one line.
type LineSearch struct {
	Line  *bus.Client
	Place string // what it is, for people: bus://rs485-1 or /dev/ttyS1
	// Bus is the name that the configuration has for the line; empty: it has none, and what is found
	// comes with a line for it.
	Bus    string
	Path   string // of the serial port
	Serial bool   // it is one, so that its settings can be changed
	Now    bus.Character

	Protocols []*Protocol
	Bauds     []int    // none: what is usual for each protocol
	Parities  []string // likewise
	Units     []byte   // none: all
	Timeout   time.Duration
}

// Run asks everything that there is to ask, until ctx ends, and reports what it finds. Each question is
// a turn of its own on the line, so that one in operation goes on.
func (s *LineSearch) Run(ctx context.Context, r Report) error {
	run := &lineRun{LineSearch: s, report: r, left: s.steps(), clock: clock{began: time.Now()}}
	for _, step := range run.left {
		run.all += step.questions
	}
	for len(run.left) > 0 {
		step := run.left[0]
		run.left = run.left[1:]
		if err := run.take(ctx, step); err != nil {
			return err
		}
	}
	run.tell("")
	return nil
}

type lineRun struct {
	*LineSearch
	report    Report
	left      []*step
	now       *step // that is under way
	clock     clock
	done, all int
}

// take runs one step.
func (r *lineRun) take(ctx context.Context, now *step) error {
	found := false
	q := &Query{
		Line: r.Line, Character: now.character, Part: now.part, Units: r.Units, Timeout: r.Timeout,
		Asked: func(done, all int, what string) { r.asked(now, done, all, what) },
		Found: func(a Answer) {
			found = true
			r.found(now, a)
		},
	}
	r.asked(now, 0, now.questions, "")
	err := now.protocol.Ask(ctx, q)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil || errors.Is(err, bus.ErrNoise):
		// Who talks all the time at this setting is not who is looked for.
	case errors.Is(err, bus.ErrNotSent), errors.Is(err, bus.ErrHungUp), errors.Is(err, bus.ErrClosed):
		return fmt.Errorf("%s cannot be searched: %w", r.Place, err)
	default:
		r.found(now, Answer{Text: err.Error(), Problem: true})
	}
	r.asked(now, now.questions, now.questions, "")
	if found {
		prefer(r.left, now)
	}
	return nil
}

// asked counts what a step has asked, and what it turned out to have to ask beside what was expected.
func (r *lineRun) asked(now *step, done, all int, what string) {
	r.all += all - now.questions
	r.done += done - now.done
	for range done - now.done {
		r.clock.spend(now.protocol.Patience)
	}
	now.questions, now.done = all, done
	if r.report.Progress == nil {
		return
	}
	r.now = now
	r.tell(r.describe(now, what))
}

func (r *lineRun) describe(now *step, what string) string {
	text := now.protocol.Name
	if now.character != nil {
		text += ", " + Name(*now.character)
	}
	if what != "" {
		text += ", " + what
	}
	return text
}

func (r *lineRun) tell(now string) {
	if r.report.Progress == nil {
		return
	}
	rest := time.Duration(0)
	if r.now != nil {
		rest = time.Duration(r.now.questions-r.now.done) * r.now.protocol.Patience
	}
	for _, s := range r.left {
		rest += time.Duration(s.questions) * s.protocol.Patience
	}
	r.report.Progress(Progress{Done: r.done, All: r.all, Now: now, Left: r.clock.left(rest, 1)})
}

func (r *lineRun) found(now *step, a Answer) {
	if r.report.Found == nil {
		return
	}
	settings := ""
	if now.character != nil {
		settings = Name(*now.character)
	}
	f := newFound(r.Place, now.protocol, settings, a)
	if !a.Problem {
		f.YAML = r.configure(now, a)
	}
	r.report.Found(f)
}
