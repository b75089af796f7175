package network

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const key1 = "GJbSMJKhNpRqSXWQMyfd+h2sB/cPGUAjdH0PkY83lXU="

func good(kind string) Connection {
	c := Connection{Name: "n", Kind: kind, Auto: true, IPv4: IP{Method: "auto"}, IPv6: IP{Method: "disabled"}}
	switch kind {
	case KindWiFi, KindHotspot:
		c.WiFi = &WiFi{SSID: "plant", Security: "wpa-psk", Password: "correct horse"}
	case KindModem:
		c.Modem = &Modem{APN: "internet", PIN: "1234"}
	case KindWireGuard:
		c.Interface, c.IPv4.Method, c.IPv4.Addresses = "wg0", "manual", []string{"10.8.0.2/24"}
		c.WireGuard = &WireGuard{Peers: []Peer{{PublicKey: key1, Endpoint: "vpn.plant.example:51820", AllowedIPs: []string{"10.8.0.0/24"}}}}
	}
	return c
}

func TestGoodConnectionsPass(t *testing.T) {
	for _, kind := range []string{KindEthernet, KindWiFi, KindHotspot, KindModem, KindWireGuard} {
		if err := Check([]Connection{good(kind)}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestEachMistakeIsNamed(t *testing.T) {
	metric := int64(20_000)
	for field, change := range map[string]func(c *Connection){
		"name":             func(c *Connection) { c.Name = "" },
		"id":               func(c *Connection) { c.ID = "../../etc/passwd" },
		"interface":        func(c *Connection) { c.Interface = "eth0; reboot" },
		"metric":           func(c *Connection) { c.Metric = &metric },
		"kind":             func(c *Connection) { c.Kind = "bond" },
		"wifi":             func(c *Connection) { c.Kind, c.WiFi = KindWiFi, nil },
		"modem":            func(c *Connection) { c.Modem = &Modem{} },
		"ipv4.method":      func(c *Connection) { c.IPv4.Method = "" },
		"ipv4.addresses":   func(c *Connection) { c.IPv4.Method = "manual" },
		"ipv4.addresses.0": func(c *Connection) { c.IPv4.Addresses = []string{"192.168.1.20"} },
		"ipv6.addresses.0": func(c *Connection) { c.IPv6 = IP{Method: "manual", Addresses: []string{"10.0.0.1/8"}} },
		"ipv4.gateway": func(c *Connection) {
			c.IPv4 = IP{Method: "manual", Addresses: []string{"10.0.0.2/24"}, Gateway: "10.0.1.1"}
		},
		"ipv4.dns.0":                      func(c *Connection) { c.IPv4.DNS = []string{"dns.google"} },
		"wifi.ssid":                       func(c *Connection) { *c = good(KindWiFi); c.WiFi.SSID = strings.Repeat("x", 33) },
		"wifi.password":                   func(c *Connection) { *c = good(KindHotspot); c.WiFi.Password = "short" },
		"wifi.security":                   func(c *Connection) { *c = good(KindWiFi); c.WiFi.Security = "wep" },
		"modem.pin":                       func(c *Connection) { *c = good(KindModem); c.Modem.PIN = "12ab" },
		"modem.apn":                       func(c *Connection) { *c = good(KindModem); c.Modem.APN = "a\nb" },
		"wireguard.private_key":           func(c *Connection) { *c = good(KindWireGuard); c.WireGuard.PrivateKey = "abc" },
		"wireguard.peers.0.public_key":    func(c *Connection) { *c = good(KindWireGuard); c.WireGuard.Peers[0].PublicKey = "" },
		"wireguard.peers.0.endpoint":      func(c *Connection) { *c = good(KindWireGuard); c.WireGuard.Peers[0].Endpoint = "vpn" },
		"wireguard.peers.0.allowed_ips":   func(c *Connection) { *c = good(KindWireGuard); c.WireGuard.Peers[0].AllowedIPs = nil },
		"wireguard.peers.0.allowed_ips.0": func(c *Connection) { *c = good(KindWireGuard); c.WireGuard.Peers[0].AllowedIPs[0] = "all" },
		"wireguard.peers.1.public_key": func(c *Connection) {
			*c = good(KindWireGuard)
			c.WireGuard.Peers = append(c.WireGuard.Peers, c.WireGuard.Peers[0])
		},
	} {
		c := good(KindEthernet)
		change(&c)
		wrong, ok := errors.AsType[*FieldError](Check([]Connection{c}))
		if !ok || wrong.Field != "connections.0."+field {
			t.Errorf("%s: the answer is %v", field, wrong)
		}
	}
	twice := good(KindEthernet)
	twice.ID = "0f5d2b0e-3ac8-4f0e-9a7e-0d6c1c2f3a4b"
	if wrong, ok := errors.AsType[*FieldError](Check([]Connection{twice, twice})); !ok || wrong.Field != "connections.1.id" {
		t.Errorf("the same twice: %v", wrong)
	}
	if Check(make([]Connection, MaxConnections+1)) == nil {
		t.Error("there is no bound")
	}
}

// FuzzCheck: whatever JSON brings, nothing may panic, and what passes must pass again.
func FuzzCheck(f *testing.F) {
	for _, kind := range []string{KindEthernet, KindWiFi, KindModem, KindWireGuard} {
		text, err := json.Marshal([]Connection{good(kind)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`[{"kind":"wifi","wifi":null},{"kind":"other","id":"x"}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var all []Connection
		if json.Unmarshal(text, &all) != nil || Check(all) != nil {
			return
		}
		again, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		var read []Connection
		if err := json.Unmarshal(again, &read); err != nil || Check(read) != nil {
			t.Errorf("%s passes, and then no more: %v", text, Check(read))
		}
	})
}
