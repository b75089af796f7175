package bridge

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errCut is why a connection ends that Cut has closed.
var errCut = errors.New("the uplink is cut on purpose")

// gate keeps a Forwarder from its cloud for a while. The zero value is open; any goroutine may use it.
type gate struct {
	mu   sync.Mutex    // guards what follows
	ends time.Time     // zero: open
	shut chan struct{} // closed while the gate is shut; made when somebody waits for that
	open chan struct{} // closed when the gate opens before its time
}

// Cut closes the connection and lets the Forwarder open none before d has passed. What is in flight is
// sent again afterwards. It is meant for tests of an outage; a new Forwarder knows nothing of it.
func (f *Forwarder) Cut(d time.Duration) {
	g := &f.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ends.IsZero() {
		g.open = make(chan struct{})
		if g.shut == nil {
			g.shut = make(chan struct{})
		}
		close(g.shut)
	}
	g.ends = time.Now().Add(d)
}

// Restore ends a Cut before its time.
func (f *Forwarder) Restore() {
	f.gate.mu.Lock()
	defer f.gate.mu.Unlock()
	f.gate.restoreLocked()
}

func (g *gate) restoreLocked() {
	if !g.ends.IsZero() {
		g.ends, g.shut = time.Time{}, nil
		close(g.open)
	}
}

// until is when the gate opens, if it is shut.
func (g *gate) until() (end time.Time, shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ends, !g.ends.IsZero()
}

// shutting gives a channel that is closed when the gate is shut, or is shut already.
func (g *gate) shutting() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
	return g.shut
}

// pass waits until the gate is open and says whether ctx is still alive.
func (g *gate) pass(ctx context.Context) bool {
	for {
		g.mu.Lock()
		ends, open := g.ends, g.open
		if !ends.IsZero() && !time.Now().Before(ends) {
			g.restoreLocked()
			ends = time.Time{}
		}
		g.mu.Unlock()
		if ends.IsZero() {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(time.Until(ends))
		select {
		case <-timer.C:
		case <-open:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}
