package config

import (
	"strings"
	"testing"
)

func TestSyslogAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"udp://10.0.0.1":         "",
		"tcp://logs.plant:1514":  "",
		"tls://[fe80::1]:6514":   "",
		"10.0.0.1:514":           "not an address",
		"http://logs":            "not a way to send records",
		"tcp://logs/path":        "not an address",
		"udp://user:pw@10.0.0.1": "not an address",
		"udp://10.0.0.1:70000":   "not a port",
	} {
		_, err := Parse("sluice.yaml", []byte("{store: {dir: ./data}, log: {syslog: {address: \""+address+"\"}}}"), Kinds{})
		if got := err; (got == nil) != (want == "") || want != "" && !strings.Contains(got.Error(), want) {
			t.Errorf("%s: got %v, want %q", address, got, want)
		}
	}
}
