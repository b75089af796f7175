package bridge

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowUplink is a cloud behind a line that says how much it has carried.
type slowUplink struct {
	*fakeCloud
	written, reached atomic.Int64
}

func (u *slowUplink) Connect(ctx context.Context) (Link, error) {
	l, err := u.fakeCloud.Connect(ctx)
	return slowLink{l, u}, err
}

type slowLink struct {
	Link
	of *slowUplink
}

func (l slowLink) Moved() (written, reached int64) { return l.of.written.Load(), l.of.reached.Load() }

func TestForwarderWaitsForALineThatMoves(t *testing.T) {
	for _, c := range []struct {
		name             string
		written, reached int64 // bytes at once, and more that arrive in a second
		trickle          int64 // bytes that are written, and arrive, in a second
		stalls           uint64
	}{
		{"64 kbit/s", 2_400_000, 8000, 0, 0},
		{"a line that is dead", 2_400_000, 0, 0, 1},
		{"pings", 2_400_000, 2, 2, 1},
		{"a cloud that takes and never answers", 1000, 1000, 3000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := newSource(t, "readings/line-3/press", 1, 1, 3)
				u := &slowUplink{fakeCloud: &fakeCloud{hold: true}}
				f := forwarder(u.fakeCloud, 10, source)
				f.Uplink = u
				start(t, f)
				u.written.Store(c.written)
				for range 35 {
					time.Sleep(time.Second)
					u.written.Add(c.trickle)
					u.reached.Store(min(u.reached.Load()+c.reached+c.trickle, u.written.Load()))
				}
				synctest.Wait()
				if s := f.State(); s.Stalls != c.stalls {
					t.Errorf("after 35 s the state is %+v, want %d stalls", s, c.stalls)
				}
			})
		})
	}
}
