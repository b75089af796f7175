package crashtest_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"sluice/store/crashtest"
)

const (
	workerDir  = "SLUICE_CRASH_DIR"
	workerSeed = "SLUICE_CRASH_SEED"
	workerNext = "SLUICE_CRASH_RESUME"

	workerBoots = "SLUICE_CRASH_BOOT" // it only boots
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workerDir); dir != "" {
		seed, err := strconv.ParseUint(os.Getenv(workerSeed), 10, 64)
		switch {
		case err != nil:
		case os.Getenv(workerBoots) != "":
			err = crashtest.Boot(dir, seed)
		default:
			err = crashtest.Work(dir, seed, os.Getenv(workerNext))
		}
		fmt.Println("x", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func long() bool { return os.Getenv("SLUICE_LONG") == "1" }

// seed is random, or SLUICE_SEED's to repeat a run.
func seed(t *testing.T) uint64 {
	s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("SLUICE_SEED=%d", s)
	return s
}

// worker is a process that works on a log until it is killed.
type worker struct {
	dir    string
	seed   uint64
	resume string        // where the worker before it ended: Model.Resume
	life   time.Duration // counted from when it has opened the log
	early  bool          // no, from its start: it may be killed while it opens
}

// work lets a worker live and then kills it. hear gets each line that it said.
func (w worker) work(t *testing.T, hear func(line string)) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), workerDir+"="+w.dir, workerSeed+"="+strconv.FormatUint(w.seed, 10), workerNext+"="+w.resume)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	limit := 30 * time.Second // until it has opened
	if w.early {
		limit = w.life
	}
	killer := time.AfterFunc(limit, func() { command.Process.Kill() })
	defer killer.Stop()
	var opened sync.Once
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line that the kill cut short promises nothing
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if !w.early {
			opened.Do(func() { killer.Reset(w.life) })
		}
		hear(line)
	}
	command.Wait() // it was killed: its status says no more
}
