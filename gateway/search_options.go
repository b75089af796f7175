package gateway

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	drivers "sluice/collectors/all"
	"sluice/collectors/finder"
	"sluice/web"
)

// offeredBauds are the rates that a person is asked about; any other may be searched too.
var offeredBauds = []int{300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200}

// searchOptions gives what this gateway has to search.
func (g *Gateway) searchOptions() web.SearchOptions {
	o := web.SearchOptions{
		Lines: []web.SearchLine{}, Serials: []string{}, Networks: ownNetworks(), Protocols: []web.SearchProtocol{}, Bauds: offeredBauds,
	}
	ports := g.buses.Ports()
	for _, p := range ports {
		if !strings.Contains(p.Name(), "://") {
			o.Lines = append(o.Lines, web.SearchLine{Bus: p.Name(), Place: p.Settings().String()})
		}
	}
next:
	for _, path := range serialPorts() {
		for _, p := range ports {
			if owns(p, path) {
				continue next
			}
		}
		o.Serials = append(o.Serials, path)
	}
	for _, p := range drivers.Protocols() {
		o.Protocols = append(o.Protocols, web.SearchProtocol{Name: p.Name, Title: p.Title, Line: p.LineScheme != "", Network: p.Network, Slow: p.Slow})
	}
	return o
}

// serialPorts lists the machine's serial ports. Linux has names for ports that are not built in; their
// type is 0.
func serialPorts() (list []string) {
	for _, pattern := range []string{"ttyUSB*", "ttyACM*", "ttyAMA*", "ttymxc*", "ttyO*", "ttyS*", "ttyXRUSB*"} {
		found, err := filepath.Glob("/dev/" + pattern)
		if err != nil {
			panic("bug: a pattern that is none: " + pattern)
		}
		for _, path := range found {
			kind, err := os.ReadFile(filepath.Join("/sys/class/tty", filepath.Base(path), "type"))
			if err == nil && strings.TrimSpace(string(kind)) == "0" {
				continue
			}
			list = append(list, path)
		}
	}
	return list
}

// ownNetworks lists the networks that the machine is in. Of one that is too large to be searched it is
// the part around the machine's own address.
func ownNetworks() []string {
	list := []string{}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return list // then somebody types it
	}
	for _, a := range addresses {
		network, err := netip.ParsePrefix(a.String())
		if err != nil || !network.Addr().Is4() || network.Addr().IsLoopback() || network.Addr().IsLinkLocalUnicast() || network.Bits() == 32 {
			continue
		}
		if finder.CheckNetwork(network) != nil {
			network = netip.PrefixFrom(network.Addr(), 24)
		}
		if text := network.Masked().String(); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}
