package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// disk is what the disk itself does: appends of 4 KiB to one file, each with its fdatasync.
type disk struct {
	took []time.Duration
}

// probe appends for as long as it is told and adds what that took.
func (d *disk) probe(dir string, length time.Duration) error {
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

// rate is how many appends the disk made durable in a second.
func (d *disk) rate() float64 {
	var sum time.Duration
	for _, t := range d.took {
		sum += t
	}
	if sum == 0 {
		return 0
	}
	return float64(len(d.took)) / sum.Seconds()
}
