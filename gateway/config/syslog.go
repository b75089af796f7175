package config

import (
	"fmt"
	"net/url"
	"strconv"
)

// checkSyslog finds an address that no records can be sent to.
func (d *decoder) checkSyslog(s *Syslog) {
	const path = "log.syslog.address"
	if s == nil || s.Address == "" || d.blamed[path] {
		return
	}
	u, err := url.Parse(s.Address)
	switch {
	case err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil:
		d.reportAt(path, fmt.Sprintf("%q is not an address such as udp://host:514, tcp://host:601 or tls://host:6514", clip(s.Address)))
	case u.Scheme != "udp" && u.Scheme != "tcp" && u.Scheme != "tls":
		d.reportAt(path, fmt.Sprintf("%q is not a way to send records; there are udp, tcp and tls", clip(u.Scheme)))
	case u.Port() != "":
		if port, err := strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			d.reportAt(path, u.Port()+" is not a port")
		}
	}
	if s.CA != "" && u != nil && u.Scheme != "tls" {
		d.warn("log.syslog.ca", "it counts with a tls:// address only")
	}
}
