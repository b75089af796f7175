package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// rateSpan is over how long a rate is averaged: long enough to be read, short enough to follow.
const rateSpan = 5 * time.Second

// watcher counts once a second what would be too much to count at every question: backlogs and
// rates.
type watcher struct {
	gateway *Gateway

	mu       sync.Mutex // guards what follows
	appended trend
	backlogs map[string]*trend
}

func newWatcher(g *Gateway) *watcher {
	return &watcher{gateway: g, backlogs: map[string]*trend{}}
}

// Run watches until ctx ends.
func (w *watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *watcher) look(ctx context.Context) {
	uplinks := w.gateway.uplinks()
	for _, u := range uplinks {
		if err := u.count(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errNotCounted) {
			w.gateway.log.Warn("backlog not counted", "err", err)
		}
	}
	now := time.Now()
	w.gateway.outages.look(now)
	tail, _ := w.gateway.store.Tail()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.appended.add(now, float64(tail))
	known := make(map[string]*trend, len(uplinks))
	for _, u := range uplinks {
		t := w.backlogs[u.config.Name]
		if t == nil {
			t = &trend{}
		}
		if backlog, counted := u.waiting(); counted {
			t.add(now, float64(backlog.Messages))
		}
		known[u.config.Name] = t
	}
	w.backlogs = known
}

// appendRate is how many messages a second become durable.
func (w *watcher) appendRate() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.appended.slope()
}

// drain is in how many seconds the uplink's backlog is gone at the present rate; ok is false while
// it does not shrink.
func (w *watcher) drain(uplink string, backlog uint64) (seconds float64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.backlogs[uplink]
	if t == nil || backlog == 0 {
		return 0, false
	}
	if shrinking := -t.slope(); shrinking > 0 {
		return float64(backlog) / shrinking, true
	}
	return 0, false
}

// trend is a number's recent past.
type trend struct {
	samples []sample
}

type sample struct {
	at    time.Time
	value float64
}

func (t *trend) add(at time.Time, value float64) {
	old := 0
	for old < len(t.samples) && at.Sub(t.samples[old].at) > rateSpan {
		old++
	}
	t.samples = append(t.samples[old:], sample{at, value})
}

// slope is the change a second over the samples, 0 when there are too few.
func (t *trend) slope() float64 {
	if len(t.samples) < 2 {
		return 0
	}
	first, last := t.samples[0], t.samples[len(t.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return (last.value - first.value) / seconds
}
