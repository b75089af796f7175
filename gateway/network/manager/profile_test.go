package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

// What needs a radio, a modem or a kernel with WireGuard is held against what NetworkManager says that it
// takes [nm-settings-dbus(5)]: the names and the D-Bus types of what is sent to it.

const (
	privateKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	publicKey1 = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	shared     = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
)

// sent writes a setting as name(type)=value, by name.
func sent(setting map[string]dbus.Variant) []string {
	var list []string
	for name, v := range setting {
		list = append(list, fmt.Sprintf("%s(%s)=%s", name, v.Signature(), v))
	}
	slices.Sort(list)
	return list
}

func expect(t *testing.T, p profile, setting string, want ...string) {
	t.Helper()
	if got := sent(p[setting]); !slices.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", setting, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func connection(kind string) *network.Connection {
	return &network.Connection{ID: "0f5d2b0e-3ac8-4f0e-9a7e-0d6c1c2f3a4b", Name: "one", Kind: kind, Auto: true, IPv4: network.IP{Method: "auto"}, IPv6: network.IP{Method: "disabled"}}
}

func TestAWiFiNetworkIsJoined(t *testing.T) {
	c := connection(network.KindWiFi)
	c.WiFi = &network.WiFi{SSID: "Halle 3", Hidden: true, Security: "sae", Password: "correct horse"}
	p := write(c, nil)
	expect(t, p, "connection", `autoconnect(b)=true`, `id(s)="one"`, `type(s)="802-11-wireless"`, `uuid(s)="0f5d2b0e-3ac8-4f0e-9a7e-0d6c1c2f3a4b"`)
	expect(t, p, "802-11-wireless", `hidden(b)=true`, `mode(s)="infrastructure"`, `ssid(ay)=@ay [0x48, 0x61, 0x6c, 0x6c, 0x65, 0x20, 0x33]`)
	expect(t, p, "802-11-wireless-security", `key-mgmt(s)="sae"`, `psk(s)="correct horse"`)
}

func TestAHotspotIsMade(t *testing.T) {
	c := connection(network.KindHotspot)
	c.IPv4.Method = "shared"
	c.WiFi = &network.WiFi{SSID: "sluice-4711", Security: "wpa-psk", Password: "on the sticker"}
	p := write(c, nil)
	expect(t, p, "802-11-wireless", `mode(s)="ap"`, `ssid(ay)=@ay [0x73, 0x6c, 0x75, 0x69, 0x63, 0x65, 0x2d, 0x34, 0x37, 0x31, 0x31]`)
	expect(t, p, "802-11-wireless-security", `group(as)=["ccmp"]`, `key-mgmt(s)="wpa-psk"`, `pairwise(as)=["ccmp"]`, `proto(as)=["rsn"]`, `psk(s)="on the sticker"`)
	if got := value[string](p["ipv4"], "method"); got != "shared" {
		t.Errorf("the hotspot's addresses are %s", got)
	}
	if show(p).Kind != network.KindHotspot {
		t.Error("a hotspot is not shown as one")
	}
}

func TestAModemDials(t *testing.T) {
	c := connection(network.KindModem)
	metric := int64(700)
	c.Metric = &metric
	c.Modem = &network.Modem{APN: "internet.t-d1.de", User: "tm", Password: "tm", PIN: "1234"}
	p := write(c, nil)
	expect(t, p, "gsm", `apn(s)="internet.t-d1.de"`, `password(s)="tm"`, `pin(s)="1234"`, `username(s)="tm"`)
	if got := p["ipv4"]["route-metric"]; got.Signature().String() != "x" || got.Value() != int64(700) {
		t.Errorf("the metric is %v", got)
	}
	c.Modem = &network.Modem{}
	expect(t, write(c, nil), "gsm", `auto-config(b)=true`)
}

func tunnel() *network.Connection {
	c := connection(network.KindWireGuard)
	c.Interface = "wg0"
	c.IPv4 = network.IP{Method: "manual", Addresses: []string{"10.8.0.2/24"}}
	c.WireGuard = &network.WireGuard{PrivateKey: privateKey, Port: 51820, MTU: 1420, Peers: []network.Peer{{PublicKey: publicKey1, PresharedKey: shared, Endpoint: "vpn.plant.example:51820", AllowedIPs: []string{"10.8.0.0/24", "fd00::/64"}, Keepalive: 25}}}
	return c
}

func TestATunnelIsMade(t *testing.T) {
	p := write(tunnel(), nil)
	setting := p["wireguard"]
	peers := setting["peers"]
	delete(setting, "peers")
	expect(t, p, "wireguard", `listen-port(u)=@u 51820`, `mtu(u)=@u 1420`, `private-key(s)="`+privateKey+`"`)
	if peers.Signature().String() != "aa{sv}" {
		t.Fatalf("peers are of type %s", peers.Signature())
	}
	setting["peers"] = peers
	expect(t, profile{"peer": value[[]map[string]dbus.Variant](setting, "peers")[0]}, "peer",
		`allowed-ips(as)=["10.8.0.0/24", "fd00::/64"]`, `endpoint(s)="vpn.plant.example:51820"`, `persistent-keepalive(u)=@u 25`,
		`preshared-key(s)="`+shared+`"`, `preshared-key-flags(u)=@u 0`, `public-key(s)="`+publicKey1+`"`)
	expect(t, p, "ipv4", `address-data(aa{sv})=[{"address": <"10.8.0.2">, "prefix": <@u 24>}]`, `dns-data(as)=@as []`, `method(s)="manual"`)
}

// TestSecretsAreNeverShownAndNeverLost reads each kind, sends back what was read, and looks at what is kept.
func TestSecretsAreNeverShownAndNeverLost(t *testing.T) {
	wifi, modem := connection(network.KindWiFi), connection(network.KindModem)
	wifi.WiFi = &network.WiFi{SSID: "a", Security: "wpa-psk", Password: "correct horse"}
	modem.Modem = &network.Modem{APN: "a", Password: "pass-word", PIN: "4711"}
	for _, c := range []*network.Connection{wifi, modem, tunnel()} {
		before := write(c, nil)
		shown := show(before)
		text, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"correct horse", "pass-word", "4711", privateKey, shared} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s is shown: %s", secret, text)
			}
		}
		if after := write(&shown, before); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: sent back it is\n%v\nand was\n%v", c.Kind, after, before)
		}
		if !same(show(before), shown) {
			t.Errorf("%s differs from itself", c.Kind)
		}
	}
	if got := show(write(tunnel(), nil)).WireGuard.PublicKey; len(got) != 44 || got == privateKey {
		t.Errorf("the public key is %q", got)
	}
}

func TestWhatIsNotEditedStays(t *testing.T) {
	c := connection(network.KindEthernet)
	was := write(c, nil)
	was["802-3-ethernet"]["mtu"] = dbus.MakeVariant(uint32(1400))
	was["ipv4"]["dhcp-client-id"] = dbus.MakeVariant("plc")
	was["connection"]["timestamp"] = dbus.MakeVariant(uint64(7))
	c.IPv4.DNS = []string{"10.0.0.1"}
	p := write(c, was)
	if value[uint32](p["802-3-ethernet"], "mtu") != 1400 || value[string](p["ipv4"], "dhcp-client-id") != "plc" {
		t.Errorf("something was lost: %v", p)
	}
	if _, there := p["connection"]["timestamp"]; there {
		t.Error("NetworkManager's own is sent back")
	}
	if len(value[[]string](was["ipv4"], "dns-data")) != 0 {
		t.Error("what there was is changed too")
	}
}

func TestStrangeProfilesAreLeftAlone(t *testing.T) {
	company := write(&network.Connection{Kind: network.KindWiFi, WiFi: &network.WiFi{SSID: "a", Security: "wpa-psk"}}, nil)
	company["802-11-wireless-security"]["key-mgmt"] = dbus.MakeVariant("wpa-eap")
	bridged := write(connection(network.KindEthernet), nil)
	bridged["connection"]["master"] = dbus.MakeVariant("br0")
	for name, p := range map[string]profile{"eap": company, "port": bridged, "vpn": {"connection": {"type": dbus.MakeVariant("vpn")}}, "empty": {}} {
		if kind := show(p).Kind; kind != network.KindOther {
			t.Errorf("%s is %s", name, kind)
		}
	}
	there := map[string]kept{"a": {profile: company}, "b": {profile: bridged}}
	if steps, err := plan(nil, there); err != nil || len(steps) != 0 {
		t.Errorf("leaving them out gives %v, %v", steps, err)
	}
}

func TestAFrozenProfileThawsAsItWas(t *testing.T) {
	p := write(tunnel(), nil)
	got, err := freeze(p).thaw()
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := frozen("nothing").thaw(); err == nil {
		t.Error("nothing thawed")
	}
}

// FuzzThaw: a damaged file in the data directory must not panic.
func FuzzThaw(f *testing.F) {
	f.Add([]byte(freeze(write(tunnel(), nil))))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if p, err := frozen(data).thaw(); err == nil {
			show(p)
		}
	})
}

// recorded is a bus with answers that a NetworkManager with a radio gave, in the types that it gave them.
type recorded struct {
	objects map[dbus.ObjectPath]map[string]properties
	answers map[string][]any // by method
	asked   []string
}

func (r *recorded) call(_ context.Context, _ dbus.ObjectPath, method string, _ ...any) ([]any, error) {
	r.asked = append(r.asked, method)
	return r.answers[method], nil
}

func (r *recorded) properties(_ context.Context, path dbus.ObjectPath, of string) (properties, error) {
	p, ok := r.objects[path][of]
	if !ok {
		return nil, &refusedError{"org.freedesktop.DBus.Error.UnknownObject", string(path)}
	}
	return p, nil
}

func (r *recorded) close() {}

func point(ssid string, strength byte, frequency, wpa, rsn, flags uint32) map[string]properties {
	return map[string]properties{".AccessPoint": {
		"Ssid": dbus.MakeVariant([]byte(ssid)), "Strength": dbus.MakeVariant(strength), "Frequency": dbus.MakeVariant(frequency),
		"WpaFlags": dbus.MakeVariant(wpa), "RsnFlags": dbus.MakeVariant(rsn), "Flags": dbus.MakeVariant(flags),
	}}
}

func radio() *recorded {
	return &recorded{
		objects: map[dbus.ObjectPath]map[string]properties{
			root: {"": {"Version": dbus.MakeVariant("1.52.1"), "Devices": dbus.MakeVariant([]dbus.ObjectPath{"/d/1", "/d/2"}), "ActiveConnections": dbus.MakeVariant([]dbus.ObjectPath{})}},
			"/d/1": {
				".Device":          {"DeviceType": dbus.MakeVariant(uint32(2)), "Interface": dbus.MakeVariant("wlan0"), "State": dbus.MakeVariant(uint32(100))},
				".Device.Wireless": {"ActiveAccessPoint": dbus.MakeVariant(dbus.ObjectPath("/a/1"))},
			},
			"/d/2": {".Device": {"DeviceType": dbus.MakeVariant(uint32(8)), "Interface": dbus.MakeVariant("cdc-wdm0"), "IpInterface": dbus.MakeVariant("wwan0"), "State": dbus.MakeVariant(uint32(50))}},
			"/a/1": point("plant", 71, 2437, 0, 0x188, 1),
			"/a/2": point("plant", 40, 5180, 0, 0x588, 1),
			"/a/3": point("new", 55, 6115, 0, 0x488, 1),
			"/a/4": point("company", 30, 5180, 0, 0x288, 1),
			"/a/5": point("guests", 90, 2412, 0, 0, 0),
			"/a/6": point("", 99, 2412, 0, 0x188, 1), // hidden
		},
		answers: map[string][]any{
			".Settings.ListConnections":           {[]dbus.ObjectPath{}},
			".GetPermissions":                     {map[string]string{service + ".network-control": "yes", service + ".settings.modify.system": "auth"}},
			".Device.Wireless.GetAllAccessPoints": {[]dbus.ObjectPath{"/a/1", "/a/2", "/a/3", "/a/4", "/a/5", "/a/6", "/a/gone"}},
		},
	}
}

func TestTheAirIsShown(t *testing.T) {
	synctest.Test(t, theAirIsShown)
}

func theAirIsShown(t *testing.T) {
	m := &Manager{bus: radio(), log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithTimeout(t.Context(), scanTime+5*time.Second)
	defer cancel()
	list, err := m.Scan(ctx, "wlan0")
	want := []network.AccessPoint{{SSID: "guests", Signal: 90, Security: "none", In: "2.4"}, {SSID: "plant", Signal: 71, Security: "wpa-psk", In: "2.4"}, {SSID: "new", Signal: 55, Security: "sae", In: "6"}, {SSID: "company", Signal: 30, Security: "other", In: "5"}}
	if err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := m.Scan(ctx, "wlan7"); err == nil {
		t.Error("a device that is not there has listened")
	}
}

func TestRadioAndModemAreShown(t *testing.T) {
	m := &Manager{bus: radio(), log: slog.New(slog.DiscardHandler)}
	s, err := m.State(t.Context())
	if err != nil || len(s.Devices) != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	if d := s.Devices[0]; d.Kind != network.KindWiFi || d.SSID != "plant" || d.Signal == nil || *d.Signal != 71 || d.State != "connected" {
		t.Errorf("the radio is %+v", d)
	}
	if d := s.Devices[1]; d.Interface != "wwan0" || d.Kind != network.KindModem || d.State != "connecting" {
		t.Errorf("the modem is %+v", d)
	}
	if s.Writable {
		t.Error("a password that would have to be typed counts as a yes")
	}
}

func TestWithoutNetworkManagerItSaysSo(t *testing.T) {
	m := New(Options{Address: "unix:path=" + filepath.Join(t.TempDir(), "none"), Mark: filepath.Join(t.TempDir(), "mark"), Log: slog.New(slog.DiscardHandler)})
	s, err := m.State(t.Context())
	if err != nil || s.Available || s.Why == "" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(m.options.Mark, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Errorf("a damaged mark ends it: %v", err)
	}
}
