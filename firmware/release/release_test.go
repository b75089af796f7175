package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func nothing(string) string { return "" }

// anyKey is a secret key as minisign writes one without a password.
func anyKey() string {
	raw := append([]byte("Ed\x00\x00B2"), make([]byte, 48)...)
	raw = append(raw, "sluice-1"...)
	raw = append(raw, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))...)
	return "untrusted comment: minisign secret key\n" + base64.StdEncoding.EncodeToString(append(raw, make([]byte, 32)...)) + "\n"
}

// The program that users have says whether a signature is one.
func TestMinisignVerifiesASignature(t *testing.T) {
	if _, err := exec.LookPath("minisign"); err != nil {
		if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	key, public, sums := filepath.Join(dir, "key"), filepath.Join(dir, "pub"), filepath.Join(dir, "SHA256SUMS")
	if out, err := exec.Command("minisign", "-G", "-W", "-s", key, "-p", public).CombinedOutput(); err != nil {
		t.Fatalf("minisign -G: %v\n%s", err, out)
	}
	if err := os.WriteFile(sums, []byte("0123  sluice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := func(name string) string {
		if name == "SLUICE_RELEASE_KEY_FILE" {
			return key
		}
		return ""
	}
	if err := command([]string{"sign", sums}, environment); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("minisign", "-V", "-p", public, "-m", sums).CombinedOutput(); err != nil {
		t.Errorf("minisign -V: %v\n%s", err, out)
	}
	if err := os.WriteFile(sums, []byte("0124  sluice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("minisign", "-V", "-p", public, "-m", sums).CombinedOutput(); err == nil {
		t.Errorf("minisign takes a changed file:\n%s", out)
	}
}

func TestWithoutAKeyNothingIsSigned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := signFile(path, nothing); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".minisig"); err == nil {
		t.Error("there is a signature")
	}
}

func TestADamagedKeyIsRefused(t *testing.T) {
	if _, err := readKey(anyKey()); err != nil {
		t.Fatal(err)
	}
	good := anyKey()
	at := len(good) - 100
	for name, text := range map[string]string{
		"nothing":      "",
		"one line":     "untrusted comment: minisign secret key",
		"a public key": "untrusted comment: minisign public key\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n",
		"another byte": good[:at-60] + string(good[at-60]^1) + good[at-59:],
		"a password":   strings.Replace(good, "RWQAAEIy", "RWRTY0Iy", 1),
	} {
		if _, err := readKey(text); err == nil {
			t.Errorf("%s: taken for a key", name)
		}
	}
}

func FuzzReadKey(f *testing.F) {
	f.Add(anyKey())
	f.Fuzz(func(t *testing.T, text string) {
		k, err := readKey(text)
		if err != nil {
			return // refusing is fine, panicking is not
		}
		if got := k.sign([]byte("x"), "y"); strings.Count(got, "\n") != 4 {
			t.Errorf("a signature of %q is %q", text, got)
		}
	})
}

// The bill of this very test: it holds the modules that are linked, with the page's packages.
func TestTheBillNamesWhatIsLinkedAndShipped(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := writeBill(&out, program, "../../web/ui/package-lock.json"); err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	found := map[string]component{}
	for _, c := range b.Components {
		if _, twice := found[c.Ref]; twice {
			t.Errorf("%s stands there twice", c.Ref)
		}
		found[c.Ref] = c
		found[c.Name] = c
	}
	for _, name := range []string{"std", "golang.org/x/crypto", "vue", "element-plus"} {
		if c := found[name]; c.Version == "" || c.Package == "" {
			t.Errorf("%s is %+v", name, c)
		}
	}
	if len(found["vue"].Hashes) != 1 || len(found["vue"].Licenses) != 1 {
		t.Errorf("vue is %+v", found["vue"])
	}
	for _, name := range []string{"vite", "typescript", "github.com/gin-gonic/gin"} {
		if c, ok := found[name]; ok {
			t.Errorf("%+v is not shipped", c)
		}
	}
	var again bytes.Buffer
	if err := writeBill(&again, program, "../../web/ui/package-lock.json"); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Errorf("a second bill differs, %v", err)
	}
}
