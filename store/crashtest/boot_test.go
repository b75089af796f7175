package crashtest_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sluice/store/crashtest"
	"sluice/store/storetest"
)

// TestBootLoopKeepsTheDiskBounded kills a process as soon as it has appended a message, 200 times. No life
// is long enough for a compaction, and each leaves a file: bytes may not add up, nor files once there is time.
func TestBootLoopKeepsTheDiskBounded(t *testing.T) {
	if !long() {
		t.Skip("fewer than some hundred boots show nothing: SLUICE_LONG=1 runs them")
	}
	dir, seed := t.TempDir(), seed(t)
	files := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "log", "*.vlog"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	const boots = 200
	var usual int64 // when the retention's size has been reached
	most, begun := 0, time.Now()
	for i := range boots {
		boot(t, dir, seed, 0)
		if most = max(most, files()); i == 40 {
			usual = occupied(dir)
		}
	}
	used := occupied(dir)
	t.Logf("%d boots in %v: %.1f MiB after 40, %.1f MiB in the end; at most %d files", boots, time.Since(begun).Round(time.Second), float64(usual)/(1<<20), float64(used)/(1<<20), most)
	if used > usual+2<<20 {
		t.Errorf("%d bytes are used, %d were after 40 boots", used, usual)
	}
	boot(t, dir, seed, 5*time.Second) // a life that is long enough to give back all that is in nobody's way
	if n, kept := files(), crashtest.BootKept/4000+8; n > kept {
		t.Errorf("%d files of the value log are left, at most %d may be", n, kept)
	}
	storetest.Check(t, dir)
}

// boot lets a process append a message and kills it after a while.
func boot(t *testing.T, dir string, seed uint64, life time.Duration) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), workerDir+"="+dir, workerSeed+"="+strconv.FormatUint(seed, 10), workerBoots+"=1")
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(30*time.Second, func() { command.Process.Kill() })
	defer killer.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "done\n" {
		t.Errorf("the process says %q, %v", line, err)
	}
	time.Sleep(life)
	command.Process.Kill()
	command.Wait() // it was killed: its status says no more
}
