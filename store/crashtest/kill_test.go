package crashtest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"sluice/store/crashtest"
	"sluice/store/storetest"
)

// TestKillLosesNothingAcknowledged kills a process that appends, consumes, trims and collects, again
// and again on the same directory. SLUICE_LONG=1 makes it 200 kills.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	cycles := 20
	if long() {
		cycles = 200
	}
	seed := seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	model := crashtest.NewModel(seed)
	repeats := int64(0)
	for cycle := range cycles {
		life := time.Duration(r.IntN(500)) * time.Millisecond
		if cycle%10 == 9 {
			life += 2 * time.Second // long enough to collect more than once
		}
		work(t, dir, seed, life, func(line string) {
			if err := model.Hear(line); err != nil {
				t.Error(err)
			}
		})
		repeats = max(repeats, model.Compare(t, dir))
		if cycle%5 == 4 {
			if report := storetest.Check(t, dir); len(report.Holes) > 0 {
				t.Errorf("the log has holes: %v", report.Holes)
			}
		}
		if t.Failed() {
			t.Fatalf("in cycle %d of %d", cycle+1, cycles)
		}
	}
	t.Logf("%d kills: nothing acknowledged was lost or reordered, at most %d messages repeated; %s", cycles, repeats, model)
}
