package config

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// checkWeb finds keys that do not go together, and doors that stand open.
func (d *decoder) checkWeb(w *Web) {
	if w.TLS == nil {
		if w.Listen != "" && !d.blamed["web.listen"] && !loopback(w.Listen) {
			d.warn("web.listen", "other machines reach the page without TLS, so that passwords can be overheard; tls: {} is enough to turn it on")
		}
		return
	}
	t := w.TLS
	if (t.Cert == "") != (t.Key == "") {
		d.reportAt("web.tls", "cert and key go together")
	}
	if t.ACME == nil {
		return
	}
	if t.Cert != "" {
		d.reportAt("web.tls.acme", "the certificate comes from files or from an authority; leave out one of the two")
	}
	if at, err := url.Parse(t.ACME.Directory); t.ACME.Directory != "" && (err != nil || at.Scheme != "https" || at.Host == "") {
		d.reportAt("web.tls.acme.directory", "this is not an https URL, such as https://ca.plant.example/acme/acme/directory")
	}
	for i, host := range t.ACME.Hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		if host == "" || strings.ContainsAny(host, ":/*@ ") {
			d.reportAt(item("web.tls.acme.hosts", i), "write a host name such as gateway.plant.example, or an IP address")
		}
	}
	if _, port, err := net.SplitHostPort(t.Listen); err == nil && port != "443" && !d.blamed["web.tls.listen"] {
		d.warn("web.tls.listen", "an ACME authority connects to port 443: listen there, or lead that port here")
	}
}
