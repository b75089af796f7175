package config

import (
	"net"
	"strconv"
)

// checkNetwork finds what cannot be connected to.
func (d *decoder) checkNetwork(n *Network) {
	for i, target := range n.Probe {
		host, port, err := net.SplitHostPort(target)
		if number, err2 := strconv.ParseUint(port, 10, 16); err != nil || err2 != nil || number == 0 || host == "" {
			d.reportAt(item("network.probe", i), "write host:port, such as broker.plant.example:8883")
		}
	}
	if len(n.Probe) > 0 && !n.Failover {
		d.warn("network.probe", "nothing is tested without failover: true")
	}
}
