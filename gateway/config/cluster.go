package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// checkCluster finds what would keep others from finding the gateway through their name servers.
func (d *decoder) checkCluster(c *Config) {
	const at = "rocketmq.cluster"
	if c.RocketMQ == nil || c.RocketMQ.Cluster == nil || d.blamed["rocketmq"] || d.blamed[at] {
		return
	}
	r, cluster := c.RocketMQ, c.RocketMQ.Cluster
	if cluster.Broker == "" {
		cluster.Broker = c.Gateway.Name
		if err := checkBroker(cluster.Broker); err != nil {
			d.reportAt(at, fmt.Sprintf("the gateway's name cannot be a broker's: %v; name it with broker", err))
		}
	} else if err := checkBroker(cluster.Broker); err != nil {
		d.reportAt(at+".broker", err.Error())
	}
	if err := checkBroker(cluster.Name); err != nil {
		d.reportAt(at+".name", err.Error())
	}
	switch {
	case cluster.AccessKey != "" && cluster.SecretKey == "":
		d.reportAt(at+".access_key", "there is no secret_key to sign with; write both or neither")
	case cluster.AccessKey == "" && cluster.SecretKey != "":
		d.reportAt(at+".secret_key", "there is no access_key that it belongs to; write both or neither")
	}
	if tls := cluster.TLS; tls != nil && (tls.Cert == "") != (tls.Key == "") {
		d.reportAt(at+".tls", "cert and key belong together; write both or neither")
	}
	d.checkNameServers(r)
	d.checkAdvertised(r)
}

func (d *decoder) checkNameServers(r *RocketMQ) {
	for i, address := range r.Cluster.NameServers {
		path := item("rocketmq.cluster.name_servers", i)
		host, port, err := net.SplitHostPort(address)
		number, wrong := strconv.ParseUint(port, 10, 16)
		switch {
		case d.blamed[path]:
		case err != nil || wrong != nil || number == 0 || host == "" || strings.ContainsAny(host, " /;,"):
			d.reportAt(path, fmt.Sprintf("%q is not where a name server listens; write host:port, for example 10.0.0.5:9876", clip(address)))
		case slices.Index(r.Cluster.NameServers, address) < i:
			d.reportAt(path, fmt.Sprintf("%s stands here twice", address))
		case loopback(address) && (sameAddress(address, r.Listen) || sameAddress(address, r.NameServer)):
			d.reportAt(path, fmt.Sprintf("%s is this gateway itself; write where the cluster's own name servers are", address))
		}
	}
}

// checkAdvertised finds an address that leads those who are told it to themselves, or nowhere.
func (d *decoder) checkAdvertised(r *RocketMQ) {
	path, told := "rocketmq.advertise", r.Advertise
	if told == "" {
		path, told = "rocketmq.cluster", r.Listen
	}
	if d.blamed["rocketmq.listen"] || d.blamed["rocketmq.advertise"] {
		return
	}
	host, port, _ := net.SplitHostPort(told)
	abroad := slices.ContainsFunc(r.Cluster.NameServers, func(address string) bool { return !loopback(address) })
	switch {
	case r.Listen == "":
		d.reportAt("rocketmq.cluster", "a broker needs an address; write rocketmq.listen")
	case r.Advertise != "" && (everywhere(host) || port == "0"):
		d.reportAt(path, fmt.Sprintf("nobody can connect to %s; write the address at which clients of the cluster reach this gateway", told))
	case loopback(told) && abroad:
		d.reportAt(path, fmt.Sprintf("clients of the cluster would be told %s, which leads each to its own machine; "+
			"listen where they reach this gateway, or write rocketmq.advertise", told))
	}
}

// checkBroker tells why name cannot name a broker or a cluster: a topic of the same name goes with it, and
// handles of popped messages have it between blanks.
func checkBroker(name string) error {
	const most = 100
	if name == "" || len(name) > most {
		return fmt.Errorf("%q has %d characters; write 1 to %d", clip(name), len(name), most)
	}
	for _, c := range name {
		if letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'; !letter && !strings.ContainsRune("-_.", c) {
			return fmt.Errorf("%q has the character %q; use letters, digits, -, _ and .", clip(name), c)
		}
	}
	return nil
}
