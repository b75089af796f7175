package gateway

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A bubble's clock begins in 2000, as that of a box whose battery is flat.

func day(text string) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return at
}

func TestNoStampIsEarlierThanWhatIsKnown(t *testing.T) {
	for name, c := range map[string]struct{ built, last, saved, want string }{
		"nothing but the build": {"2027-01-01", "", "", "2027-01-01"},
		"the log":               {"2027-01-01", "2027-03-01", "2027-02-01", "2027-03-01"},
		"the file":              {"2027-01-01", "2027-02-01", "2027-03-01", "2027-03-01"},
		"a log of 2061":         {"2027-01-01", "2061-01-01", "2027-02-01", "2027-02-01"},
		"a log of 1970":         {"2027-01-01", "1970-01-01", "", "2027-01-01"},
		"a damaged file":        {"2027-01-01", "", "x", "2027-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.saved != "" {
				text := c.saved + "T00:00:00Z"
				if err := os.WriteFile(filepath.Join(dir, floorFile), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var last time.Time
			if c.last != "" {
				last = day(c.last)
			}
			synctest.Test(t, func(t *testing.T) {
				f, err := newFloor(day(c.built), last, dir)
				if (err != nil) != (c.saved == "x") {
					t.Errorf("the file: %v", err)
				}
				time.Sleep(time.Hour)
				now, set := f.now()
				if want := day(c.want).Add(time.Hour); !now.Equal(want) || set {
					t.Errorf("an hour later it is %v (set: %v), want %v", now, set, want)
				}
				if stamp := f.stamp(); stamp.Year() < 2027 {
					t.Errorf("a record would say %v", stamp)
				}
			})
		})
	}
}

func TestAClockThatIsRightGoesBeforeTheFloor(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, err := newFloor(day("1999-01-01"), day("2015-01-01"), dir) // a wrong clock was ahead
		if err != nil {
			t.Fatal(err)
		}
		var right atomic.Bool
		var asked atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			f.run(ctx, right.Load, func(context.Context) bool {
				asked.Add(1)
				return true
			}, func(err error) { t.Error(err) })
		}()
		time.Sleep(90 * time.Second)
		if _, err := os.Stat(f.path); err == nil {
			t.Error("a clock that nobody vouches for was written down")
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("in 90 seconds the clouds were asked %d times", n)
		}
		right.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if now, set := f.now(); !set || !now.Equal(time.Now()) {
			t.Errorf("with the right time it is %v (set: %v)", now, set)
		}
		if saved, err := readFloor(f.path); err != nil || saved.Before(time.Now().Add(-2*time.Minute)) {
			t.Errorf("the file says %v, %v", saved, err)
		}
		first, _ := os.ReadFile(f.path)
		time.Sleep(30 * time.Minute)
		if now, _ := os.ReadFile(f.path); string(now) != string(first) {
			t.Error("the file is written more than once an hour")
		}
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		if now, _ := os.ReadFile(f.path); string(now) == string(first) {
			t.Error("after an hour the file says what it said")
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("with the right time the clouds were asked, %d times", n)
		}
		right.Store(false)
		time.Sleep(3 * time.Hour)
		if n := asked.Load(); n < 3 || n > 5 {
			t.Errorf("in three hours without it they were asked %d times", n-1)
		}
		cancel()
		<-ran
	})
}
