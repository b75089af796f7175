package transport

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
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue gives a certificate and its key as PEM. It is good for a server on loopback and for a client.
func (a *authority) issue(t testing.TB, name string, from, until time.Time) (cert, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return a.sign(t, name, from, until, own)
}

func (a *authority) sign(t testing.TB, name string, from, until time.Time, own crypto.Signer) (cert, key []byte) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, own.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// good is issue for a certificate that is valid today.
func (a *authority) good(t testing.TB, name string) (cert, key []byte) {
	t.Helper()
	return a.issue(t, name, time.Now().Add(-time.Hour), time.Now().Add(500*time.Hour))
}

func (a *authority) client(t testing.TB, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.good(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// folder is where a listener's files are.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t testing.TB) folder { return folder{t, t.TempDir()} }

// write replaces a file as a careful program does. Each time it is older by some more than the files
// that were just written would be, so that their times tell them apart at once.
func (f folder) write(name string, data []byte, age time.Duration) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		f.t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(path+".new", then, then); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// serverTLS writes the files of a server that trusts clients of ca, which may be nil.
func serverTLS(t testing.TB, f folder, server, ca *authority) *TLS {
	t.Helper()
	cert, key := server.good(t, "server")
	spec := &TLS{Cert: f.write("server.crt", cert, time.Hour), Key: f.write("server.key", key, time.Hour)}
	if ca != nil {
		spec.ClientCA = f.write("ca.crt", ca.pem, time.Hour)
	}
	return spec
}

// logLines collects what is logged.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	l.text.Reset()
	return text
}

func (l *logLines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// served is a listener whose clients get an echo of what they send.
type served struct {
	*Listener
	log   *logLines
	conns chan *Conn // those that came through their handshake
	fails chan error // of the others
	stop  func()
}

func serve(t testing.TB, spec Spec) *served {
	t.Helper()
	if spec.Address == "" {
		spec.Address = "127.0.0.1:0"
	}
	log := new(logLines)
	l, err := Listen(spec, nil, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Listener: l, log: log, conns: make(chan *Conn, 10_000), fails: make(chan error, 10_000)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if _, full := err.(*FullError); full {
				continue
			}
			if err != nil {
				return
			}
			all.Go(func() { s.echo(t, conn) })
		}
	})
	s.stop = sync.OnceFunc(func() {
		l.Close()
		all.Wait()
		if open := l.Stats().Open; open != 0 {
			t.Errorf("%d connections are open at the end", open)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *served) echo(t testing.TB, conn *Conn) {
	defer conn.Close()
	if err := conn.Handshake(t.Context()); err != nil {
		s.fails <- err
		return
	}
	s.conns <- conn
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (s *served) address() string { return s.Addr().String() }

// dialTLS connects and completes the handshake, of which TLS 1.3 clients hear the end with the first
// answer only.
func (s *served) dialTLS(t testing.TB, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.address(), config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	if err := ping(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func ping(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	defer conn.SetDeadline(time.Time{})
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	var answer [4]byte
	_, err := io.ReadFull(conn, answer[:])
	return err
}

func dial(t testing.TB, s *served) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// soon waits for what a goroutine is about to do.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s did not happen within 10 s", what)
}
