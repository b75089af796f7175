package transport

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsComeOverTLS(t *testing.T) {
	ca := newAuthority(t, "plant")
	s := serve(t, Spec{TLS: serverTLS(t, newFolder(t), ca, nil)})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool(), MinVersion: version, MaxVersion: version})
		if err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
			continue
		}
		if got := conn.ConnectionState().Version; got != version {
			t.Errorf("spoken is %s, want %s", tls.VersionName(got), tls.VersionName(version))
		}
		if (<-s.conns).Certificate() != nil {
			t.Error("a client without a certificate has one")
		}
	}
	if _, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	plain := dial(t, s)
	plain.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"))
	if err := <-s.fails; !strings.Contains((<-s.fails).Error()+err.Error(), "does not look like a TLS handshake") {
		t.Errorf("plain MQTT gives %v", err)
	}
	if got := s.Stats(); got.Failed != 2 || got.Kind != "tls" || got.Address != s.address() {
		t.Errorf("got %+v, want 2 failed handshakes", got)
	}
}

func TestClientsShowACertificate(t *testing.T) {
	ca, wrong := newAuthority(t, "plant"), newAuthority(t, "somebody")
	expired, err := tls.X509KeyPair(ca.issue(t, "old", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	early, err := tls.X509KeyPair(ca.issue(t, "early", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	good, foreign := ca.client(t, "press-1"), wrong.client(t, "press-1")
	for _, test := range []struct {
		name               string
		shown              *tls.Certificate
		required, optional bool // whether it gets in
		subject            string
	}{
		{"none", nil, false, true, ""},
		{"good", &good, true, true, "press-1"},
		{"of another authority", &foreign, false, false, ""},
		{"expired", &expired, false, false, ""},
		{"not yet valid", &early, false, false, ""},
	} {
		for _, optional := range []bool{false, true} {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				spec := serverTLS(t, newFolder(t), ca, ca)
				spec.Optional = optional
				s := serve(t, Spec{TLS: spec})
				config := &tls.Config{RootCAs: ca.pool(), MaxVersion: version}
				if test.shown != nil { // even one that the server did not ask for
					config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return test.shown, nil }
				}
				_, err := s.dialTLS(t, config)
				want := test.required
				if optional {
					want = test.optional
				}
				if (err == nil) != want {
					t.Errorf("%s, optional %v, %s: %v, want in: %v", test.name, optional, tls.VersionName(version), err, want)
				}
				if err == nil && want {
					cert := (<-s.conns).Certificate()
					if (cert == nil) != (test.subject == "") || cert != nil && cert.Subject.CommonName != test.subject {
						t.Errorf("%s: the certificate is %v", test.name, cert)
					}
				}
			}
		}
	}
}

// lookNow makes the next handshake look at the files.
func lookNow(l *Listener) {
	l.certificates.mu.Lock()
	defer l.certificates.mu.Unlock()
	l.certificates.looked = time.Time{}
}

func shownBy(t *testing.T, s *served, ca *authority) string {
	t.Helper()
	lookNow(s.Listener)
	conn, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestNewCertificatesNeedNoRestart(t *testing.T) {
	ca, f := newAuthority(t, "plant"), newFolder(t)
	s := serve(t, Spec{TLS: serverTLS(t, f, ca, nil)})
	old, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	nextCert, nextKey := ca.good(t, "next")
	f.write("server.crt", nextCert, 30*time.Minute) // its key comes later
	for range 3 {
		if got := shownBy(t, s, ca); got != "server" {
			t.Errorf("with half a pair %s is shown", got)
		}
	}
	if got := s.log.take(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "server.key") {
		t.Errorf("half a pair is logged as\n%s\nwant one line", got)
	}
	f.write("server.key", nextKey, 30*time.Minute)
	if got := shownBy(t, s, ca); got != "next" {
		t.Errorf("with the whole pair %s is shown", got)
	}
	if got := s.log.take(); strings.Count(got, "read again") != 1 {
		t.Errorf("logged is\n%s", got)
	}
	for _, broken := range []string{"", "no PEM", string(nextCert[:len(nextCert)/2]), strings.Repeat("x", pemMax+1)} {
		f.write("server.crt", []byte(broken), 20*time.Minute)
		if got := shownBy(t, s, ca); got != "next" {
			t.Errorf("with a broken file %s is shown", got)
		}
	}
	os.Remove(s.spec.TLS.Cert)
	if got := shownBy(t, s, ca); got != "next" {
		t.Errorf("without the file %s is shown", got)
	}
	lastCert, lastKey := ca.good(t, "last")
	f.write("server.key", lastKey, 10*time.Minute)
	f.write("server.crt", lastCert, 10*time.Minute)
	if got := shownBy(t, s, ca); got != "last" {
		t.Errorf("when all is well again %s is shown", got)
	}
	if err := ping(old); err != nil {
		t.Errorf("the connection from before all that: %v", err)
	}
}

// TestAFileThatIsYoungIsReadOnceMore writes a pair in place, twice within one tick of the file's clock.
func TestAFileThatIsYoungIsReadOnceMore(t *testing.T) {
	ca, f := newAuthority(t, "plant"), newFolder(t)
	s := serve(t, Spec{TLS: serverTLS(t, f, ca, nil)})
	now := time.Now()
	write := func(name string) {
		cert, key := ca.good(t, name)
		for path, data := range map[string][]byte{s.spec.TLS.Cert: cert, s.spec.TLS.Key: key} {
			data = append(data, []byte(strings.Repeat("\n", 2000-len(data)))...) // of one size
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, now, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("one")
	if got := shownBy(t, s, ca); got != "one" {
		t.Errorf("%s is shown", got)
	}
	write("two")
	if got := shownBy(t, s, ca); got != "two" {
		t.Errorf("%s is shown", got)
	}
}

func TestWhoMaySignClientsChangesToo(t *testing.T) {
	ca, next, f := newAuthority(t, "plant"), newAuthority(t, "next"), newFolder(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := serve(t, Spec{TLS: serverTLS(t, f, ca, ca)})
		config := &tls.Config{
			RootCAs: ca.pool(), Certificates: []tls.Certificate{ca.client(t, "old")}, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(4),
		}
		for i := range 2 {
			conn, err := s.dialTLS(t, config)
			if err != nil {
				t.Fatal(err)
			}
			if got := conn.ConnectionState().DidResume; got != (i == 1) {
				t.Errorf("connection %d resumes: %v", i, got)
			}
			if cert := (<-s.conns).Certificate(); cert == nil || cert.Subject.CommonName != "old" {
				t.Errorf("connection %d shows %v", i, cert)
			}
		}
		f.write("ca.crt", append(next.pem, "\n-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"...), 20*time.Minute)
		lookNow(s.Listener)
		if _, err := s.dialTLS(t, config); err != nil {
			t.Errorf("a list that cannot be used changes something: %v", err)
		}
		f.write("ca.crt", next.pem, 10*time.Minute)
		lookNow(s.Listener)
		if _, err := s.dialTLS(t, config); err == nil {
			t.Error("a session is resumed whose certificate nobody trusts any more")
		}
		if _, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{next.client(t, "new")}, MaxVersion: version}); err != nil {
			t.Errorf("a client of the new authority: %v", err)
		}
	}
}

func TestFilesThatCannotBeUsedKeepAListenerFromStarting(t *testing.T) {
	ca := newAuthority(t, "plant")
	for name, change := range map[string]func(f folder, spec *TLS){
		"server.crt: no such file": func(f folder, spec *TLS) { os.Remove(spec.Cert) },
		"private key does not match": func(f folder, spec *TLS) {
			_, key := ca.good(t, "other")
			f.write("server.key", key, 0)
		},
		"ca.crt has no certificate": func(f folder, spec *TLS) { f.write("ca.crt", []byte("hello"), 0) },
		"ca.crt has a PRIVATE KEY": func(f folder, spec *TLS) {
			_, key := ca.good(t, "other")
			f.write("ca.crt", key, 0)
		},
	} {
		f := newFolder(t)
		spec := serverTLS(t, f, ca, ca)
		change(f, spec)
		l, err := Listen(Spec{Address: "127.0.0.1:0", TLS: spec}, nil, new(logLines).logger())
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

func TestCertificatesThatEndAreNamedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, f := newAuthority(t, "plant"), newFolder(t)
		const day = 24 * time.Hour
		cert, key := ca.issue(t, "server", time.Now(), time.Now().Add(20*day+time.Hour))
		lines := new(logLines)
		c, err := LoadCertificates(TLS{Cert: f.write("crt", cert, time.Hour), Key: f.write("key", key, time.Hour)}, lines.logger())
		if err != nil {
			t.Fatal(err)
		}
		var soon, expired int
		for n := range 23 {
			c.Config()
			c.Config()
			got := lines.take()
			soon, expired = soon+strings.Count(got, "expires soon"), expired+strings.Count(got, "has expired")
			if n <= 6 && got != "" {
				t.Errorf("on day %d: %s", n, got)
			}
			time.Sleep(day)
		}
		if soon != 14 || expired != 2 {
			t.Errorf("%d warnings before the end and %d after it, want 14 and 2: one a day", soon, expired)
		}
	})
}

// TestDevicesComeInBeforeTheClockIsSet has a server certificate of tomorrow, which says that today is not
// today.
func TestDevicesComeInBeforeTheClockIsSet(t *testing.T) {
	ca, f := newAuthority(t, "plant"), newFolder(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	spec := serverTLS(t, f, ca, ca)
	cert, key := ca.issue(t, "server", tomorrow, tomorrow.Add(24*time.Hour))
	f.write("server.crt", cert, time.Hour)
	f.write("server.key", key, time.Hour)
	s := serve(t, Spec{TLS: spec})
	for _, test := range []struct {
		from, until time.Duration // from tomorrow
		in          bool
	}{{-time.Hour, time.Hour, true}, {time.Hour, 2 * time.Hour, false}, {-2 * time.Hour, -time.Hour, false}} {
		pair, err := tls.X509KeyPair(ca.issue(t, "press", tomorrow.Add(test.from), tomorrow.Add(test.until)))
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{
			RootCAs: ca.pool(), Certificates: []tls.Certificate{pair}, Time: func() time.Time { return tomorrow.Add(time.Minute) },
		}
		if _, err := s.dialTLS(t, config); (err == nil) != test.in {
			t.Errorf("a certificate from %v to %v: %v", test.from, test.until, err)
		}
	}
}

func TestWeakCertificatesAreNamed(t *testing.T) {
	ca, f, lines := newAuthority(t, "plant"), newFolder(t), new(logLines)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // a GODEBUG forbids them
	}
	cert, key := ca.sign(t, "server", time.Now().Add(time.Hour), time.Now().Add(1000*time.Hour), weak)
	if _, err := LoadCertificates(TLS{Cert: f.write("crt", cert, 0), Key: f.write("key", key, 0)}, lines.logger()); err != nil {
		t.Fatal(err)
	}
	if got := lines.take(); !strings.Contains(got, "an RSA key of 1024 bits") || !strings.Contains(got, "not valid yet") {
		t.Errorf("logged is\n%s", got)
	}
	if why := weakness(&x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA}); why == "" {
		t.Error("SHA-1 passes")
	}
}

func TestPlainTextAndTLSAtOneAddress(t *testing.T) {
	ca := newAuthority(t, "plant")
	spec := serverTLS(t, newFolder(t), ca, nil)
	spec.Plain = true
	s := serve(t, Spec{TLS: spec})
	secure, err := s.dialTLS(t, &tls.Config{RootCAs: ca.pool()})
	if err != nil {
		t.Fatal(err)
	}
	if err := ping(secure); err != nil {
		t.Errorf("over TLS: %v", err)
	}
	if err := ping(dial(t, s)); err != nil {
		t.Errorf("in plain text: %v", err)
	}
}
