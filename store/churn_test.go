package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// churn is a queue in use: appended at one end, consumed and trimmed at the other.
type churn struct {
	profile store.Profile
	limit   int64
	live    int64 // bytes of blocks that are kept behind the tail
	times   int   // the limit, in bytes written
}

// TestChurnKeepsTheDiskBounded appends, consumes and trims twenty times the limit, and measures what
// the log occupies beside what is alive in it. With SLUICE_LONG=1 the limit is 256 MiB.
func TestChurnKeepsTheDiskBounded(t *testing.T) {
	cases := map[string]churn{
		"short": {store.Small, 32 << 20, 10 << 20, 20},
	}
	if os.Getenv("SLUICE_LONG") == "1" {
		cases["small"] = churn{store.Small, 256 << 20, 64 << 20, 20}
		cases["normal"] = churn{store.Normal, 256 << 20, 80 << 20, 20}
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}

func (c churn) run(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) {
		o.Profile, o.FileSize, o.Limit, o.RetentionSize = c.profile, 0, c.limit, 1
	})
	file := int64(l.Largest()) * 4
	consumer := open(t, l, "uplink", 1)
	saved(t, consumer)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	usage := make(chan []ratio)
	go func() { usage <- watch(ctx, l, file) }()

	var seed [32]byte
	noise := rand.NewChaCha8(seed)
	var acked atomic.Uint64
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		if err != nil {
			t.Errorf("message %d: %v", at, err)
		}
		acked.Store(uint64(at))
	})
	refused, began := 0, time.Now()
	for seq, written := 1, int64(0); written < int64(c.times)*c.limit; seq++ {
		m := message.Message{Topic: "readings/line-3/press", Payload: make([]byte, 4<<10), Time: int64(seq), Device: "press", Seq: uint64(seq)}
		noise.Read(m.Payload)
		err := l.Store.Append(ctx, &m, ack, 0)
		for ; err == message.ErrFull; err = l.Store.Append(ctx, &m, ack, 0) {
			refused++
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		written += int64(len(m.Payload))
		if behind := message.Position(c.live / int64(len(m.Payload))); message.Position(acked.Load()) > behind {
			consumer.Move(message.Position(acked.Load()) - behind)
		}
	}
	took := time.Since(began)
	stop()
	report(t, <-usage, file, c.limit)
	t.Logf("%d times %d MiB in %v; %d appends were refused", c.times, c.limit>>20, took.Round(time.Millisecond), refused)
	if st := l.Stats(); st.Dropped != 0 {
		t.Errorf("%d messages were dropped", st.Dropped)
	}
}

// ratio is what the log occupied at one moment, and what was alive in it.
type ratio struct{ used, live int64 }

// overhead is what is used beyond one file, in units of what is alive.
func (r ratio) overhead(file int64) float64 { return float64(r.used-file) / float64(r.live) }

// watch measures until ctx ends, from when there are a few files.
func watch(ctx context.Context, l *storetest.Log, file int64) (seen []ratio) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return seen
		case <-tick.C:
		}
		if live := l.Stats().BlockBytes; live > 4*file {
			seen = append(seen, ratio{occupied(l.Dir), live})
		}
	}
}

// occupied is what the files in dir really take of the disk: most of Badger's are sparse. The ballast
// is a part of the reserve and always there.
func occupied(dir string) (bytes int64) {
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "ballast" {
			return nil // Badger removes files while we look
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return bytes
}

// report holds the measurements against the bounds: the median at most 1.5 times what is alive and
// one file, the peak 2.5 times and one file.
func report(t *testing.T, seen []ratio, file, limit int64) {
	t.Helper()
	if len(seen) < 20 {
		t.Fatalf("only %d measurements", len(seen))
	}
	slices.SortFunc(seen, func(a, b ratio) int {
		return int(1e6 * (a.overhead(file) - b.overhead(file)))
	})
	median, peak := seen[len(seen)/2], seen[len(seen)-1]
	text := func(r ratio) string {
		return fmt.Sprintf("%.1f MiB for %.1f alive, %.2f times and a file of %d MiB", float64(r.used)/(1<<20), float64(r.live)/(1<<20), r.overhead(file), file>>20)
	}
	t.Logf("disk of %d measurements: median %s; peak %s", len(seen), text(median), text(peak))
	if most := slices.MaxFunc(seen, func(a, b ratio) int { return int(a.used - b.used) }); most.used > limit {
		t.Errorf("%d bytes were used, the limit is %d", most.used, limit)
	}
	if got := median.overhead(file); got > 1.5 {
		t.Errorf("the median is %s, want at most 1.5", text(median))
	}
	if got := peak.overhead(file); got > 2.5 {
		t.Errorf("the peak is %s, want at most 2.5", text(peak))
	}
}
