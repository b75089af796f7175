package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDurationsReadAndWrite(t *testing.T) {
	for text, want := range map[string]string{
		"200ms": "200ms", "5s": "5s", "60s": "1m", "90s": "1m30s", "720h": "720h", "1h30m": "1h30m", "0": "0s", "1.5h": "1h30m", "20s": "20s", "10m": "10m",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		again, err := time.ParseDuration(d.String())
		if d.String() != want || err != nil || Duration(again) != d {
			t.Errorf("%s gave %s, want %s", text, d, want)
		}
	}
	for _, text := range []string{"", "5", "fast", "5 s", "1d", "s"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %v", text, d)
		}
	}
}

func TestSizesReadAndWrite(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4GiB": 4 << 30, "16 MiB": 16 << 20, "500MB": 500e6, "64kB": 64000, "64KB": 64000, "1.5GiB": 3 << 29, "1048576": 1 << 20, "7B": 7, "0.5KiB": 512,
		"9223372036854775807": 1<<63 - 1,
	} {
		var s, again Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s gave %d, %v; want %d", text, s, err, want)
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s written as %s gave %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "GiB", "4G", "4M", "-1MiB", "+1.5KiB", "1e3KiB", "0x1p4KiB", "infGiB", "1.5", "1.5.2KiB", "9223372036854775808", "8388608TiB", "8388608.5TiB", "4 gigs"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken as %d", text, s)
		}
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	secret := Secret("hunter2")
	holder := struct{ Token Secret }{secret}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&b, verb+" "+verb+"\n", secret, holder)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "secret", secret, "holder", holder)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "secret", secret, "holder", holder)
	if err := json.NewEncoder(&b).Encode(holder); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); strings.Contains(out, "hunter2") || strings.Contains(out, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(out, "***") {
		t.Error(out)
	}
	if string(secret) != "hunter2" {
		t.Error("a conversion must give the secret")
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{"a b\n": "a b", "ab\r\n": "ab", " a": " a", "a\n\n": "a\n", "\n": "", "": "", strings.Repeat("a", maxSecretBytes+1): ""} {
		path := filepath.Join(dir, "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(path)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%.10q gave %q, %v", content, string(got), err)
		}
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
	for _, path := range []string{filepath.Join(dir, "none"), dir} {
		if _, err := ReadSecret(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestSecretFilesThatEverybodyCanReadAreWarnedOf(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	secret := filepath.Join(dir, "cloud.password")
	if err := os.WriteFile(file, []byte("uplinks: [{name: a, driver: mqtt, address: b, password_file: cloud.password}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, warned := range map[fs.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.WriteFile(secret, []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, testKinds)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(c.Warnings.Error(), "everybody on this machine can read "+secret); got != warned || len(c.Warnings) > 1 {
			t.Errorf("mode %v: got %v", mode, c.Warnings)
		}
		if got := c.Uplinks[0].Options.(*cloudOptions).PasswordFile; got != secret {
			t.Errorf("got %s, want %s", got, secret)
		}
	}
}

func TestWriteAtomicReplacesAndKeepsTheMode(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "link.yaml")
	mode := func() fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if err := WriteAtomic(path, []byte("one")); err != nil || mode() != 0o600 {
		t.Fatalf("a new file: %v, mode %v", err, mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteAtomic(path, []byte("two")); err != nil || mode() != 0o644 || string(readFile(t, path)) != "two" {
		t.Errorf("an old file: %v, mode %v, %q", err, mode(), readFile(t, path))
	}
	if err := os.Symlink("c.yaml", link); err != nil {
		t.Fatal(err)
	}
	if err := WriteAtomic(link, []byte("three")); err != nil || string(readFile(t, path)) != "three" {
		t.Errorf("through a link: %v, %q", err, readFile(t, path))
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWriteAtomicFailsWithoutLeftovers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "folder"), filepath.Join(dir, "none", "c.yaml"), filepath.Join(dir, strings.Repeat("n", 255))} {
		if err := WriteAtomic(path, []byte("x")); err == nil || !strings.Contains(err.Error(), "write "+path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestNearestWord(t *testing.T) {
	known := []string{"name", "driver", "interval", "address", "unit"}
	for word, want := range map[string]string{"nmae": "name", "nam": "name", "Interval": "interval", "intervall": "interval", "adress": "address", "uint": "unit", "colour": "", "x": "", "": ""} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q is nearest to %q, want %q", word, got, want)
		}
	}
}
