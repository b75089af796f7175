package firmware

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// gate lets a new system stay only when it is healthy. The boot loader starts a slot three times and then
// the other one, unless it is told that the slot is good: that is what the gate does, and all it does while
// things go well. When they go badly for good it restarts the machine into the other slot itself.
type gate struct {
	*Updater
	health   Health
	settings func() Settings

	known    bool // what was started is settled
	marked   bool // the boot loader knows that it is good
	rebooted time.Duration
	flickers map[string]time.Duration // when each uplink was connected last, as uptime
	absences int
	away     bool // an uplink is not connected now, though not for long enough to count
}

const (
	// rebootAgain is when a restart of the machine that did not happen is asked for again.
	rebootAgain = 2 * time.Minute
	// flicker is how long an uplink may be away without counting as down: mobile lines come and go.
	flicker = time.Minute
	// lookSeldom is how often a machine without RAUC is asked whether it has got one.
	lookSeldom = 5 * time.Minute
)

// look does what is to be done now, and says when to look again.
func (g *gate) look(ctx context.Context) time.Duration {
	g.ask(ctx)
	g.settle(ctx)
	g.mu.Lock()
	onTrial, absent := g.state.Trial != nil, g.absent
	g.mu.Unlock()
	switch {
	case onTrial:
		g.judge(ctx)
	case absent:
		// The bus may have come up after the gateway; later nothing is expected any more.
		if g.absences++; g.absences > 6 {
			return lookSeldom
		}
	case g.known && !g.marked:
		g.mark(ctx)
	}
	return lookEvery
}

// ask brings up to date what RAUC knows. While it installs it may not answer; then what it said before counts.
func (g *gate) ask(ctx context.Context) {
	g.mu.Lock()
	busy := g.install != nil && g.install.Running && g.install.Phase == "installing"
	g.mu.Unlock()
	if busy {
		return
	}
	board, err := g.options.Installer.Compatible(ctx)
	var slots []Slot
	if err == nil {
		slots, err = g.options.Installer.Slots(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.absent = errors.Is(err, ErrNoInstaller)
	g.problem = ""
	if err != nil {
		if !g.absent {
			g.problem = err.Error()
		}
		return
	}
	g.board, g.slots = board, slots
}

// booted is the slot that runs.
func booted(slots []Slot) (Slot, bool) {
	i := slices.IndexFunc(slots, func(s Slot) bool { return s.Booted })
	if i < 0 {
		return Slot{}, false
	}
	return slots[i], true
}

// identity tells what is installed in a slot from what was there before.
func (u *Updater) identity(s Slot) string {
	return fmt.Sprintf("%s %d %s", u.options.Release.Version, s.Count, s.Sum)
}

// settle finds out once what it was that the machine has started: a system that is proven, one that has to
// be, or the one before an update that failed.
func (g *gate) settle(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, ok := booted(g.slots)
	if g.known || !ok || ctx.Err() != nil {
		return
	}
	g.known = true
	var told func()
	boot, up := g.options.Machine.Boot(), g.state.Update
	if up != nil && up.Boot != boot && up.Slot != now.Bootname {
		kind, text := "fell-back", up.Failed
		switch {
		case !up.Written:
			kind, text = "refused", "the machine was restarted while the update was written; install it again"
		case text == "":
			text = "the boot loader gave it up: it was started and never proved healthy"
		}
		told = g.noteLocked(Event{Kind: kind, Version: up.Version, Slot: up.Slot, Text: text})
		g.state.Update, g.state.Trial = nil, nil
	}
	proven := g.state.Proven[now.Bootname] == g.identity(now)
	switch {
	case proven:
		g.state.Trial = nil
		if up := g.state.Update; up != nil && up.Boot != boot {
			g.state.Update = nil // it was kept, and a kill came before that was noted
		}
	case g.state.Trial == nil:
		g.state.Trial = g.newTrial()
	}
	g.saveLocked()
	if told != nil {
		told()
	}
}

// mark tells the boot loader that the system is good, with three tries for its next start.
func (g *gate) mark(ctx context.Context) {
	g.mu.Lock()
	now, _ := booted(g.slots)
	g.mu.Unlock()
	if err := g.options.Installer.MarkGood(ctx, now.Name); err != nil {
		g.log.Warn("the boot loader does not know yet that this system is good", "err", err)
		return
	}
	g.marked = true
	g.ask(ctx)
}

// judge makes all checks, and decides when it is time.
func (g *gate) judge(ctx context.Context) {
	settings, machine := g.settings(), g.options.Machine
	g.mu.Lock()
	t := *g.state.Trial
	g.since, g.until = t.Began, t.Began+settings.Within
	var before []string
	if up := g.state.Update; up != nil && up.Boot != machine.Boot() {
		before = up.Uplinks
	}
	g.mu.Unlock()

	checks := g.check(ctx, before)
	if ctx.Err() != nil {
		return
	}
	var wrong []string
	for _, c := range checks {
		if c.State != "good" {
			wrong = append(wrong, c.Name+": "+c.Said)
		}
	}
	if t.Crashes > mostCrashes && t.Verdict == "" {
		wrong = append(wrong, fmt.Sprintf("the gateway ended unexpectedly %d times", t.Crashes-1))
	}
	uptime := machine.Uptime()
	g.mu.Lock()
	stable := Check{Name: "stable", State: "waiting"}
	switch {
	case len(wrong) > 0:
		g.held = 0
	case g.held == 0:
		g.held = uptime
	}
	rest := settings.Stable
	if g.held != 0 {
		rest -= uptime - g.held
		stable.Said = fmt.Sprintf("all is well since %s; kept in %s", (uptime - g.held).Round(time.Second), max(0, rest).Round(time.Second))
	}
	if g.held != 0 && rest <= 0 && !g.away {
		stable.State = "good"
	}
	late := uptime-t.Began >= settings.Within
	failing := stable.State != "good" && t.Verdict == "" && len(wrong) > 0 && (late || t.Crashes > mostCrashes)
	if failing {
		g.failLocked(strings.Join(wrong, "; "))
	}
	if t.Verdict != "" || failing {
		for i := range checks {
			if checks[i].State == "waiting" {
				checks[i].State = "bad"
			}
		}
	}
	g.checks = append(checks, stable)
	failed := g.state.Trial.Verdict != ""
	g.mu.Unlock()
	switch {
	case stable.State == "good":
		g.prove(ctx)
	case failed:
		g.giveUp(ctx)
	}
}

// check asks for everything but stability.
func (g *gate) check(ctx context.Context, before []string) []Check {
	one := func(name string, ask func(context.Context) error) Check {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		if err := ask(ctx); err != nil {
			return Check{Name: name, State: "waiting", Said: err.Error()}
		}
		return Check{Name: name, State: "good"}
	}
	return []Check{
		one("log", g.health.Probe),
		one("configuration", g.health.Configured),
		one("listeners", g.health.Listening),
		one("uplinks", func(ctx context.Context) error { return g.uplinks(ctx, before) }),
		one("updater", g.selfTest),
	}
}

// uplinks says whether each uplink is as good as before: one that was down may stay down, and one that is
// not configured any more is nobody's concern.
func (g *gate) uplinks(ctx context.Context, before []string) error {
	if g.flickers == nil {
		g.flickers = map[string]time.Duration{}
	}
	now, uptime := g.health.Uplinks(ctx), g.options.Machine.Uptime()
	g.away = false
	var away []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		err := now[name]
		if err == nil {
			g.flickers[name] = uptime
			continue
		}
		if !slices.Contains(before, name) {
			continue
		}
		g.away = true
		if last, seen := g.flickers[name]; !seen || uptime-last > flicker {
			away = append(away, fmt.Sprintf("%s was connected before the update and is not now: %v", name, err))
		}
	}
	if len(away) > 0 {
		return errors.New(strings.Join(away, "; "))
	}
	return nil
}

// selfTest says whether the next update could be installed.
func (g *gate) selfTest(ctx context.Context) error {
	if err := g.options.Machine.Modules(); err != nil {
		return err
	}
	if _, err := g.options.Installer.Inspect(ctx, Source{Place: g.options.SelfTest}); err != nil {
		return fmt.Errorf("a bundle cannot be inspected: %w", err)
	}
	return nil
}

// prove keeps the system. First that is made durable, then the boot loader is told: a kill between the two
// leaves a system that is known to be proven, which is marked at the next start.
func (g *gate) prove(ctx context.Context) {
	g.mu.Lock()
	now, known := booted(g.slots)
	if !known {
		g.mu.Unlock()
		return // RAUC cannot say what runs; it will be asked again
	}
	event := Event{Kind: "kept", Slot: now.Bootname, Version: g.options.Release.Version}
	up := g.state.Update
	if up != nil && up.Boot != g.options.Machine.Boot() {
		event.Version, event.By = up.Version, up.By
		g.state.Update = nil
	}
	trial := g.state.Trial
	g.state.Proven[now.Bootname] = g.identity(now)
	g.state.Trial = nil
	told := g.noteLocked(event)
	if !g.saveLocked() {
		// Not durable is not proven: it is looked at again.
		delete(g.state.Proven, now.Bootname)
		g.state.Update, g.state.Trial = up, trial
		g.state.History = g.state.History[:len(g.state.History)-1]
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	told()
	g.mark(ctx)
}

// failLocked makes it durable why the trial has gone wrong, for the system that runs afterwards to tell.
func (u *Updater) failLocked(why string) {
	t := u.state.Trial
	t.Verdict = why
	event := Event{Kind: "failed", Version: u.options.Release.Version, Text: why}
	if now, ok := booted(u.slots); ok {
		event.Slot = now.Bootname
	}
	if up := u.state.Update; up != nil && up.Boot != t.Boot {
		up.Failed, event.Version = why, up.Version
	}
	told := u.noteLocked(event)
	u.saveLocked()
	u.log.Error("the new system is not kept", "why", why)
	told()
}

// giveUp restarts the machine into the other slot, if there is one that is good: a sick system is better
// than none. The slot that runs stays one that may be started, in case that the other one is worse.
func (g *gate) giveUp(ctx context.Context) {
	uptime := g.options.Machine.Uptime()
	if g.rebooted != 0 && uptime-g.rebooted < rebootAgain {
		return
	}
	g.mu.Lock()
	slots, up := g.slots, g.state.Update
	g.mu.Unlock()
	if other := slices.IndexFunc(slots, func(s Slot) bool { return !s.Booted && s.Good }); other >= 0 {
		if err := g.options.Installer.Activate(ctx, slots[other].Name); err != nil {
			g.log.Error("the other slot could not be chosen; the boot loader's own count of tries decides", "err", err)
		}
	} else if len(slots) > 0 || up == nil {
		return // nothing to fall back to: it goes on as it is, and the page says why
	}
	// Without a word from RAUC there is at least the slot that ran before: the boot loader comes back to it
	// after its three tries.
	g.rebooted = max(uptime, 1)
	if err := g.options.Machine.Reboot(ctx); err != nil {
		g.log.Error("the machine cannot be restarted", "err", err)
	}
}
