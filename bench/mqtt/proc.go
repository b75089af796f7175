package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const mb = 1 << 20

// usage is what a process has used up so far.
type usage struct {
	cpu     time.Duration
	written int64 // bytes that it caused to be written to disks
}

// used reads what a process has used: the kernel counts its threads in, also those that have ended.
func used(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// The name, field 2, may have spaces; utime and stime are fields 14 and 15, in hundredths.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return usage{}, fmt.Errorf("/proc/%d/stat has no times", pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	written, err3 := fromProc(pid, "io", "write_bytes:")
	return usage{time.Duration(user+system) * 10 * time.Millisecond, written}, errors.Join(err1, err2, err3)
}

// fromProc reads one number of a process: "RssAnon:" in status, "write_bytes:" in io.
func fromProc(pid int, name, field string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), field); ok {
			var n int64
			if _, err := fmt.Sscan(rest, &n); err != nil {
				return 0, fmt.Errorf("/proc/%d/%s: %s %w", pid, name, field, err)
			}
			if strings.HasSuffix(rest, "kB") {
				n *= 1024
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/%s has no %s", pid, name, field)
}

// memory is what a process holds, in MB.
type memory struct {
	Anon, File, Pss float64
}

func (m memory) rss() float64 { return m.Anon + m.File }

func memoryOf(pid int) (m memory, err error) {
	for _, field := range []struct {
		file, name string
		into       *float64
	}{{"status", "RssAnon:", &m.Anon}, {"status", "RssFile:", &m.File}, {"smaps_rollup", "Pss:", &m.Pss}} {
		n, err := fromProc(pid, field.file, field.name)
		if err != nil {
			return m, err
		}
		*field.into = float64(n) / mb
	}
	return m, nil
}

// openFiles counts them; a broker's grow by one with each connection.
func openFiles(pid int) int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // a process that is gone has none
	return len(list)
}

// peak follows a process's memory until end.
type peak struct {
	anon, rss  float64 // MB, the largest seen
	stop, done chan struct{}
}

func follow(pid int) *peak {
	p := &peak{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			anon, _ := fromProc(pid, "status", "RssAnon:") // 0 once it is gone
			rss, _ := fromProc(pid, "status", "VmRSS:")
			p.anon, p.rss = max(p.anon, float64(anon)/mb), max(p.rss, float64(rss)/mb)
			select {
			case <-p.stop:
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

func (p *peak) end() {
	close(p.stop)
	<-p.done
}

// onRealDisk picks the directory for logs: what is kept in memory would flatter whoever syncs.
func onRealDisk(dir, root string) (string, error) {
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
	return os.MkdirTemp(dir, "mqtt-bench-")
}
