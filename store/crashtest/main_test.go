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
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(workerDir); dir != "" {
		seed, err := strconv.ParseUint(os.Getenv(workerSeed), 10, 64)
		if err == nil {
			err = crashtest.Work(dir, seed)
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

// work lets a worker process work on dir for a while after it has opened the log, then kills it. hear
// gets each line that it said.
func work(t *testing.T, dir string, seed uint64, life time.Duration, hear func(line string)) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), workerDir+"="+dir, workerSeed+"="+strconv.FormatUint(seed, 10))
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(30*time.Second, func() { command.Process.Kill() }) // until it has opened
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
		opened.Do(func() { killer.Reset(life) })
		hear(line)
	}
	command.Wait() // it was killed: its status says no more
}
