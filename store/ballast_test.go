package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// fullDir names a log that this binary is to close as a process of its own on a disk that somebody
// else has filled to the last byte; fullHow says whether the ballast is there.
const (
	fullDir = "SLUICE_STORE_FULL"
	fullHow = "SLUICE_STORE_FULL_HOW"
)

const beforeFull = 200 // messages, in a group each so that the memtable has something to flush

// closeFull is that process. A signal that ends it is what the test looks for.
func closeFull(dir string) int {
	options := store.Options{Dir: dir, FileSize: 1 << 20}
	if os.Getenv(fullHow) == "killed" {
		options.FileSize = 0 // as gateways have it, whose logs need more to be opened
	}
	l, err := store.Open(options)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	acked := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { acked <- err })
	if last, _ := l.Tail(); last > 0 { // the disk was filled before
		for tries := 0; l.Stats().Health != store.Full && tries < 500; tries++ {
			time.Sleep(10 * time.Millisecond) // it looks at the disk several times a second
		}
		fmt.Println("running:", l.Stats().Error)
		return 0
	}
	for i := range beforeFull {
		m := noise(i+1, 300)
		if err := l.Append(ctx, &m, ack, 0); err != nil {
			fmt.Println(err)
			return 1
		}
		if err := <-acked; err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if os.Getenv(fullHow) == "killed" {
		if err := hog(filepath.Join(filepath.Dir(dir), "hog")); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("running:", message.ErrFull)
		return 0 // without an orderly end
	}
	if os.Getenv(fullHow) == "gone" {
		os.Remove(filepath.Join(dir, "ballast"))
	}
	if err := hog(filepath.Join(filepath.Dir(dir), "hog")); err != nil {
		fmt.Println(err)
		return 1
	}
	stop()
	<-ran
	fmt.Println("closing:", l.Close())
	return 0
}

// hog takes all that the file system has.
func hog(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for chunk := make([]byte, size); ; {
			if _, err := f.Write(chunk); err != nil {
				break
			}
		}
	}
	return nil
}

// ext4 mounts a small file system of the kind that gateways have.
func ext4(t *testing.T, size string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/sbin:/usr/sbin")
	image := filepath.Join(t.TempDir(), "image")
	dir = t.TempDir()
	for _, command := range []string{"truncate -s " + size + " " + image, "mkfs.ext4 -q -F -m 0 " + image, "mount -o loop " + image + " " + dir} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", command, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// TestCrashOnAFullDisk closes logs on disks without a free byte: the process must not die of a page
// that has no room, and what was acknowledged is there afterwards.
func TestCrashOnAFullDisk(t *testing.T) {
	for name, disk := range map[string]func(*testing.T) string{
		"tmpfs": func(t *testing.T) string { return tmpfs(t, "16m") },
		"ext4":  func(t *testing.T) string { return ext4(t, "24m") },
	} {
		for how, want := range map[string]string{"kept": "closing: <nil>", "gone": "no space left"} {
			t.Run(name+", ballast "+how, func(t *testing.T) {
				mnt := disk(t)
				dir := filepath.Join(mnt, "log")
				child := exec.Command(os.Args[0])
				child.Env = append(os.Environ(), fullDir+"="+dir, fullHow+"="+how)
				out, err := child.CombinedOutput()
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("closing a log on a full disk: %v, %s", err, firstLines(out, 12))
				}
				if err := os.Remove(filepath.Join(mnt, "hog")); err != nil {
					t.Fatal(err)
				}
				l := storetest.Open(t, storetest.In(dir))
				if records, err := l.Read(nil, 1, beforeFull+1); err != nil || len(records) != beforeFull {
					t.Errorf("%d messages are there, %v, want %d", len(records), err, beforeFull)
				}
			})
		}
	}
}

// TestPowerCutsOnAFullDisk opens a log again and again on a disk that somebody else has filled, and never closes
// it: each time it runs, and what it had is there.
func TestPowerCutsOnAFullDisk(t *testing.T) {
	mnt := ext4(t, "100m")
	dir := filepath.Join(mnt, "log")
	for i := range 20 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fullDir+"="+dir, fullHow+"=killed")
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "running: "+message.ErrFull.Error()) {
			t.Fatalf("start %d on a full disk: %v, %s", i, err, firstLines(out, 12))
		}
	}
	if err := os.Remove(filepath.Join(mnt, "hog")); err != nil {
		t.Fatal(err)
	}
	l := storetest.Open(t, storetest.In(dir))
	if records, err := l.Read(nil, 1, beforeFull+1); err != nil || len(records) != beforeFull {
		t.Errorf("%d messages are there, %v, want %d", len(records), err, beforeFull)
	}
}

func firstLines(text []byte, n int) string {
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[:min(n, len(lines))], "")
}
