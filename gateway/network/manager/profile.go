package manager

import (
	"cmp"
	"crypto/ecdh"
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"

	"github.com/godbus/dbus/v5"

	"sluice/gateway/network"
)

// profile is a connection as NetworkManager has it [nm-settings-dbus(5)].
type profile map[string]map[string]dbus.Variant

// modern takes out the older forms of what a profile says twice: they would go before the newer ones, and
// have arrays of structures, which cannot be sent on as they came.
func (p profile) modern() profile {
	for _, of := range []string{"ipv4", "ipv6"} {
		for _, older := range []string{"addresses", "routes", "dns"} {
			delete(p[of], older)
		}
	}
	return p
}

// types are NetworkManager's names of what a connection is of.
var types = map[string]string{
	network.KindEthernet: "802-3-ethernet", network.KindWiFi: "802-11-wireless", network.KindHotspot: "802-11-wireless",
	network.KindModem: "gsm", network.KindWireGuard: "wireguard",
}

// withSecrets lists the settings that have secrets, which GetSettings leaves out.
var withSecrets = []string{"802-11-wireless-security", "gsm", "wireguard", "802-1x"}

// show reads a profile. Secrets that the profile holds are shown as network.Secret.
func show(p profile) network.Connection {
	c := network.Connection{
		ID: value[string](p["connection"], "uuid"), Name: value[string](p["connection"], "id"),
		Interface: value[string](p["connection"], "interface-name"), Kind: kindOf(p), Auto: true,
	}
	if auto, said := p["connection"]["autoconnect"]; said {
		c.Auto, _ = auto.Value().(bool)
	}
	c.IPv4, c.IPv6 = showIP(p["ipv4"]), showIP(p["ipv6"])
	for _, of := range []string{"ipv4", "ipv6"} {
		if metric, said := p[of]["route-metric"]; said && c.Metric == nil {
			if n, ok := metric.Value().(int64); ok && n >= 0 {
				c.Metric = &n
			}
		}
	}
	switch c.Kind {
	case network.KindWiFi, network.KindHotspot:
		c.WiFi = showWiFi(p)
	case network.KindModem:
		gsm := p["gsm"]
		c.Modem = &network.Modem{APN: value[string](gsm, "apn"), User: value[string](gsm, "username"), Password: hidden(gsm, "password"), PIN: hidden(gsm, "pin")}
	case network.KindWireGuard:
		c.WireGuard = showWireGuard(p["wireguard"])
	}
	return c
}

func kindOf(p profile) string {
	switch value[string](p["connection"], "type") {
	case "802-3-ethernet":
		// What the form does not know could be lost by it.
		if p["802-1x"] == nil && value[string](p["connection"], "master") == "" {
			return network.KindEthernet
		}
	case "802-11-wireless":
		security := showWiFi(p).Security
		if p["802-1x"] != nil || security == "" {
			break
		}
		switch value[string](p["802-11-wireless"], "mode") {
		case "ap":
			return network.KindHotspot
		case "infrastructure", "":
			return network.KindWiFi
		}
	case "gsm":
		return network.KindModem
	case "wireguard":
		return network.KindWireGuard
	}
	return network.KindOther
}

// hidden is what is shown of a secret.
func hidden(setting map[string]dbus.Variant, name string) string {
	if value[string](setting, name) == "" {
		return ""
	}
	return network.Secret
}

func showIP(setting map[string]dbus.Variant) network.IP {
	ip := network.IP{
		Method: cmp.Or(value[string](setting, "method"), "disabled"), Addresses: []string{}, Gateway: value[string](setting, "gateway"),
		DNS: []string{}, NeverDefault: value[bool](setting, "never-default"),
	}
	if ip.Method == "ignore" || ip.Method == "dhcp" { // IPv6's words for what is much the same
		ip.Method = map[string]string{"ignore": "disabled", "dhcp": "auto"}[ip.Method]
	}
	ip.Addresses = append(ip.Addresses, addresses(value[[]map[string]dbus.Variant](setting, "address-data"))...)
	ip.DNS = append(ip.DNS, value[[]string](setting, "dns-data")...)
	return ip
}

func addresses(data []map[string]dbus.Variant) (list []string) {
	for _, one := range data {
		list = append(list, value[string](one, "address")+"/"+strconv.FormatUint(uint64(value[uint32](one, "prefix")), 10))
	}
	return list
}

func showWiFi(p profile) *network.WiFi {
	radio, security := p["802-11-wireless"], p["802-11-wireless-security"]
	w := &network.WiFi{SSID: string(value[[]byte](radio, "ssid")), Hidden: value[bool](radio, "hidden"), Password: hidden(security, "psk")}
	switch key := value[string](security, "key-mgmt"); {
	case security == nil:
		w.Security = "none"
	case key == "wpa-psk" || key == "sae":
		w.Security = key
	}
	return w
}

func showWireGuard(setting map[string]dbus.Variant) *network.WireGuard {
	w := &network.WireGuard{
		PrivateKey: hidden(setting, "private-key"), PublicKey: publicKey(value[string](setting, "private-key")),
		Port: int(value[uint32](setting, "listen-port")), MTU: int(value[uint32](setting, "mtu")), Peers: []network.Peer{},
	}
	for _, p := range value[[]map[string]dbus.Variant](setting, "peers") {
		w.Peers = append(w.Peers, network.Peer{
			PublicKey: value[string](p, "public-key"), PresharedKey: hidden(p, "preshared-key"), Endpoint: value[string](p, "endpoint"),
			AllowedIPs: append([]string{}, value[[]string](p, "allowed-ips")...), Keepalive: int(value[uint32](p, "persistent-keepalive")),
		})
	}
	return w
}

// publicKey is the one that belongs to a private key; empty when that is none.
func publicKey(private string) string {
	raw, err := base64.StdEncoding.DecodeString(private)
	if err != nil {
		return ""
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(key.PublicKey().Bytes())
}

// write gives the profile that c describes. Of was, the one that there is or nil, everything stays that c
// does not speak of, and the secrets that c does not bring.
func write(c *network.Connection, was profile) profile {
	p := profile{}
	for name, setting := range was {
		p[name] = map[string]dbus.Variant{}
		for key, v := range setting {
			p[name][key] = v
		}
	}
	connection := p.setting("connection")
	connection["id"] = dbus.MakeVariant(c.Name)
	connection["uuid"] = dbus.MakeVariant(c.ID)
	connection["type"] = dbus.MakeVariant(types[c.Kind])
	connection["autoconnect"] = dbus.MakeVariant(c.Auto)
	put(connection, "interface-name", c.Interface)
	delete(connection, "timestamp") // NetworkManager's own
	writeIP(p.setting("ipv4"), &c.IPv4, c.Metric)
	writeIP(p.setting("ipv6"), &c.IPv6, c.Metric)
	switch c.Kind {
	case network.KindEthernet:
		p.setting("802-3-ethernet")
	case network.KindWiFi, network.KindHotspot:
		writeWiFi(p, c)
	case network.KindModem:
		gsm := p.setting("gsm")
		put(gsm, "apn", c.Modem.APN)
		put(gsm, "username", c.Modem.User)
		keep(gsm, "password", c.Modem.Password)
		keep(gsm, "pin", c.Modem.PIN)
		if c.Modem.APN == "" {
			gsm["auto-config"] = dbus.MakeVariant(true)
		} else {
			delete(gsm, "auto-config")
		}
	case network.KindWireGuard:
		writeWireGuard(p.setting("wireguard"), c.WireGuard)
	}
	return p
}

func (p profile) setting(name string) map[string]dbus.Variant {
	if p[name] == nil {
		p[name] = map[string]dbus.Variant{}
	}
	return p[name]
}

// put sets a value, or takes it out when it is nothing.
func put[T comparable](setting map[string]dbus.Variant, name string, v T) {
	var nothing T
	if v == nothing {
		delete(setting, name)
		return
	}
	setting[name] = dbus.MakeVariant(v)
}

// keep sets a secret unless it is the one that is kept.
func keep(setting map[string]dbus.Variant, name, secret string) {
	if secret == network.Secret {
		return
	}
	put(setting, name, secret)
	delete(setting, name+"-flags") // such that an agent would be asked for it
}

func writeIP(setting map[string]dbus.Variant, ip *network.IP, metric *int64) {
	setting["method"] = dbus.MakeVariant(ip.Method)
	data := make([]map[string]dbus.Variant, 0, len(ip.Addresses))
	for _, text := range ip.Addresses {
		if p, err := netip.ParsePrefix(text); err == nil { // it was checked
			data = append(data, map[string]dbus.Variant{"address": dbus.MakeVariant(p.Addr().String()), "prefix": dbus.MakeVariant(uint32(p.Bits()))})
		}
	}
	setting["address-data"] = dbus.MakeVariant(data)
	put(setting, "gateway", ip.Gateway)
	setting["dns-data"] = dbus.MakeVariant(append([]string{}, ip.DNS...))
	put(setting, "never-default", ip.NeverDefault)
	if metric == nil {
		delete(setting, "route-metric")
	} else {
		setting["route-metric"] = dbus.MakeVariant(*metric)
	}
}

func writeWiFi(p profile, c *network.Connection) {
	radio := p.setting("802-11-wireless")
	radio["ssid"] = dbus.MakeVariant([]byte(c.WiFi.SSID))
	put(radio, "hidden", c.WiFi.Hidden)
	radio["mode"] = dbus.MakeVariant(map[string]string{network.KindWiFi: "infrastructure", network.KindHotspot: "ap"}[c.Kind])
	if c.WiFi.Security == "none" {
		delete(p, "802-11-wireless-security")
		delete(radio, "security")
		return
	}
	security := p.setting("802-11-wireless-security")
	security["key-mgmt"] = dbus.MakeVariant(c.WiFi.Security)
	if c.WiFi.Password != "" { // there is none that could be taken away
		keep(security, "psk", c.WiFi.Password)
	}
	if c.Kind == network.KindHotspot { // stations take no older ciphers from it
		security["proto"] = dbus.MakeVariant([]string{"rsn"})
		security["pairwise"] = dbus.MakeVariant([]string{"ccmp"})
		security["group"] = dbus.MakeVariant([]string{"ccmp"})
	}
}

func writeWireGuard(setting map[string]dbus.Variant, w *network.WireGuard) {
	if w.PrivateKey != "" { // without one there is no tunnel
		keep(setting, "private-key", w.PrivateKey)
	}
	put(setting, "listen-port", uint32(w.Port))
	put(setting, "mtu", uint32(w.MTU))
	was := value[[]map[string]dbus.Variant](setting, "peers")
	peers := make([]map[string]dbus.Variant, 0, len(w.Peers))
	for _, p := range w.Peers {
		peer := map[string]dbus.Variant{}
		if at := slices.IndexFunc(was, func(old map[string]dbus.Variant) bool { return value[string](old, "public-key") == p.PublicKey }); at >= 0 {
			if secret := value[string](was[at], "preshared-key"); secret != "" {
				peer["preshared-key"] = dbus.MakeVariant(secret)
			}
		}
		peer["public-key"] = dbus.MakeVariant(p.PublicKey)
		keep(peer, "preshared-key", p.PresharedKey)
		if p.PresharedKey != "" {
			peer["preshared-key-flags"] = dbus.MakeVariant(uint32(0)) // by itself a key would be asked for, of nobody
		}
		put(peer, "endpoint", p.Endpoint)
		put(peer, "persistent-keepalive", uint32(p.Keepalive))
		peer["allowed-ips"] = dbus.MakeVariant(append([]string{}, p.AllowedIPs...))
		peers = append(peers, peer)
	}
	setting["peers"] = dbus.MakeVariant(peers)
}
