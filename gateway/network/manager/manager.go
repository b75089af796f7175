package manager

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

// Options is what a Manager needs.
type Options struct {
	Address string // of the bus; empty: the system's
	Grace   time.Duration
	// Mark is the file in which a change lies while it waits, with the secrets of what it replaces.
	Mark  string
	Write func(path string, data []byte) error // replaces a file, durably when it returns
	Log   *slog.Logger
}

// Manager changes the network through NetworkManager. Its methods may be called from any goroutine.
type Manager struct {
	options Options
	bus     bus
	log     *slog.Logger

	changing sync.Mutex // one change at a time

	mu      sync.Mutex // guards what follows
	pending *change
	turned  chan struct{} // a place: pending has changed
}

// New prepares a Manager; it connects to nothing.
func New(options Options) *Manager {
	return &Manager{options: options, bus: &systemBus{address: options.Address}, log: options.Log, turned: make(chan struct{}, 1)}
}

// Flags of NetworkManager's [nm-dbus-types].
const (
	toDisk      = uint32(0x01) // of AddConnection2 and Update2
	inMemory    = uint32(0x02)
	noReapply   = uint32(0x40) // of Update2
	deleteNew   = uint32(0x02) // of CheckpointCreate
	afterwards  = 5 * time.Second
	retryAfter  = 10 * time.Second
	activeState = uint32(2) // of an active connection: activated
)

// change is one that waits to be confirmed.
type change struct {
	ID         string          `json:"id"`
	Until      time.Time       `json:"until"`
	Checkpoint dbus.ObjectPath `json:"checkpoint"`
	// Was are the profiles that are changed or removed, as they were; Added are new ones.
	Was     map[string]frozen `json:"was"`
	Added   []string          `json:"added"`
	Removed []string          `json:"removed"`
}

// Apply makes all the connections that there are: what is missing in all is removed, of those kinds that
// can be edited. It is applied in NetworkManager's memory and under a checkpoint, so that whatever dies
// in the grace time, the machine comes back with what it had; Confirm writes it to disk.
func (m *Manager) Apply(ctx context.Context, all []network.Connection, etag string) (network.Applied, error) {
	done := network.Applied{ETag: etag, Warnings: []string{}}
	m.changing.Lock()
	defer m.changing.Unlock()
	if m.shownPending() != nil {
		return done, network.ErrPending
	}
	profiles, err := m.profiles(ctx)
	if err != nil {
		return done, err
	}
	if _, now := showAll(profiles); now != etag {
		return done, network.ErrChanged
	}
	steps, err := plan(all, profiles)
	if err != nil || len(steps) == 0 {
		return done, err
	}
	waiting, err := m.begin(ctx, steps)
	if err != nil {
		return done, err
	}
	// What has begun is ended, also when whoever asked has gone: their address may be what changes.
	ctx = context.WithoutCancel(ctx)
	done.Warnings, err = m.make(ctx, steps)
	if err != nil {
		return done, errors.Join(err, m.takeBack(ctx, waiting))
	}
	if profiles, err = m.profiles(ctx); err != nil {
		return done, errors.Join(err, m.takeBack(ctx, waiting))
	}
	_, done.ETag = showAll(profiles)
	waiting.Until = time.Now().Add(m.options.Grace)
	m.hold(waiting)
	done.Pending = m.shownPending()
	m.log.Info("the network was changed and waits to be confirmed", "until", waiting.Until)
	return done, nil
}

// step is what becomes of one profile.
type step struct {
	id   string
	was  kept    // without a path: it is new
	next profile // nil: it is removed
	auto bool
	on   string // the device that it is for
}

// plan says what has to be done so that there are the connections in all.
func plan(all []network.Connection, there map[string]kept) (steps []step, err error) {
	wanted := map[string]bool{}
	for i := range all {
		c := all[i]
		at := fmt.Sprintf("connections.%d", i)
		was, known := there[c.ID]
		wanted[c.ID] = true
		switch {
		case c.ID == "":
			c.ID = newID()
		case !known:
			return nil, &network.FieldError{Field: at + ".id", Text: "there is no such connection; leave this empty for a new one"}
		}
		if known {
			kind := kindOf(was.profile)
			if kind != c.Kind {
				return nil, &network.FieldError{Field: at + ".kind", Text: "the kind of a connection cannot be changed; make another one"}
			}
			if kind == network.KindOther || same(show(was.profile), c) {
				continue
			}
		}
		if err := secrets(&c, was.profile, at); err != nil {
			return nil, err
		}
		steps = append(steps, step{id: c.ID, was: was, next: write(&c, was.profile), auto: c.Auto, on: c.Interface})
	}
	for _, id := range slices.Sorted(maps.Keys(there)) {
		if one := there[id]; !wanted[id] && kindOf(one.profile) != network.KindOther {
			steps = append(steps, step{id: id, was: one})
		}
	}
	return steps, nil
}

// same compares what can be edited.
func same(was, wanted network.Connection) bool {
	if was.WireGuard != nil && wanted.WireGuard != nil {
		copied := *wanted.WireGuard
		copied.PublicKey = was.WireGuard.PublicKey
		wanted.WireGuard = &copied
	}
	return reflect.DeepEqual(tidy(was), tidy(wanted))
}

// tidy lets lists without anything be equal, however they are written.
func tidy(c network.Connection) network.Connection {
	for _, list := range []*[]string{&c.IPv4.Addresses, &c.IPv4.DNS, &c.IPv6.Addresses, &c.IPv6.DNS} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	if c.WireGuard != nil && len(c.WireGuard.Peers) == 0 {
		copied := *c.WireGuard
		copied.Peers = nil
		c.WireGuard = &copied
	}
	return c
}

// secrets makes the key that a new tunnel has none of yet, and refuses to keep what there is not.
func secrets(c *network.Connection, was profile, at string) error {
	kept := func(setting, name, given, field string) error {
		if given == network.Secret && value[string](was[setting], name) == "" {
			return &network.FieldError{Field: at + field, Text: "there is no secret that could be kept; give it"}
		}
		return nil
	}
	switch c.Kind {
	case network.KindWiFi, network.KindHotspot:
		if c.WiFi.Security != "none" && c.WiFi.Password == "" && value[string](was["802-11-wireless-security"], "psk") == "" {
			return &network.FieldError{Field: at + ".wifi.password", Text: "this network needs a password"}
		}
		return kept("802-11-wireless-security", "psk", c.WiFi.Password, ".wifi.password")
	case network.KindModem:
		return errors.Join(kept("gsm", "password", c.Modem.Password, ".modem.password"), kept("gsm", "pin", c.Modem.PIN, ".modem.pin"))
	case network.KindWireGuard:
		if c.WireGuard.PrivateKey == "" && was == nil {
			key, err := ecdh.X25519().GenerateKey(rand.Reader)
			if err != nil {
				return fmt.Errorf("make a key: %w", err)
			}
			copied := *c.WireGuard
			copied.PrivateKey = base64.StdEncoding.EncodeToString(key.Bytes())
			c.WireGuard = &copied
		}
		return kept("wireguard", "private-key", c.WireGuard.PrivateKey, ".wireguard.private_key")
	}
	return nil
}

// newID is a random UUID [RFC 9562 5.4].
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// begin notes durably what is about to change, and has NetworkManager note it too.
func (m *Manager) begin(ctx context.Context, steps []step) (*change, error) {
	body, err := m.bus.call(ctx, root, ".CheckpointCreate", []dbus.ObjectPath{}, uint32((m.options.Grace+afterwards)/time.Second), deleteNew)
	if err != nil {
		return nil, fmt.Errorf("prepare to take the change back: %w", err)
	}
	path, _ := first[dbus.ObjectPath](body)
	waiting := &change{ID: rand.Text(), Until: time.Now().Add(m.options.Grace), Checkpoint: path, Was: map[string]frozen{}}
	for _, s := range steps {
		if s.was.path == "" {
			waiting.Added = append(waiting.Added, s.id)
			continue
		}
		waiting.Was[s.id] = freeze(s.was.profile)
		if s.next == nil {
			waiting.Removed = append(waiting.Removed, s.id)
		}
	}
	if err := m.mark(waiting); err != nil {
		_, err2 := m.bus.call(ctx, root, ".CheckpointDestroy", path)
		return nil, errors.Join(err, err2)
	}
	return waiting, nil
}

// make carries out steps in memory. What cannot be brought up now is said, and is no failure: a network
// may be out of range, a SIM may come tomorrow.
func (m *Manager) make(ctx context.Context, steps []step) (warnings []string, err error) {
	warnings = []string{}
	devices, active, err := m.active(ctx)
	if err != nil {
		return warnings, err
	}
	for _, s := range steps {
		up, isUp := active[s.id]
		path, name := s.was.path, value[string](s.next["connection"], "id")
		switch {
		case s.next == nil:
			quiet := clone(s.was.profile)
			quiet.setting("connection")["autoconnect"] = dbus.MakeVariant(false)
			_, err = m.bus.call(ctx, path, ".Settings.Connection.Update2", quiet, inMemory, map[string]dbus.Variant{})
			if err == nil && isUp {
				_, err = m.bus.call(ctx, root, ".DeactivateConnection", up.path)
			}
		case path == "":
			var body []any
			body, err = m.bus.call(ctx, settings, ".Settings.AddConnection2", s.next, inMemory, map[string]dbus.Variant{})
			path, _ = first[dbus.ObjectPath](body)
		default:
			_, err = m.bus.call(ctx, path, ".Settings.Connection.Update2", s.next, inMemory, map[string]dbus.Variant{})
		}
		if err != nil {
			return warnings, about(err, s)
		}
		if s.next == nil || !isUp && !s.auto {
			continue
		}
		on := nowhere
		if device, known := devices[s.on]; known {
			on = device
		} else if isUp && s.on == "" && len(up.devices) > 0 {
			on = up.devices[0]
		}
		// One that never was up and is for no device in particular comes up by itself where nothing is.
		virtual := s.on != "" && value[string](s.next["connection"], "type") == types[network.KindWireGuard]
		if on == nowhere && !isUp && !virtual {
			continue
		}
		if _, err := m.bus.call(ctx, root, ".ActivateConnection", path, on, nowhere); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return warnings, nil
}

func clone(p profile) profile {
	copied := profile{}
	for name, setting := range p {
		copied[name] = maps.Clone(setting)
	}
	return copied
}

// about names the connection that NetworkManager would not take.
func about(err error, s step) error {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		// "ipv4.gateway: …" and the like; which of the request's connections it is, only its name says.
		return &network.FieldError{Field: "connections", Text: fmt.Sprintf("%s: %s", value[string](s.next["connection"], "id"), refused.text)}
	}
	return err
}

// up is a connection that is up, or on its way.
type up struct {
	path    dbus.ObjectPath
	devices []dbus.ObjectPath
}

// active gives the devices by name, and which connections are up.
func (m *Manager) active(ctx context.Context) (devices map[string]dbus.ObjectPath, connections map[string]up, err error) {
	all, err := m.bus.properties(ctx, root, "")
	if err != nil {
		return nil, nil, err
	}
	devices, connections = map[string]dbus.ObjectPath{}, map[string]up{}
	for _, path := range value[[]dbus.ObjectPath](all, "Devices") {
		p, err := m.bus.properties(ctx, path, ".Device")
		if err != nil && !gone(err) {
			return nil, nil, err
		}
		for _, name := range []string{"IpInterface", "Interface"} {
			if name := value[string](p, name); name != "" {
				devices[name] = path
			}
		}
	}
	for _, path := range value[[]dbus.ObjectPath](all, "ActiveConnections") {
		p, err := m.bus.properties(ctx, path, ".Connection.Active")
		if err != nil && !gone(err) {
			return nil, nil, err
		}
		if id := value[string](p, "Uuid"); id != "" && value[uint32](p, "State") <= activeState {
			connections[id] = up{path, value[[]dbus.ObjectPath](p, "Devices")}
		}
	}
	return devices, connections, nil
}

// Confirm writes the change that waits to disk; ErrUnknown.
func (m *Manager) Confirm(ctx context.Context, id string) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	waiting := m.waiting()
	if waiting == nil || waiting.ID != id {
		return network.ErrUnknown
	}
	ctx = context.WithoutCancel(ctx)
	profiles, err := m.profiles(ctx)
	if err != nil {
		return fmt.Errorf("confirm the change: %w", err)
	}
	for _, id := range slices.Concat(slices.Sorted(maps.Keys(waiting.Was)), waiting.Added) {
		one, there := profiles[id]
		if !there {
			continue // somebody else removed it meanwhile
		}
		if slices.Contains(waiting.Removed, id) {
			_, err = m.bus.call(ctx, one.path, ".Settings.Connection.Delete")
		} else {
			_, err = m.bus.call(ctx, one.path, ".Settings.Connection.Update2", one.profile, toDisk|noReapply, map[string]dbus.Variant{})
		}
		if err != nil && !gone(err) {
			return fmt.Errorf("confirm the change: %w", err)
		}
	}
	if err := m.unmark(); err != nil {
		return fmt.Errorf("confirm the change: %w", err)
	}
	m.hold(nil)
	if _, err := m.bus.call(ctx, root, ".CheckpointDestroy", waiting.Checkpoint); err != nil && !expired(err) {
		m.log.Error("NetworkManager keeps its checkpoint and will take the confirmed change back", "err", err)
		return fmt.Errorf("confirm the change: %w", err)
	}
	m.log.Info("the changed network is confirmed")
	return nil
}

// expired says whether there is no such checkpoint any more.
func expired(err error) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && (gone(err) || strings.Contains(refused.name, "InvalidArguments") || strings.Contains(refused.name, "UnknownConnection"))
}

// RollBack takes the change that waits back at once; ErrUnknown.
func (m *Manager) RollBack(ctx context.Context) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	waiting := m.waiting()
	if waiting == nil {
		return network.ErrUnknown
	}
	return m.takeBack(context.WithoutCancel(ctx), waiting)
}

// takeBack lets the devices be as they were, which the checkpoint does, and the profiles, which it does
// only for those that were up. It may be done again.
func (m *Manager) takeBack(ctx context.Context, waiting *change) error {
	if _, err := m.bus.call(ctx, root, ".CheckpointRollback", waiting.Checkpoint); err != nil && !expired(err) {
		return fmt.Errorf("take the change back: %w", err)
	}
	profiles, err := m.profiles(ctx)
	if err != nil {
		return fmt.Errorf("take the change back: %w", err)
	}
	for id, was := range waiting.Was {
		old, err := was.thaw()
		if err != nil {
			return fmt.Errorf("take the change back: %w", err)
		}
		if one, there := profiles[id]; there {
			_, err = m.bus.call(ctx, one.path, ".Settings.Connection.Update2", old, toDisk|noReapply, map[string]dbus.Variant{})
		} else {
			_, err = m.bus.call(ctx, settings, ".Settings.AddConnection2", old, toDisk, map[string]dbus.Variant{})
		}
		if err != nil {
			return fmt.Errorf("take the change back: %w", err)
		}
	}
	for _, id := range waiting.Added {
		one, there := profiles[id]
		if !there {
			continue
		}
		if _, err := m.bus.call(ctx, one.path, ".Settings.Connection.Delete"); err != nil && !gone(err) {
			return fmt.Errorf("take the change back: %w", err)
		}
	}
	if err := m.unmark(); err != nil {
		return fmt.Errorf("take the change back: %w", err)
	}
	m.hold(nil)
	return nil
}

func (m *Manager) waiting() *change {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pending
}

func (m *Manager) hold(waiting *change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = waiting
	select {
	case m.turned <- struct{}{}:
	default: // it will be looked at anyway
	}
}

func (m *Manager) shownPending() *network.Pending {
	if waiting := m.waiting(); waiting != nil {
		return &network.Pending{ID: waiting.ID, Until: waiting.Until}
	}
	return nil
}
