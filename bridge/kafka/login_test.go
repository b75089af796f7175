package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/bridge"
)

// certificate makes one for 127.0.0.1, signed by itself, and the file that says so.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kafka"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := secret(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

func secret(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLogin(t *testing.T) {
	served, ca := certificate(t)
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			c := startCluster(t, kfake.EnableSASL(), kfake.TLS(served), kfake.Superuser(strings.ToUpper(mechanism), "gateway", "right"))
			address := strings.Replace(c.address, "tcp:", "ssl:", 1)
			try := func(password string) error {
				l, err := uplink(t, address, func(o *Options) {
					o.TLS.CA = ca
					o.SASL = SASL{Mechanism: mechanism, Username: "gateway", PasswordFile: secret(t, password)}
				}).Connect(t.Context())
				if err != nil {
					return err
				}
				defer l.Close()
				return post(t, l, outgoing(0, "a", "k", text(0)))
			}
			if err := try("right\n"); err != nil {
				t.Errorf("with the right password: %v", err)
			}
			if err := try("wrong"); err == nil || !strings.Contains(err.Error(), "user name") {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}

func TestConnectSaysInPlainWordsWhatIsWrong(t *testing.T) {
	served, ca := certificate(t)
	secured := startCluster(t, kfake.TLS(served))
	plainly := startCluster(t)
	guarded := startCluster(t, kfake.EnableSASL())
	closed := startCluster(t)
	closed.setUp(false)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	barred := startCluster(t)
	barred.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1})
	ssl := func(c *cluster) string { return strings.Replace(c.address, "tcp:", "ssl:", 1) }
	for _, c := range []struct {
		name, address string
		change        func(*Options)
		want          string
	}{
		{"nobody there", closed.address, nil, "nobody listens there"},
		{"no such name", "tcp://no-such-host.invalid", nil, "cannot be found"},
		{"silent", "tcp://" + silent.Addr().String(), func(o *Options) { o.ConnectTimeout = time.Second }, "no answer"},
		{"unknown authority", ssl(secured), nil, "known authority"},
		{"TLS where there is none", ssl(plainly), func(o *Options) { o.TLS.CA, o.ConnectTimeout = ca, time.Second }, "TLS"},
		{"no TLS where there is some", secured.address, nil, "ssl://"},
		{"no login where one is wanted", guarded.address, nil, "login"},
		{"unreadable password", plainly.address, func(o *Options) {
			o.SASL = SASL{Mechanism: "scram-sha-256", Username: "u", PasswordFile: "/nowhere"}
		}, "sasl"},
		{"no right to a producer id", barred.address, nil, "IDEMPOTENT_WRITE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := time.Now()
			l, err := uplink(t, c.address, c.change).Connect(t.Context())
			if err == nil {
				l.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %q, want it to say %q", err, c.want)
			}
			if took := time.Since(from); strings.Contains(c.name, "silent") && took > 8*time.Second {
				t.Errorf("it took %s to find that out", took)
			}
		})
	}
}

func TestProbeReportsEachStep(t *testing.T) {
	c := startCluster(t, kfake.SeedTopics(1, "sluice-test"))
	probe := func() (steps string, err error) {
		err = uplink(t, c.address, nil).Probe(context.Background(), func(s bridge.Step) {
			steps += fmt.Sprintf("%s: %t; ", s.Name, s.Err == nil)
		})
		return steps, err
	}
	steps, err := probe()
	if want := "port open: true; logged in: true; published: true; acknowledged: true; "; err != nil || steps != want {
		t.Errorf("%v after %s, want %s", err, steps, want)
	}
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	steps, err = probe()
	if want := "port open: true; logged in: true; published: true; acknowledged: false; "; err == nil || steps != want {
		t.Errorf("%v after %s, want %s", err, steps, want)
	}
	fault.Remove()
	c.setUp(false)
	steps, err = probe()
	if err == nil || !strings.HasSuffix(steps, "port open: false; ") {
		t.Errorf("%v after %s", err, steps)
	}
}
