package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Set {
	t.Helper()
	set, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTheGatewayMakesItselfACertificateOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "web")
	first := open(t, dir).Current()
	if first.Kind != SelfMade || !slices.Contains(first.Names, localName) || !slices.Contains(first.Names, "127.0.0.1") || len(first.Lacks) > 0 {
		t.Errorf("it is %+v", first)
	}
	if years := first.Until.Sub(first.From).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
		t.Errorf("it lasts %.1f years", years)
	}
	info, err := os.Stat(filepath.Join(dir, ownFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v", info, err)
	}
	if again := open(t, dir).Current(); again.Fingerprint != first.Fingerprint {
		t.Error("a restart makes another one")
	}
	set := open(t, dir)
	if err := set.Remake(); err != nil || set.Current().Fingerprint == first.Fingerprint {
		t.Errorf("made anew it is the same, %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ownFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := open(t, dir).Current(); after.Kind != SelfMade {
		t.Errorf("with a torn file it is %+v", after)
	}
}

func TestAClockThatWasNotSetDoesNotSpoilTheCertificate(t *testing.T) {
	unset := time.Date(1970, 1, 1, 0, 3, 0, 0, time.UTC)
	pair, err := makeOwn(unset)
	if err != nil {
		t.Fatal(err)
	}
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	if today.Before(pair.Leaf.NotBefore) || today.After(pair.Leaf.NotAfter) {
		t.Errorf("made in 1970 it is valid from %v to %v", pair.Leaf.NotBefore, pair.Leaf.NotAfter)
	}
	pair, _ = makeOwn(today)
	for now, want := range map[time.Time]bool{unset: false, today: false, today.AddDate(9, 11, 15): true, today.AddDate(-0, -3, 0): true, today.AddDate(20, 0, 0): true} {
		if worn(pair.Leaf, now) != want {
			t.Errorf("at %v it is worn: %v, want %v", now, !want, want)
		}
	}
}

// issued makes a certificate for gateway.example, signed by parent or by itself.
func issued(t *testing.T, name string, from, until time.Time, parent *x509.Certificate, by crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		BasicConstraintsValid: true, IsCA: parent == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if name != "nobody" {
		template.DNSNames = []string{name}
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func text(all ...*x509.Certificate) (out []byte) {
	for _, c := range all {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func keyText(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestUploadsAreChecked(t *testing.T) {
	now := time.Now()
	ca, caKey := issued(t, "Plant CA", now.Add(-time.Hour), now.Add(time.Hour), nil, nil)
	good, key := issued(t, "gateway.example", now.Add(-time.Hour), now.Add(time.Hour), ca, caKey)
	old, oldKey := issued(t, "gateway.example", now.Add(-2*time.Hour), now.Add(-time.Hour), ca, caKey)
	early, earlyKey := issued(t, "gateway.example", now.Add(time.Hour), now.Add(2*time.Hour), ca, caKey)
	nobody, nobodyKey := issued(t, "nobody", now.Add(-time.Hour), now.Add(time.Hour), ca, caKey)
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})
	dir := t.TempDir()
	set := open(t, dir)
	own := set.Current().Fingerprint
	for _, c := range []struct {
		what      string
		cert, key []byte
		field     string
		says      string
	}{
		{"nothing", nil, nil, "cert", "no certificate"},
		{"no key", text(good, ca), nil, "key", "no key"},
		{"the key among the certificates", append(text(good), keyText(t, key)...), keyText(t, key), "cert", "goes into key"},
		{"a certificate as the key", text(good), text(good), "key", "is a certificate"},
		{"a key with a passphrase", text(good), locked, "key", "passphrase"},
		{"two keys", text(good), append(keyText(t, key), keyText(t, caKey)...), "key", "more than one"},
		{"another key", text(good, ca), keyText(t, caKey), "key", "not that of the first"},
		{"a chain in the wrong order", text(ca, good), keyText(t, caKey), "cert", "comes first"},
		{"an expired one", text(old, ca), keyText(t, oldKey), "cert", "expired"},
		{"one of tomorrow", text(early, ca), keyText(t, earlyKey), "cert", "not valid before"},
		{"one without names", text(nobody, ca), keyText(t, nobodyKey), "cert", "names no host"},
		{"one with a tail", append(text(good, ca), "and so on"...), keyText(t, key), "cert", "follows"},
		{"a long chain", bytes.Repeat(text(ca), 11), keyText(t, caKey), "cert", "may have"},
	} {
		wrong, is := errors.AsType[*MistakeError](set.Install(c.cert, c.key))
		if !is || wrong.Field != c.field || !strings.Contains(wrong.Text, c.says) {
			t.Errorf("%s: %+v, want %s that says %q", c.what, wrong, c.field, c.says)
		}
	}
	if set.Current().Fingerprint != own {
		t.Error("something wrong is shown")
	}
	if err := set.Install(text(good, ca), keyText(t, key)); err != nil {
		t.Fatal(err)
	}
	shown, err := set.forHandshake(&tls.ClientHelloInfo{})
	if err != nil || set.Current().Kind != Uploaded || len(shown.Certificate) != 2 || set.Current().Issuer != "CN=Plant CA" {
		t.Errorf("it is %+v, %v", set.Current(), err)
	}
	if err := set.Remake(); err == nil {
		t.Error("the gateway's own is made anew while another is shown")
	}
	if info, err := os.Stat(filepath.Join(dir, uploadedFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v", info, err)
	}
	again := open(t, dir)
	if again.Current().Kind != Uploaded {
		t.Error("a restart forgets it")
	}
	if err := again.Remove(); err != nil || again.Current().Fingerprint != own {
		t.Errorf("taken away it is %+v, %v", again.Current(), err)
	}
	if err := again.Remove(); err == nil {
		t.Error("it is taken away twice")
	}
	if open(t, dir).Current().Kind != SelfMade {
		t.Error("it is back after a restart")
	}
}

func TestFilesOfTheConfigurationCount(t *testing.T) {
	now := time.Now()
	good, key := issued(t, "gateway.example", now.Add(-time.Hour), now.Add(time.Hour), nil, nil)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if err := errors.Join(os.WriteFile(certFile, text(good), 0o600), os.WriteFile(keyFile, keyText(t, key), 0o600)); err != nil {
		t.Fatal(err)
	}
	set, err := Open(Options{Dir: filepath.Join(dir, "web"), Cert: certFile, Key: keyFile})
	if err != nil || set.Current().Kind != File || set.SelfMade() {
		t.Fatalf("it is %+v, %v", set, err)
	}
	if _, is := errors.AsType[*RefusedError](set.Install(text(good), keyText(t, key))); !is {
		t.Error("an upload is taken beside the configuration's files")
	}
}

func FuzzUpload(f *testing.F) {
	pair, err := makeOwn(time.Now())
	if err != nil {
		f.Fatal(err)
	}
	name := filepath.Join(f.TempDir(), "pair.pem")
	if err := writePair(name, pair); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	at := bytes.Index(whole, []byte("-----BEGIN PRIVATE"))
	f.Add(whole[:at], whole[at:])
	f.Add(whole, whole)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte{})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		got, err := checkPair(cert, key, time.Now())
		if err != nil {
			if _, is := errors.AsType[*MistakeError](err); !is {
				t.Errorf("%v is not about a field", err)
			}
			return
		}
		if _, err := tls.X509KeyPair(text(got.Leaf), key); err != nil {
			t.Errorf("what was taken cannot be used: %v", err)
		}
	})
}
