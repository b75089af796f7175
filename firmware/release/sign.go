package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/blake2b"
)

// secretKey is what a key file of minisign holds.
type secretKey struct {
	id  [8]byte
	key ed25519.PrivateKey
}

// The layout of a secret key: two bytes each for the algorithm, the derivation from a password and the sum, then
// salt and limits of the derivation, which mean nothing without a password, then what is secret.
const (
	keyHeader = 2 + 2 + 2 + 32 + 8 + 8
	keyLength = keyHeader + 8 + ed25519.PrivateKeySize + 32
)

// readKey reads the text of a secret key that has no password.
func readKey(text string) (*secretKey, error) {
	_, line, ok := strings.Cut(strings.TrimSpace(text), "\n")
	if !ok || !strings.HasPrefix(text, "untrusted comment:") {
		return nil, errors.New("this is no secret key of minisign: it begins with untrusted comment: and has two lines")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil || len(raw) != keyLength || string(raw[:2]) != "Ed" {
		return nil, errors.New("this is no secret key of minisign")
	}
	if raw[2] != 0 || raw[3] != 0 {
		return nil, errors.New("the secret key has a password; one for releases is made by minisign -G -W, and kept by whoever keeps the password")
	}
	k := &secretKey{key: ed25519.PrivateKey(bytes.Clone(raw[keyHeader+8 : keyHeader+8+ed25519.PrivateKeySize]))}
	copy(k.id[:], raw[keyHeader:])
	if !bytes.Equal(ed25519.NewKeyFromSeed(k.key.Seed()), k.key) {
		return nil, errors.New("the secret key is damaged")
	}
	return k, nil
}

// sign makes a signature as minisign verifies it: of the data's BLAKE2b sum, and of the trusted comment.
func (k *secretKey) sign(data []byte, comment string) string {
	sum := blake2b.Sum512(data)
	signature := ed25519.Sign(k.key, sum[:])
	both := ed25519.Sign(k.key, append(bytes.Clone(signature), comment...))
	return fmt.Sprintf("untrusted comment: signature of a Sluice release\n%s\ntrusted comment: %s\n%s\n",
		base64.StdEncoding.EncodeToString(append(append([]byte("ED"), k.id[:]...), signature...)),
		comment, base64.StdEncoding.EncodeToString(both))
}

// signFile writes the signature beside a file. Without a key there is none, which is said and no failure.
func signFile(path string, environment func(string) string) error {
	text := environment("SLUICE_RELEASE_KEY")
	if file := environment("SLUICE_RELEASE_KEY_FILE"); text == "" && file != "" {
		read, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text = string(read)
	}
	if text == "" {
		fmt.Fprintf(os.Stderr, "%s is not signed: neither SLUICE_RELEASE_KEY nor SLUICE_RELEASE_KEY_FILE names a key\n", path)
		return nil
	}
	key, err := readKey(text)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".minisig", []byte(key.sign(data, "file:"+filepath.Base(path))), 0o644)
}
