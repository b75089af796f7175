// Package manager has NetworkManager do what gateway/network says, over the system's D-Bus: it shows devices
// and connections, changes connections under a checkpoint that NetworkManager rolls back by itself, and
// moves a device's default route behind those of others. It keeps no state but a change that waits to be
// confirmed.
package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

const (
	service  = "org.freedesktop.NetworkManager"
	root     = dbus.ObjectPath("/org/freedesktop/NetworkManager")
	settings = root + "/Settings"
	nowhere  = dbus.ObjectPath("/") // what NetworkManager says for none
)

// bus is what is asked of the system bus; recorded answers stand in for it in tests.
type bus interface {
	// call gives the body of the answer. method is an interface of NetworkManager's and a method, without
	// the part that all have in common: ".Device.Reapply".
	call(ctx context.Context, path dbus.ObjectPath, method string, args ...any) ([]any, error)
	properties(ctx context.Context, path dbus.ObjectPath, of string) (properties, error)
	close()
}

// properties are those of one interface of an object. What is absent is nothing of its type.
type properties map[string]dbus.Variant

// value is the property name, or the zero of its type: what is missing, or of another type, is not known.
func value[T any](p map[string]dbus.Variant, name string) (v T) {
	if found, ok := p[name]; ok {
		v, _ = found.Value().(T)
	}
	return v
}

// patience is how long NetworkManager may take for one answer. Activations answer when they begin.
const patience = 10 * time.Second

// systemBus is the bus of the system, connected when it is first needed and again after it was lost.
type systemBus struct {
	address string // empty: the system's

	mu   sync.Mutex // guards what follows
	conn *dbus.Conn
}

func (b *systemBus) connected() (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.Connected() {
		return b.conn, nil
	}
	var err error
	if b.address == "" {
		b.conn, err = dbus.ConnectSystemBus()
	} else {
		b.conn, err = dbus.Connect(b.address)
	}
	if err != nil {
		b.conn = nil
		return nil, fmt.Errorf("%w: %w", network.ErrUnavailable, err)
	}
	return b.conn, nil
}

func (b *systemBus) call(ctx context.Context, path dbus.ObjectPath, method string, args ...any) ([]any, error) {
	return b.ask(ctx, path, service+method, args...)
}

func (b *systemBus) properties(ctx context.Context, path dbus.ObjectPath, of string) (properties, error) {
	body, err := b.ask(ctx, path, "org.freedesktop.DBus.Properties.GetAll", service+of)
	if err != nil || len(body) != 1 {
		return nil, err
	}
	all, _ := body[0].(map[string]dbus.Variant)
	return all, nil
}

// ask starts nothing: where NetworkManager does not run, asking for it must not bring it up.
func (b *systemBus) ask(ctx context.Context, path dbus.ObjectPath, method string, args ...any) ([]any, error) {
	conn, err := b.connected()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := conn.Object(service, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	return answer.Body, inWords(answer.Err, method)
}

func (b *systemBus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// inWords sorts what the bus says into what callers compare.
func inWords(err error, method string) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[dbus.Error](err)
	if !ok {
		return fmt.Errorf("ask NetworkManager (%s): %w", method, err)
	}
	switch said.Name {
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.Disconnected":
		return network.ErrUnavailable
	case "org.freedesktop.DBus.Error.AccessDenied", service + ".PermissionDenied", service + ".Settings.PermissionDenied":
		return fmt.Errorf("%w: %s", network.ErrDenied, said.Error())
	}
	return &refusedError{said.Name, said.Error()}
}

// refusedError is what NetworkManager says to something that it was asked and will not do.
type refusedError struct{ name, text string }

func (e *refusedError) Error() string { return "NetworkManager refuses: " + e.text }
