package network

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// twoWays is a machine with a cable and a modem, whose far ends can be cut.
type twoWays struct {
	mu     sync.Mutex // guards what follows; a story holds it but while rounds go by
	cut    map[string]bool
	metric map[string]int64
	probes map[string]int
	broken bool // metrics cannot be changed
}

func (w *twoWays) Ways(context.Context) (ways []Way, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, metric := range w.metric {
		ways = append(ways, Way{Interface: name, Metric: metric})
	}
	slices.SortFunc(ways, func(a, b Way) int { return int(a.Metric - b.Metric) })
	return ways, nil
}

func (w *twoWays) SetMetric(_ context.Context, name string, metric int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errors.New("not now")
	}
	w.metric[name] = metric
	return nil
}

func (w *twoWays) probe(_ context.Context, through Way, _ string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probes[through.Interface]++
	if w.cut[through.Interface] {
		return errors.New("no answer")
	}
	return nil
}

// watched runs a Watch over both ways in simulated time, a round every ten seconds.
func watched(t *testing.T, story func(w *twoWays, watch *Watch, rounds func(n int))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &twoWays{cut: map[string]bool{}, metric: map[string]int64{"cable": 100, "modem": 700}, probes: map[string]int{}}
		watch := &Watch{Ways: w, Probe: w.probe, Targets: func() []string { return []string{"cloud:1883"} }, Interval: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- watch.Run(ctx) }()
		time.Sleep(time.Second) // so that looks lie between rounds
		synctest.Wait()
		func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			story(w, watch, func(n int) {
				w.mu.Unlock()
				defer w.mu.Lock()
				time.Sleep(time.Duration(n) * 10 * time.Second)
				synctest.Wait()
			})
		}()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if !w.broken && (w.metric["cable"] != 100 || w.metric["modem"] != 700) {
			t.Errorf("after the end the metrics are %v", w.metric)
		}
	})
}

func TestOneFailureMovesNothing(t *testing.T) {
	watched(t, func(w *twoWays, _ *Watch, rounds func(int)) {
		for range 5 {
			w.cut["cable"] = true
			rounds(2)
			w.cut["cable"] = false
			rounds(1)
		}
		if w.metric["cable"] != 100 {
			t.Errorf("two failures in a row moved the cable to %d", w.metric["cable"])
		}
	})
}

func TestAWayIsLeftAndComesBack(t *testing.T) {
	watched(t, func(w *twoWays, watch *Watch, rounds func(int)) {
		w.cut["cable"] = true
		rounds(3)
		if w.metric["cable"] != 20100 || watch.Reach("cable").State != "bad" || !watch.Reach("cable").Demoted {
			t.Fatalf("after three failures: %v, %+v", w.metric, watch.Reach("cable"))
		}
		w.cut["cable"] = false
		rounds(2)
		if w.metric["cable"] == 100 {
			t.Error("two good answers moved the cable back")
		}
		rounds(1)
		if w.metric["cable"] != 100 {
			t.Errorf("three did not: %v", w.metric)
		}
	})
}

func TestNothingMovesWhileNoWayLeadsAnywhere(t *testing.T) {
	watched(t, func(w *twoWays, _ *Watch, rounds func(int)) {
		w.cut["cable"], w.cut["modem"] = true, true
		rounds(20)
		if w.metric["cable"] != 100 || w.metric["modem"] != 700 {
			t.Errorf("both are cut, and the metrics are %v", w.metric)
		}
		w.cut["modem"] = false
		rounds(4)
		if w.metric["cable"] != 20100 {
			t.Errorf("the modem is back, and the metrics are %v", w.metric)
		}
	})
}

func TestAModemThatIsNotInUseIsHardlyAsked(t *testing.T) {
	watched(t, func(w *twoWays, _ *Watch, rounds func(int)) {
		rounds(99)
		if w.probes["cable"] != 100 || w.probes["modem"] != 10 {
			t.Errorf("in 100 rounds there were %v probes", w.probes)
		}
	})
}

func TestAKilledGatewaysDemotionIsUndone(t *testing.T) {
	watched(t, func(w *twoWays, watch *Watch, rounds func(int)) {
		w.metric["wifi"] = 20600 // as the one before left it
		rounds(6)
		if w.metric["wifi"] != 600 {
			t.Errorf("the metric is still %d", w.metric["wifi"])
		}
		delete(w.metric, "wifi")
		rounds(1)
		if watch.Reach("wifi") != nil {
			t.Error("a way that is gone is still judged")
		}
	})
}

func TestAMoveThatFailsIsTriedAgain(t *testing.T) {
	watched(t, func(w *twoWays, watch *Watch, rounds func(int)) {
		w.broken = true
		w.cut["cable"] = true
		rounds(5)
		if watch.Reach("cable").Demoted {
			t.Error("what was refused is shown as done")
		}
		w.broken = false
		rounds(1)
		if w.metric["cable"] != 20100 {
			t.Errorf("the metrics are %v", w.metric)
		}
	})
}
