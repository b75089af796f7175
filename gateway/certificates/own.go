package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"time"
)

const (
	ownYears    = 10
	ownRenewal  = 30 * 24 * time.Hour // before its end
	localName   = "sluice.local"      // what the gateway may be called on a network without a name server
	slowClocks  = 24 * time.Hour      // by which a browser's clock may be behind
	mostOfNames = 64                  // addresses; a machine with more has them for containers
)

// earliest is before any gateway with this program: a clock that shows less has not been set.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// makeOwn makes a certificate that vouches for itself. It is never made anew because addresses have
// changed: whoever noted its fingerprint could not tell that from an attack.
func makeOwn(now time.Time) (*tls.Certificate, error) {
	if now.Before(earliest) {
		now = earliest
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = localName
	}
	names := slices.Compact([]string{host, localName, "localhost"})
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Sluice"}, CommonName: host[:min(len(host), 64)]},
		DNSNames:              names,
		IPAddresses:           addresses(),
		NotBefore:             now.Add(-slowClocks),
		NotAfter:              now.AddDate(ownYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// worn says whether the gateway's own certificate has to be made anew. A clock that was not set says
// nothing.
func worn(leaf *x509.Certificate, now time.Time) bool {
	return now.After(earliest) && (now.Before(leaf.NotBefore) || leaf.NotAfter.Sub(now) < ownRenewal)
}

// addresses are those by which this machine is reached. Link-local ones of IPv6 are none: they need a
// zone, which no certificate can hold.
func addresses() (all []net.IP) {
	all = []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return all
	}
	for _, each := range found {
		network, ok := each.(*net.IPNet)
		if !ok || network.IP.IsLoopback() || network.IP.IsLinkLocalUnicast() && network.IP.To4() == nil {
			continue
		}
		ip := network.IP
		if four := ip.To4(); four != nil {
			ip = four
		}
		if len(all) < mostOfNames {
			all = append(all, ip)
		}
	}
	return all
}

// lacking are the addresses of this machine that a certificate is not for.
func lacking(leaf *x509.Certificate) (lacks []string) {
	for _, ip := range addresses() {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			lacks = append(lacks, fmt.Sprint(ip))
		}
	}
	return lacks
}
