package dial

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidateNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   []string // the paths that are complained about
	}{
		{func(*Options) {}, nil},
		{func(o *Options) { o.TLS = TLS{MinVersion: "1.3", ALPN: []string{"mqtt"}, CA: "ca.pem"} }, nil},
		{func(o *Options) { o.TLS.MinVersion = "1.1" }, []string{"tls.min_version"}},
		{func(o *Options) { o.TLS.ALPN = []string{"mqtt", ""} }, []string{"tls.alpn"}},
		{func(o *Options) { o.TLS.ALPN = []string{strings.Repeat("a", 256)} }, []string{"tls.alpn"}},
		{func(o *Options) { o.TLS.Key = "k.pem" }, []string{"tls"}},
		{func(o *Options) { o.Proxy = Proxy{Address: "socks5://proxy", Username: "u", PasswordFile: "p"} }, nil},
		{func(o *Options) { o.Proxy.Address = "http://[::1]:8080" }, nil},
		{func(o *Options) { o.Proxy.Address = "https://proxy:3128" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Address = "proxy:3128" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Address = "http://proxy/path" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Address = "http://:3128" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Address = "http://u:secret@proxy" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Address = "http://u:secret@proxy:bad" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy.Username = "u" }, []string{"proxy.address"}},
		{func(o *Options) { o.Proxy = Proxy{Address: "http://p", PasswordFile: "p"} }, []string{"proxy.password_file"}},
		{func(o *Options) { o.Proxy = Proxy{Address: "http://p", Username: "a:b"} }, []string{"proxy.username"}},
		{func(o *Options) { o.Proxy = Proxy{Address: "http://p", Username: strings.Repeat("u", 256)} }, []string{"proxy.username"}},
		{func(o *Options) { o.Interface = "wwan0" }, nil},
		{func(o *Options) { o.Interface = "a-name-too-long-for-linux" }, []string{"interface"}},
		{func(o *Options) { o.Interface = "eth 0" }, []string{"interface"}},
		{func(o *Options) { o.NameTimeout = -time.Second; o.ConnectTimeout = 0 }, []string{"name_timeout", "connect_timeout"}},
	} {
		o := Default()
		c.change(&o)
		var got []string
		o.Validate(func(path, problem string) {
			got = append(got, path)
			if strings.Contains(problem, "secret") {
				t.Errorf("a password is shown: %q", problem)
			}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: complaints about %q, want %q", o, got, c.want)
		}
	}
}

func TestAProxyHasThePortOfItsKind(t *testing.T) {
	for address, want := range map[string]string{
		"socks5://proxy": "proxy:1080", "http://proxy": "proxy:3128", "http://[::1]": "[::1]:3128", "socks5://proxy:9": "proxy:9",
	} {
		if u, err := (&Proxy{Address: address}).url(); err != nil || u.Host != want {
			t.Errorf("%s leads to %v (%v), want %s", address, u, err, want)
		}
	}
}
