package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

func (d *decoder) checkBuses(c *Config) {
	for i, bus := range c.Buses {
		path := item("buses", i)
		d.checkKind(path, &bus)
		for j, other := range c.Buses[:i] {
			if key, problem := bus.collides(&other, item("buses", j)); problem != "" {
				d.reportAt(path+"."+key, problem)
				break
			}
		}
	}
}

// checkKind finds keys that do not belong to the kind of line that a bus is.
func (d *decoder) checkKind(path string, bus *Bus) {
	kinds := 0
	for _, place := range []string{bus.Serial, bus.TCP, bus.Listen} {
		if place != "" {
			kinds++
		}
	}
	switch {
	case d.blamed[path+".serial"] || d.blamed[path+".tcp"] || d.blamed[path+".listen"]:
		return
	case kinds == 0:
		d.reportAt(path, "nothing says where the bus is; write serial: /dev/ttyS1, tcp: HOST:PORT or listen: 0.0.0.0:PORT")
		return
	case kinds > 1:
		d.reportAt(path, "a bus is one line: write only one of serial, tcp and listen")
		return
	}
	if bus.TCP != "" {
		host, port, err := net.SplitHostPort(bus.TCP)
		if number, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || number == 0 || host == "" || strings.ContainsAny(host, " /") {
			d.reportAt(path+".tcp", fmt.Sprintf("%q is not host:port, for example 192.168.1.50:4001", clip(bus.TCP)))
		}
	}
	if bus.Listen == "" && bus.Registration != "" {
		d.reportAt(path+".registration", "only a DTU that connects to the gateway registers; write listen, or leave this out")
	}
	if bus.Listen == "" && bus.Heartbeat != "" {
		d.reportAt(path+".heartbeat", "only a DTU that connects to the gateway has a heartbeat; write listen, or leave this out")
	}
	if bus.Serial == "" && bus.RS485 != nil {
		d.reportAt(path+".rs485", "only a serial port has a transceiver; leave this out")
	}
}

// collides says why two buses cannot be beside each other, and which key is to blame.
func (b *Bus) collides(other *Bus, at string) (key, problem string) {
	switch {
	case b.Serial != "" && b.Serial == other.Serial:
		return "serial", fmt.Sprintf("%s is the port of %s already; a port is one bus, which many devices share", b.Serial, at)
	case b.TCP != "" && b.TCP == other.TCP:
		return "tcp", fmt.Sprintf("%s is the address of %s already; an address is one bus, which many devices share", b.TCP, at)
	case b.Listen == "" || b.Listen != other.Listen:
		return "", ""
	case b.Registration == "" || other.Registration == "":
		return "listen", fmt.Sprintf("%s is the address of %s already; give both a registration, so that their DTUs can be told apart", b.Listen, at)
	case strings.HasPrefix(string(b.Registration), string(other.Registration)) || strings.HasPrefix(string(other.Registration), string(b.Registration)):
		return "registration", fmt.Sprintf("the DTU of %s registers with the same bytes, or with their beginning; give one another", at)
	}
	return "", ""
}

// dtuListen gives the address at which each bus listens, the first time it occurs; else "".
func dtuListen(buses []Bus) []string {
	all := make([]string, len(buses))
	seen := map[string]bool{"": true}
	for i, b := range buses {
		if !seen[b.Listen] {
			all[i] = b.Listen
		}
		seen[b.Listen] = true
	}
	return all
}
