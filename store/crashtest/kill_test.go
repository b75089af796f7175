package crashtest_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sluice/store/crashtest"
	"sluice/store/storetest"
)

// mostUsed is what the directory may take: what is kept and what waits for the consumers is a fifth of it.
const mostUsed = 64 << 20

// TestKillLosesNothingAcknowledged kills a process that appends, consumes, trims and collects, with clients
// that have sessions, again and again on the same directory. Every worker says what it found when it
// opened, which is compared; after two of three kills everything is read. So the rest of the kills meet a
// directory that has seen no orderly end since the last. SLUICE_LONG=1 makes it 200 kills.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	cycles := 20
	if long() {
		cycles = 200
	}
	seed := seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	model := crashtest.NewModel(seed)
	repeats, most, begun := int64(0), int64(0), time.Now()
	for cycle := range cycles {
		w := worker{dir: dir, seed: seed, resume: model.Resume(), life: time.Duration(r.IntN(500)) * time.Millisecond}
		switch cycle % 10 {
		case 9:
			w.life += 2 * time.Second // long enough to collect more than once
		case 2, 6:
			w.early = true
		}
		w.work(t, func(line string) {
			if err := model.Hear(line); err != nil && !t.Failed() {
				t.Error(err)
			}
		})
		if r.IntN(3) > 0 || cycle%10 == 9 {
			repeats = max(repeats, model.Compare(t, dir))
		}
		if cycle%10 == 9 {
			if report := storetest.Check(t, dir); len(report.Holes) > 0 {
				t.Errorf("the log has holes: %v", report.Holes)
			}
		}
		used := occupied(dir)
		if most = max(most, used); used > mostUsed {
			t.Errorf("the directory has %d bytes, at most %d may be", used, mostUsed)
		}
		if t.Failed() {
			t.Fatalf("in cycle %d of %d; %s", cycle+1, cycles, keep(t, dir))
		}
		if cycle%20 == 19 && cycle+1 < cycles { // a run that is interrupted has said how far it came
			fmt.Printf("%d of %d kills in %v: at most %d repeated, %.1f MiB on disk; %s\n",
				cycle+1, cycles, time.Since(begun).Round(time.Second), repeats, float64(used)/(1<<20), model)
		}
	}
	t.Logf("%d kills in %v: nothing acknowledged was lost or reordered, at most %d messages repeated, at most %.1f MiB on disk; %s",
		cycles, time.Since(begun).Round(time.Second), repeats, float64(most)/(1<<20), model)
}

// occupied is what the files in dir really take of the disk: most of Badger's are sparse.
func occupied(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return bytes
}

// keep copies the directory of a run that failed to where it outlives the test.
func keep(t *testing.T, dir string) string {
	to, err := os.MkdirTemp("", "sluice-killed-")
	if err == nil {
		err = os.CopyFS(to, os.DirFS(dir))
	}
	if err != nil {
		return fmt.Sprint("the directory cannot be kept: ", err)
	}
	return "the directory is kept in " + to
}
