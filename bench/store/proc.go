package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fromProc reads one number of /proc/self: "RssAnon:" in status, "write_bytes:" in io.
func fromProc(name, field string) int64 {
	f, err := os.Open("/proc/self/" + name)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), field); ok {
			var n int64
			fmt.Sscan(rest, &n)
			if strings.HasSuffix(rest, "kB") {
				n *= 1024
			}
			return n
		}
	}
	return 0
}

func written() int64 { return fromProc("io", "write_bytes:") }

func cpu() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// onDisk is what a directory really occupies.
func onDisk(dir string) int64 {
	var sum int64
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // files go while we look
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += int64(st.Blocks) * 512
			}
		}
		return nil
	})
	return sum
}

// forget asks the kernel to drop a directory's pages.
func forget(dir string) {
	unix.Sync()
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if f, err := os.Open(path); err == nil {
			unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
			f.Close()
		}
		return nil
	})
}

// samples follows memory, and the disk of dir when it is not empty, until stop is called.
type samples struct {
	stop chan struct{}
	done chan struct{}
	anon int64
	rss  int64
	disk []int64
}

func sample(dir string) *samples {
	s := &samples{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				s.anon = max(s.anon, fromProc("status", "RssAnon:"))
				s.rss = max(s.rss, fromProc("status", "VmRSS:"))
				if dir != "" {
					s.disk = append(s.disk, onDisk(dir))
				}
			}
		}
	}()
	return s
}

func (s *samples) end() {
	close(s.stop)
	<-s.done
	slices.Sort(s.disk)
}

func (s *samples) medianDisk() int64 {
	if len(s.disk) == 0 {
		return 0
	}
	return s.disk[len(s.disk)/2]
}

func (s *samples) peakDisk() int64 {
	if len(s.disk) == 0 {
		return 0
	}
	return s.disk[len(s.disk)-1]
}
