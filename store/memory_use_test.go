package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
)

const (
	steadyDir  = "SLUICE_STORE_STEADY"
	steadyTime = "SLUICE_STORE_STEADY_TIME"
	steadyJoin = "SLUICE_STORE_STEADY_GROUP" // a control group of version 1

	steadyRate    = 20_000  // messages a second
	steadyBacklog = 100_000 // messages between the consumer and the tail
	steadyGroup   = 128 << 20
	steadyAnon    = 16 << 20
)

// TestMemoryCgroupAtSteadyLoad runs a small log at 20,000 messages a second with a backlog of
// 100,000 in a process of its own, in a memory control group of 128 MB where one can be made, and
// measures what that process holds.
func TestMemoryCgroupAtSteadyLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	last := 15 * time.Second
	if os.Getenv("SLUICE_LONG") == "1" {
		last = time.Minute
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), steadyDir+"="+t.TempDir(), steadyTime+"="+last.String())
	command.Stderr = os.Stderr
	if join, err := oldMemoryGroup(t); err == nil {
		command.Env = append(command.Env, steadyJoin+"="+join)
		t.Logf("in a control group of %d MiB", steadyGroup>>20)
	} else if group, err := memoryGroup(t); err == nil {
		command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
		t.Logf("in a control group of %d MiB", steadyGroup>>20)
	} else {
		t.Logf("not in a control group: %v", err)
	}
	out, err := command.Output()
	if err != nil {
		t.Fatalf("the log's process: %v: %s", err, out)
	}
	var rate, backlog, anon, rss int64
	if _, err := fmt.Sscan(string(out), &rate, &backlog, &anon, &rss); err != nil {
		t.Fatalf("the log's process says %q: %v", out, err)
	}
	t.Logf("%d messages a second, backlog %d: RssAnon at most %.1f MiB, RSS %.1f MiB", rate, backlog, float64(anon)/(1<<20), float64(rss)/(1<<20))
	if underRace {
		return
	}
	if anon > steadyAnon {
		t.Errorf("RssAnon reached %d bytes, want at most %d", anon, steadyAnon)
	}
	if backlog < steadyBacklog/2 {
		t.Errorf("the backlog was only %d", backlog)
	}
}

// memoryGroup makes a control group for the test. Only version 2 at its root is used: a group below
// one that somebody else manages is not ours to make.
func memoryGroup(t *testing.T) (*os.File, error) {
	const root = "/sys/fs/cgroup"
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("needs root")
	}
	if own, _ := os.ReadFile("/proc/self/cgroup"); string(own) != "0::/\n" {
		return nil, fmt.Errorf("this process belongs to groups already: %q", own)
	}
	if err := os.WriteFile(root+"/cgroup.subtree_control", []byte("+memory"), 0); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(root, "sluice-test-")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "memory.max"), fmt.Append(nil, steadyGroup), 0); err != nil {
		return nil, err
	}
	group, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { group.Close() })
	return group, nil
}

// oldMemoryGroup makes one of version 1, and gives the file that a process joins it by.
func oldMemoryGroup(t *testing.T) (join string, err error) {
	dir, err := os.MkdirTemp("/sys/fs/cgroup/memory", "sluice-test-")
	if err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "cgroup.procs"), os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), fmt.Append(nil, steadyGroup), 0)
}

// steady is the measured process: it prints messages a second, the backlog at the end, and the most
// of RssAnon and RSS once the backlog is there.
func steady(dir string) int {
	result, err := steadyRun(dir)
	if err != nil {
		fmt.Println("x", err)
		return 1
	}
	fmt.Println(result)
	return 0
}

func steadyRun(dir string) (string, error) {
	if join := os.Getenv(steadyJoin); join != "" {
		if err := os.WriteFile(join, fmt.Append(nil, os.Getpid()), 0); err != nil {
			return "", err
		}
	}
	// As cmd does on a small machine.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(steadyGroup / 2)
	last, err := time.ParseDuration(os.Getenv(steadyTime))
	if err != nil {
		return "", err
	}
	l, err := store.Open(store.Options{Dir: dir, Profile: store.Small, RetentionSize: 1, Limit: 256 << 20})
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	cursor, err := l.OpenCursor("uplink", 1)
	if err != nil {
		return "", err
	}
	list := readings()
	var records []message.Record
	var sent, anon, rss int64
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Since(began) < last {
		<-tick.C
		for due := int64(time.Since(began).Seconds() * steadyRate); sent < due; sent++ {
			if err := l.Append(ctx, &list[sent%int64(len(list))], nil, 0); err != nil {
				return "", err
			}
		}
		tail, _ := l.Tail()
		for cursor.Position()+steadyBacklog+500 < tail {
			if records, err = l.Read(records[:0], cursor.Position()+1, 500); err != nil || len(records) == 0 {
				return "", fmt.Errorf("read %d records: %w", len(records), err)
			}
			cursor.Move(records[len(records)-1].Position)
		}
		if tail > steadyBacklog {
			anon, rss = max(anon, memoryOf("RssAnon")), max(rss, memoryOf("VmRSS"))
		}
	}
	took := time.Since(began)
	tail, _ := l.Tail()
	backlog := tail - cursor.Position()
	stop()
	wg.Wait()
	return fmt.Sprint(int64(float64(sent)/took.Seconds()), backlog, anon, rss), l.Close()
}

// memoryOf reads one line of /proc/self/status, in bytes.
func memoryOf(name string) (size int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if value, ok := strings.CutPrefix(string(line), name+":"); ok {
			fmt.Sscan(value, &size)
			return size << 10
		}
	}
	return 0
}
