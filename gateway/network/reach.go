package network

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Way is a device with a default route.
type Way struct {
	Interface string
	Metric    int64 // the smallest is used
	DNS       []netip.Addr
}

// Ways are the ways out that a machine has. Its methods are called by one goroutine.
type Ways interface {
	// Ways gives them, the one that is used first.
	Ways(ctx context.Context) ([]Way, error)
	// SetMetric changes a way's metric until its connection comes up anew.
	SetMetric(ctx context.Context, name string, metric int64) error
}

// The judgement of ways. One lost packet must not move a connection to a line that is paid by the byte, and
// one good answer between failures must not move it back.
const (
	failsToLeave  = 3
	goodsToReturn = 3
	demotion      = 20_000 // added to the metric of a way through which nothing is reached
	standbyEvery  = 10     // rounds between two tests of a way that is not in use
)

// Watch tests ways out and has the first one used through which something is reached.
type Watch struct {
	Ways Ways
	// Probe connects to a target through a way. It returns within seconds.
	Probe func(ctx context.Context, through Way, target string) error
	// Targets gives host:port; one that answers is enough. Without any, nothing is judged.
	Targets  func() []string
	Interval time.Duration // between two rounds
	Log      *slog.Logger

	mu    sync.Mutex // guards what follows
	known map[string]*judged
}

// judged is what is known of a way.
type judged struct {
	reach Reach
	own   int64 // its metric while it is not demoted
	fails int   // in a row
	goods int
}

// Reach says what is known of a way; nil: nothing.
func (w *Watch) Reach(name string) *Reach {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.known[name]; one != nil {
		shown := one.reach
		return &shown
	}
	return nil
}

// Run tests until ctx ends. Then every way has its own metric again.
func (w *Watch) Run(ctx context.Context) error {
	for round := 0; ; round++ {
		w.round(ctx, round)
		select {
		case <-ctx.Done():
			w.settle(context.WithoutCancel(ctx), nil)
			return nil
		case <-time.After(w.Interval):
		}
	}
}

func (w *Watch) round(ctx context.Context, round int) {
	ways, err := w.Ways.Ways(ctx)
	targets := w.Targets()
	if err != nil || len(targets) == 0 {
		w.forget(nil)
		return
	}
	w.forget(ways)
	failed := false
	for i, way := range ways {
		one := w.judge(way)
		// The one in use is tested every round, another one rarely: until the first fails.
		if i > 0 && !failed && one.State == "good" && !one.Demoted && round%standbyEvery != 0 {
			continue
		}
		err := w.probe(ctx, way, targets)
		if ctx.Err() != nil {
			return
		}
		w.note(way.Interface, err)
		failed = failed || err != nil
	}
	w.settle(ctx, ways)
}

// probe tries one target after another until one answers.
func (w *Watch) probe(ctx context.Context, way Way, targets []string) (err error) {
	for _, target := range targets {
		if err = w.Probe(ctx, way, target); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// forget drops what is known of ways that are gone.
func (w *Watch) forget(ways []Way) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.known {
		if !slices.ContainsFunc(ways, func(way Way) bool { return way.Interface == name }) {
			delete(w.known, name)
		}
	}
}

// judge gives what is known of a way, which begins now when it is new.
func (w *Watch) judge(way Way) Reach {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.known[way.Interface]
	if one == nil {
		if w.known == nil {
			w.known = map[string]*judged{}
		}
		one = &judged{reach: Reach{State: "unknown", Since: time.Now()}, own: way.Metric}
		// A gateway that was killed leaves ways demoted: no connection has such a metric by itself.
		if way.Metric >= demotion {
			one.own, one.reach.Demoted = way.Metric%demotion, true
		}
		w.known[way.Interface] = one
	}
	if one.reach.Demoted && way.Metric < demotion { // it came up anew, with its own metric
		one.reach.Demoted = false
	}
	if !one.reach.Demoted {
		one.own = way.Metric
	}
	return one.reach
}

func (w *Watch) note(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.known[name]
	one.reach.Tested, one.reach.Error = time.Now(), ""
	was := one.reach.State
	if err != nil {
		one.reach.Error = err.Error()
		one.goods, one.fails = 0, one.fails+1
		if one.fails >= failsToLeave {
			one.reach.State = "bad"
		}
	} else {
		one.fails, one.goods = 0, one.goods+1
		if was == "unknown" || one.goods >= goodsToReturn {
			one.reach.State = "good"
		}
	}
	if one.reach.State != was {
		one.reach.Since = time.Now()
		w.Log.Info("a way out is judged anew", "interface", name, "was", was, "is", one.reach.State, "err", err)
	}
}

// settle demotes ways that lead nowhere while another one does not, and gives the others back their place.
// With nil all of them get it back. While no way leads anywhere, everything stays as people have set it.
func (w *Watch) settle(ctx context.Context, ways []Way) {
	type move struct {
		name   string
		metric int64
		demote bool
	}
	var moves []move
	w.mu.Lock()
	good := false
	for _, one := range w.known {
		good = good || one.reach.State == "good"
	}
	for name, one := range w.known {
		demote := ways != nil && good && one.reach.State == "bad"
		if demote != one.reach.Demoted {
			moves = append(moves, move{name, one.own + map[bool]int64{true: demotion}[demote], demote})
		}
	}
	w.mu.Unlock()
	for _, m := range moves {
		if err := w.Ways.SetMetric(ctx, m.name, m.metric); err != nil {
			w.Log.Warn("a way out could not be moved", "interface", m.name, "metric", m.metric, "err", err)
			continue
		}
		w.Log.Warn("a way out was moved", "interface", m.name, "demoted", m.demote, "metric", m.metric)
		w.mu.Lock()
		if one := w.known[m.name]; one != nil {
			one.reach.Demoted = m.demote
		}
		w.mu.Unlock()
	}
}
