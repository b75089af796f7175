package machine

import (
	"cmp"
	"encoding/hex"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Network is how the machine is connected.
type Network struct {
	Interfaces []Interface
	Routes     []Route  // the default ones, the one that is used first at the front
	DNS        []string // addresses of name servers, in the order in which they are asked
}

// Interface is one network interface.
type Interface struct {
	Name      string
	Up        bool   // it is switched on and has a carrier
	MAC       string // empty: it has none
	Speed     *int64 // megabits a second; nil: it has none, or is down
	Addresses []string
	Loopback  bool
}

// Route is a default route.
type Route struct {
	Gateway   string // empty: whatever is beyond the interface
	Interface string
	metric    int64
}

// maxInterfaces bounds what is shown of a machine with many.
const maxInterfaces = 64

// ReadNetwork reads Network. Addresses are not in any file: addresses gives those of an interface, as
// 192.168.1.5/24.
func ReadNetwork(root fs.FS, addresses func(name string) []string) Network {
	n := Network{DNS: nameServers(root)}
	entries, err := fs.ReadDir(root, "sys/class/net")
	if err != nil {
		entries = nil
	}
	for _, entry := range entries {
		at := path.Join("sys/class/net", entry.Name())
		kind := line(root, at+"/type")
		if kind == "" || len(n.Interfaces) == maxInterfaces {
			continue // not an interface: bonding_masters is a file
		}
		one := Interface{
			Name: entry.Name(), MAC: line(root, at+"/address"), Addresses: addresses(entry.Name()),
			Loopback: kind == "772", // ARPHRD_LOOPBACK
			// A tunnel or loopback has a carrier and no state.
			Up: line(root, at+"/carrier") == "1",
		}
		if strings.Trim(one.MAC, "0:") == "" {
			one.MAC = ""
		}
		if speed, ok := whole(line(root, at+"/speed")); ok && speed > 0 && speed < 1<<32-1 && one.Up {
			one.Speed = &speed
		}
		n.Interfaces = append(n.Interfaces, one)
	}
	slices.SortStableFunc(n.Interfaces, func(a, b Interface) int {
		if a.Loopback != b.Loopback {
			return map[bool]int{false: -1, true: 1}[a.Loopback]
		}
		return cmp.Compare(a.Name, b.Name)
	})
	n.Routes = append(routes4(root), routes6(root)...)
	slices.SortStableFunc(n.Routes, func(a, b Route) int { return cmp.Compare(a.metric, b.metric) })
	return n
}

// Addresses are those that the running kernel gives an interface.
func Addresses(name string) []string {
	found, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	all, err := found.Addrs()
	if err != nil {
		return nil
	}
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.String()
	}
	return texts
}

const (
	routeUp      = 0x0001 // RTF_UP
	routeRefused = 0x0200 // RTF_REJECT
)

// routes4 reads the default routes of /proc/net/route, whose addresses are hexadecimal in the order of
// the machine's bytes: 0101A8C0 is 192.168.1.1 on every machine that the gateway is built for.
func routes4(root fs.FS) (routes []Route) {
	for text := range strings.Lines(string(file(root, "proc/net/route"))) {
		words := strings.Fields(text) // Iface Destination Gateway Flags RefCnt Use Metric Mask …
		if len(words) < 8 || words[1] != "00000000" || words[7] != "00000000" {
			continue
		}
		flags, err := hex.DecodeString("0000"[:max(0, 4-len(words[3]))] + words[3])
		gateway, err2 := hex.DecodeString(words[2])
		if err != nil || err2 != nil || len(flags) != 2 || len(gateway) != 4 {
			continue
		}
		if set := int(flags[0])<<8 | int(flags[1]); set&routeUp == 0 || set&routeRefused != 0 {
			continue
		}
		slices.Reverse(gateway)
		metric, _ := whole(words[6])
		routes = append(routes, route(gateway, words[0], metric))
	}
	return routes
}

// routes6 reads those of /proc/net/ipv6_route, whose addresses are hexadecimal in the order of the wire.
func routes6(root fs.FS) (routes []Route) {
	const nowhere = "00000000000000000000000000000000"
	for text := range strings.Lines(string(file(root, "proc/net/ipv6_route"))) {
		words := strings.Fields(text) // destination length source length next metric references uses flags interface
		if len(words) != 10 || words[0] != nowhere || words[1] != "00" || words[9] == "lo" {
			continue
		}
		gateway, err := hex.DecodeString(words[4])
		flags, err2 := hex.DecodeString(words[8])
		metric, err3 := hex.DecodeString(words[5])
		if err != nil || err2 != nil || err3 != nil || len(gateway) != 16 || len(flags) != 4 || len(metric) != 4 {
			continue
		}
		if set := int(flags[2])<<8 | int(flags[3]); set&routeUp == 0 || set&routeRefused != 0 {
			continue
		}
		order := int64(metric[0])<<24 | int64(metric[1])<<16 | int64(metric[2])<<8 | int64(metric[3])
		routes = append(routes, route(gateway, words[9], order))
	}
	return routes
}

func route(gateway []byte, on string, metric int64) Route {
	address, ok := netip.AddrFromSlice(gateway)
	if !ok || address.IsUnspecified() {
		return Route{Interface: on, metric: metric}
	}
	return Route{Gateway: address.String(), Interface: on, metric: metric}
}

// maxServers is more than any resolver asks.
const maxServers = 8

func nameServers(root fs.FS) (servers []string) {
	for text := range strings.Lines(string(file(root, "etc/resolv.conf"))) {
		words := strings.Fields(text)
		if len(words) < 2 || words[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		if _, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, words[1])
		}
	}
	return servers
}
