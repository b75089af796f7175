package dial

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
}

func newAuthority(t *testing.T, name string, until time.Time) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert, key, t.TempDir()}
	a.save(t, "ca.crt", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) save(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// issue makes a certificate for names, which change may spoil, and saves it with its key under name.
func (a *authority) issue(t *testing.T, name string, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		DNSNames:  []string{"cloud.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.save(t, name+".crt", "CERTIFICATE", der)
	a.save(t, name+".key", "EC PRIVATE KEY", secret)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// serveTLS runs shout behind TLS.
func serveTLS(t *testing.T, config *tls.Config) (address string) {
	return serve(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		if secured.Handshake() == nil {
			shout(secured)
		}
	})
}

func TestDialTLSShowsTheCertificate(t *testing.T) {
	a := newAuthority(t, "works authority", time.Now().Add(time.Hour))
	until := time.Now().Add(72 * time.Hour)
	pair := a.issue(t, "server", func(c *x509.Certificate) { c.NotAfter = until })
	a.issue(t, "client", nil)
	address := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1", "x-amzn-mqtt-ca"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()})
	ctx, steps := trace(t.Context())
	o := Default()
	o.TLS = TLS{CA: a.file("ca.crt"), Cert: a.file("client.crt"), Key: a.file("client.key"),
		ServerName: "cloud.example", MinVersion: "1.3", ALPN: []string{"x-amzn-mqtt-ca"}}
	conn, err := o.DialTLS(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	converse(t, conn)
	if got, want := stepNames(*steps), "port open, certificate valid"; got != want {
		t.Fatalf("the steps are %s, want %s", got, want)
	}
	want := "for cloud.example, issued by works authority, until " + until.UTC().Format(time.DateOnly) + ", TLS 1.3, x-amzn-mqtt-ca"
	if got := (*steps)[1].Detail; got != want {
		t.Errorf("the certificate is shown as %q, want %q", got, want)
	}
}

func TestDialTLSSaysWhatIsWrong(t *testing.T) {
	a := newAuthority(t, "works authority", time.Now().Add(time.Hour))
	stranger := newAuthority(t, "somebody else", time.Now().Add(time.Hour))
	old := newAuthority(t, "old authority", time.Now().Add(-24*time.Hour))
	day := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.DateOnly) }
	good := a.issue(t, "server", nil)
	a.issue(t, "client", nil)
	stranger.issue(t, "client", nil)
	a.issue(t, "expired-client", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	strict := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.pool() }
	for _, c := range []struct {
		name   string
		server tls.Certificate
		config func(*tls.Config)
		change func(*TLS)
		want   []string
	}{
		{"expired", a.issue(t, "late", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-96*time.Hour), time.Now().Add(-48*time.Hour)
		}), nil, nil, []string{"the cloud's certificate has expired on " + day(-48*time.Hour), "the gateway's clock says 2"}},
		{"not valid yet", a.issue(t, "early", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(48*time.Hour), time.Now().Add(96*time.Hour)
		}), nil, nil, []string{"is not valid before " + day(48*time.Hour), "clock says", "is it right?"}},
		{"its authority has expired", old.issue(t, "leaf", nil), nil, func(o *TLS) { o.CA = old.file("ca.crt") },
			[]string{"the certificate of the authority old authority has expired on " + day(-24*time.Hour)}},
		{"unknown authority", stranger.issue(t, "server", nil), nil, nil,
			[]string{"not signed by a known authority, but by somebody else; see tls.ca"}},
		{"for another name", a.issue(t, "other", func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"a.example", "b.example"}, []net.IP{net.IPv4(10, 0, 0, 1)}
		}), nil, nil, []string{"for another name: for a.example, b.example, 10.0.0.1, not for cloud.example", "tls.server_name"}},
		{"without any name", a.issue(t, "bare", func(c *x509.Certificate) { c.DNSNames = nil }), nil, nil,
			[]string{"for another name: for no name at all"}},
		{"not for servers", a.issue(t, "usage", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}), nil, nil, []string{"is not valid"}},
		{"wants a client certificate", good, strict, nil, []string{"it wants a certificate of ours from an authority that it knows; see tls.cert"}},
		{"does not know ours", good, strict, func(o *TLS) { o.Cert, o.Key = stranger.file("client.crt"), stranger.file("client.key") },
			[]string{"from an authority that it knows; see tls.cert"}},
		{"ours has expired", good, strict, func(o *TLS) { o.Cert, o.Key = a.file("expired-client.crt"), a.file("expired-client.key") },
			[]string{"refuses the TLS connection", "our certificate has expired"}},
		{"older than wanted", good, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, func(o *TLS) { o.MinVersion = "1.3" },
			[]string{"tls.min_version"}},
		{"far too old", good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, nil,
			[]string{"tls.min_version"}},
		{"no common protocol", good, func(c *tls.Config) { c.NextProtos = []string{"h2"} }, func(o *TLS) { o.ALPN = []string{"mqtt"} },
			[]string{"refuses the TLS connection: it does not offer the protocol; see tls.alpn"}},
		{"missing file", good, nil, func(o *TLS) { o.CA = a.file("missing") }, []string{"cannot read tls.ca"}},
		{"no certificate in the file", good, nil, func(o *TLS) { o.CA = a.file("client.key") }, []string{"there is no certificate in"}},
		{"key of another", good, nil, func(o *TLS) { o.Cert, o.Key = a.file("client.crt"), a.file("server.key") }, []string{"cannot use tls.cert and tls.key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{c.server}}
			if c.config != nil {
				c.config(config)
			}
			o := Default()
			o.TLS = TLS{CA: a.file("ca.crt"), ServerName: "cloud.example"}
			if c.change != nil {
				c.change(&o.TLS)
			}
			ctx, steps := trace(t.Context())
			err := use(ctx, &o, serveTLS(t, config))
			if err == nil {
				t.Fatal("connected")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is %q, want it to say %q", err, want)
				}
			}
			if got := stepNames(*steps); got != "port open, certificate valid" && got != "port open, certificate valid failed" {
				t.Errorf("the steps are %s", got)
			}
		})
	}
}

// use opens a connection and reads: with TLS 1.3 a server judges our certificate only after our side
// of the handshake is over.
func use(ctx context.Context, o *Options, address string) error {
	conn, err := o.DialTLS(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, "hello\n")
	_, err = conn.Read(make([]byte, 1))
	return Explain(err)
}

func TestPlainTextInPlaceOfTLS(t *testing.T) {
	address := serve(t, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 1))
		io.WriteString(conn, "220 mail.example ESMTP\r\n")
		io.Copy(io.Discard, conn)
	})
	o := Default()
	if err := use(t.Context(), &o, address); err == nil || !strings.Contains(err.Error(), "does not speak TLS there; is the port right?") {
		t.Errorf("error is %v", err)
	}
}

func TestThingsAreExplainedOnce(t *testing.T) {
	once := Explain(io.EOF)
	if twice := Explain(once); twice != once {
		t.Errorf("%v became %v", once, twice)
	}
	if odd := Explain(io.ErrShortWrite); odd != io.ErrShortWrite {
		t.Errorf("what nobody knows became %v", odd)
	}
	if err := Explain(nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}

func TestWhatACloudsAlertMeans(t *testing.T) {
	for alert, want := range map[string]string{
		"tls: unknown certificate authority":  "it does not know who signed our certificate; see tls.cert",
		"tls: revoked certificate":            "our certificate was revoked",
		"tls: bad certificate":                "the cloud refuses the TLS connection; see tls.cert",
		"tls: protocol version not supported": "see tls.min_version",
		"tls: unrecognized name":              "see tls.server_name",
		"tls: handshake failure":              "it may want a certificate of ours",
		"tls: internal error":                 "the cloud refuses the TLS connection (remote error",
		"tls: unsupported certificate":        "see tls.cert",
	} {
		err := Explain(&net.OpError{Op: "remote error", Err: errors.New(alert)})
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is explained as %q, want %q", alert, err, want)
		}
	}
}
