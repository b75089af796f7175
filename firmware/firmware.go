// Package firmware updates the box that the gateway runs on: it hides RAUC and D-Bus, which slot of the two
// runs, and the proof that a new version must give before it is kept. It knows nothing of the gateway but
// what it declares as Health, since an update must work when everything else is broken.
package firmware

import (
	"context"
	"time"
)

// Slot is one place for a whole system, of which one runs and the other waits.
type Slot struct {
	Name      string // RAUC's, such as rootfs.0
	Bootname  string // the boot loader's, such as A
	Booted    bool
	Good      bool      // the boot loader may start it
	Version   string    // of what RAUC installed there last; empty: it did not
	Installed time.Time // zero: never by RAUC
	Count     uint32    // how often something was installed there
	Sum       string    // SHA-256 of what was
}

// Bundle is what an update says of itself.
type Bundle struct {
	Compatible string // the board it is for
	Version    string
	Text       string // a description
}

// Source is where a bundle comes from.
type Source struct {
	Place string // an absolute path, or a URL that RAUC streams from
	TLS   TLS
}

// TLS is with what RAUC asks a server for a bundle: files, all of which may be missing.
type TLS struct{ Cert, Key, CA string }

// Installer writes bundles into the slot that does not run: RAUC. Its methods may be called from any
// goroutine; one installation runs at a time.
type Installer interface {
	// Compatible is the board's name; ErrNoInstaller.
	Compatible(ctx context.Context) (string, error)
	// Slots lists those that the boot loader can start.
	Slots(ctx context.Context) ([]Slot, error)
	// Inspect checks who signed a bundle and reads what it is; a *Refusal.
	Inspect(ctx context.Context, from Source) (Bundle, error)
	// Install writes a bundle into the slot that does not run, makes that the next to be started and tells
	// how far it is; a *Refusal. The installation goes on when ctx ends.
	Install(ctx context.Context, from Source, progress func(percent int, doing string)) error
	// Await waits for an installation that somebody else began, and says whether there was one.
	Await(ctx context.Context, progress func(percent int, doing string)) (was bool, err error)
	// MarkGood tells the boot loader that a slot works, Activate that it is the next to be started.
	MarkGood(ctx context.Context, slot string) error
	Activate(ctx context.Context, slot string) error
}

// Machine is the computer that the slots are of.
type Machine interface {
	// Boot is another text after each start of the machine.
	Boot() string
	// Uptime is how long ago that was, whatever the clock says.
	Uptime() time.Duration
	// Reboot begins to restart the machine in order.
	Reboot(ctx context.Context) error
	// Modules is nil when the kernel has all that RAUC needs for the next update.
	Modules() error
}

// Health is what the gateway says of itself while a new version is on trial. Each answer is nil when it is
// good; its words are read by people. A call ends when its context does.
type Health interface {
	// Probe writes a record into the log, waits until it is durable, and reads it back.
	Probe(ctx context.Context) error
	// Configured says whether what runs is what the configuration's file asks for.
	Configured(ctx context.Context) error
	// Listening says whether every address that is configured takes connections.
	Listening(ctx context.Context) error
	// Uplinks tells of each configured uplink by its name: nil when it is connected.
	Uplinks(ctx context.Context) map[string]error
}

// SelfTest is a tiny signed bundle that is shipped in every image: what can inspect it can begin an update.
const SelfTest = "/usr/lib/sluice/self-test.raucb"
