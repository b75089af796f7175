package image_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// environment is the file that tells fw_printenv and fw_setenv where U-Boot has its variables, in the
// places that the image names.
func (b *box) environment() (config string) {
	b.t.Helper()
	text, err := os.ReadFile("uboot/fw_env.config")
	if err != nil {
		b.t.Fatal(err)
	}
	config = b.disk + ".env"
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "/run/sluice/disk", b.disk)), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return config
}

// variable is one of U-Boot's as it stands on the disk.
func (b *box) variable(name string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b.t, "fw_printenv", "-c", b.environment(), "-n", name))
}

// withUBoot skips a test where the image has another boot loader.
func withUBoot(t *testing.T) {
	if told(t, "BOOT") != "uboot" {
		t.Skip("the image's boot loader is another one")
	}
	for _, tool := range []string{"fw_setenv", "fw_printenv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("libubootenv-tool is missing")
		}
	}
}

// TestUBootChoosesASlot lets U-Boot run its script from one state of its variables after the other; the power is
// cut as soon as it has chosen.
func TestUBootChoosesASlot(t *testing.T) {
	withUBoot(t)
	b := flash(t)
	set := func(order string, a, other int) func() {
		return func() {
			script := filepath.Join(t.TempDir(), "variables")
			text := fmt.Sprintf("BOOT_ORDER=%s\nBOOT_A_LEFT=%d\nBOOT_B_LEFT=%d\n", order, a, other)
			if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, "fw_setenv", "-c", b.environment(), "-s", script)
		}
	}
	destroy := func(copies ...int64) func() {
		return func() {
			f, err := os.OpenFile(b.disk, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, at := range copies {
				if _, err := f.WriteAt(make([]byte, 512), at); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const first, second = 0x400000, 0x500000
	for _, turn := range []struct {
		name string
		make func()
		want string
	}{
		{"a new disk has no variables", nil, "slot A, order: A, left: A=2 B=0"},
		{"each start takes a try", nil, "slot A, order: A, left: A=1 B=0"},
		{"the last one", nil, "slot A, order: A, left: A=0 B=0"},
		{"with no other system it begins anew", nil, "slot A, order: A, left: A=2 B=3"},
		{"an update is first", set("B A", 3, 3), "slot B, order: B A, left: A=3 B=2"},
		{"its second try", nil, "slot B, order: B A, left: A=3 B=1"},
		{"its third", nil, "slot B, order: B A, left: A=3 B=0"},
		{"it has failed", nil, "slot A, order: B A, left: A=2 B=0"},
		{"the torn copy is not taken", destroy(second), "slot A, order: B A"},
		{"nor is the other", destroy(first), "slot A, order: B A"},
		{"everything has failed", set("B A", 0, 0), "slot B, order: B A, left: A=3 B=2"},
		{"what is not in the order is not started, whatever is left of it", set("A", 0, 3), "slot A, order: A, left: A=2 B=3"},
		{"both copies are torn", destroy(first, second), "slot A, order: A, left: A=2 B=0"},
	} {
		if turn.make != nil {
			turn.make()
		}
		_ = os.Remove(b.disk + ".console") // or what the last turn said would be read
		b.start()
		var chosen string
		b.wait("choice of a slot", func() bool {
			_, after, found := strings.Cut(b.console(), "Sluice: ")
			chosen, _, _ = strings.Cut(after, "\r\n")
			return found && strings.Contains(after, "\n")
		})
		b.cutPower()
		if !strings.HasPrefix(chosen, turn.want) {
			t.Errorf("%s: U-Boot says %q, not %q", turn.name, chosen, turn.want)
		}
		t.Logf("%s: %s", turn.name, chosen)
	}
}

// TestRAUCGivesTriesBackToUBoot waits for the gateway to find its own system good.
func TestRAUCGivesTriesBackToUBoot(t *testing.T) {
	withUBoot(t)
	if os.Getenv("SLUICE_LONG") == "" {
		t.Skip("a system is watched for minutes before it is good: SLUICE_LONG=1")
	}
	b := flash(t)
	b.start()
	b.answers()
	b.setUp()
	var before struct{ Etag string }
	b.api("GET", "/config", nil, &before)
	b.api("PUT", "/config", map[string]any{"edits": []any{
		map[string]any{"path": []string{"firmware", "stable"}, "value": "10s"},
	}}, nil, "If-Match", before.Etag)
	took := b.wait("tries that were given back", func() bool { return b.variable("BOOT_A_LEFT") == "3" })
	t.Logf("slot A has its three tries again %s after it was told to be quick about it", took)
}
