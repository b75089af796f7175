package firmware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options is what an Updater stands on.
type Options struct {
	Dir       string // where the state lies, and bundles until they are installed; made when missing
	Installer Installer
	Machine   Machine
	Release   Release
	SelfTest  string // the path of the bundle that SelfTest is by default
	Log       *slog.Logger
}

// Settings are what a configuration says of updates.
type Settings struct {
	// Stable is how long a new system must be healthy before it is kept, Within by when it has to be.
	Stable, Within time.Duration
	TLS            TLS // for bundles that are streamed
}

// Updater installs updates and lets only healthy ones stay. Its methods may be called from any goroutine.
type Updater struct {
	options Options
	log     *slog.Logger
	jobs    chan job // one place: one installation at a time

	mu      sync.Mutex // guards what follows
	state   state
	install *Install
	checks  []Check
	held    time.Duration // the uptime since when every check is good; 0: it is not
	until   time.Duration // the uptime by which the trial must have succeeded
	since   time.Duration
	slots   []Slot // when RAUC could say it last
	board   string
	ready   bool // what an earlier start of the gateway has left is settled
	absent  bool // there is no RAUC, as far as is known
	problem string
	cancel  context.CancelFunc // ends the upload that runs
	tell    func(Event)
}

// Install is the installation that runs, or how the last one ended.
type Install struct {
	Running     bool
	Phase       string // receiving, checking or installing
	Percent     int
	Doing       string // RAUC's words
	Source, By  string
	Version     string
	Bytes       int64 // received
	Total       int64 // to be received; -1: nobody knows
	Error       error // how it ended, if badly: often a *Refusal
	cancellable bool
}

// What an Updater answers.
var (
	ErrBusy    = errors.New("another update is being installed")
	ErrTrial   = errors.New("the system that runs is still on trial, and the update would overwrite the one to fall back to; wait until it is kept")
	ErrWritten = errors.New("RAUC cannot be stopped once it writes; when it has ended, the slot is not started before the machine is restarted")
	ErrNothing = errors.New("nothing is being received")
)

// mostCrashes are how often the gateway may end badly during one trial.
const mostCrashes = 3

// Open reads the state. A start of the gateway on a new system counts from here on, so that one that does
// not come far is found out too. What it cannot do it logs: a gateway must start without updates as well.
func Open(options Options) *Updater {
	u := &Updater{options: options, log: options.Log, jobs: make(chan job, 1), tell: func(Event) {}, absent: true}
	var err error
	if u.state, err = load(options.Dir); err != nil {
		u.log.Error("the state of updates begins anew", "err", err)
	}
	boot := options.Machine.Boot()
	switch s := &u.state; {
	case s.Trial != nil && s.Trial.Boot == boot:
		s.Trial.Crashes++
		u.saveLocked()
	case s.Update != nil && s.Update.Written && s.Update.Boot != boot:
		s.Trial = u.newTrial()
		u.saveLocked()
	default:
		s.Trial = nil
	}
	return u
}

func (u *Updater) newTrial() *trial {
	return &trial{Boot: u.options.Machine.Boot(), Began: u.options.Machine.Uptime(), Crashes: 1}
}

func (u *Updater) saveLocked() bool {
	if err := u.state.save(u.options.Dir); err != nil {
		u.log.Error("the state of updates is not durable", "err", err)
		return false
	}
	return true
}

// note puts an event into the history, which the caller saves, and gives what tells of it afterwards.
func (u *Updater) noteLocked(e Event) (told func()) {
	e.Time = time.Now()
	u.state.record(e)
	tell := u.tell
	return func() {
		u.log.Info("firmware", "event", e.Kind, "version", e.Version, "slot", e.Slot, "by", e.By, "text", e.Text)
		tell(e)
	}
}

const (
	lookEvery = 10 * time.Second // at the checks
	checkTime = 20 * time.Second // for one of them
)

// Run proves the system that runs, if it has to be, and installs what is asked for, until ctx ends. tell
// hears of each event, once it is durable.
func (u *Updater) Run(ctx context.Context, health Health, settings func() Settings, tell func(Event)) error {
	u.mu.Lock()
	u.tell = tell
	u.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer u.end()
	defer working.Wait()
	defer cancel()
	gate := gate{Updater: u, health: health, settings: settings}
	working.Go(func() { u.resume(ctx) })
	working.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case j := <-u.jobs:
				u.work(ctx, j, health, settings().TLS)
			}
		}
	})
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		wait.Reset(gate.look(ctx))
	}
}

// end says that the gateway ends in order.
func (u *Updater) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Trial != nil && u.state.Trial.Crashes > 0 {
		u.state.Trial.Crashes--
		u.saveLocked()
	}
}

// resume settles what an earlier start of the gateway has left behind: an installation that goes on
// without it, one that ended meanwhile, and bundles that nobody needs any more.
func (u *Updater) resume(ctx context.Context) {
	for tries := 0; ; tries++ {
		was, err := u.options.Installer.Await(ctx, func(percent int, doing string) {
			u.mu.Lock()
			defer u.mu.Unlock()
			if u.install == nil {
				u.install = &Install{Running: true, Phase: "installing"}
				if up := u.state.Update; up != nil {
					u.install.Source, u.install.By, u.install.Version = up.Source, up.By, up.Version
				}
			}
			u.install.Percent, u.install.Doing = percent, doing
		})
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrNoInstaller) && !was {
			wait := lookEvery
			if tries > 6 {
				wait = lookSeldom
			}
			select { // RAUC may start later than the gateway
			case <-ctx.Done():
				return
			case <-time.After(wait):
				continue
			}
		}
		u.mu.Lock()
		up := u.state.Update
		if u.install != nil {
			u.install.Running, u.install.Error = false, err
		}
		u.mu.Unlock()
		if up != nil && !up.Written && up.Boot == u.options.Machine.Boot() {
			if !was {
				err = u.endedUnseen(ctx, up)
			}
			u.settled(up, err)
		}
		break
	}
	bundles, _ := filepath.Glob(filepath.Join(u.options.Dir, bundlePattern))
	for _, path := range bundles {
		if err := os.Remove(path); err != nil {
			u.log.Warn("a bundle that is not needed any more stays", "err", err)
		}
	}
	u.mu.Lock()
	u.ready = true
	u.mu.Unlock()
}

// endedUnseen says how an installation went that ended while the gateway was away.
func (u *Updater) endedUnseen(ctx context.Context, up *update) error {
	slots, err := u.options.Installer.Slots(ctx)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if s.Bootname == up.Slot && s.Count > up.Was && s.Good {
			return nil
		}
	}
	return errors.New("the installation ended while the gateway was away, and not well; install the update again")
}

// State is what a page shows.
type State struct {
	Absent  bool // there is no RAUC on this machine
	Board   string
	Slots   []Slot
	Install *Install
	Waiting *Waiting
	Trial   *Trial
	History []Event // the newest first
	Problem string  // why RAUC cannot be asked
}

// Waiting is an update that was written and runs after the next restart of the machine.
type Waiting struct{ Slot, Version string }

// Trial is the proof of the system that runs.
type Trial struct {
	Since, Until time.Time
	Failed       string // why it went wrong, and yet nothing better is there
	Checks       []Check
}

// Check is one thing that must hold.
type Check struct {
	Name  string // log, configuration, listeners, uplinks, updater, stable
	State string // waiting, good or bad
	Said  string
}

// State shows all that is known.
func (u *Updater) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	shown := State{Absent: u.absent, Board: u.board, Slots: slices.Clone(u.slots), Problem: u.problem}
	if u.install != nil {
		now := *u.install
		shown.Install = &now
	}
	if up := u.state.Update; up != nil && up.Written && up.Boot == u.options.Machine.Boot() {
		shown.Waiting = &Waiting{up.Slot, up.Version}
	}
	if t := u.state.Trial; t != nil {
		now, uptime := time.Now(), u.options.Machine.Uptime()
		shown.Trial = &Trial{Since: now.Add(u.since - uptime), Until: now.Add(u.until - uptime), Failed: t.Verdict, Checks: slices.Clone(u.checks)}
	}
	for _, e := range slices.Backward(u.state.History) {
		shown.History = append(shown.History, e)
	}
	return shown
}

// Restart restarts the machine, into the update if one was written.
func (u *Updater) Restart(ctx context.Context, health Health, by string) error {
	connected := connected(ctx, health)
	u.mu.Lock()
	if u.install != nil && u.install.Running {
		u.mu.Unlock()
		return ErrBusy
	}
	event := Event{Kind: "restarting", By: by}
	if up := u.state.Update; up != nil && up.Written {
		up.Uplinks, event.Slot, event.Version = connected, up.Slot, up.Version
	}
	told := u.noteLocked(event)
	saved := u.saveLocked() // before the machine goes: the proof of the update compares with it
	u.mu.Unlock()
	if !saved {
		return errors.New("the machine is not restarted: how the uplinks are could not be kept for the proof of the update; is the disk full?")
	}
	if err := u.options.Machine.Reboot(ctx); err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.state.History = u.state.History[:len(u.state.History)-1] // it did not happen
		u.saveLocked()
		return err
	}
	told()
	return nil
}

// connected names the uplinks that are.
func connected(ctx context.Context, health Health) []string {
	uplinks := health.Uplinks(ctx)
	maps.DeleteFunc(uplinks, func(_ string, err error) bool { return err != nil })
	return slices.Sorted(maps.Keys(uplinks))
}

// Unfit says that the gateway could not even start. On a new system that happens often enough to be sure,
// and then the one before it comes back; elsewhere it does nothing.
func (u *Updater) Unfit(ctx context.Context, why error) {
	gate := gate{Updater: u}
	gate.ask(ctx)
	gate.settle(ctx)
	u.mu.Lock()
	t := u.state.Trial
	if t != nil && t.Crashes > mostCrashes && t.Verdict == "" {
		u.failLocked(fmt.Sprintf("the gateway did not start %d times: %v", t.Crashes, why))
	}
	failed := t != nil && t.Verdict != ""
	u.mu.Unlock()
	if failed {
		gate.giveUp(ctx)
	}
}
