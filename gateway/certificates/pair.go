package certificates

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	maxPair  = 1 << 20 // bytes of a file with a chain and its key
	maxChain = 10      // certificates
)

// checkPair reads an uploaded chain with its key and says what is wrong with it.
func checkPair(cert, key []byte, now time.Time) (*tls.Certificate, error) {
	chain, err := readChain(cert)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(key)
	switch {
	case block == nil:
		return nil, &MistakeError{"key", "this is no key in PEM form, which begins with -----BEGIN PRIVATE KEY-----"}
	case block.Type == "CERTIFICATE":
		return nil, &MistakeError{"key", "this is a certificate; its key is in another file"}
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, &MistakeError{"key", "the key has a passphrase; take it off first, for example with openssl pkey"}
	}
	if more, _ := pem.Decode(rest); more != nil && block.Type != "EC PARAMETERS" {
		return nil, &MistakeError{"key", "there is more than one key"}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &MistakeError{"key", "the key is not that of the first certificate: " + err.Error()}
	}
	pair.Leaf = chain[0]
	// A clock that was not set says nothing.
	if now.After(earliest) {
		switch {
		case now.After(chain[0].NotAfter):
			return nil, &MistakeError{"cert", "the certificate has expired on " + chain[0].NotAfter.Format(time.DateOnly)}
		case now.Before(chain[0].NotBefore):
			return nil, &MistakeError{"cert", "the certificate is not valid before " + chain[0].NotBefore.Format(time.DateTime) + " UTC; is the gateway's clock right?"}
		}
	}
	if len(chain[0].DNSNames) == 0 && len(chain[0].IPAddresses) == 0 {
		return nil, &MistakeError{"cert", "the certificate names no host (subject alternative name), so no browser takes it"}
	}
	return &pair, nil
}

// readChain reads certificates that each vouch for the one before.
func readChain(data []byte) (chain []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, &MistakeError{"cert", fmt.Sprintf("there is a %.40q among the certificates; the key goes into key", block.Type)}
		}
		if len(chain) == maxChain {
			return nil, &MistakeError{"cert", fmt.Sprintf("a chain may have %d certificates", maxChain)}
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &MistakeError{"cert", fmt.Sprintf("certificate %d cannot be read: %v", len(chain)+1, err)}
		}
		chain = append(chain, one)
	}
	switch {
	case len(chain) == 0:
		return nil, &MistakeError{"cert", "this is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----"}
	case len(bytes.TrimSpace(data)) > 0:
		return nil, &MistakeError{"cert", "something follows the last certificate"}
	}
	for i, next := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(next); err != nil {
			return nil, &MistakeError{"cert", fmt.Sprintf("certificate %d was not signed by certificate %d; the gateway's own comes first, then each that vouches for the one before", i+1, i+2)}
		}
	}
	return chain, nil
}

// writePair keeps a chain with its key in one file, so that the two can never be of different times.
func writePair(name string, pair *tls.Certificate) (err error) {
	var out bytes.Buffer
	for _, der := range pair.Certificate {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return err
		}
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: key}); err != nil {
		return err
	}
	return writeFile(name, out.Bytes())
}

// writeFile writes a file for the gateway alone, wholly or not at all.
func writeFile(name string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), ".new-*") // which makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if _, err = file.Write(data); err != nil {
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// readPair reads what writePair wrote.
func readPair(name string) (*tls.Certificate, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPair {
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxPair)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &pair, nil
}

// readKey reads a key that writeKey wrote.
func readKey(name string) (crypto.Signer, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, which cannot sign", name, key)
	}
	return signer, nil
}

func writeKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
