package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"sluice/bench/measure"
)

// usage is what a process has used up so far.
type usage struct {
	cpu     time.Duration
	written int64 // bytes that it caused to be written to disks
}

func used(pid int) (usage, error) {
	cpu, err1 := measure.ProcessorTime(measure.Proc(pid))
	written, err2 := measure.FromProc(pid, "io", "write_bytes:")
	return usage{cpu, written}, errors.Join(err1, err2)
}

// openFiles counts them; a broker's grow by one with each connection.
func openFiles(pid int) int {
	list, _ := os.ReadDir(filepath.Join(measure.Proc(pid), "fd")) // a process that is gone has none
	return len(list)
}
