package manager

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

// What NetworkManager calls the kinds and states of devices [nm-dbus-types].
var (
	deviceKinds = map[uint32]string{1: network.KindEthernet, 20: network.KindEthernet, 2: network.KindWiFi, 8: network.KindModem, 29: network.KindWireGuard}
	loopback    = uint32(32)
)

func stateOf(n uint32) string {
	switch {
	case n <= 10:
		return "unmanaged"
	case n <= 20:
		return "unavailable"
	case n == 30:
		return "disconnected"
	case n == 100:
		return "connected"
	case n == 120:
		return "failed"
	}
	return "connecting" // or coming down
}

// kept is a profile and where it is.
type kept struct {
	path    dbus.ObjectPath
	profile profile // with its secrets
}

// State shows all of it. Where nothing manages the network it says so, and errors are for what is odd.
func (m *Manager) State(ctx context.Context) (network.State, error) {
	state := network.State{Devices: []network.Device{}, Connections: []network.Connection{}, Pending: m.shownPending()}
	about, err := m.bus.properties(ctx, root, "")
	if errors.Is(err, network.ErrUnavailable) || errors.Is(err, network.ErrDenied) {
		state.Why = err.Error()
		return state, nil
	}
	if err != nil {
		return state, err
	}
	state.Available, state.Version = true, value[string](about, "Version")
	state.Writable = m.mayWrite(ctx)
	profiles, err := m.profiles(ctx)
	if err != nil {
		return state, err
	}
	state.Connections, state.ETag = showAll(profiles)
	for _, path := range value[[]dbus.ObjectPath](about, "Devices") {
		one, err := m.device(ctx, path)
		if gone(err) {
			continue
		}
		if err != nil {
			return state, err
		}
		if one != nil {
			state.Devices = append(state.Devices, one.shown)
		}
	}
	slices.SortFunc(state.Devices, func(a, b network.Device) int { return cmp.Compare(a.Interface, b.Interface) })
	return state, nil
}

// gone says whether an object was there a moment ago and is not any more.
func gone(err error) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && (strings.HasSuffix(refused.name, ".UnknownObject") || strings.HasSuffix(refused.name, ".UnknownMethod") || strings.HasSuffix(refused.name, ".UnknownInterface"))
}

// mayWrite asks what NetworkManager, or PolicyKit behind it, lets the gateway do.
func (m *Manager) mayWrite(ctx context.Context) bool {
	body, err := m.bus.call(ctx, root, ".GetPermissions")
	if err != nil || len(body) != 1 {
		return false
	}
	said, _ := body[0].(map[string]string)
	for _, needed := range []string{".settings.modify.system", ".network-control", ".checkpoint-rollback"} {
		if said[service+needed] != "yes" {
			return false
		}
	}
	return true
}

// profiles reads all profiles with their secrets, by their identifiers.
func (m *Manager) profiles(ctx context.Context) (map[string]kept, error) {
	body, err := m.bus.call(ctx, settings, ".Settings.ListConnections")
	if err != nil {
		return nil, err
	}
	paths, _ := first[[]dbus.ObjectPath](body)
	all := map[string]kept{}
	for _, path := range paths {
		p, err := m.profile(ctx, path)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if value[string](p["connection"], "type") == "loopback" {
			continue // newer NetworkManagers show it, and nobody's settings are in it
		}
		all[value[string](p["connection"], "uuid")] = kept{path, p}
	}
	return all, nil
}

func first[T any](body []any) (v T, ok bool) {
	if len(body) > 0 {
		v, ok = body[0].(T)
	}
	return v, ok
}

func (m *Manager) profile(ctx context.Context, path dbus.ObjectPath) (profile, error) {
	body, err := m.bus.call(ctx, path, ".Settings.Connection.GetSettings")
	if err != nil {
		return nil, err
	}
	answer, _ := first[map[string]map[string]dbus.Variant](body)
	p := profile(answer).modern()
	for _, name := range withSecrets {
		if p[name] == nil {
			continue
		}
		body, err := m.bus.call(ctx, path, ".Settings.Connection.GetSecrets", name)
		if gone(err) {
			return nil, err
		}
		if err != nil {
			continue // whoever may not read them, or a profile without any
		}
		secrets, _ := first[map[string]map[string]dbus.Variant](body)
		join(p[name], secrets[name])
	}
	return p, nil
}

// join puts secrets in their places; those of peers come as a list of their own.
func join(setting, secrets map[string]dbus.Variant) {
	for key, secret := range secrets {
		if key != "peers" {
			setting[key] = secret
			continue
		}
		peers := value[[]map[string]dbus.Variant](setting, "peers")
		for _, from := range value[[]map[string]dbus.Variant](secrets, "peers") {
			for _, to := range peers {
				if value[string](to, "public-key") == value[string](from, "public-key") {
					maps.Copy(to, from)
				}
			}
		}
	}
}

// showAll gives the connections by their names, and the tag of what they are.
func showAll(profiles map[string]kept) (list []network.Connection, etag string) {
	list = []network.Connection{}
	for _, one := range profiles {
		list = append(list, show(one.profile))
	}
	slices.SortFunc(list, func(a, b network.Connection) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	text, err := json.Marshal(list)
	if err != nil {
		panic("bug: a connection that JSON cannot hold: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return list, hex.EncodeToString(sum[:16])
}

// device is a device with what is needed to talk about it.
type device struct {
	path  dbus.ObjectPath
	shown network.Device
}

// device reads one; nil for what nobody wants to see: loopback, and halves of other devices.
func (m *Manager) device(ctx context.Context, path dbus.ObjectPath) (*device, error) {
	p, err := m.bus.properties(ctx, path, ".Device")
	if err != nil {
		return nil, err
	}
	kind := value[uint32](p, "DeviceType")
	name := cmp.Or(value[string](p, "IpInterface"), value[string](p, "Interface"))
	if kind == loopback || name == "lo" || name == "" {
		return nil, nil
	}
	d := &device{path, network.Device{
		Interface: name, Kind: cmp.Or(deviceKinds[kind], network.KindOther), State: stateOf(value[uint32](p, "State")),
		MAC: value[string](p, "HwAddress"), Addresses: []string{}, DNS: []string{},
	}}
	if kind == 30 { // WiFi P2P: the other half of a radio
		return nil, nil
	}
	if active := value[dbus.ObjectPath](p, "ActiveConnection"); active != "" && active != nowhere {
		about, err := m.bus.properties(ctx, active, ".Connection.Active")
		if err == nil {
			d.shown.Connection = value[string](about, "Uuid")
		}
	}
	for of, version := range map[string]string{"Ip4Config": ".IP4Config", "Ip6Config": ".IP6Config"} {
		if err := m.addresses(ctx, &d.shown, value[dbus.ObjectPath](p, of), version); err != nil && !gone(err) {
			return nil, err
		}
	}
	slices.Sort(d.shown.Addresses)
	if d.shown.Kind == network.KindWiFi {
		m.radio(ctx, d)
	}
	return d, nil
}

func (m *Manager) addresses(ctx context.Context, d *network.Device, path dbus.ObjectPath, version string) error {
	if path == "" || path == nowhere {
		return nil
	}
	p, err := m.bus.properties(ctx, path, version)
	if err != nil {
		return err
	}
	d.Addresses = append(d.Addresses, addresses(value[[]map[string]dbus.Variant](p, "AddressData"))...)
	if version == ".IP4Config" || d.Gateway == "" {
		d.Gateway = value[string](p, "Gateway")
	}
	for _, server := range value[[]map[string]dbus.Variant](p, "NameserverData") {
		d.DNS = append(d.DNS, value[string](server, "address"))
	}
	for _, r := range value[[]map[string]dbus.Variant](p, "RouteData") {
		if dest := value[string](r, "dest"); (dest == "0.0.0.0" || dest == "::") && value[uint32](r, "prefix") == 0 && d.Metric == nil {
			metric := int64(value[uint32](r, "metric"))
			d.Metric = &metric
		}
	}
	return nil
}

// radio adds which wireless network a device is in.
func (m *Manager) radio(ctx context.Context, d *device) {
	p, err := m.bus.properties(ctx, d.path, ".Device.Wireless")
	if err != nil {
		return
	}
	point := value[dbus.ObjectPath](p, "ActiveAccessPoint")
	if point == "" || point == nowhere {
		return
	}
	if about, err := m.bus.properties(ctx, point, ".AccessPoint"); err == nil {
		d.shown.SSID = string(value[[]byte](about, "Ssid"))
		strength := int(value[byte](about, "Strength"))
		d.shown.Signal = &strength
	}
}
