package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/message"
	"sluice/store"
)

const (
	floorFile = "clock-floor"
	floorKept = time.Hour // between two writes of the file: the flash has a life too
	// lifetime is how long after its making no program runs any more: what claims to be later was written
	// under a clock that was wrong.
	lifetime = 20 * 365 * 24 * time.Hour
)

// firstBuild is before every build, for one that does not know when it was made.
var firstBuild = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// floor is the earliest that it can be: later than the build, than the last record of the log, and than what
// an earlier run has seen of a clock that was right. It goes on with the time that passes, whatever the
// machine's clock does meanwhile. Its methods may be called from any goroutine.
type floor struct {
	path string

	mu   sync.Mutex // guards what follows
	base time.Time  // it was at least this …
	at   time.Time  // … then, by the clock that only goes forward
}

// newFloor gives the floor of what is known at the start.
func newFloor(built time.Time, last time.Time, dir string) (*floor, error) {
	if built.IsZero() {
		built = firstBuild
	}
	f := &floor{path: filepath.Join(dir, floorFile), base: built, at: time.Now()}
	saved, err := readFloor(f.path)
	for _, known := range []time.Time{last, saved} {
		if known.After(f.base) && known.Before(built.Add(lifetime)) {
			f.base = known
		}
	}
	return f, err
}

func readFloor(path string) (time.Time, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	var saved time.Time
	if err == nil {
		err = saved.UnmarshalText(text)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock's floor: %w", err)
	}
	return saved, nil
}

// now is the machine's clock, or the floor where that is later; then the clock is not set.
func (f *floor) now() (now time.Time, set bool) {
	now = time.Now()
	f.mu.Lock()
	least := f.base.Add(now.Sub(f.at))
	f.mu.Unlock()
	if now.Round(0).Before(least) {
		return least, false
	}
	return now, true
}

// least is the floor itself.
func (f *floor) least() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.base.Add(time.Since(f.at))
}

// raise lifts the floor to a time that is known to have come.
func (f *floor) raise(known time.Time) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if known.After(f.base.Add(now.Sub(f.at))) {
		f.base, f.at = known.Round(0), now
	}
}

// lower believes a clock that is right: what a wrong one has left in the log must not hold it up.
func (f *floor) lower(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base, f.at = now.Round(0), now
}

// stamp gives time of records that have none of their own.
func (f *floor) stamp() time.Time {
	now, _ := f.now()
	return now
}

// run keeps the floor in its file while the clock is right, until ctx ends.
//
// While nobody vouches for the clock, ask is called after a minute, in which a time server usually answers,
// then every minute until it succeeds, and every hour after that.
func (f *floor) run(ctx context.Context, right func() bool, ask func(context.Context) bool, complain func(error)) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var kept time.Time
	asked := time.Now()
	for {
		if !right() && time.Since(asked) >= time.Minute {
			asked = time.Now()
			if ask(ctx) {
				asked = asked.Add(floorKept)
			}
		}
		if right() {
			now := time.Now()
			f.lower(now)
			if now.Sub(kept) >= floorKept {
				kept = now
				text, err := now.UTC().Truncate(time.Second).MarshalText()
				if err == nil {
					err = config.WriteAtomic(f.path, text)
				}
				if err != nil {
					complain(err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lastTime is when the log's last record was made.
func lastTime(s *store.Store) time.Time {
	tail, _ := s.Tail()
	if tail == 0 {
		return time.Time{}
	}
	records, err := s.Read(nil, message.Position(tail), 1)
	if err != nil || len(records) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(records[0].Time)
}
