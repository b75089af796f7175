// Package network is the vocabulary of how a machine is connected: its devices, the connections that
// people define for them, what is wrong with a connection, and which of several ways out is to be used.
// It knows neither a bus nor a kernel; gateway/network/manager does.
package network

import (
	"errors"
	"time"
)

// The kinds of connections. Others are shown as KindOther and left as they are.
const (
	KindEthernet  = "ethernet"
	KindWiFi      = "wifi"
	KindHotspot   = "hotspot"
	KindModem     = "modem"
	KindWireGuard = "wireguard"
	KindOther     = "other"
)

// Secret stands in the place of a secret that is set. Whoever sends it back keeps the secret.
const Secret = "***"

// State is all of it at one moment.
type State struct {
	ETag string `json:"etag"` // of the connections
	// Available says whether there is something that manages the network; Why says why not. Without it
	// there are no devices and connections here.
	Available bool   `json:"available"`
	Why       string `json:"why"`
	Version   string `json:"version"`  // of what manages the network
	Writable  bool   `json:"writable"` // the gateway may change connections
	// Connections are those that are kept, by name; they come up on devices.
	Devices     []Device     `json:"devices"`
	Connections []Connection `json:"connections"`
	Failover    Failover     `json:"failover"`
	Pending     *Pending     `json:"pending,omitempty"`
}

// Pending is a change that is taken back by itself unless it is confirmed.
type Pending struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"`
}

// Device is a piece of hardware, or of the kernel, that a connection can be up on.
type Device struct {
	Interface  string   `json:"interface"`
	Kind       string   `json:"kind"`       // ethernet, wifi, modem, wireguard or other
	State      string   `json:"state"`      // unmanaged, unavailable, disconnected, connecting, connected or failed
	Connection string   `json:"connection"` // the identifier of the one that is up; empty: none
	MAC        string   `json:"mac"`
	Addresses  []string `json:"addresses"` // with the length of the prefix
	Gateway    string   `json:"gateway"`
	DNS        []string `json:"dns"`
	Metric     *int64   `json:"metric"` // of its default route; the smallest is used; null: it has none
	SSID       string   `json:"ssid"`   // of the WiFi network
	Signal     *int     `json:"signal"` // percent; null: no radio, or not known
	Reach      *Reach   `json:"reach"`  // null: its way out is not tested
}

// Reach is what the tests of a way out say.
type Reach struct {
	State   string    `json:"state"` // good, bad or unknown
	Since   time.Time `json:"since"` // the state is so
	Tested  time.Time `json:"tested"`
	Error   string    `json:"error"`   // of the last test; empty: it passed
	Demoted bool      `json:"demoted"` // another way is used because nothing is reached through this one
}

// Failover is how ways out are tested.
type Failover struct {
	Enabled bool     `json:"enabled"`
	Targets []string `json:"targets"` // host:port; one that answers is enough
}

// Connection is a set of settings that can be brought up on a device.
type Connection struct {
	ID        string     `json:"id"` // a UUID; empty: it is to be made
	Name      string     `json:"name"`
	Kind      string     `json:"kind"`
	Interface string     `json:"interface"` // the only device that it is for; empty: any of its kind
	Auto      bool       `json:"auto"`      // it comes up by itself
	Metric    *int64     `json:"metric"`    // of its default routes, the smallest is used; null: what is usual for its kind
	IPv4      IP         `json:"ipv4"`
	IPv6      IP         `json:"ipv6"`
	WiFi      *WiFi      `json:"wifi,omitempty"`      // of wifi and hotspot
	Modem     *Modem     `json:"modem,omitempty"`     // of modem
	WireGuard *WireGuard `json:"wireguard,omitempty"` // of wireguard
}

// IP is what a connection does about one version of IP.
type IP struct {
	Method    string   `json:"method"`    // auto, manual, shared, link-local or disabled
	Addresses []string `json:"addresses"` // with the length of the prefix; beside those of DHCP with auto
	Gateway   string   `json:"gateway"`   // empty: none, or that of DHCP
	DNS       []string `json:"dns"`       // before those of DHCP
	// NeverDefault keeps the way out of other connections: this one leads to its own networks only.
	NeverDefault bool `json:"never_default"`
}

// WiFi is a wireless network that is joined, or made.
type WiFi struct {
	SSID     string `json:"ssid"`
	Hidden   bool   `json:"hidden"`   // it does not say its name
	Security string `json:"security"` // none, wpa-psk (WPA2) or sae (WPA3)
	Password string `json:"password"` // read as *** or empty
}

// Modem is an account with a mobile operator.
type Modem struct {
	APN      string `json:"apn"` // empty: what is known of the operator counts
	User     string `json:"user"`
	Password string `json:"password"` // read as *** or empty
	PIN      string `json:"pin"`      // of the SIM; read as *** or empty
}

// WireGuard is one end of a tunnel.
type WireGuard struct {
	PrivateKey string `json:"private_key"` // base64; read as ***; empty with a new one: a key is made
	PublicKey  string `json:"public_key"`  // follows from it; what is sent does not count
	Port       int    `json:"port"`        // UDP, on which is listened; 0: any
	MTU        int    `json:"mtu"`         // 0: what is usual
	Peers      []Peer `json:"peers"`
}

// Peer is the other end of a tunnel.
type Peer struct {
	PublicKey    string   `json:"public_key"`
	PresharedKey string   `json:"preshared_key"` // read as *** or empty
	Endpoint     string   `json:"endpoint"`      // host:port; empty: it calls
	AllowedIPs   []string `json:"allowed_ips"`
	Keepalive    int      `json:"keepalive"` // seconds; 0: none
}

// AccessPoint is a wireless network in the air.
type AccessPoint struct {
	SSID     string `json:"ssid"`
	Signal   int    `json:"signal"`   // percent
	Security string `json:"security"` // none, wpa-psk, sae or other
	In       string `json:"band"`     // 2.4, 5 or 6 GHz
}

// Applied is what came of a change.
type Applied struct {
	ETag     string   `json:"etag"`
	Pending  *Pending `json:"pending,omitempty"` // absent: nothing has changed
	Warnings []string `json:"warnings"`          // what could not be brought up at once
}

// Why a change, or a question, is refused.
var (
	ErrUnavailable = errors.New("nothing on this machine manages its network by D-Bus (NetworkManager)")
	ErrChanged     = errors.New("the connections have changed in the meantime; look at them again")
	ErrPending     = errors.New("another change of the network waits to be confirmed; confirm it or take it back first")
	ErrUnknown     = errors.New("no such change waits to be confirmed")
	ErrDenied      = errors.New("the gateway may not change the network of this machine")
)

// FieldError says which value of which connection cannot be.
type FieldError struct {
	Field string // connections.2.ipv4.gateway
	Text  string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Text }
