package bridge

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// noted counts what a Watcher is told.
type noted struct {
	mu                 sync.Mutex // guards what follows
	sent, again, acked int
	last               message.Position
}

func (n *noted) Sent(route *Route, _ *message.Record, bytes int, again bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if route == nil || bytes == 0 {
		panic("nothing is told of what is sent")
	}
	n.sent++
	if again {
		n.again++
	}
}

func (n *noted) Acknowledged(_ *Route, r *message.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.acked++
	if r.Position <= n.last {
		panic("acknowledged twice, or out of order")
	}
	n.last = r.Position
}

// A cut closes the connection, none is opened before its time, and what was in flight is sent again.
func TestACutClosesTheConnectionUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 1000)
		cloud := &fakeCloud{latency: 100 * time.Millisecond}
		f := forwarder(cloud, 16, source)
		var n noted
		stop := f.Watch(&n)
		start(t, f)
		time.Sleep(950 * time.Millisecond)
		f.Cut(31 * time.Second)
		time.Sleep(time.Second) // the cloud answers what it has, which the closing waits for
		synctest.Wait()
		before := source.Acked()
		s := f.State()
		if s.State != Waiting || s.LastError != errCut.Error() || time.Until(s.NextTry) != 30*time.Second {
			t.Errorf("while it is cut the state is %+v", s)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if got := source.Acked(); got != before || f.State().Tries != 1 {
			t.Errorf("while it is cut %d became %d, after %d tries", before, got, f.State().Tries)
		}
		f.Cut(10 * time.Second) // longer than it was
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if f.State().Tries != 1 {
			t.Error("a cut that was made longer is over at its first time")
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := source.Acked(); got != 1000 {
			t.Errorf("afterwards %d are acknowledged, want 1000", got)
		}
		n.mu.Lock()
		if n.acked != 1000 || n.sent < 1000 || n.again != n.sent-1000 || n.again > 16 {
			t.Errorf("the watcher was told %d sent, %d again, %d acknowledged", n.sent, n.again, n.acked)
		}
		n.mu.Unlock()

		f.Cut(time.Hour)
		time.Sleep(time.Minute)
		f.Restore()
		synctest.Wait()
		if s := f.State(); s.State != Online {
			t.Errorf("restored before its time it is %+v", s)
		}
		f.Restore() // there is nothing to restore
		stop()
		stop()
		if f.watchers.list.Load() != nil {
			t.Error("somebody watches still")
		}
	})
}

// A cut that is over before the connection can be closed leaves it in peace.
func TestACutDuringAConnectionAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := forwarder(&fakeCloud{}, 16, newSource(t, "readings/line-3/press", 1, 1, 10))
		f.Cut(5 * time.Second)
		start(t, f)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if s := f.State(); s.Tries != 0 || s.State != Waiting {
			t.Errorf("a cut before the start: %+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := f.State(); s.Tries != 1 || s.State != Online {
			t.Errorf("afterwards: %+v", s)
		}
	})
}
