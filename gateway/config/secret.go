package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that is never shown: whatever prints, logs or marshals it writes ***. A
// conversion to string gives it away, on purpose.
type Secret string

const hidden = "***"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// Format hides the secret from every verb: fmt asks String only for some of them.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

const maxSecretBytes = 64 << 10

// ReadSecret reads a secret from its own file, which holds nothing else; one line end behind it
// does not count. Files are read when the secret is needed, so that a changed one works at the next
// connection. That others may read the file is found by Load, as a warning.
func ReadSecret(path string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > maxSecretBytes {
		return "", fmt.Errorf("read secret: %s has more than %d bytes", path, maxSecretBytes)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if line == "" {
		return "", fmt.Errorf("read secret: %s is empty", path)
	}
	return Secret(line), nil
}

// checkFile says what is doubtful about a file that the configuration names, or "". None of it is
// a mistake in the configuration: the file may come later, or lie on another machine.
func checkFile(path string, secret bool) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s does not exist here", path)
	case err != nil:
		return fmt.Sprintf("%s cannot be used: %v", path, errors.Unwrap(err))
	case info.IsDir():
		return fmt.Sprintf("%s is a folder", path)
	case secret && info.Mode().Perm()&0o004 != 0:
		return fmt.Sprintf("everybody on this machine can read %s; chmod 600 would keep it secret", path)
	}
	return ""
}
