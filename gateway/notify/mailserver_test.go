package notify

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer speaks SMTP over real sockets, as far as a client needs it, and can refuse.
type mailServer struct {
	addr     string
	ca       string // file
	tls      *tls.Config
	mode     string // starttls, tls or none
	password string // empty: nobody signs in

	mu      sync.Mutex // guards what follows
	refusal string     // what DATA is answered with
	letters []string   // as they came
	secured []bool
	conns   sync.WaitGroup
}

func startMail(t *testing.T, mode, password string) *mailServer {
	t.Helper()
	s := &mailServer{mode: mode, password: password}
	s.tls, s.ca = certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	s.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); s.conns.Wait() })
	return s
}

func (s *mailServer) refuse(with string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = with
}

func (s *mailServer) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.letters...)
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	secure := s.mode == "tls"
	if secure {
		c = tls.Server(c, s.tls)
	}
	r := bufio.NewReader(c)
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 mail.example ESMTP")
	for signedIn := s.password == ""; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			say("250-mail.example")
			if s.mode == "starttls" && !secure {
				say("250-STARTTLS")
			}
			if s.password != "" {
				say("250-AUTH PLAIN LOGIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			c, secure = tls.Server(c, s.tls), true
			r = bufio.NewReader(c)
		case "AUTH":
			_, token, _ := strings.Cut(rest, " ")
			plain, _ := base64.StdEncoding.DecodeString(token)
			if signedIn = string(plain) == "\x00sluice\x00"+s.password; signedIn {
				say("235 welcome")
			} else {
				say("535 5.7.8 wrong user or password")
			}
		case "MAIL", "RCPT":
			if !signedIn {
				say("530 5.7.0 sign in first")
				continue
			}
			say("250 ok")
		case "DATA":
			if !s.take(r, say, secure) {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *mailServer) take(r *bufio.Reader, say func(string), secure bool) bool {
	s.mu.Lock()
	refusal := s.refusal
	s.mu.Unlock()
	if refusal != "" {
		say(refusal)
		return true
	}
	say("354 go on")
	var letter strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		letter.WriteString(line)
	}
	s.mu.Lock()
	s.letters, s.secured = append(s.letters, letter.String()), append(s.secured, secure)
	s.mu.Unlock()
	say("250 taken")
	return true
}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}
