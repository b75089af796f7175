package certificates

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
)

// ACME is an authority that gives certificates to whoever shows that the names are theirs, by the
// challenge tls-alpn-01: it connects to each host at port 443.
type ACME struct {
	Directory string   // URL
	CA        string   // PEM file: what the authority's own certificate is checked against; empty: the system's
	Hosts     []string // names and addresses that the certificate is for
	Email     string   // may be empty
}

const (
	challengeProtocol = acme.ALPNProto
	challenge         = "tls-alpn-01"
	orderTime         = 5 * time.Minute
	accountFile       = "acme-account.pem"
)

// issuedFile is where the authority's certificate is kept; another authority gets another file.
func (s *Set) issuedFile() string {
	sum := sha256.Sum256([]byte(s.options.ACME.Directory))
	return filepath.Join(s.options.Dir, "acme-"+hex.EncodeToString(sum[:4])+".pem")
}

// answer is what a challenge for a host is answered with.
func (s *Set) answer(host string) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer := s.answers[host]; answer != nil {
		return answer, nil
	}
	return nil, fmt.Errorf("no certificate for %q is being asked for", host)
}

// obtain asks for a certificate if there is none that will do, and says whether there is one now.
func (s *Set) obtain(ctx context.Context) bool {
	s.mu.Lock()
	issued, before := s.issued, s.failed
	s.mu.Unlock()
	if issued != nil && !s.due(issued.Leaf, time.Now()) {
		return true
	}
	ordering, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	pair, err := s.order(ordering)
	if err == nil {
		err = writePair(s.issuedFile(), pair)
	}
	if ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	if err != nil {
		if before == nil || before.Error() != err.Error() {
			s.log.Warn("the ACME authority gives no certificate", "directory", s.options.ACME.Directory, "err", err)
		}
		return false
	}
	s.issued = pair
	s.log.Info("the ACME authority gave a certificate", "names", pair.Leaf.DNSNames, "until", pair.Leaf.NotAfter, "fingerprint", fingerprint(pair.Leaf))
	return true
}

// due says whether a certificate is in the last third of its life, or for other hosts.
func (s *Set) due(leaf *x509.Certificate, now time.Time) bool {
	for _, host := range s.options.ACME.Hosts {
		if leaf.VerifyHostname(host) != nil {
			return true
		}
	}
	return now.After(leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3))
}

// order does all that an authority asks for before it gives a certificate.
func (s *Set) order(ctx context.Context) (*tls.Certificate, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	defer client.HTTPClient.CloseIdleConnections()
	account := &acme.Account{}
	if email := s.options.ACME.Email; email != "" {
		account.Contact = []string{"mailto:" + email}
	}
	if _, err := client.Register(ctx, account, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("make an account: %w", err)
	}
	order, err := client.AuthorizeOrder(ctx, s.identifiers())
	if err != nil {
		return nil, fmt.Errorf("order a certificate: %w", err)
	}
	for _, url := range order.AuthzURLs {
		if err := s.prove(ctx, client, url); err != nil {
			return nil, err
		}
	}
	if order, err = client.WaitOrder(ctx, order.URI); err != nil {
		return nil, fmt.Errorf("wait for the order: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request := &x509.CertificateRequest{}
	for _, id := range s.identifiers() {
		if id.Type == "ip" {
			request.IPAddresses = append(request.IPAddresses, net.ParseIP(id.Value))
		} else {
			request.DNSNames = append(request.DNSNames, id.Value)
		}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, request, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, csr, true)
	if err != nil {
		return nil, fmt.Errorf("get the certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("read the certificate that came: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("the certificate that came is for another key")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// prove shows that a host is ours.
func (s *Set) prove(ctx context.Context, client *acme.Client, url string) error {
	authorization, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("get an authorization: %w", err)
	}
	host := authorization.Identifier.Value
	if authorization.Status == acme.StatusValid {
		return nil
	}
	at := slices.IndexFunc(authorization.Challenges, func(c *acme.Challenge) bool { return c.Type == challenge })
	if at < 0 {
		return fmt.Errorf("the authority does not offer %s for %s", challenge, host)
	}
	asked := authorization.Challenges[at]
	certificate, err := client.TLSALPN01ChallengeCert(asked.Token, host)
	if err != nil {
		return fmt.Errorf("answer the challenge for %s: %w", host, err)
	}
	name := challengeName(host)
	s.mu.Lock()
	s.answers[name] = &certificate
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.answers, name)
	}()
	if _, err := client.Accept(ctx, asked); err != nil {
		return fmt.Errorf("accept the challenge for %s: %w", host, err)
	}
	if _, err := client.WaitAuthorization(ctx, authorization.URI); err != nil {
		return fmt.Errorf("the authority could not verify %s at port 443: %w", host, err)
	}
	return nil
}

// challengeName is the server name by which the authority asks for a host: for an address, the name of
// its reverse look-up [RFC 8738 6].
func challengeName(host string) string {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip.Is4() {
		b := ip.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	var name []byte
	digits := hex.EncodeToString(ip.AsSlice())
	for i := len(digits) - 1; i >= 0; i-- {
		name = append(name, digits[i], '.')
	}
	return string(name) + "ip6.arpa"
}

func (s *Set) identifiers() (all []acme.AuthzID) {
	for _, host := range s.options.ACME.Hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			all = append(all, acme.IPIDs(host)...)
		} else {
			all = append(all, acme.DomainIDs(host)...)
		}
	}
	return all
}

func (s *Set) client() (*acme.Client, error) {
	key, err := s.accountKey()
	if err != nil {
		return nil, fmt.Errorf("the account's key: %w", err)
	}
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := s.options.ACME.CA; name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("what the authority is checked against: %w", err)
		}
		trusted.RootCAs = x509.NewCertPool()
		if !trusted.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s has no certificate in it", name)
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusted, TLSHandshakeTimeout: 10 * time.Second}
	return &acme.Client{
		Key: key, DirectoryURL: s.options.ACME.Directory, UserAgent: "sluice",
		HTTPClient: &http.Client{Transport: transport, Timeout: 30 * time.Second},
	}, nil
}

// accountKey is the key of the account, made when there is none.
func (s *Set) accountKey() (crypto.Signer, error) {
	name := filepath.Join(s.options.Dir, accountFile)
	key, err := readKey(name)
	if !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return fresh, writeKey(name, fresh)
}
