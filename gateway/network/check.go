package network

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is taken.
const (
	MaxConnections = 64
	maxAddresses   = 16 // of one version of IP, and servers of names
	maxPeers       = 64
	maxName        = 64
	maxMetric      = 9999 // below what a way is moved by that leads nowhere
)

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	// A name of an interface has at most 15 bytes [IFNAMSIZ] and none that paths or shells take amiss.
	interfaceForm = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,15}$`)
	pinForm       = regexp.MustCompile(`^[0-9]{4,8}$`)
)

// checker notes the first mistake.
type checker struct{ err *FieldError }

func (c *checker) blame(field, format string, args ...any) {
	if c.err == nil {
		c.err = &FieldError{field, fmt.Sprintf(format, args...)}
	}
}

// Check says what is wrong with connections; nil when nothing is. Identifiers are lower-case UUIDs, once
// each. Connections of KindOther are only named: what they say is not read.
func Check(all []Connection) error {
	c := &checker{}
	if len(all) > MaxConnections {
		c.blame("connections", "%d connections; there may be %d", len(all), MaxConnections)
	}
	ids := map[string]bool{}
	for i := range all {
		one, at := &all[i], "connections."+strconv.Itoa(i)
		if one.ID != "" && !uuidForm.MatchString(one.ID) {
			c.blame(at+".id", "this is no identifier of a connection; leave it empty for a new one")
		}
		if one.ID != "" && ids[one.ID] {
			c.blame(at+".id", "two connections have this identifier")
		}
		ids[one.ID] = true
		if one.Kind == KindOther {
			if one.ID == "" {
				c.blame(at+".kind", "a connection of this kind cannot be made here")
			}
			continue
		}
		c.connection(at, one)
	}
	if c.err != nil {
		return c.err
	}
	return nil
}

func (c *checker) connection(at string, one *Connection) {
	if one.Name == "" || len(one.Name) > maxName || !plain(one.Name) {
		c.blame(at+".name", "a name has 1 to %d bytes", maxName)
	}
	if one.Interface != "" && (!interfaceForm.MatchString(one.Interface) || one.Interface == "." || one.Interface == "..") {
		c.blame(at+".interface", "a device's name has 1 to 15 letters, digits, dots and dashes")
	}
	if one.Metric != nil && (*one.Metric < 0 || *one.Metric > maxMetric) {
		c.blame(at+".metric", "0 to %d", maxMetric)
	}
	for field, given := range map[string]bool{"wifi": one.WiFi != nil, "modem": one.Modem != nil, "wireguard": one.WireGuard != nil} {
		if needed := field == one.Kind || field == "wifi" && one.Kind == KindHotspot; given != needed {
			c.blame(at+"."+field, "a connection of kind %.20q has %s", one.Kind, map[bool]string{true: "this part", false: "no such part"}[needed])
		}
	}
	c.ip(at+".ipv4", &one.IPv4, false)
	c.ip(at+".ipv6", &one.IPv6, true)
	switch one.Kind {
	case KindEthernet:
	case KindWiFi, KindHotspot:
		c.wifi(at+".wifi", one.WiFi, one.ID == "")
	case KindModem:
		c.modem(at+".modem", one.Modem)
	case KindWireGuard:
		if one.Interface == "" {
			c.blame(at+".interface", "a tunnel needs a name for its device, such as wg0")
		}
		if one.IPv4.Method == "auto" || one.IPv6.Method == "auto" {
			c.blame(at+".ipv4.method", "a tunnel has no DHCP: manual or disabled")
		}
		c.wireguard(at+".wireguard", one.WireGuard)
	default:
		c.blame(at+".kind", "a connection is ethernet, wifi, hotspot, modem or wireguard")
	}
}

// plain says whether text is what a person can read on one line.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (c *checker) ip(at string, ip *IP, six bool) {
	methods := []string{"auto", "manual", "shared", "link-local", "disabled"}
	if !slices.Contains(methods, ip.Method) {
		c.blame(at+".method", "this is one of %s", strings.Join(methods, ", "))
	}
	off := ip.Method == "disabled" || ip.Method == "link-local"
	if off && (len(ip.Addresses) > 0 || ip.Gateway != "" || len(ip.DNS) > 0) {
		c.blame(at+".method", "%s has no addresses, gateway and name servers", ip.Method)
	}
	if ip.Method == "manual" && len(ip.Addresses) == 0 {
		c.blame(at+".addresses", "give at least one address, such as 192.168.1.20/24")
	}
	if len(ip.Addresses) > maxAddresses || len(ip.DNS) > maxAddresses {
		c.blame(at+".addresses", "%d addresses and name servers are possible", maxAddresses)
	}
	var nets []netip.Prefix
	for i, text := range ip.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is6() != six || p.Addr().Zone() != "" || p.Addr().IsUnspecified() || p.Addr().IsMulticast() || p.Bits() == 0 {
			c.blame(at+".addresses."+strconv.Itoa(i), "%.60q is no address with the length of its prefix, such as %s", text, map[bool]string{false: "192.168.1.20/24", true: "fd00::20/64"}[six])
			continue
		}
		if slices.ContainsFunc(nets, func(known netip.Prefix) bool { return known.Addr() == p.Addr() }) {
			c.blame(at+".addresses."+strconv.Itoa(i), "this address stands here twice")
		}
		nets = append(nets, p)
	}
	if ip.Gateway != "" {
		c.gateway(at+".gateway", ip, nets, six)
	}
	for i, text := range ip.DNS {
		if server, err := netip.ParseAddr(text); err != nil || server.Is6() != six || server.Zone() != "" || server.IsUnspecified() {
			c.blame(at+".dns."+strconv.Itoa(i), "%.60q is no IPv%d address", text, map[bool]int{false: 4, true: 6}[six])
		}
	}
}

// gateway is the mistake after which a machine is not reached any more: one in a network that no address
// of the connection is in.
func (c *checker) gateway(at string, ip *IP, nets []netip.Prefix, six bool) {
	gateway, err := netip.ParseAddr(ip.Gateway)
	switch {
	case err != nil || gateway.Is6() != six || gateway.Zone() != "" || gateway.IsUnspecified():
		c.blame(at, "%.60q is no IPv%d address", ip.Gateway, map[bool]int{false: 4, true: 6}[six])
	case len(nets) == 0:
		c.blame(at, "a gateway needs an address beside it; without one it comes by DHCP")
	case !gateway.IsLinkLocalUnicast() && !slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Masked().Contains(gateway) }):
		c.blame(at, "%s is in none of the networks of the addresses", gateway)
	case slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Addr() == gateway }):
		c.blame(at, "%s is an address of this machine itself", gateway)
	}
}

func (c *checker) wifi(at string, w *WiFi, fresh bool) {
	if w == nil {
		return // it is blamed already
	}
	if w.SSID == "" || len(w.SSID) > 32 {
		c.blame(at+".ssid", "the name of a wireless network has 1 to 32 bytes")
	}
	switch w.Security {
	case "none":
		if w.Password != "" {
			c.blame(at+".password", "an open network has no password")
		}
	case "wpa-psk", "sae":
		// Without one, what is kept counts; a new one has nothing to keep.
		if kept := w.Password == Secret; (kept || w.Password == "") && fresh {
			c.blame(at+".password", "this network needs a password")
		} else if !kept && w.Password != "" && (len(w.Password) < 8 || len(w.Password) > 63 || !plain(w.Password)) {
			c.blame(at+".password", "a password of a wireless network has 8 to 63 characters")
		}
	default:
		c.blame(at+".security", "this is none, wpa-psk or sae")
	}
}

func (c *checker) modem(at string, m *Modem) {
	if m == nil {
		return
	}
	for field, text := range map[string]string{"apn": m.APN, "user": m.User, "password": m.Password} {
		if len(text) > 64 || !plain(text) {
			c.blame(at+"."+field, "at most 64 bytes on one line")
		}
	}
	if m.PIN != "" && m.PIN != Secret && !pinForm.MatchString(m.PIN) {
		c.blame(at+".pin", "a PIN has 4 to 8 digits")
	}
}

func (c *checker) wireguard(at string, w *WireGuard) {
	if w == nil {
		return
	}
	if w.PrivateKey != "" && w.PrivateKey != Secret && !key(w.PrivateKey) {
		c.blame(at+".private_key", "a key is 32 bytes in base64, as wg genkey writes it")
	}
	if w.Port < 0 || w.Port > 65535 {
		c.blame(at+".port", "0 to 65535")
	}
	if w.MTU != 0 && (w.MTU < 576 || w.MTU > 65535) {
		c.blame(at+".mtu", "576 to 65535, or 0")
	}
	if len(w.Peers) > maxPeers {
		c.blame(at+".peers", "%d peers are possible", maxPeers)
	}
	known := map[string]bool{}
	for i, p := range w.Peers {
		at := at + ".peers." + strconv.Itoa(i)
		switch {
		case !key(p.PublicKey):
			c.blame(at+".public_key", "a key is 32 bytes in base64, as wg pubkey writes it")
		case known[p.PublicKey]:
			c.blame(at+".public_key", "two peers have this key")
		case p.PresharedKey != "" && p.PresharedKey != Secret && !key(p.PresharedKey):
			c.blame(at+".preshared_key", "a key is 32 bytes in base64, as wg genpsk writes it")
		case p.Endpoint != "" && !HostPort(p.Endpoint):
			c.blame(at+".endpoint", "write host:port")
		case len(p.AllowedIPs) == 0 || len(p.AllowedIPs) > 4*maxAddresses:
			c.blame(at+".allowed_ips", "give 1 to %d networks that are behind the peer", 4*maxAddresses)
		case p.Keepalive < 0 || p.Keepalive > 65535:
			c.blame(at+".keepalive", "0 to 65535 seconds")
		}
		known[p.PublicKey] = true
		for j, text := range p.AllowedIPs {
			if _, err := netip.ParsePrefix(text); err != nil {
				c.blame(at+".allowed_ips."+strconv.Itoa(j), "%.60q is no network, such as 10.8.0.0/24", text)
			}
		}
	}
}

// key says whether text is a key of WireGuard.
func key(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(raw) == 32
}

// HostPort says whether text is a host and a port from 1 to 65535.
func HostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, err2 := strconv.ParseUint(port, 10, 16)
	return err == nil && err2 == nil && n > 0 && host != "" && len(host) <= 253 && plain(host) && !strings.ContainsAny(host, " /@%")
}
