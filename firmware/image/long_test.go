package image_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// withShell has the box start a root shell at a port of its own: systemd's debug shell, for which the kernel's
// command line has to ask. Nothing of it is in the image.
func (b *box) withShell() *box {
	b.t.Helper()
	listener, err := net.Listen("unix", filepath.Join(b.t.TempDir(), "shell"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { listener.Close() })
	b.shell = listener
	b.setBootVariables("extra=systemd.debug_shell=hvc0")
	return b
}

// setBootVariables changes what GRUB reads, while the power is off.
func (b *box) setBootVariables(assignments ...string) {
	b.t.Helper()
	env := filepath.Join(b.t.TempDir(), "grubenv")
	run(b.t, "mcopy", "-n", "-o", "-i", b.disk+"@@1M", "::grubenv", env)
	run(b.t, "grub-editenv", append([]string{env, "set"}, assignments...)...)
	for _, name := range []string{"::grubenv", "::grubenv.bak"} {
		run(b.t, "mcopy", "-n", "-o", "-i", b.disk+"@@1M", env, name)
	}
}

// sh runs a command as root in the box, and returns what it prints and its exit code.
func (b *box) sh(command string) (said, code string) {
	b.t.Helper()
	marker := fmt.Sprintf("end-%d", rand.Uint64())
	_ = b.hands.SetDeadline(time.Now().Add(patience))
	// The marker is made by the shell, so that the echo of the line is not taken for it.
	if _, err := fmt.Fprintf(b.hands, "stty -echo 2>/dev/null; { %s\n} 2>&1 </dev/null; echo '%s' $?\n", command, marker[:4]+"''"+marker[4:]); err != nil {
		b.t.Fatal(err)
	}
	lines := bufio.NewScanner(b.hands)
	var text strings.Builder
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if before, rest, ended := strings.Cut(line, marker+" "); ended {
			return text.String() + before, strings.TrimSpace(rest)
		}
		text.WriteString(line + "\n")
	}
	b.t.Fatalf("the shell ended within %s: %v\n%s", command, lines.Err(), text.String())
	return "", ""
}

// must is sh for what has to succeed.
func (b *box) must(command string) string {
	b.t.Helper()
	said, code := b.sh(command)
	if code != "0" {
		b.t.Fatalf("%s ends with %s:\n%s", command, code, said)
	}
	return said
}

// slotThatRuns is A or B.
func (b *box) slotThatRuns() string {
	b.t.Helper()
	_, rest, _ := strings.Cut(b.must("cat /proc/cmdline"), "rauc.slot=")
	return rest[:1]
}

// serve offers files over HTTP with ranges, and says how many bytes were fetched.
func serve(t *testing.T, folder string) (url string, moved *counted) {
	moved = &counted{Handler: http.FileServer(http.Dir(folder))}
	server := httptest.NewServer(moved)
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	return "http://10.0.2.2:" + port, moved
}

// counted counts the bytes of bodies.
type counted struct {
	http.Handler
	bytes atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Handler.ServeHTTP(countedAnswer{w, c}, r)
}

type countedAnswer struct {
	http.ResponseWriter
	of *counted
}

func (a countedAnswer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.of.bytes.Add(int64(n))
	return n, err
}

// bundle signs a small image, as a bundle for a board in a version.
func bundle(t *testing.T, file, keys, board, version string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "rootfs.ext4"), noise(256<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	sign(t, folder, file, keys, board, version)
}

// sign makes a bundle of the folder, in which rootfs.ext4 is.
func sign(t *testing.T, folder, file, keys, board, version string) {
	t.Helper()
	manifest := "[update]\ncompatible=sluice-" + board + "\nversion=" + version + "\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.ext4\nadaptive=block-hash-index\n"
	if err := os.WriteFile(filepath.Join(folder, "manifest.raucm"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "rauc", "bundle", "--cert="+keys+"/signer.crt", "--key="+keys+"/signer.key", "--intermediate="+keys+"/intermediate.crt",
		"--keyring="+keys+"/root.crt", "--mksquashfs-args=-comp zstd -Xcompression-level 3", folder, file)
}

// noise is what no compression makes smaller.
func noise(size int) []byte {
	source := rand.NewChaCha8([32]byte{9})
	out := make([]byte, size)
	_, _ = source.Read(out)
	return out
}

func TestBundlesThatAreNotForThisBoxAreRefused(t *testing.T) {
	long(t)
	b := flash(t).withShell()
	folder := t.TempDir()
	keys := filepath.Join(filepath.Dir(images(t)), "test-keys")
	foreign := filepath.Join(folder, "foreign")
	run(t, filepath.Join("..", "keys", "make"), foreign)
	path := func(name string) string { return filepath.Join(folder, name+".raucb") }
	bundle(t, path("foreign-key"), foreign, "uefi-arm64", "1.0.0")
	bundle(t, path("other-board"), keys, "cm4", "1.0.0")
	bundle(t, path("too-old"), keys, "uefi-arm64", "0.0.0")
	bundle(t, path("good"), keys, "uefi-arm64", "1.0.0")
	whole, err := os.ReadFile(path("good"))
	if err != nil {
		t.Fatal(err)
	}
	torn := append([]byte{}, whole...)
	torn[100_000] ^= 1 // in the payload: found when it is read
	forged := append([]byte{}, whole...)
	forged[len(forged)-600] ^= 1 // in the signature
	for name, bytes := range map[string][]byte{"tampered": torn, "forged": forged, "cut-off": whole[:len(whole)/2]} {
		if err := os.WriteFile(path(name), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url, _ := serve(t, folder)
	b.start()
	b.answers()
	for name, why := range map[string]string{
		"foreign-key": "certificate", "other-board": "Compatible mismatch", "too-old": "version", "forged": "", "cut-off": "", "tampered": "",
	} {
		said, code := b.sh("rauc install " + url + "/" + name + ".raucb")
		if code == "0" || !strings.Contains(said, why) {
			t.Errorf("%s was answered with %s, want a refusal that says %q:\n%s", name, code, why, said)
		}
		t.Logf("%s: %s", name, lastError(said))
	}
	// No half of a bundle makes a slot that is started.
	if env := b.must("grub-editenv /boot/efi/grubenv list"); !strings.Contains(env, "A_OK=1") || !strings.Contains(env, "B_OK=0") {
		t.Errorf("the boot loader's variables are\n%s", env)
	}
}

// lastError is the line of RAUC's that says what was wrong.
func lastError(said string) string {
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "LastError:") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(said)
}

func TestAnUpdateIsInstalledBesideAndABrokenOneIsLeft(t *testing.T) {
	long(t)
	b := flash(t).withShell()
	folder := t.TempDir()
	keys := filepath.Join(filepath.Dir(images(t)), "test-keys")
	// The version that runs, and one of it that does not start: its initramfs is not there.
	for name, wreck := range map[string]bool{"next": false, "broken": true} {
		parts := t.TempDir()
		root := filepath.Join(parts, "rootfs.ext4")
		run(t, "cp", "--sparse=always", filepath.Join(images(t), "rootfs.ext4"), root)
		version := "1.0.0"
		if wreck {
			run(t, "debugfs", "-w", "-R", "rm /boot/initrd.img", root)
			version = "1.1.0"
		} else {
			run(t, "debugfs", "-w", "-R", "rm /etc/issue", root) // one file differs
		}
		sign(t, parts, filepath.Join(folder, name+".raucb"), keys, "uefi-arm64", version)
	}
	url, moved := serve(t, folder)
	b.start()
	b.answers()
	b.setUp()
	b.must("rauc status mark-good")

	began := time.Now()
	b.must("rauc install " + url + "/next.raucb")
	size, _ := os.Stat(filepath.Join(folder, "next.raucb"))
	t.Logf("installed into B in %s, %d of %d bytes moved", time.Since(began).Round(time.Second), moved.bytes.Load(), size.Size())
	b.restart()
	if slot := b.slotThatRuns(); slot != "B" {
		t.Fatalf("after the update %s runs", slot)
	}
	b.must("rauc status mark-good")

	before := moved.bytes.Load()
	b.must("rauc install " + url + "/broken.raucb")
	t.Logf("the second update moved %d bytes", moved.bytes.Load()-before)
	b.restart()
	if slot := b.slotThatRuns(); slot != "B" {
		t.Errorf("after a system that does not start %s runs", slot)
	}
	b.signIn() // the password of before: nothing on the data partition was lost
	if tries := strings.Count(b.console(), "slot A,"); tries != 3 {
		t.Errorf("the broken system was tried %d times, want 3", tries)
	}
}

// restart starts the box anew from within, and waits for its page.
func (b *box) restart() {
	b.t.Helper()
	_, _ = fmt.Fprintf(b.hands, "sync; systemctl reboot\n")
	b.wait("end of the page", func() bool {
		answer, err := b.client.Get("https://" + b.page + "/healthz")
		if err == nil {
			answer.Body.Close()
		}
		return err != nil
	})
	b.answers()
}

func TestThePowerMayFailWheneverItLikes(t *testing.T) {
	long(t)
	kills := 20
	b := flash(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range kills {
		b.start()
		time.Sleep(time.Duration(random.IntN(25_000)) * time.Millisecond) // anywhere in the first start
		b.cutPower()
	}
	b.start()
	t.Logf("after %d cuts the page answers after %s", kills, b.answers())
	b.setUp()
}

func TestWrongClocksAndTornDisks(t *testing.T) {
	long(t)
	b := flash(t).withShell()
	for _, rtc := range []string{"2001-01-01T00:00:00", "2042-01-01T00:00:00"} {
		b.rtc = rtc
		b.start()
		b.answers()
		year := strings.TrimSpace(b.must("date +%Y"))
		t.Logf("with the machine's clock at %s the box starts in %s", rtc, year)
		if year < "2026" {
			t.Errorf("records would say %s", year)
		}
		b.cutPower()
	}
	b.rtc = ""

	// The first superblock of the data partition, torn in its middle.
	start := b.partitionStart("data")
	disk, err := os.OpenFile(b.disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.WriteAt(noise(512), start+1024+512); err != nil {
		t.Fatal(err)
	}
	disk.Close()
	b.start()
	b.answers()
	if said, code := b.sh("findmnt -no FSTYPE /data; test ! -e /run/sluice/data-lost && test -s /data/sluice/store -o -d /data/sluice/store"); code != "0" || !strings.Contains(said, "ext4") {
		t.Errorf("after a torn superblock: %s", said)
	}

	b.must("head -c 100000000000 /dev/zero >/data/full 2>/dev/null; sync; true")
	b.cutPower()
	b.start()
	b.answers()
	b.must("rm /data/full")
	b.must("test -s /etc/sluice/sluice.yaml")
}

// partitionStart is where a partition begins, in bytes.
func (b *box) partitionStart(label string) int64 {
	b.t.Helper()
	for line := range strings.Lines(run(b.t, "sfdisk", "-d", b.disk)) {
		if strings.Contains(line, `name="`+label+`"`) {
			var sector int64
			_, rest, _ := strings.Cut(line, "start=")
			if _, err := fmt.Sscan(strings.TrimSpace(rest[:strings.Index(rest, ",")]), &sector); err == nil {
				return sector * 512
			}
		}
	}
	b.t.Fatalf("there is no partition %s", label)
	return 0
}
