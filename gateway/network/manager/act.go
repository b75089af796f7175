package manager

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

var nativeOrder = binary.LittleEndian // of what is written into files; whoever reads it is told in the first byte

// scanTime is how long a radio listens before what it has heard is shown.
const scanTime = 4 * time.Second

// Scan listens on a WiFi device and gives the networks in the air, the strongest first.
func (m *Manager) Scan(ctx context.Context, name string) ([]network.AccessPoint, error) {
	devices, _, err := m.active(ctx)
	if err != nil {
		return nil, err
	}
	path, known := devices[name]
	if !known {
		return nil, &network.FieldError{Field: "interface", Text: "there is no such device"}
	}
	// It refuses when it has just done so: what it knows is fresh then.
	_, err = m.bus.call(ctx, path, ".Device.Wireless.RequestScan", map[string]dbus.Variant{})
	switch {
	case gone(err):
		return nil, &network.FieldError{Field: "interface", Text: "this device has no radio"}
	case err == nil:
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(scanTime):
		}
	}
	body, err := m.bus.call(ctx, path, ".Device.Wireless.GetAllAccessPoints")
	if err != nil {
		return nil, err
	}
	points, _ := first[[]dbus.ObjectPath](body)
	best := map[string]network.AccessPoint{}
	for _, point := range points {
		p, err := m.bus.properties(ctx, point, ".AccessPoint")
		if err != nil {
			continue // it has gone out of range
		}
		if one := showPoint(p); one.SSID != "" && one.Signal > best[one.SSID].Signal {
			best[one.SSID] = one
		}
	}
	list := make([]network.AccessPoint, 0, len(best))
	for _, one := range best {
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b network.AccessPoint) int {
		return cmp.Or(cmp.Compare(b.Signal, a.Signal), strings.Compare(a.SSID, b.SSID))
	})
	return list, nil
}

// How an access point lets people in [NM80211ApSecurityFlags].
const (
	keyPSK = uint32(0x100)
	key1X  = uint32(0x200)
	keySAE = uint32(0x400)
)

func showPoint(p properties) network.AccessPoint {
	one := network.AccessPoint{SSID: string(value[[]byte](p, "Ssid")), Signal: int(value[byte](p, "Strength")), In: "2.4"}
	keys := value[uint32](p, "WpaFlags") | value[uint32](p, "RsnFlags")
	switch {
	case keys&keyPSK != 0: // beside SAE: what every radio can
		one.Security = "wpa-psk"
	case keys&keySAE != 0:
		one.Security = "sae"
	case keys&key1X != 0 || value[uint32](p, "Flags")&1 != 0: // of companies, or WEP
		one.Security = "other"
	default:
		one.Security = "none"
	}
	switch f := value[uint32](p, "Frequency"); {
	case f >= 5925:
		one.In = "6"
	case f >= 4900:
		one.In = "5"
	}
	return one
}

// Ways implements network.Ways: the devices that are connected and have a default route.
func (m *Manager) Ways(ctx context.Context) (ways []network.Way, err error) {
	about, err := m.bus.properties(ctx, root, "")
	if err != nil {
		return nil, err
	}
	for _, path := range value[[]dbus.ObjectPath](about, "Devices") {
		d, err := m.device(ctx, path)
		if err != nil && !gone(err) {
			return nil, err
		}
		if d == nil || err != nil || d.shown.State != "connected" || d.shown.Metric == nil {
			continue
		}
		// A tunnel stands on other ways, and is none of them.
		if d.shown.Kind == network.KindWireGuard || d.shown.Kind == network.KindOther {
			continue
		}
		way := network.Way{Interface: d.shown.Interface, Metric: *d.shown.Metric}
		for _, server := range d.shown.DNS {
			if address, err := netip.ParseAddr(server); err == nil {
				way.DNS = append(way.DNS, address)
			}
		}
		ways = append(ways, way)
	}
	slices.SortFunc(ways, func(a, b network.Way) int { return cmp.Compare(a.Metric, b.Metric) })
	return ways, nil
}

// SetMetric implements network.Ways. It changes what is applied to the device and not the profile, so that
// the next activation begins with the profile's own.
func (m *Manager) SetMetric(ctx context.Context, name string, metric int64) error {
	devices, _, err := m.active(ctx)
	if err != nil {
		return err
	}
	path, known := devices[name]
	if !known {
		return fmt.Errorf("change the metric of %s: there is no such device", name)
	}
	body, err := m.bus.call(ctx, path, ".Device.GetAppliedConnection", uint32(0))
	if err != nil {
		return err
	}
	applied, ok := first[map[string]map[string]dbus.Variant](body)
	if !ok || len(body) < 2 {
		return fmt.Errorf("change the metric of %s: NetworkManager does not say what is applied", name)
	}
	version, _ := body[1].(uint64)
	for _, of := range []string{"ipv4", "ipv6"} {
		if applied[of] == nil {
			continue
		}
		applied[of]["route-metric"] = dbus.MakeVariant(metric)
	}
	_, err = m.bus.call(ctx, path, ".Device.Reapply", profile(applied).modern(), version, uint32(0))
	return err
}
