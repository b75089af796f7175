package measure

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Disk is what the disk itself does: appends of 4 KiB to one file, each with its fdatasync.
type Disk struct {
	took []time.Duration
}

// Probe appends for as long as it is told and adds what that took.
func (d *Disk) Probe(dir string, length time.Duration) error {
	path := filepath.Join(dir, "probe")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	defer f.Close()
	page := make([]byte, 4096)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(page) // never fails
	for began := time.Now(); time.Since(began) < length; {
		before := time.Now()
		if _, err := f.Write(page); err != nil {
			return fmt.Errorf("append to %s: %w", path, err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return fmt.Errorf("sync %s: %w", path, err)
		}
		d.took = append(d.took, time.Since(before))
	}
	return nil
}

// Rate is how many appends the disk made durable in a second.
func (d *Disk) Rate() float64 {
	var sum time.Duration
	for _, t := range d.took {
		sum += t
	}
	if sum == 0 {
		return 0
	}
	return float64(len(d.took)) / sum.Seconds()
}

// Quantile is in microseconds.
func (d *Disk) Quantile(q float64) float64 { return Quantile(d.took, q) }

// Quantile sorts a list, and is in microseconds.
func Quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return float64(took[min(int(q*float64(len(took))), len(took)-1)].Nanoseconds()) / 1000
}

// OnRealDisk makes a directory for logs, in dir or where there is room: what is kept in memory would flatter whoever
// syncs.
func OnRealDisk(dir, root, prefix string) (string, error) {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	inMemory := func(path string) bool {
		var st syscall.Statfs_t
		return syscall.Statfs(path, &st) == nil && (int64(st.Type) == tmpfs || int64(st.Type) == ramfs)
	}
	if dir == "" {
		if dir = os.TempDir(); inMemory(dir) {
			dir = filepath.Join(root, ".cache")
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if inMemory(dir) {
		return "", fmt.Errorf("%s is kept in memory: name a directory on a disk with -dir or BENCH_DIR", dir)
	}
	return os.MkdirTemp(dir, prefix)
}
