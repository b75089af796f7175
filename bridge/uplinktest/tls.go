package uplinktest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"sluice/bridge/cloudsim"
)

// Certificates writes a certificate authority, and a server's and a client's certificate by it.
func Certificates(t testing.TB, dir string) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey := key()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	save := func(name string, template *x509.Certificate, k *ecdsa.PrivateKey) {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, &k.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		Write(t, dir+"/"+name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		Write(t, dir+"/"+name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})))
	}
	save("ca", ca, caKey)
	leaf := func(serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "leaf"},
			DNSNames: []string{"cloud.example"}, NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	}
	save("server", leaf(2), key())
	save("client", leaf(3), key())
}

// overTLS wants both sides to show what they are.
func (m MQTT) overTLS(t *testing.T) {
	dir := t.TempDir()
	Certificates(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/server.crt", dir+"/server.key")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(dir + "/ca.crt")
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the certificate authority cannot be read", err)
	}
	cloud := StartCloud(t, cloudsim.Options{TLS: &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}})
	good := MQTTOptions{Address: "ssl://" + cloud.Addr().String(), CA: dir + "/ca.crt", Cert: dir + "/client.crt", Key: dir + "/client.key", ServerName: "cloud.example"}
	for _, c := range []struct {
		name   string
		change func(*MQTTOptions)
		want   string
	}{
		{"unknown authority", func(o *MQTTOptions) { o.CA = "" }, "not signed by a known authority"},
		{"wrong name", func(o *MQTTOptions) { o.ServerName = "other.example" }, "another name"},
		{"no certificate of ours", func(o *MQTTOptions) { o.Cert, o.Key = "", "" }, "refuses the TLS connection"},
		{"missing file", func(o *MQTTOptions) { o.CA = dir + "/missing" }, "tls.ca"},
		{"no certificate in the file", func(o *MQTTOptions) { o.CA = dir + "/ca.key" }, "no certificate in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			refuses(t, m.Open(t, o), c.want)
		})
	}
	m.carries(t, good)
}
