package crashtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/store/crashtest"
)

// TestReadOnlyRemountLosesNothingAcknowledged makes the file system read-only under a working process,
// as ext4 does by itself when its disk fails. The process may refuse or die; what it acknowledged is
// there when the disk works again.
func TestReadOnlyRemountLosesNothingAcknowledged(t *testing.T) {
	needDisk(t)
	seed := seed(t)
	folder := t.TempDir()
	image, mnt := filepath.Join(folder, "disk.img"), filepath.Join(folder, "mnt")
	if err := os.Mkdir(mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "truncate", "-s", "96M", image)
	run(t, "mkfs.ext4", "-q", "-F", image)
	model := crashtest.NewModel(seed)
	for round := range 3 {
		if exec.Command("mount", "-o", "loop", image, mnt).Run() != nil {
			exec.Command("e2fsck", "-fy", image).Run()
			run(t, "mount", "-o", "loop", image, mnt)
		}
		done := make(chan struct{})
		broken := time.AfterFunc(time.Duration(500+200*round)*time.Millisecond, func() {
			defer close(done)
			if out, err := exec.Command("mount", "-o", "remount,abort", mnt).CombinedOutput(); err != nil {
				t.Errorf("remount: %v: %s", err, out)
			}
		})
		said := ""
		worker{dir: filepath.Join(mnt, "log"), seed: seed, resume: model.Resume(), life: 2 * time.Second}.work(t, func(line string) {
			if strings.HasPrefix(line, "x") { // why it ended
				said = strings.TrimSpace(line)
				return
			}
			if err := model.Hear(line); err != nil {
				t.Error(err)
			}
		})
		if !broken.Stop() {
			<-done // while it runs the file system is busy
		}
		t.Logf("round %d: the worker ended with %q", round, said)
		run(t, "umount", mnt)
		exec.Command("e2fsck", "-fy", image).Run() // its status counts what it did
		run(t, "mount", "-o", "loop", image, mnt)
		model.Compare(t, filepath.Join(mnt, "log"))
		run(t, "umount", mnt)
		if t.Failed() {
			t.FailNow()
		}
	}
}
