package transport

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	lookAgain   = 2 * time.Second     // between two looks at the files
	remindAgain = 24 * time.Hour      // between two warnings about a certificate
	endIsNear   = 14 * 24 * time.Hour // of a certificate's life
	pemMax      = 1 << 20             // bytes of a file
	rsaWeak     = 2048                // bits; a key with fewer is warned about
)

// Certificates are what a listener shows and trusts. They follow their files: a handshake looks at
// those when nobody has for a while. What cannot be used, because it is being written say, changes
// nothing until it can. Its methods may be called from any goroutine.
type Certificates struct {
	spec TLS
	log  *slog.Logger

	mu       sync.Mutex // guards what follows
	current  *tls.Config
	expiring []*x509.Certificate // whose end we look out for
	seen     []os.FileInfo       // of the files as current has them, or as they could not be used
	settled  bool                // the files were not changed so shortly before seen that their times might hide a change
	unusable bool                // what was seen
	looked   time.Time
	reminded time.Time
}

// LoadCertificates reads the files of spec, for a Listener or for whoever speaks TLS without one.
func LoadCertificates(spec TLS, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{spec: spec, log: log}
	now := time.Now()
	seen, err := c.stat()
	if err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, err
	}
	c.note(seen, now)
	c.remindLocked(now)
	return c, nil
}

// Config is what the next handshake goes by. Every reload makes a new one, with ticket keys of its own:
// nobody resumes a session that the certificates of today would refuse.
func (c *Certificates) Config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if since := now.Sub(c.looked); since >= lookAgain || since < 0 {
		c.lookLocked(now)
	}
	if since := now.Sub(c.reminded); since >= remindAgain || since < 0 {
		c.remindLocked(now)
	}
	return c.current
}

func (c *Certificates) lookLocked(now time.Time) {
	c.looked = now
	seen, err := c.stat()
	if err == nil && c.settled && same(seen, c.seen) {
		return
	}
	if err == nil {
		err = c.load()
	}
	said := same(seen, c.seen) && c.unusable == (err != nil) // these very files, looked at once more
	c.note(seen, now)
	c.unusable = err != nil
	switch {
	case said:
	case err != nil:
		c.log.Warn("the certificate files have changed and cannot be used: what they held before stays", "err", err)
	default:
		c.log.Info("certificates were read again", "cert", c.spec.Cert, "until", c.expiring[0].NotAfter)
		c.remindLocked(now)
	}
}

func (c *Certificates) note(seen []os.FileInfo, now time.Time) {
	c.seen, c.looked, c.settled = seen, now, true
	for _, info := range seen {
		if age := now.Sub(info.ModTime()); age < lookAgain && age > -lookAgain {
			c.settled = false
		}
	}
}

func (c *Certificates) files() []string {
	var names []string
	for _, name := range []string{c.spec.Cert, c.spec.Key, c.spec.ClientCA} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// stat looks at the files. One that is missing is missing from what it gives too.
func (c *Certificates) stat() (seen []os.FileInfo, err error) {
	for _, name := range c.files() {
		info, missing := os.Stat(name)
		if missing != nil {
			err = errors.Join(err, missing)
			continue
		}
		seen = append(seen, info)
	}
	return seen, err
}

func same(a, b []os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// load reads the files, all of them or none.
func (c *Certificates) load() error {
	pair, err := c.pair()
	if err != nil {
		return err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, Time: notBefore(pair.Leaf.NotBefore), NextProtos: c.spec.Protocols,
	}
	expiring := []*x509.Certificate{pair.Leaf}
	if c.spec.ClientCA != "" {
		trusted, err := readTrusted(c.spec.ClientCA)
		if err != nil {
			return err
		}
		config.ClientCAs = x509.NewCertPool()
		for _, ca := range trusted {
			config.ClientCAs.AddCert(ca)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		if c.spec.Optional {
			config.ClientAuth = tls.VerifyClientCertIfGiven
		}
		expiring = append(expiring, trusted...)
	}
	c.current, c.expiring = config, expiring
	return nil
}

// pair reads the server's own certificate with its key, or makes one.
func (c *Certificates) pair() (tls.Certificate, error) {
	if c.spec.Cert == "" && c.spec.Key == "" {
		return makeUnsigned()
	}
	cert, err := readPEM(c.spec.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM(c.spec.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s with %s: %w", c.spec.Cert, c.spec.Key, err)
	}
	return pair, nil
}

// notBefore is a clock that knows the least that the time can be: there is a certificate of then. So a
// gateway whose clock begins in 1970 lets its devices in before somebody has told it the time.
func notBefore(least time.Time) func() time.Time {
	return func() time.Time {
		if now := time.Now(); now.After(least) {
			return now
		}
		return least
	}
}

func readPEM(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, pemMax+1))
	if err == nil && len(data) > pemMax {
		err = fmt.Errorf("%s has more than %d bytes", name, pemMax)
	}
	return data, err
}

// readTrusted reads certificates of authorities. Anything else in the file is a mistake: trusting half
// of what was meant would lock out devices without a word.
func readTrusted(name string) (all []*x509.Certificate, err error) {
	data, err := readPEM(name)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s has a %s in it", name, block.Type)
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, ca)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no certificate in it", name)
	}
	return all, nil
}

// remindLocked warns about certificates that end soon, and about what peers may refuse.
func (c *Certificates) remindLocked(now time.Time) {
	c.reminded = now
	for i, cert := range c.expiring {
		file := c.spec.Cert
		if i > 0 {
			file = c.spec.ClientCA
		}
		details := []any{"file", file, "subject", cert.Subject.String(), "from", cert.NotBefore, "until", cert.NotAfter}
		switch {
		case now.After(cert.NotAfter):
			c.log.Warn("a certificate has expired: connections that rely on it are refused", details...)
		case now.Before(cert.NotBefore):
			c.log.Warn("a certificate is not valid yet; is the clock right?", details...)
		case cert.NotAfter.Sub(now) < endIsNear:
			c.log.Warn("a certificate expires soon", details...)
		}
		if why := weakness(cert); why != "" && i == 0 {
			c.log.Warn("the server's certificate is weak, clients may refuse it", append(details, "why", why)...)
		}
	}
}

func weakness(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < rsaWeak {
			return fmt.Sprintf("an RSA key of %d bits", bits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return fmt.Sprintf("an elliptic curve of %d bits", bits)
		}
	}
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		return "signed with " + cert.SignatureAlgorithm.String()
	}
	return ""
}
