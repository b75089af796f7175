package measure

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const mb = 1 << 20

// Proc is the directory of a process.
func Proc(pid int) string { return fmt.Sprintf("/proc/%d", pid) }

// ProcessorTime is what a process has used so far: the kernel counts its threads in, also those that have
// ended. With a thread's directory it is that thread's.
func ProcessorTime(dir string) (time.Duration, error) {
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

// FromProc reads one number of a process: "RssAnon:" in status, "write_bytes:" in io. It is in bytes where it has a
// unit.
func FromProc(pid int, name, field string) (int64, error) {
	path := filepath.Join(Proc(pid), name)
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), field); ok {
			var n int64
			if _, err := fmt.Sscan(rest, &n); err != nil {
				return 0, fmt.Errorf("%s: %s %w", path, field, err)
			}
			if strings.HasSuffix(rest, "kB") {
				n *= 1024
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, field)
}

// Memory is what processes hold, in MB.
type Memory struct {
	Anon, File float64 // File is what is mapped of files, and shared
}

// RSS is all of it.
func (m Memory) RSS() float64 { return m.Anon + m.File }

// MemoryOf adds up processes. Files that several map count in each.
func MemoryOf(pids ...int) (m Memory, err error) {
	for _, pid := range pids {
		anon, err1 := FromProc(pid, "status", "RssAnon:")
		file, err2 := FromProc(pid, "status", "RssFile:")
		shared, err3 := FromProc(pid, "status", "RssShmem:")
		if err := errors.Join(err1, err2, err3); err != nil {
			return m, err
		}
		m.Anon, m.File = m.Anon+float64(anon)/mb, m.File+float64(file+shared)/mb
	}
	return m, nil
}

// Follower samples processes until End.
type Follower struct {
	samples    []sample
	stop, done chan struct{}
}

// sample is what processes have used and held at one time.
type sample struct {
	at   time.Time
	used time.Duration
	held Memory
}

// Follow samples processes every 50 ms. Whoever calls it calls End, and asks the Follower only afterwards.
func Follow(pids ...int) *Follower {
	f := &Follower{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			s := sample{at: time.Now()}
			for _, pid := range pids {
				used, _ := ProcessorTime(Proc(pid)) // 0 once it is gone, which whoever started it sees
				s.used += used
			}
			s.held, _ = MemoryOf(pids...)
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

// End stops the sampling.
func (f *Follower) End() {
	close(f.stop)
	<-f.done
}

// Cores is how many cores were busy between two times.
func (f *Follower) Cores(from, to time.Time) float64 {
	a, b := f.nearest(from), f.nearest(to)
	if !b.at.After(a.at) {
		return 0
	}
	return (b.used - a.used).Seconds() / b.at.Sub(a.at).Seconds()
}

func (f *Follower) nearest(to time.Time) (best sample) {
	for i, s := range f.samples {
		if i == 0 || s.at.Sub(to).Abs() < best.at.Sub(to).Abs() {
			best = s
		}
	}
	return best
}

// Most is the largest that was held at one time.
func (f *Follower) Most() (m Memory) {
	for _, s := range f.samples {
		if s.held.RSS() > m.RSS() {
			m = s.held
		}
	}
	return m
}

// Typical is the median of the anonymous memory over the time, in MB: what is held, whatever a collector
// was about to take away.
func (f *Follower) Typical() float64 {
	var held []float64
	for _, s := range f.samples {
		held = append(held, s.held.Anon)
	}
	slices.Sort(held)
	return held[len(held)/2] // one is taken at once
}

// Anon is the most anonymous memory of any time, in MB.
func (f *Follower) Anon() (most float64) {
	for _, s := range f.samples {
		most = max(most, s.held.Anon)
	}
	return most
}
