package mqtt

import (
	"testing"
	"time"

	"sluice/bridge/mqttline"
	"sluice/bridge/uplinktest"
)

func TestValidateNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   []string // the paths that are complained about
	}{
		{func(*Options) {}, nil},
		{func(o *Options) { o.Address = "ssl://cloud.example" }, nil},
		{func(o *Options) { o.Address = "wss://cloud.example/mqtt"; o.TLS.CA = "ca.pem" }, nil},
		{func(o *Options) { o.Address = "ws://[::1]:8083/mqtt" }, nil},
		{func(o *Options) { o.Address = "" }, []string{"address"}},
		{func(o *Options) { o.Address = "cloud:1883" }, []string{"address"}},
		{func(o *Options) { o.Address = "127.0.0.1:1883" }, []string{"address"}},
		{func(o *Options) { o.Address = "http://cloud" }, []string{"address"}},
		{func(o *Options) { o.Address = "tcp://:1883" }, []string{"address"}},
		{func(o *Options) { o.Address = "tcp://user:secret@cloud" }, []string{"address"}},
		{func(o *Options) { o.Address = "tcp://cloud/path" }, []string{"address"}},
		{func(o *Options) { o.TLS.CA = "ca.pem" }, []string{"tls"}},
		{func(o *Options) { o.Address = "ssl://cloud"; o.TLS.Cert = "c.pem" }, []string{"tls"}},
		{func(o *Options) { o.PasswordFile = "p" }, []string{"password_file"}},
		{func(o *Options) { o.KeepAlive = 100 * time.Millisecond }, []string{"keep_alive"}},
		{func(o *Options) { o.KeepAlive = 1500 * time.Millisecond }, []string{"keep_alive"}},
		{func(o *Options) { o.KeepAlive = 20 * time.Hour }, []string{"keep_alive"}},
		{func(o *Options) { o.ConnectTimeout = 0; o.Address = "x" }, []string{"address", "connect_timeout"}},
		{func(o *Options) { o.ClientID = "a\x00b" }, []string{"client_id"}},
		{func(o *Options) { o.Addresses = []string{"tcp://b", "ssl://c"}; o.TLS.CA = "ca.pem" }, nil},
		{func(o *Options) { o.Addresses = []string{"tcp://b", "c:1883", ""} }, []string{"addresses[1]", "addresses[2]"}},
		{func(o *Options) { o.TLS.ALPN = []string{"mqtt"} }, []string{"tls"}},
		{func(o *Options) { o.Proxy.Address = "ftp://proxy" }, []string{"proxy.address"}},
		{func(o *Options) { o.TestTopic = "a/#" }, []string{"test_topic"}},
	} {
		o := DefaultOptions()
		o.Address = "tcp://127.0.0.1:1884"
		c.change(&o)
		_, err := New(o, "line-3", uplinktest.Quiet())
		uplinktest.Complaints(t, o, o.Validate, err, c.want)
	}
}

func TestAddressHasThePortOfItsKind(t *testing.T) {
	for address, want := range map[string]string{
		"tcp://cloud": "cloud:1883", "ssl://cloud": "cloud:8883", "ws://cloud/mqtt": "cloud:80",
		"wss://cloud/mqtt": "cloud:443", "tcp://cloud:99": "cloud:99", "tcp://[::1]": "[::1]:1883",
	} {
		u, err := mqttline.ParseAddress(address)
		if err != nil || u.Host != want {
			t.Errorf("%s leads to %v (%v), want %s", address, u, err, want)
		}
	}
}
