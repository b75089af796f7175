package http

import (
	"testing"
	"time"

	"sluice/bridge/uplinktest"
)

func TestValidateNamesEveryMistake(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   []string // the paths that are complained about
	}{
		{func(*Options) {}, nil},
		{func(o *Options) { o.Address = "http://[::1]:8080/{gateway}/{device}?t={topic}" }, nil},
		{func(o *Options) { o.Address = "" }, []string{"address"}},
		{func(o *Options) { o.Address = "cloud.example/in" }, []string{"address"}},
		{func(o *Options) { o.Address = "ftp://cloud.example" }, []string{"address"}},
		{func(o *Options) { o.Address = "https://me:secret@cloud.example" }, []string{"address"}},
		{func(o *Options) { o.Address = "https://me:secret@cloud.exam ple" }, []string{"address"}},
		{func(o *Options) { o.Address = "https:///in" }, []string{"address"}},
		{func(o *Options) { o.Address = "https://{device}.example/in" }, []string{"address"}},
		{func(o *Options) { o.Address = "https://cloud.example/{point}" }, []string{"address"}},
		{func(o *Options) { o.Address = "https://cloud.example/in#here" }, []string{"address"}},
		{func(o *Options) { o.Addresses = []string{"https://b.example", "c"} }, []string{"addresses[1]"}},
		{func(o *Options) { o.Address = "http://a"; o.TLS.CA = "ca.pem" }, []string{"tls"}},
		{func(o *Options) { o.TLS.MinVersion = "1.1" }, []string{"tls.min_version"}},
		{func(o *Options) { o.Method = "GET" }, []string{"method"}},
		{func(o *Options) { o.Body = "xml" }, []string{"body"}},
		{func(o *Options) { o.Count, o.Bytes, o.Parallel = 0, 0, 0 }, []string{"count", "bytes", "parallel"}},
		{func(o *Options) { o.Parallel = mostParallel + 1 }, []string{"parallel"}},
		{func(o *Options) { o.Linger = -time.Second }, []string{"linger"}},
		{func(o *Options) { o.Timeout = 0 }, []string{"timeout"}},
		{func(o *Options) { o.ServerErrors = 0 }, []string{"server_errors"}},
		{func(o *Options) { o.Health = "healthz" }, []string{"health"}},
		{func(o *Options) { o.Headers = map[string]string{"content-type": "x"} }, []string{"headers"}},
		{func(o *Options) { o.Headers = map[string]string{"a b": "x"} }, []string{"headers"}},
		{func(o *Options) { o.Headers = map[string]string{"A": "x\r\nB: y"} }, []string{"headers"}},
		{func(o *Options) { o.PasswordFile = "p" }, []string{"password_file"}},
		{func(o *Options) { o.Username = "a:b" }, []string{"username"}},
		{func(o *Options) { o.TokenHeader = "X-Key" }, []string{"token_header"}},
		{func(o *Options) { o.TokenFile, o.TokenHeader = "t", "X Key" }, []string{"token_header"}},
		{func(o *Options) { o.TokenFile, o.Username = "t", "me" }, []string{"token_file"}},
		{func(o *Options) { o.TokenFile, o.TokenHeader, o.Username = "t", "X-Key", "me" }, nil},
	} {
		o := DefaultOptions()
		o.Address = "https://cloud.example/in"
		c.change(&o)
		_, err := New(o, "line-3", quiet())
		uplinktest.Complaints(t, o, o.Validate, err, c.want)
	}
}

func TestAddressHasThePortOfItsKind(t *testing.T) {
	for text, want := range map[string]string{
		"http://cloud/in": "cloud:80", "https://cloud": "cloud:443", "https://[::1]/x": "[::1]:443", "http://cloud:8080": "cloud:8080",
	} {
		a, err := parseAddress(text, "line-3")
		if err != nil || a.host != want {
			t.Errorf("%s leads to %v (%v), want %s", text, a, err, want)
		}
	}
}
