package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processorTime is what a process has used so far: the kernel counts its threads in, also those that have
// ended. With a thread's directory it is that thread's.
func processorTime(dir string) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, err
	}
	// The name, field 2, may have spaces; utime and stime are fields 14 and 15, in hundredths.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat has no times", dir)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

func proc(pid int) string { return fmt.Sprintf("/proc/%d", pid) }

// memory is what processes hold, in MB.
type memory struct {
	Anon, File float64
}

func (m memory) rss() float64 { return m.Anon + m.File }

// memoryOf adds up processes. Files that several map count in each.
func memoryOf(pids ...int) (m memory, err error) {
	for _, pid := range pids {
		anon, err1 := fromStatus(pid, "RssAnon:")
		file, err2 := fromStatus(pid, "RssFile:")
		shared, err3 := fromStatus(pid, "RssShmem:")
		if err := errors.Join(err1, err2, err3); err != nil {
			return m, err
		}
		m.Anon, m.File = m.Anon+anon, m.File+file+shared
	}
	return m, nil
}

// fromStatus reads one number of a process, in MB.
func fromStatus(pid int, field string) (float64, error) {
	f, err := os.Open(proc(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), field); ok {
			var kilobytes float64
			_, err := fmt.Sscan(rest, &kilobytes)
			return kilobytes / 1024, err
		}
	}
	return 0, fmt.Errorf("%s/status has no %s", proc(pid), field)
}

// threads is the processor time of each thread of a process, under its number.
func threads(pid int) map[string]time.Duration {
	all := make(map[string]time.Duration)
	list, _ := os.ReadDir(proc(pid) + "/task") // a process that is gone has none
	for _, entry := range list {
		if used, err := processorTime(filepath.Join(proc(pid), "task", entry.Name())); err == nil {
			all[entry.Name()] = used
		}
	}
	return all
}

// busiest names the threads that have used most since before, in parts of one core.
func busiest(pid int, before map[string]time.Duration, since time.Time) string {
	type share struct {
		name string
		part float64
	}
	shares := make(map[string]float64)
	for number, used := range threads(pid) {
		name, err := os.ReadFile(filepath.Join(proc(pid), "task", number, "comm"))
		if err != nil {
			continue // it has ended
		}
		// The threads of a pool differ in their last figures.
		shares[strings.TrimRight(strings.TrimSpace(string(name)), "0123456789-_#")] += (used - before[number]).Seconds() / time.Since(since).Seconds()
	}
	var list []share
	for name, part := range shares {
		list = append(list, share{name, part})
	}
	slices.SortFunc(list, func(a, b share) int { return cmp.Compare(b.part, a.part) })
	var words []string
	for _, s := range list[:min(4, len(list))] {
		words = append(words, fmt.Sprintf("%s %.0f %%", s.name, 100*s.part))
	}
	return strings.Join(words, ", ")
}

// sample is what processes have used and held at one time.
type sample struct {
	at   time.Time
	used time.Duration
	held memory
}

// follower samples processes until end.
type follower struct {
	samples    []sample
	stop, done chan struct{}
}

func follow(pids ...int) *follower {
	f := &follower{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			s := sample{at: time.Now()}
			for _, pid := range pids {
				used, _ := processorTime(proc(pid)) // 0 once it is gone, which whoever started it sees
				s.used += used
			}
			s.held, _ = memoryOf(pids...)
			f.samples = append(f.samples, s)
			select {
			case <-f.stop:
				return
			case <-tick.C:
			}
		}
	}()
	return f
}

func (f *follower) end() {
	close(f.stop)
	<-f.done
}

// cores is how many cores were busy between two times; call it after end.
func (f *follower) cores(from, to time.Time) float64 {
	a, b := f.nearest(from), f.nearest(to)
	if !b.at.After(a.at) {
		return 0
	}
	return (b.used - a.used).Seconds() / b.at.Sub(a.at).Seconds()
}

func (f *follower) nearest(to time.Time) (best sample) {
	for i, s := range f.samples {
		if i == 0 || s.at.Sub(to).Abs() < best.at.Sub(to).Abs() {
			best = s
		}
	}
	return best
}

// most is the largest that was held at one time.
func (f *follower) most() (m memory) {
	for _, s := range f.samples {
		if s.held.rss() > m.rss() {
			m = s.held
		}
	}
	return m
}

// anon is the most anonymous memory of any time.
func (f *follower) anon() (most float64) {
	for _, s := range f.samples {
		most = max(most, s.held.Anon)
	}
	return most
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
	return os.MkdirTemp(dir, "rocketmq-bench-")
}
