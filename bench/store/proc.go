package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/bench/measure"
)

// anonymous is what this process holds, in MB.
func anonymous() float64 {
	m, _ := measure.MemoryOf(os.Getpid()) // of itself it always may
	return m.Anon
}

// written is how many bytes it caused to be written to disks.
func written() int64 {
	n, _ := measure.FromProc(os.Getpid(), "io", "write_bytes:") // the same
	return n
}

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

// diskUse follows what a directory occupies.
type diskUse struct {
	stop, done chan struct{}
	sizes      []float64 // MB
}

func followDisk(dir string) *diskUse {
	d := &diskUse{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-d.stop:
				return
			case <-tick.C:
				d.sizes = append(d.sizes, float64(onDisk(dir))/mb)
			}
		}
	}()
	return d
}

// end stops it.
func (d *diskUse) end() (median, peak float64) {
	close(d.stop)
	<-d.done
	return measure.Median(d.sizes), slices.Max(append(d.sizes, 0))
}
