package access

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
)

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}}
}

func TestNamesOfCertificates(t *testing.T) {
	uri := &url.URL{Scheme: "urn", Opaque: "dev:7"}
	for want, c := range map[string]*x509.Certificate{
		"":            nil,
		"ann":         {Subject: pkix.Name{CommonName: "ann"}, DNSNames: []string{"dns"}},
		"dns":         {DNSNames: []string{"dns", "second"}, URIs: []*url.URL{uri}},
		"urn:dev:7":   {URIs: []*url.URL{uri}, EmailAddresses: []string{"a@b"}},
		"a@b":         {EmailAddresses: []string{"a@b"}},
		"\x00unusual": {Subject: pkix.Name{CommonName: "\x00unusual"}},
	} {
		if got := certificateName(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhoComesIn(t *testing.T) {
	users := []User{
		{Name: "sensor", PasswordFile: passwordFor(t, "right"), Publish: []string{"by/%u"}},
		{Name: "press", Certificate: true, Publish: []string{"by/%u"}},
		{Name: "both", PasswordFile: passwordFor(t, "right"), Certificate: true, Publish: []string{"by/%u"}},
	}
	const nobody, anonymous = "", "anonymous"
	for _, c := range []struct {
		what        string
		user        string // "-": none
		password    string // "-": none
		certificate string
		anonymous   bool
		want        string
	}{
		{"the right password", "sensor", "right", "", false, "sensor"},
		{"a wrong password", "sensor", "wrong", "", false, nobody},
		{"a wrong password where nobody needs one", "sensor", "wrong", "", true, nobody},
		{"no password", "sensor", "-", "", false, nobody},
		{"an empty password", "sensor", "", "", false, nobody},
		{"no such user", "ghost", "right", "", false, nobody},
		{"no such user where nobody needs one", "ghost", "right", "", true, nobody},
		{"no name", "-", "-", "", false, nobody},
		{"no name where nobody needs one", "-", "-", "", true, anonymous},
		{"an empty name", "", "", "", false, nobody},
		{"an empty name where nobody needs one", "", "", "", true, anonymous},
		{"a certificate", "-", "-", "press", false, "press"},
		{"a certificate and its name", "press", "-", "press", false, "press"},
		{"a certificate, its name and any password", "press", "x", "press", false, "press"},
		{"the name of a certificate without it", "press", "x", "", false, nobody},
		{"a certificate where nobody needs one", "-", "-", "press", true, "press"},
		{"a certificate of a user with a password alone", "-", "-", "sensor", false, nobody},
		{"a certificate of a user with a password alone, where nobody needs one", "-", "-", "sensor", true, anonymous},
		{"a certificate of nobody", "-", "-", "ghost", false, nobody},
		{"a certificate of nobody, another's password", "sensor", "right", "ghost", false, "sensor"},
		{"a certificate, another's password", "sensor", "right", "press", false, "sensor"},
		{"a certificate, another's name with a wrong password", "sensor", "wrong", "press", false, nobody},
		{"a certificate, another's name alone", "both", "-", "press", false, nobody},
		{"both, by password", "both", "right", "", false, "both"},
		{"both, by certificate", "-", "-", "both", false, "both"},
	} {
		g := guardFor(t, Options{Users: users}) // no failure of another case counts
		attempt := &Attempt{
			ClientID: "c1", Address: "192.0.2.1:9", Anonymous: c.anonymous,
			HasUser: c.user != "-", HasPassword: c.password != "-",
		}
		if attempt.HasUser {
			attempt.User = c.user
		}
		if attempt.HasPassword {
			attempt.Password = []byte(c.password)
		}
		if c.certificate != "" {
			attempt.Certificate = certificate(c.certificate)
		}
		grant := g.Connect(context.Background(), attempt)
		got := nobody
		switch {
		case grant == nil:
		case grant.Publish("anything"):
			got = anonymous
		default:
			for _, u := range users {
				if grant.Publish("by/" + u.Name) {
					got = u.Name
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: came in as %q, want %q", c.what, got, c.want)
		}
		stats := g.Stats()
		if accepted := stats.Accepted == 1; accepted != (c.want != nobody) || stats.Accepted+stats.Refused != 1 {
			t.Errorf("%s: counted %+v", c.what, stats)
		}
	}
}

func TestANameMeansNothingWhereThereAreNoUsers(t *testing.T) {
	g := guardFor(t, Options{})
	attempt := &Attempt{ClientID: "c1", HasUser: true, User: "any", HasPassword: true, Password: []byte("x"), Anonymous: true}
	if g.Connect(context.Background(), attempt) == nil {
		t.Error("refused, though nobody needs a name here")
	}
	attempt.Anonymous = false
	if g.Connect(context.Background(), attempt) != nil {
		t.Error("came in, though there are no users")
	}
}
