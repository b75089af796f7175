package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A page or a program that is signed in stays so when the gateway restarts, and nothing that lies on the disk
// signs anybody in.
func TestSessionsOutliveARestart(t *testing.T) {
	address, dir := freePort(t), t.TempDir()
	text := fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)
	_, end := restartable(t, dir, text)
	kept, out := signIn(t, address), signIn(t, address)
	if status, body := out.ask("DELETE", "/session", ""); status != http.StatusNoContent {
		t.Fatalf("sign-out answers %d: %s", status, body)
	}
	if err := end(true); err != nil {
		t.Fatal(err)
	}
	wantNowhere(t, filepath.Join(dir, "data"), kept.token)

	_, end = restartable(t, dir, text)
	other := signIn(t, address) // waits until the page answers
	if status, _ := kept.ask("GET", "/users", ""); status != http.StatusOK {
		t.Errorf("after a restart the session answers %d, want 200", status)
	}
	hash := sha256.Sum256([]byte(kept.token))
	for what, token := range map[string]string{
		"that was signed out": out.token, "of a hash, in hex": hex.EncodeToString(hash[:]), "of a hash, in base64": base64.StdEncoding.EncodeToString(hash[:]),
	} {
		c := *kept
		c.token = token
		if status, _ := c.ask("GET", "/status", ""); status != http.StatusUnauthorized {
			t.Errorf("a session %s answers %d, want 401", what, status)
		}
	}

	if status, body := other.ask("PUT", "/session/password", `{"old":"correct horse","new":"another battery"}`); status != http.StatusOK {
		t.Fatalf("another password answers %d: %s", status, body)
	}
	if err := end(true); err != nil {
		t.Fatal(err)
	}
	_, end = restartable(t, dir, text)
	until(t, "the page answers", func() bool {
		status, _ := kept.ask("GET", "/session", "")
		return status == http.StatusOK
	})
	if status, _ := kept.ask("GET", "/status", ""); status != http.StatusUnauthorized {
		t.Errorf("with another password the session answers %d, want 401", status)
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
}

func TestARestoredBackupSignsNobodyIn(t *testing.T) {
	address, dir := freePort(t), t.TempDir()
	text := fmt.Sprintf("{store: {dir: ./data}, web: {listen: \"%s\"}}", address)
	_, end := restartable(t, dir, text)
	c := signIn(t, address)
	_, backup := c.ask("POST", "/backup", "")
	if status, body := c.ask("POST", "/restore", string(backup)); status != http.StatusAccepted {
		t.Fatalf("restore answers %d: %s", status, body)
	}
	if err := end(false); !errors.Is(err, ErrRestarting) {
		t.Fatal(err)
	}
	_, end = restartable(t, dir, text)
	signIn(t, address)
	if status, _ := c.ask("GET", "/status", ""); status != http.StatusUnauthorized {
		t.Errorf("the session of before the restore answers %d, want 401", status)
	}
	if err := end(true); err != nil {
		t.Error(err)
	}
}

// wantNowhere reads every file for a secret.
func wantNowhere(t *testing.T, dir, secret string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), secret) {
			t.Errorf("%s has the token of a session in it", path)
		}
		files++
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("read %d files: %v", files, err)
	}
}
