package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"sluice/bench/measure"
	"sluice/gateway/message"
	"sluice/store"
)

const (
	lookUps   = 500
	keyWindow = 65536
	// The index has caught up when a key that is nowhere is known to be nowhere in this time.
	caughtUp  = 50 * time.Millisecond
	catchUpIn = 10 * time.Minute
)

// keys measures look-ups by message key among p.messages.
func (p plan) keys(w io.Writer) error {
	fmt.Fprintf(w, "| look-up of one of %d keys, an order number, or a key that is nowhere | p50 ms | p99 ms | longest ms | anon MB |\n|---|---|---|---|---|\n", 2*p.messages)
	dir, err := os.MkdirTemp(p.dir, "store-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	row := func(name string, r result) {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %.1f |\n", name, r.P50/1000, r.P99/1000, r.Longest/1000, r.Anon)
	}
	r, err := (job{Case: "keyfill", Engine: ours, Dir: dir, N: p.messages}).child()
	if err != nil {
		return err
	}
	row(fmt.Sprintf("running, %.0f s after the last append", r.Lag), r)
	for _, c := range []struct {
		name string
		warm bool
	}{{"opened just now, from the disk", false}, {"opened and the index caught up", true}} {
		if r, err = (job{Case: "keys", Engine: ours, Dir: dir, N: p.messages, Warm: c.warm}).child(); err != nil {
			return err
		}
		row(c.name, r)
	}
	return nil
}

func uniqueKey(i int) string   { return fmt.Sprintf("7F0000010A2C18B4AAC2%012X", uint64(i)*2654435761) }
func orderNumber(i int) string { return fmt.Sprint("order-", i) }

// fillKeys appends n readings with two keys each, waits for the index and looks some up.
func (j job) fillKeys() (result, error) {
	l, err := openOurs(store.Options{Dir: j.Dir})
	if err != nil {
		return result{}, err
	}
	list, w := readings(true), newWindow(keyWindow)
	for i := range j.N {
		if err := w.take(1); err != nil {
			return result{}, err
		}
		m := list[i%len(list)]
		m.Seq = uint64(i + 1)
		m.Properties = []message.Property{{Name: "UNIQ_KEY", Value: uniqueKey(i)}, {Name: "KEYS", Value: orderNumber(i)}}
		if err := l.Append(&m, w, 0); err != nil {
			return result{}, err
		}
	}
	if err := w.wait(); err != nil {
		return result{}, err
	}
	return j.searched(l, true)
}

// lookUpKeys opens such a log with nothing of it in memory.
func (j job) lookUpKeys() (result, error) {
	forget(j.Dir)
	l, err := openOurs(store.Options{Dir: j.Dir})
	if err != nil {
		return result{}, err
	}
	return j.searched(l, j.Warm)
}

// searched looks up keys all over the log, a third of them in vain.
func (j job) searched(l *log, wait bool) (r result, err error) {
	began := time.Now()
	for wait && time.Since(began) < catchUpIn {
		asked := time.Now()
		if _, err := l.FindByKey(context.Background(), "nowhere", time.Time{}, time.Time{}, 1); err != nil {
			return r, err
		}
		if time.Since(asked) < caughtUp {
			break
		}
		time.Sleep(time.Second)
	}
	r.Lag = time.Since(began).Seconds()
	seen := measure.Follow(os.Getpid())
	took := make([]time.Duration, lookUps)
	for n := range took {
		i := rand.IntN(j.N)
		key, want := uniqueKey(i), 1
		switch n % 3 {
		case 1:
			key = orderNumber(i)
		case 2:
			key, want = fmt.Sprint("absent-", i), 0
		}
		asked := time.Now()
		found, err := l.FindByKey(context.Background(), key, time.Time{}, time.Time{}, 32)
		took[n] = time.Since(asked)
		if err != nil || len(found) != want {
			return r, fmt.Errorf("key %s: %d messages were found, want %d: %v", key, len(found), want, err)
		}
	}
	seen.End()
	r.P50, r.P99, r.Longest = measure.Quantile(took, 0.5), measure.Quantile(took, 0.99), measure.Quantile(took, 1)
	r.Anon = max(seen.Anon(), anonymous())
	return r, l.Close()
}
