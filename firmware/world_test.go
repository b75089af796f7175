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
	"testing"
	"time"
)

// world is a box with two slots, a boot loader that counts tries, RAUC, and a gateway that may be healthy or
// not depending on which slot runs. It outlives processes and power cuts; what lies in dir does too.
type world struct {
	dir string

	mu       sync.Mutex // guards what follows
	slots    []Slot     // Good is made of tries
	order    []int      // the slots in which the boot loader tries them
	tries    []int      // starts of each slot since it was marked good
	running  int
	boots    int
	booted   time.Time
	reboot   bool // was asked for
	restarts int  // of the machine, asked for by the gateway
	marks    []string
	absent   bool
	modules  error
	inspect  error
	stuck    error            // why the machine does not restart
	reason   map[string]error // of the checks, by name
	uplinks  map[string]error
	sick     int // the slot that is not healthy; -1: none
	step     func()
}

func newWorld(t *testing.T) *world {
	return &world{
		dir: t.TempDir(), booted: time.Now(), boots: 1, sick: -1, order: []int{0, 1}, tries: []int{0, 0},
		slots:   []Slot{{Name: "rootfs.0", Bootname: "A", Booted: true}, {Name: "rootfs.1", Bootname: "B"}},
		uplinks: map[string]error{"cloud": nil, "other": errors.New("no route to host")},
	}
}

// stepped is called at every touch of the world: a kill may come at each.
func (w *world) stepped() {
	w.mu.Lock()
	step := w.step
	w.mu.Unlock()
	if step != nil {
		step()
	}
}

// start is the machine starting anew: the boot loader takes the first slot that it may still try.
func (w *world) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boots++
	w.booted, w.reboot = time.Now(), false
	choice := -1
	for _, i := range w.order {
		if w.tries[i] < 3 {
			choice = i
			break
		}
	}
	if choice < 0 { // never a dead end
		choice, w.tries = w.order[0], []int{0, 0}
	}
	w.tries[choice]++
	w.running = choice
	for i := range w.slots {
		w.slots[i].Booted = i == choice
	}
}

func (w *world) Compatible(context.Context) (string, error) {
	w.stepped()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent {
		return "", ErrNoInstaller
	}
	return "sluice-test", nil
}

func (w *world) Slots(context.Context) ([]Slot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent {
		return nil, ErrNoInstaller
	}
	shown := slices.Clone(w.slots)
	for i := range shown {
		shown[i].Good = w.tries[i] == 0
	}
	return shown, nil
}

func (w *world) Inspect(context.Context, Source) (Bundle, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent {
		return Bundle{}, ErrNoInstaller
	}
	return Bundle{Compatible: "sluice-test", Version: "2"}, w.inspect
}

func (w *world) Install(_ context.Context, from Source, progress func(int, string)) error {
	w.stepped()
	w.mu.Lock()
	other := 1 - w.running
	w.tries[other] = 3 // RAUC makes it bad before the first byte
	w.mu.Unlock()
	progress(50, "Copying image")
	w.stepped()
	if _, err := os.Stat(from.Place); err != nil {
		return explain("No such file or directory")
	}
	w.mu.Lock()
	w.slots[other].Count++
	w.slots[other].Version = "2"
	w.tries[other], w.order = 0, []int{other, w.running}
	w.mu.Unlock()
	w.stepped()
	return nil
}

func (w *world) Await(context.Context, func(int, string)) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.absent {
		return false, ErrNoInstaller
	}
	return false, nil
}

func (w *world) slot(name string) int {
	return slices.IndexFunc(w.slots, func(s Slot) bool { return s.Name == name })
}

func (w *world) MarkGood(_ context.Context, slot string) error {
	w.stepped()
	w.mu.Lock()
	w.tries[w.slot(slot)] = 0
	w.marks = append(w.marks, slot)
	w.mu.Unlock()
	w.stepped()
	return nil
}

func (w *world) Activate(_ context.Context, slot string) error {
	w.stepped()
	w.mu.Lock()
	i := w.slot(slot)
	w.tries[i], w.order = 0, []int{i, 1 - i}
	w.mu.Unlock()
	w.stepped()
	return nil
}

func (w *world) Boot() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprint("boot ", w.boots)
}

func (w *world) Uptime() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return 20*time.Second + time.Since(w.booted)
}

func (w *world) Reboot(context.Context) error {
	w.stepped()
	w.mu.Lock()
	if err := w.stuck; err != nil {
		w.mu.Unlock()
		return err
	}
	w.reboot = true
	w.restarts++
	w.mu.Unlock()
	w.stepped()
	return nil
}

func (w *world) Modules() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.modules
}

func (w *world) check(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sick == w.running && name == "listeners" {
		return errors.New("nobody listens at 0.0.0.0:1883")
	}
	return w.reason[name]
}

func (w *world) Probe(context.Context) error      { w.stepped(); return w.check("log") }
func (w *world) Configured(context.Context) error { return w.check("configuration") }
func (w *world) Listening(context.Context) error  { return w.check("listeners") }

func (w *world) Uplinks(context.Context) map[string]error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.uplinks)
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) open() *Updater {
	w.mu.Lock()
	version := fmt.Sprint("system in ", w.slots[w.running].Bootname)
	w.mu.Unlock()
	return Open(Options{Dir: filepath.Join(w.dir, "firmware"), Installer: w, Machine: w, Release: Release{Version: version}, Log: slog.New(slog.DiscardHandler)})
}

func fiveMinutes() Settings { return Settings{Stable: 5 * time.Minute, Within: 30 * time.Minute} }

// process is one run of the gateway.
type process struct {
	*Updater
	stop func()
}

func (w *world) begin() *process {
	u := w.open()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = u.Run(ctx, w, fiveMinutes, func(Event) {}) })
	return &process{u, func() { cancel(); running.Wait() }}
}

// update lets a bundle be installed and restarts the machine into it.
func (w *world) update(t *testing.T) {
	t.Helper()
	p := w.begin()
	time.Sleep(6 * time.Minute) // until the system that runs is kept itself
	file := filepath.Join(w.dir, "sent.raucb")
	if err := os.WriteFile(file, []byte("a bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if err := p.Receive(context.Background(), from, 8, "sluice.raucb", "ada"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if s := p.State(); s.Waiting == nil || s.Waiting.Slot != "B" || s.Waiting.Version != "2" || s.Install.Running || s.Install.Error != nil {
		t.Fatalf("after the installation: %+v, %+v", s, s.Install)
	}
	if err := p.Restart(context.Background(), w, "ada"); err != nil {
		t.Fatal(err)
	}
	p.stop()
	w.start()
}

func kinds(events []Event) (all []string) {
	for _, e := range slices.Backward(events) {
		all = append(all, e.Kind)
	}
	return all
}

// asked says whether a restart of the machine was asked for, marked which slots were marked good, tried how
// often a slot was started since.
func (w *world) asked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reboot
}

func (w *world) marked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.marks)
}

func (w *world) tried(slot int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tries[slot]
}
