package preset

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"hash"

	"sluice/bridge/dial"
)

func sign(with func() hash.Hash, key []byte, content string) []byte {
	mac := hmac.New(with, key)
	mac.Write([]byte(content)) //nolint:errcheck // a hash takes everything
	return mac.Sum(nil)
}

// secret reads what a login needs. It is read at every connection, so that it can be changed.
func secret(key, file string) (string, error) {
	text, err := dial.Secret(file)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", key, err)
	}
	if text == "" {
		return "", fmt.Errorf("cannot log in: %s: %w", key, errEmpty)
	}
	return text, nil
}

var errEmpty = errors.New("the file is empty")
