package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// bench is Debian's RAUC as a service on a bus of its own, with files for slots and keys made for the test.
type bench struct {
	dir     string
	address string
	rauc    *RAUC
	stop    func() // ends the service
	start   func()
}

// need skips without a program, or fails where tests may not be skipped.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
				t.Fatalf("%s is missing; .ci/peers installs it", p)
			}
			t.Skipf("%s is missing", p)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("RAUC mounts bundles, which needs root")
	}
}

func (b *bench) run(t *testing.T, program string, args ...string) {
	t.Helper()
	command := exec.Command(program, args...)
	command.Dir = b.dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

func (b *bench) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// backend is a boot loader in files, which a slot that is made the next one counts as good for, as GRUB's does.
const backend = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$1" in
get-primary) cat boot.primary 2>/dev/null || echo A ;;
set-primary) echo "$2" >boot.primary && echo good >"boot.$2" ;;
get-state) cat "boot.$2" 2>/dev/null || echo bad ;;
set-state) echo "$3" >"boot.$2" ;;
*) exit 1 ;;
esac
`

func newBench(t *testing.T) *bench {
	need(t, "rauc", "dbus-daemon", "openssl", "mksquashfs")
	dir, err := os.MkdirTemp("", "rauc") // not t.TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for syscall.Unmount(dir+"/mnt/bundle", 0) == nil { // a RAUC that was killed leaves it
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b := &bench{dir: dir, address: "unix:path=" + dir + "/bus"}
	for _, who := range []string{"ours", "foreign"} {
		b.run(t, "openssl", "req", "-new", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", who+".key", "-out", who+".crt",
			"-subj", "/CN="+who, "-days", "365", "-addext", "extendedKeyUsage=codeSigning,emailProtection")
	}
	for _, d := range []string{"mnt", "slots"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.write(t, "slots/a", strings.Repeat("a", 1<<20), 0o600)
	b.write(t, "slots/b", strings.Repeat("b", 1<<20), 0o600)
	b.write(t, "backend", backend, 0o700)
	b.write(t, "boot.A", "good\n", 0o600)
	b.write(t, "system.conf", fmt.Sprintf(`[system]
compatible=sluice-test
bootloader=custom
mountprefix=%[1]s/mnt
statusfile=%[1]s/status
bundle-formats=plain verity
[handlers]
bootloader-custom-backend=%[1]s/backend
[keyring]
path=%[1]s/ours.crt
use-bundle-signing-time=true
[slot.rootfs.0]
device=%[1]s/slots/a
type=raw
bootname=A
[slot.rootfs.1]
device=%[1]s/slots/b
type=raw
bootname=B
`, dir), 0o600)
	b.write(t, "bus.conf", `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>`+b.address+`</listen><auth>EXTERNAL</auth><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`, 0o600)
	bus := exec.Command("dbus-daemon", "--config-file="+dir+"/bus.conf", "--nofork")
	spawn(t, bus)
	b.rauc = &RAUC{Address: b.address}
	t.Cleanup(func() {
		if err := b.rauc.Close(); err != nil {
			t.Error(err)
		}
	})
	b.start = func() {
		service := exec.Command("rauc", "service", "--conf="+dir+"/system.conf", "--override-boot-slot=A")
		service.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+b.address, "TMPDIR="+dir)
		b.stop = spawn(t, service)
		until(t, "RAUC answers", func() bool { _, err := b.rauc.Compatible(t.Context()); return err == nil })
	}
	until(t, "the bus answers", func() bool { conn, err := dbus.Connect(b.address); return err == nil && conn.Close() == nil })
	return b
}

// spawn runs a program until the test ends, or until what it gives back is called.
func spawn(t *testing.T, command *exec.Cmd) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it has started itself ends with it
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", command.Path, said.String())
		}
	})
	t.Cleanup(stop)
	return stop
}

// until polls: another process is waited for, which simulated time does not move.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// bundle makes a signed bundle.
func (b *bench) bundle(t *testing.T, name, board, version, key string) string {
	t.Helper()
	content := filepath.Join(b.dir, name+".d")
	if err := os.Mkdir(content, 0o700); err != nil {
		t.Fatal(err)
	}
	b.write(t, name+".d/system.img", strings.Repeat(version, 100_000/len(version)), 0o600)
	b.write(t, name+".d/manifest.raucm", "[update]\ncompatible="+board+"\nversion="+version+"\n[image.rootfs]\nfilename=system.img\n", 0o600)
	b.run(t, "rauc", "bundle", "--cert="+key+".crt", "--key="+key+".key", name+".d", name+".raucb")
	return filepath.Join(b.dir, name+".raucb")
}

func TestRAUC(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	if _, err := b.rauc.Compatible(ctx); !errors.Is(err, ErrNoInstaller) {
		t.Errorf("a bus without RAUC: %v, want ErrNoInstaller", err)
	}
	if _, err := (&RAUC{Address: "unix:path=" + b.dir + "/nowhere"}).Slots(ctx); !errors.Is(err, ErrNoInstaller) {
		t.Errorf("no bus: %v, want ErrNoInstaller", err)
	}
	b.start()
	good := b.bundle(t, "good", "sluice-test", "2.0.0", "ours")
	nothing := func(int, string) {}

	if board, err := b.rauc.Compatible(ctx); board != "sluice-test" || err != nil {
		t.Errorf("the board is %q, %v", board, err)
	}
	slots, err := b.rauc.Slots(ctx)
	if err != nil || len(slots) != 2 || slots[0].Name != "rootfs.0" || slots[0].Bootname != "A" || !slots[0].Booted || !slots[0].Good || slots[1].Good || slots[1].Booted {
		t.Fatalf("slots %+v, %v", slots, err)
	}
	bundle, err := b.rauc.Inspect(ctx, Source{Place: good})
	if err != nil || bundle.Compatible != "sluice-test" || bundle.Version != "2.0.0" {
		t.Errorf("bundle %+v, %v", bundle, err)
	}
	if was, err := b.rauc.Await(ctx, nothing); was || err != nil {
		t.Errorf("nothing is installed, and yet %v, %v", was, err)
	}

	t.Run("install", func(t *testing.T) {
		var percents []int
		if err := b.rauc.Install(ctx, Source{Place: good}, func(percent int, doing string) {
			percents = append(percents, percent)
			if doing == "" {
				t.Errorf("%d %% of nothing", percent)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if n := len(percents); n < 3 || percents[n-1] != 100 {
			t.Errorf("progress %d, want it to rise to 100", percents)
		}
		for i := 1; i < len(percents); i++ {
			if percents[i] < percents[i-1] {
				t.Errorf("progress %d falls", percents)
			}
		}
		slots, err := b.rauc.Slots(ctx)
		if err != nil || slots[1].Version != "2.0.0" || !slots[1].Good || slots[1].Count != 1 || slots[1].Installed.IsZero() || len(slots[1].Sum) != 64 {
			t.Errorf("slots %+v, %v", slots, err)
		}
		if primary, _ := os.ReadFile(b.dir + "/boot.primary"); string(primary) != "B\n" {
			t.Errorf("the next slot to be started is %q, want B", primary)
		}
	})

	t.Run("mark", func(t *testing.T) {
		b.write(t, "boot.A", "bad\n", 0o600)
		if err := errors.Join(b.rauc.MarkGood(ctx, "rootfs.0"), b.rauc.Activate(ctx, "rootfs.0")); err != nil {
			t.Fatal(err)
		}
		state, _ := os.ReadFile(b.dir + "/boot.A")
		primary, _ := os.ReadFile(b.dir + "/boot.primary")
		if string(state) != "good\n" || string(primary) != "A\n" {
			t.Errorf("slot A is %q, the next one is %q", state, primary)
		}
		if err := b.rauc.MarkGood(ctx, "rootfs.7"); err == nil {
			t.Error("a slot that does not exist was marked")
		}
	})

	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	broken := func(name string, change func([]byte) []byte) string {
		b.write(t, name+".raucb", string(change(bytes.Clone(text))), 0o600)
		return filepath.Join(b.dir, name+".raucb")
	}
	for _, c := range []struct{ path, kind string }{
		{b.bundle(t, "foreign", "sluice-test", "2.0.0", "foreign"), "signer"},
		{b.bundle(t, "other", "sluice-other", "2.0.0", "ours"), "board"},
		{broken("payload", func(text []byte) []byte { text[1000] ^= 1; return text }), "signature"},
		{broken("seal", func(text []byte) []byte { text[len(text)-20] ^= 1; return text }), "signature"},
		{broken("short", func(text []byte) []byte { return text[:len(text)/2] }), "format"},
		{broken("text", func([]byte) []byte { return []byte("hello") }), "format"},
		{filepath.Join(b.dir, "missing.raucb"), "missing"},
		{"http://127.0.0.1:1/sluice.raucb", "network"},
	} {
		before, _ := os.ReadFile(b.dir + "/slots/b")
		err := b.rauc.Install(ctx, Source{Place: c.path}, nothing)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Kind != c.kind {
			t.Errorf("%s: %v, want a refusal of kind %s", c.path, err, c.kind)
		}
		if after, _ := os.ReadFile(b.dir + "/slots/b"); !bytes.Equal(before, after) {
			t.Errorf("%s was refused, and yet the slot was written", c.path)
		}
	}
}

func TestAKilledRAUCIsNoticed(t *testing.T) {
	b := newBench(t)
	b.start()
	b.write(t, "backend", "#!/bin/sh\nsleep 600\n", 0o700) // an installation that takes its time
	path := b.bundle(t, "good", "sluice-test", "2.0.0", "ours")
	ended := make(chan error, 1)
	begun := make(chan bool, 100)
	go func() {
		ended <- b.rauc.Install(t.Context(), Source{Place: path}, func(int, string) { begun <- true })
	}()
	<-begun
	other := &RAUC{Address: b.address} // as a gateway that was started anew in the meantime
	defer other.Close()
	awaited := make(chan error, 1)
	go func() {
		was, err := other.Await(t.Context(), func(int, string) {})
		if !was {
			err = errors.New("it saw no installation")
		}
		awaited <- err
	}()
	until(t, "the other one listens", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return other.conn != nil
	})
	time.Sleep(100 * time.Millisecond) // it has asked by then: what another process does is waited for
	b.stop()
	for _, c := range []chan error{ended, awaited} {
		if err := <-c; !errors.Is(err, errLost) {
			t.Errorf("a killed RAUC gives %v, want errLost", err)
		}
	}
	b.write(t, "backend", backend, 0o700)
	b.start()
	if err := b.rauc.Install(t.Context(), Source{Place: path}, func(int, string) {}); err != nil {
		t.Errorf("after RAUC has come back: %v", err)
	}
}

// TestAnUpdateFromFileToProof goes the whole way with RAUC; only the machine and the gateway are not real.
func TestAnUpdateFromFileToProof(t *testing.T) {
	b := newBench(t)
	b.start()
	good := b.bundle(t, "good", "sluice-test", "2.0.0", "ours")
	w := newWorld(t)
	u := Open(Options{Dir: filepath.Join(w.dir, "firmware"), Installer: b.rauc, Machine: w, SelfTest: good, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	events := make(chan Event, 10)
	running.Go(func() {
		_ = u.Run(ctx, w, func() Settings { return Settings{Within: time.Hour} }, func(e Event) { events <- e })
	})
	defer running.Wait()
	defer cancel()
	if e := <-events; e.Kind != "kept" || e.Slot != "A" {
		t.Fatalf("the system that runs: %+v", e)
	}
	send := func(path string) error {
		text, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		return u.Receive(ctx, text, -1, filepath.Base(path), "ada")
	}
	until(t, "updates are taken", func() bool {
		err := u.begin(Install{})
		u.change(func(i *Install) { i.Running = false })
		return err == nil
	})
	if err := send(b.bundle(t, "other", "sluice-other", "2.0.0", "ours")); err == nil || !strings.Contains(err.Error(), "another board") {
		t.Errorf("a bundle for another board: %v", err)
	}
	if e := <-events; e.Kind != "refused" || e.By != "ada" {
		t.Errorf("event %+v", e)
	}
	if err := send(good); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Kind != "installed" || e.Version != "2.0.0" || e.Slot != "B" || e.Text != "good.raucb" {
		t.Fatalf("event %+v, install %+v", e, u.State().Install)
	}
	if s := u.State(); s.Waiting == nil || *s.Waiting != (Waiting{"B", "2.0.0"}) || s.Install.Percent != 100 {
		t.Errorf("state %+v", s)
	}
	until(t, "nothing is left behind", func() bool {
		left, _ := filepath.Glob(filepath.Join(w.dir, "firmware", "*"))
		return len(left) == 1
	})
}
