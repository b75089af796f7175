package firmware

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	raucName      = "de.pengutronix.rauc"
	raucPath      = dbus.ObjectPath("/")
	raucInterface = "de.pengutronix.rauc.Installer"
	properties    = "org.freedesktop.DBus.Properties"

	// raucPatience is for what RAUC answers at once. On a slow board it looks at both slots for seconds.
	raucPatience = 30 * time.Second
	// raucLook is how often an installation is asked whether it still runs, besides what it tells itself.
	raucLook = 2 * time.Second
)

// ErrNoInstaller says that there is no RAUC on the system bus: the machine is updated by other means.
var ErrNoInstaller = errors.New("there is no RAUC on this machine's system bus")

// RAUC is RAUC on the system bus; the zero value will do. It connects when it is asked for something, and
// anew when the bus was lost.
type RAUC struct {
	// Address is the bus's; empty: the system's, or that of DBUS_SYSTEM_BUS_ADDRESS.
	Address string

	mu   sync.Mutex // guards what follows
	conn *dbus.Conn
}

// Close gives the connection back.
func (r *RAUC) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return nil
	}
	err := r.conn.Close()
	r.conn = nil
	return err
}

func (r *RAUC) bus() (*dbus.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil && r.conn.Connected() {
		return r.conn, nil
	}
	conn, err := connect(r.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoInstaller, err)
	}
	r.conn = conn
	return conn, nil
}

func connect(address string) (*dbus.Conn, error) {
	// In order: what an installation says last must not come before what it said first.
	inOrder := dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())
	if address == "" {
		return dbus.ConnectSystemBus(inOrder)
	}
	return dbus.Connect(address, inOrder)
}

// call asks RAUC and stores its answers.
func (r *RAUC) call(ctx context.Context, method string, args []any, answers ...any) error {
	ctx, cancel := context.WithTimeout(ctx, raucPatience)
	defer cancel()
	conn, err := r.bus()
	if err != nil {
		return err
	}
	if err := conn.Object(raucName, raucPath).CallWithContext(ctx, method, 0, args...).Store(answers...); err != nil {
		return asked(err)
	}
	return nil
}

// asked tells apart that there is no RAUC from what RAUC answered.
func asked(err error) error {
	if wrong, ok := errors.AsType[dbus.Error](err); ok {
		switch wrong.Name {
		case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.Spawn.ServiceNotFound":
			return fmt.Errorf("%w: %w", ErrNoInstaller, err)
		}
	}
	return fmt.Errorf("ask RAUC: %w", err)
}

func (r *RAUC) property(ctx context.Context, name string, into any) error {
	var value dbus.Variant
	if err := r.call(ctx, properties+".Get", []any{raucInterface, name}, &value); err != nil {
		return err
	}
	if err := value.Store(into); err != nil {
		return fmt.Errorf("RAUC's %s is a %s: %w", name, value.Signature(), err)
	}
	return nil
}

// Compatible implements Installer.
func (r *RAUC) Compatible(ctx context.Context) (board string, err error) {
	err = r.property(ctx, "Compatible", &board)
	return board, err
}

// Slots implements Installer.
func (r *RAUC) Slots(ctx context.Context) ([]Slot, error) {
	var all []struct {
		Name   string
		Status map[string]dbus.Variant
	}
	if err := r.call(ctx, raucInterface+".GetSlotStatus", nil, &all); err != nil {
		return nil, err
	}
	var slots []Slot
	for _, one := range all {
		said := dict(one.Status)
		s := Slot{
			Name: one.Name, Bootname: said.text("bootname"), Booted: said.text("state") == "booted", Good: said.text("boot-status") == "good",
			Version: said.text("bundle.version"), Sum: said.text("sha256"),
		}
		if s.Bootname == "" {
			continue // such as a partition for data, which goes with another
		}
		if at, err := time.Parse(time.RFC3339, said.text("installed.timestamp")); err == nil {
			s.Installed = at
		}
		s.Count, _ = said.value("installed.count").(uint32)
		slots = append(slots, s)
	}
	slices.SortFunc(slots, func(a, b Slot) int { return strings.Compare(a.Bootname, b.Bootname) })
	return slots, nil
}

// dict is a dictionary of variants. A variant that is missing must not be touched: even printing it panics.
type dict map[string]dbus.Variant

func (d dict) value(key string) any {
	v, ok := d[key]
	if !ok {
		return nil
	}
	value := v.Value()
	for inner, wrapped := value.(dbus.Variant); wrapped; inner, wrapped = value.(dbus.Variant) {
		value = inner.Value()
	}
	return value
}

func (d dict) text(key string) string {
	text, _ := d.value(key).(string)
	return text
}

func (d dict) dict(key string) dict {
	inner, _ := d.value(key).(map[string]dbus.Variant)
	return inner
}

// Inspect implements Installer. RAUC before 1.9 has only Info, which says no reason when it refuses.
func (r *RAUC) Inspect(ctx context.Context, from Source) (Bundle, error) {
	var answer map[string]dbus.Variant
	err := r.call(ctx, raucInterface+".InspectBundle", []any{from.Place, from.arguments()}, &answer)
	if wrong, ok := errors.AsType[dbus.Error](err); ok && wrong.Name == "org.freedesktop.DBus.Error.UnknownMethod" {
		var b Bundle
		err = r.call(ctx, raucInterface+".Info", []any{from.Place}, &b.Compatible, &b.Version)
		return b, refused(err)
	}
	if err != nil {
		return Bundle{}, refused(err)
	}
	update := dict(answer).dict("update")
	return Bundle{Compatible: update.text("compatible"), Version: update.text("version"), Text: update.text("description")}, nil
}

// refused makes a refusal of what RAUC answered.
func refused(err error) error {
	if wrong, ok := errors.AsType[dbus.Error](err); ok && !errors.Is(err, ErrNoInstaller) {
		return explain(wrong.Error())
	}
	return err
}

// arguments are those that RAUC knows; without any, none: RAUC 1.8 refuses what it does not know.
func (s Source) arguments() map[string]dbus.Variant {
	args := map[string]dbus.Variant{}
	for name, file := range map[string]string{"tls-cert": s.TLS.Cert, "tls-key": s.TLS.Key, "tls-ca": s.TLS.CA} {
		if file != "" && strings.HasPrefix(s.Place, "https://") {
			args[name] = dbus.MakeVariant(file)
		}
	}
	return args
}

// Install implements Installer.
func (r *RAUC) Install(ctx context.Context, from Source, progress func(int, string)) error {
	return r.follow(ctx, progress, func() error {
		return refused(r.call(ctx, raucInterface+".InstallBundle", []any{from.Place, from.arguments()}))
	})
}

// Await implements Installer.
func (r *RAUC) Await(ctx context.Context, progress func(int, string)) (was bool, err error) {
	err = r.follow(ctx, progress, func() error {
		var doing string
		if err := r.property(ctx, "Operation", &doing); err != nil {
			return err
		}
		if was = doing == "installing"; !was {
			return errIdle
		}
		return nil
	})
	if errors.Is(err, errIdle) {
		return false, nil
	}
	return was, err
}

var errIdle = errors.New("RAUC installs nothing")

// follow begins an installation and listens until RAUC says how it ended.
func (r *RAUC) follow(ctx context.Context, progress func(int, string), begin func() error) error {
	conn, err := r.bus()
	if err != nil {
		return err
	}
	matches := [][]dbus.MatchOption{
		{dbus.WithMatchInterface(raucInterface), dbus.WithMatchMember("Completed")},
		{dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchObjectPath(raucPath), dbus.WithMatchArg(0, raucInterface)},
	}
	for _, match := range matches {
		if err := conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("listen to RAUC: %w", err)
		}
		defer conn.RemoveMatchSignal(match...) //nolint:errcheck // what is not wanted any more may also come
	}
	heard := make(chan *dbus.Signal, 64) // the library keeps more in order behind it
	conn.Signal(heard)
	defer conn.RemoveSignal(heard)
	if err := begin(); err != nil {
		return err
	}
	look := time.NewTicker(raucLook)
	defer look.Stop()
	for idle := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case signal, open := <-heard:
			if !open {
				return errLost
			}
			if ended, result := told(signal, progress); ended {
				return r.outcome(ctx, result)
			}
		case <-look.C: // RAUC may have been killed, and a dead one says nothing
			var doing string
			if err := r.property(ctx, "Operation", &doing); err != nil {
				return errors.Join(errLost, err)
			}
			if doing == "installing" {
				idle = 0
			} else if idle++; idle > 1 {
				return errLost
			}
		}
	}
}

var errLost = errors.New("RAUC ended without saying how the installation went; install the update again")

// told reads a signal.
func told(signal *dbus.Signal, progress func(int, string)) (ended bool, result int32) {
	switch signal.Name {
	case raucInterface + ".Completed":
		if len(signal.Body) == 1 {
			result, ended = signal.Body[0].(int32)
		}
	case properties + ".PropertiesChanged":
		if len(signal.Body) < 2 {
			return false, 0
		}
		changed, _ := signal.Body[1].(map[string]dbus.Variant)
		if parts, ok := dict(changed).value("Progress").([]any); ok && len(parts) == 3 {
			percent, isNumber := parts[0].(int32)
			doing, isText := parts[1].(string)
			if isNumber && isText {
				progress(int(percent), doing)
			}
		}
	}
	return ended, result
}

// outcome is how an installation ended, in RAUC's words if badly.
func (r *RAUC) outcome(ctx context.Context, result int32) error {
	if result == 0 {
		return nil
	}
	var last string
	if err := r.property(ctx, "LastError", &last); err != nil {
		return err
	}
	return explain(last)
}

// MarkGood implements Installer.
func (r *RAUC) MarkGood(ctx context.Context, slot string) error { return r.mark(ctx, "good", slot) }

// Activate implements Installer.
func (r *RAUC) Activate(ctx context.Context, slot string) error { return r.mark(ctx, "active", slot) }

func (r *RAUC) mark(ctx context.Context, state, slot string) error {
	var name, said string
	if err := r.call(ctx, raucInterface+".Mark", []any{state, slot}, &name, &said); err != nil {
		return fmt.Errorf("mark slot %s as %s: %w", slot, state, err)
	}
	return nil
}
