package gateway

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/collectors"
	"sluice/gateway/broker"
	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// clocked is a gateway's log with one polled device, opened again and again on one directory under
// clocks that disagree by decades.
type clocked struct {
	t     *testing.T
	dir   string
	epoch uint64
}

const (
	keptFor   = 20 * time.Minute // readings that everybody has passed
	forgotten = 24 * time.Minute // cursors that nobody uses
)

// shift opens the log, lets the device be polled for a while, looks at the log, and closes it.
func (c *clocked) shift(every, span time.Duration, look func(s *store.Store)) {
	c.t.Helper()
	s, err := store.Open(store.Options{Dir: c.dir, FileSize: 1 << 20, RetentionAge: keptFor})
	if err != nil {
		c.t.Fatal(err)
	}
	if epoch := s.Stats().Epoch; c.epoch != 0 && epoch != c.epoch {
		c.t.Errorf("a jump of the clock began epoch %d, it was %d", epoch, c.epoch)
	}
	c.epoch = s.Stats().Epoch
	uplink, err := s.OpenCursor("uplink", 1)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) // the outer test's would not do in a bubble
	ran := make(chan error, 2)
	go func() { ran <- s.Run(ctx) }()
	poller := &collectors.Poller{Gateway: "line-3", Name: "press", Device: steadyDevice{}, Sink: broker.New(durableLog{s}), Interval: every}
	polling, enough := context.WithCancel(ctx)
	go func() { ran <- poller.Run(polling) }()
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(every) {
		tail, _ := s.Tail()
		uplink.Move(tail)
	}
	enough()
	if err := <-ran; err != nil {
		c.t.Error(err)
	}
	tail, _ := s.Tail()
	uplink.Move(tail)
	if err := uplink.Sync(ctx); err != nil {
		c.t.Error(err)
	}
	look(s)
	stop()
	if err := <-ran; err != nil {
		c.t.Error(err)
	}
	if err := s.Close(); err != nil {
		c.t.Error(err)
	}
}

type steadyDevice struct{}

func (steadyDevice) Read(_ context.Context, r *message.Reading) error {
	r.Points = append(r.Points[:0], message.Point{Name: "a", Value: message.Int(1)})
	return nil
}

func (steadyDevice) Close() error { return nil }

func (steadyDevice) Points() []collectors.Spec { return []collectors.Spec{{Name: "a"}} }

// readings gives the log's readings, and how many of them say that the clock was not to be trusted.
func (c *clocked) readings(s *store.Store) (list []message.Record, unsynced int) {
	c.t.Helper()
	records, err := s.Read(nil, 0, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range records {
		if r.Device == "" {
			continue // the device's status
		}
		list = append(list, r)
		if strings.Contains(string(r.Payload), `"clock":"unsynced"`) {
			unsynced++
		}
	}
	return list, unsynced
}

func (c *clocked) panel(s *store.Store) *store.CursorStatus {
	for _, known := range s.Cursors() {
		if known.Name == "panel" {
			return &known
		}
	}
	return nil
}

// TestAJumpOfTheClockExpiresNothing runs one log under a clock that was never set (a bubble's begins
// in 2000), then under the real one, then under the unset one again, as a gateway whose battery is flat
// does. Age and idleness count what was lived through and nothing else.
func TestAJumpOfTheClockExpiresNothing(t *testing.T) {
	c := &clocked{t: t, dir: filepath.Join(t.TempDir(), "log")}
	var first, trusted int
	var idle time.Duration

	synctest.Test(t, func(*testing.T) {
		c.shift(time.Minute, 10*time.Minute, func(s *store.Store) {
			list, unsynced := c.readings(s)
			first = len(list)
			if first < 9 || unsynced != first {
				t.Errorf("%d of %d readings say that the clock is not set, want all of 10", unsynced, first)
			}
			panel, err := s.OpenExpiringCursor("panel", 1, forgotten)
			if err != nil {
				t.Error(err)
				return
			}
			panel.Close()
		})
	})

	c.shift(50*time.Millisecond, 1500*time.Millisecond, func(s *store.Store) {
		list, unsynced := c.readings(s)
		trusted = len(list) - unsynced
		if unsynced != first || trusted < 5 {
			t.Errorf("after a jump of decades there are %d readings from before and %d new ones, want all of %d, and some", unsynced, trusted, first)
		}
		if st := s.Stats(); st.First != 1 || st.Expired != 0 {
			t.Errorf("the log begins at %d and %d cursors have expired", st.First, st.Expired)
		}
		panel := c.panel(s)
		if panel == nil || panel.Idle > time.Minute {
			t.Fatalf("the panel's cursor, just left, is %+v", panel)
		}
		idle = panel.Idle
	})

	// Back in 2000: what was counted before goes on.
	synctest.Test(t, func(*testing.T) {
		c.shift(time.Minute, forgotten-2*time.Minute, func(s *store.Store) {
			if st := s.Stats(); st.First != 1 || st.Expired != 0 {
				t.Errorf("a cursor wants everything, but the log begins at %d and %d cursors have expired", st.First, st.Expired)
			}
			if panel := c.panel(s); panel == nil || panel.Idle < idle+forgotten-4*time.Minute || panel.Idle > forgotten {
				t.Errorf("the panel's cursor is %+v, want it to be idle for a little less than %s", panel, forgotten)
			}
		})
	})
	synctest.Test(t, func(*testing.T) {
		c.shift(time.Minute, 5*time.Minute, func(s *store.Store) {
			if panel := c.panel(s); panel != nil {
				t.Errorf("the panel's cursor has not expired: %+v", panel)
			}
			list, unsynced := c.readings(s)
			// The first ten minutes, and the second of real time behind them, are older than what is kept.
			if st := s.Stats(); len(list) != unsynced || len(list) < 17 || len(list) > 23 || st.First == 1 {
				t.Errorf("%d readings are left, %d of them from an unset clock, the log begins at %d; want those of the last 20 minutes", len(list), unsynced, st.First)
			}
			for i := 1; i < len(list); i++ {
				if list[i].Seq != list[i-1].Seq+1 {
					t.Errorf("seq %d follows %d", list[i].Seq, list[i-1].Seq)
				}
			}
		})
	})
	storetest.Check(t, c.dir)
}
