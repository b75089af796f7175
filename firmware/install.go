package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

const (
	bundlePattern = "bundle-*.raucb"

	// MaxBundle bounds what may be uploaded, in bytes.
	MaxBundle = 2 << 30
	spaceKept = 64 << 20 // bytes that an upload leaves free: the log needs some as well
	spaceLook = 4 << 20  // after how many bytes it looks again
)

// What Receive may answer besides ErrBusy, ErrTrial, ErrNoInstaller and a *Refusal.
var (
	ErrTooLarge = fmt.Errorf("a bundle may have %d MiB", MaxBundle>>20)
	ErrAborted  = errors.New("the sender went away before the whole bundle had come")
	ErrNoSpace  = errors.New("there is not enough space for the bundle on the data partition; stream it from a URL, or make room")
)

// job is an installation to be done.
type job struct {
	from    Source
	name    string // for people
	by      string
	version string // empty: the bundle was not inspected yet
	remove  string // a file to be removed afterwards
}

// begin takes the one place for installations.
func (u *Updater) begin(now Install) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.absent:
		return ErrNoInstaller
	case !u.ready || u.install != nil && u.install.Running:
		return ErrBusy
	case u.state.Trial != nil && u.state.Trial.Verdict == "" && slices.ContainsFunc(u.slots, func(s Slot) bool { return !s.Booted && s.Good }):
		return ErrTrial
	}
	now.Running = true
	u.install = &now
	return nil
}

func (u *Updater) change(how func(*Install)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	how(u.install)
}

// Receive takes a bundle, checks it, and lets it be installed; it returns when the installation begins.
// size is how long it will be, -1 when nobody knows. Nothing is left of one that is refused, or whose
// sender goes away.
func (u *Updater) Receive(ctx context.Context, from io.Reader, size int64, name, by string) error {
	if size > MaxBundle {
		return ErrTooLarge
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := u.begin(Install{Phase: "receiving", Source: name, By: by, Total: size, cancellable: true}); err != nil {
		return err
	}
	u.mu.Lock()
	u.cancel = cancel
	u.mu.Unlock()
	path, err := u.store(ctx, from, size)
	if err == nil {
		j := job{from: Source{Place: path}, name: name, by: by, remove: path}
		if err = u.inspect(ctx, &j); err == nil {
			u.jobs <- j // there is a place: whoever began has it
			return nil
		}
		err = errors.Join(err, os.Remove(path))
	}
	u.refuse(name, by, err)
	return err
}

// Fetch lets RAUC stream a bundle from a URL; it returns at once.
func (u *Updater) Fetch(url, by string) error {
	if err := u.begin(Install{Phase: "checking", Source: url, By: by, Total: -1}); err != nil {
		return err
	}
	u.jobs <- job{from: Source{Place: url}, name: url, by: by}
	return nil
}

// Cancel ends an upload; ErrNothing, ErrWritten.
func (u *Updater) Cancel() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.install == nil || !u.install.Running:
		return ErrNothing
	case !u.install.cancellable:
		return ErrWritten
	}
	u.cancel()
	return nil
}

// store writes what arrives into a file, which is removed unless all of it came.
func (u *Updater) store(ctx context.Context, from io.Reader, size int64) (path string, err error) {
	if err := os.MkdirAll(u.options.Dir, 0o700); err != nil {
		return "", fmt.Errorf("receive a bundle: %w", err)
	}
	if free, known := freeSpace(u.options.Dir); known && free < max(size, 0)+spaceKept {
		return "", ErrNoSpace
	}
	file, err := os.CreateTemp(u.options.Dir, bundlePattern)
	if err != nil {
		return "", fmt.Errorf("receive a bundle: %w", err)
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	buffer := make([]byte, 128<<10)
	looked := int64(spaceLook)
	for read := int64(0); ; {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		n, err := from.Read(buffer)
		read += int64(n)
		if read > MaxBundle {
			return "", ErrTooLarge
		}
		if _, err := file.Write(buffer[:n]); errors.Is(err, syscall.ENOSPC) {
			return "", ErrNoSpace
		} else if err != nil {
			return "", fmt.Errorf("receive a bundle: %w", err)
		}
		u.change(func(i *Install) { i.Bytes = read })
		if errors.Is(err, io.EOF) {
			return file.Name(), nil
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrAborted, err)
		}
		if read >= looked {
			looked = read + spaceLook
			if free, known := freeSpace(u.options.Dir); known && free < spaceKept {
				return "", ErrNoSpace
			}
		}
	}
}

func freeSpace(dir string) (int64, bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true //nolint:unconvert // 32-bit machines have other types
}

// inspect refuses what could not be installed, before anything is written.
func (u *Updater) inspect(ctx context.Context, j *job) error {
	u.change(func(i *Install) { i.Phase = "checking" })
	b, err := u.options.Installer.Inspect(ctx, j.from)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Kind == "other" {
		// An old RAUC gives no reason here; it does when it installs, before it writes.
		u.change(func(i *Install) { i.cancellable = false })
		return nil
	}
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if b.Compatible != u.board {
		return &Refusal{"board", fmt.Sprintf("it is for %s, this is %s", b.Compatible, u.board)}
	}
	j.version = b.Version
	u.install.Version, u.install.cancellable = b.Version, false
	return nil
}

// work installs one bundle.
func (u *Updater) work(ctx context.Context, j job, health Health, tls TLS) {
	j.from.TLS = tls
	if j.remove == "" {
		if err := u.inspect(ctx, &j); err != nil {
			u.refuse(j.name, j.by, err)
			return
		}
	}
	up := &update{Source: j.name, Version: j.version, By: j.by, Uplinks: connected(ctx, health)}
	err := u.announce(ctx, up)
	if err == nil {
		u.log.Info("an update is being installed", "source", j.name, "version", j.version, "by", j.by, "slot", up.Slot)
		err = u.options.Installer.Install(ctx, j.from, func(percent int, doing string) {
			u.change(func(i *Install) { i.Percent, i.Doing = percent, doing })
		})
		if ctx.Err() != nil {
			return // RAUC goes on, and the next start of the gateway sees how it ends
		}
	}
	u.settled(up, err)
	if j.remove != "" {
		if err := os.Remove(j.remove); err != nil {
			u.log.Warn("a bundle that is not needed any more stays", "err", err)
		}
	}
}

// announce makes durable what is about to happen: which slot is written, and how things were before.
func (u *Updater) announce(ctx context.Context, up *update) error {
	slots, err := u.options.Installer.Slots(ctx)
	if err != nil {
		return err
	}
	now, ok := booted(slots)
	other := slices.IndexFunc(slots, func(s Slot) bool { return !s.Booted })
	if !ok || other < 0 {
		return errors.New("RAUC names no slot that runs and another one beside it; is rauc.slot on the kernel's command line?")
	}
	up.Begun = time.Now()
	up.Boot, up.Slot, up.Before, up.Was = u.options.Machine.Boot(), slots[other].Bootname, now.Bootname, slots[other].Count
	u.mu.Lock()
	defer u.mu.Unlock()
	u.install.Phase = "installing"
	u.state.Update = up
	delete(u.state.Proven, up.Slot)
	if !u.saveLocked() {
		u.state.Update = nil
		return errors.New("how things are before the update could not be kept; is the disk full?")
	}
	return nil
}

// settled says how an installation ended.
func (u *Updater) settled(up *update, err error) {
	u.mu.Lock()
	event := Event{Kind: "installed", Version: up.Version, Slot: up.Slot, By: up.By, Text: up.Source}
	if err != nil {
		event.Kind, event.Text = "refused", err.Error()
		u.state.Update = nil
	} else {
		up.Written = true
		u.state.Update = up
	}
	if u.install != nil {
		u.install.Running, u.install.Error = false, err
	}
	told := u.noteLocked(event)
	u.saveLocked()
	u.mu.Unlock()
	told()
}

// refuse ends an installation that has not begun.
func (u *Updater) refuse(name, by string, err error) {
	u.mu.Lock()
	u.install.Running, u.install.Error = false, err
	// Whoever thought better of it needs no history.
	if errors.Is(err, context.Canceled) || errors.Is(err, ErrAborted) {
		u.install = nil
		u.mu.Unlock()
		return
	}
	told := u.noteLocked(Event{Kind: "refused", By: by, Text: name + ": " + err.Error()})
	u.saveLocked()
	u.mu.Unlock()
	told()
}
