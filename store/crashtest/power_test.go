package crashtest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/store/crashtest"
	"sluice/store/storetest"
)

// missing says why this machine cannot have a disk of its own, or nothing. impossible: not even with
// all packages installed.
func missing() (why string, impossible bool) {
	if os.Geteuid() != 0 {
		return "a loop device needs root", false
	}
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		if _, err := os.Stat(device); err != nil {
			exec.Command("modprobe", map[string]string{"/dev/fuse": "fuse", "/dev/loop-control": "loop"}[device]).Run()
		}
		if file, err := os.OpenFile(device, os.O_RDWR, 0); err != nil {
			return err.Error(), true
		} else {
			file.Close()
		}
	}
	for _, tool := range []string{"mkfs.ext4", "e2fsck", "losetup", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err.Error(), false
		}
	}
	return "", false
}

// needDisk skips the test, loudly, where there can be no disk, and fails it where there must be one.
func needDisk(t *testing.T) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/sbin:/usr/sbin")
	why, impossible := missing()
	if why == "" {
		return
	}
	if os.Getenv("SLUICE_REQUIRE_PEERS") == "1" && !impossible {
		t.Fatalf("this test needs a disk of its own: %s", why)
	}
	fmt.Fprintf(os.Stderr, "SKIPPED: %s IS NOT RUN ON THIS MACHINE: %s\n", t.Name(), why)
	t.Skip(why)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestPowerCutLosesNothingAcknowledged lets a process work on a disk that logs every write and flush,
// then cuts the log at random places: of what was not flushed a random part arrives. Each time the
// file system is mounted, the log opened, and compared with what had been acknowledged at that moment.
// SLUICE_LONG=1 makes it 1,000 cuts.
func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	needDisk(t)
	cuts, lives := 100, 2
	if long() {
		cuts, lives = 1000, 10
	}
	seed := seed(t)
	r := rand.New(rand.NewPCG(seed, 2))
	begun := time.Now()
	repaired, repeats := 0, int64(0)
	for life := range lives {
		n, again := cutLife(t, r, seed+uint64(life), cuts/lives)
		repaired += n
		repeats = max(repeats, again)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d power cuts in %v: nothing acknowledged was lost or reordered, at most %d messages repeated; %d file systems needed repair", cuts, time.Since(begun).Round(time.Second), repeats, repaired)
}

// cutLife lets one process live on a new disk and cuts its power that many times.
func cutLife(t *testing.T, r *rand.Rand, seed uint64, cuts int) (repaired int, repeats int64) {
	t.Helper()
	folder := t.TempDir()
	defer os.RemoveAll(folder) // images of ten lives would be a gigabyte
	base, start := filepath.Join(folder, "base.img"), filepath.Join(folder, "start.img")
	for _, name := range []string{"fuse", "mnt"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "truncate", "-s", "96M", base)
	run(t, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", base)
	run(t, "cp", "--sparse=always", base, start)
	mnt := filepath.Join(folder, "mnt")
	disk := live(t, folder, base, mnt, seed, time.Duration(500+r.IntN(1500))*time.Millisecond)

	cutter, err := crashtest.NewCutter(disk, start, crashtest.NewModel(seed))
	if err != nil {
		t.Fatal(err)
	}
	defer cutter.Close()
	places := make([]int, cuts)
	for i := range places {
		places[i] = r.IntN(disk.Events() + 1)
	}
	slices.Sort(places)
	image := filepath.Join(folder, "cut.img")
	for i, place := range places {
		promised, err := cutter.Cut(image, place, r)
		if err != nil {
			t.Fatal(err)
		}
		if exec.Command("mount", "-o", "loop", image, mnt).Run() != nil { // a torn superblock
			repaired++
			exec.Command("e2fsck", "-fy", image).Run() // its status counts what it did
			run(t, "mount", "-o", "loop", image, mnt)
		}
		dir := filepath.Join(mnt, "log")
		again := promised.Compare(t, dir)
		repeats = max(repeats, again)
		if i%5 == 4 && !t.Failed() {
			if report := storetest.Check(t, dir); len(report.Holes) > 0 {
				t.Errorf("the log has holes: %v", report.Holes)
			}
		}
		run(t, "umount", mnt)
		if t.Failed() {
			t.Fatalf("cut %d of %d, before event %d of %d; promised: %s", i+1, cuts, place, disk.Events(), promised)
		}
	}
	t.Logf("%d cuts of a life with %d writes, flushes and promises", cuts, disk.Events())
	return repaired, repeats
}

// live lets a worker live on the disk.
func live(t *testing.T, folder, base, mnt string, seed uint64, life time.Duration) *crashtest.Disk {
	t.Helper()
	disk, err := crashtest.MountDisk(filepath.Join(folder, "fuse"), base)
	if err != nil {
		t.Fatal(err)
	}
	device := run(t, "losetup", "-f", "--show", filepath.Join(folder, "fuse", crashtest.File))
	mounted := exec.Command("mount", device, mnt).Run()
	if mounted == nil {
		worker{dir: filepath.Join(mnt, "log"), seed: seed, life: life}.work(t, disk.Mark)
		run(t, "umount", mnt)
	}
	run(t, "losetup", "-d", device)
	if err := disk.Unmount(); err != nil {
		t.Fatal(err)
	}
	if mounted != nil {
		t.Fatalf("mount the disk: %v", mounted)
	}
	return disk
}
