package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// narrow are the two ways to have little space: a limit, and a small file system.
var narrow = map[string]func(t *testing.T) func(*store.Options){
	"limit": func(*testing.T) func(*store.Options) {
		return func(o *store.Options) { o.Limit = limit }
	},
	"file system": func(t *testing.T) func(*store.Options) {
		return storetest.In(filepath.Join(tmpfs(t, "16m"), "log"))
	},
}

func commands(o *store.Options) {
	o.Urgent = func(m *message.Message) bool { return m.Topic == "commands/line-3/press" }
}

func command(size int) message.Message {
	return message.Message{Topic: "commands/line-3/press", Payload: make([]byte, size)}
}

// TestFullLogStillWorks fills a log that refuses, and does with it what a full gateway must still
// be able to do.
func TestFullLogStillWorks(t *testing.T) {
	for name, within := range narrow {
		t.Run(name, func(t *testing.T) {
			l := storetest.Open(t, within(t), commands)
			c := open(t, l, "uplink", 1)
			saved(t, c)
			var acked atomic.Uint64
			taken, err := fillUp(t, l, 2000, &acked)
			if err != message.ErrFull {
				t.Fatalf("%d messages were taken, then %v", taken, err)
			}
			eventually(t, "what was taken is acknowledged", func() bool { return acked.Load() == uint64(taken) })

			for i := range 20 { // cursors
				c.Move(message.Position(i + 1))
				saved(t, c)
				late := open(t, l, fmt.Sprint("late-", i), 1)
				saved(t, late)
				if err := l.DropCursor(fmt.Sprint("late-", i)); err != nil {
					t.Error(err)
				}
			}
			for range 20 { // commands and reading
				at := l.Append(command(100))
				if records, err := l.Read(nil, at, 1); err != nil || len(records) != 1 {
					t.Errorf("the command at %d reads as %d records, %v", at, len(records), err)
				}
			}
			if st := l.Stats(); st.Health != store.Full {
				t.Errorf("the log is %s, it should be full all the time", st.Health)
			}
			refuses(t, l)

			c.Move(message.Position(taken)) // trimming
			saved(t, c)
			eventually(t, "there is space again", func() bool { return l.Stats().Health == store.OK })
			if l.Head() == 1 {
				t.Error("there is space although nothing was trimmed")
			}
			again, err := fillUp(t, l, 20, &acked)
			if again == 0 {
				t.Errorf("nothing is taken although there is space: %v", err)
			}
			if st := l.Stats(); st.Dropped != 0 {
				t.Errorf("%d messages were dropped", st.Dropped)
			}
		})
	}
}

// refuses appends commands until the reserve has no room for them either.
func refuses(t *testing.T, l *storetest.Log) {
	t.Helper()
	for i := range 1000 {
		m := command(10 << 10)
		if err := l.Store.Append(t.Context(), &m, nil, 0); err == message.ErrFull {
			return
		} else if err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
	t.Error("the reserve has no end")
}

// TestDropOldestNeverRefuses appends several times what there is room for. Nobody is refused, the
// newest stay, and everything that went is accounted for.
func TestDropOldestNeverRefuses(t *testing.T) {
	for name, within := range narrow {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var gaps []store.Gap
			l := storetest.Open(t, within(t), commands, func(o *store.Options) {
				o.DropOldest = true
				o.OnGap = func(g store.Gap) {
					mu.Lock()
					defer mu.Unlock()
					gaps = append(gaps, g)
				}
			})
			slow, quick := open(t, l, "slow", 1), open(t, l, "quick", 1)
			saved(t, slow)
			saved(t, quick)
			var acked atomic.Uint64
			n := 1500 // 45 MB into 12
			if testing.Short() {
				n = 700
			}
			for taken := 0; taken < n; {
				more, err := fillUp(t, l, 50, &acked)
				if taken += more; err != nil {
					t.Fatalf("message %d: %v", taken+1, err)
				}
				quick.Move(message.Position(acked.Load()))
			}
			l.Append(command(100))
			eventually(t, "all is acknowledged", func() bool { return acked.Load() == uint64(n) })
			used := l.Stats().Bytes
			l.Reopen()
			mu.Lock()
			defer mu.Unlock()
			var lost uint64
			for i, g := range gaps {
				if i > 0 && g.From != gaps[i-1].To+1 || len(g.Devices) != 1 || g.Messages != uint64(g.To-g.From)+1 {
					t.Errorf("gap %d is %+v", i, g)
				}
				lost += g.Messages
			}
			st := l.Stats()
			if lost == 0 || lost != st.Dropped || st.First != message.Position(lost)+1 {
				t.Errorf("%d messages in %d gaps, stats %+v", lost, len(gaps), st)
			}
			for _, c := range l.Cursors() {
				if c.Durable < st.First-1 {
					t.Errorf("%s is at %d, the log begins at %d", c.Name, c.Durable, st.First)
				}
			}
			if left := st.Messages * (30 << 10); left < 2<<20 {
				t.Errorf("only %d bytes are left: too much was dropped", left)
			}
			if used > 16<<20 {
				t.Errorf("%d bytes are used", used)
			}
			t.Logf("%d of %d messages dropped in %d gaps, %.1f MiB used", lost, n, len(gaps), float64(used)/(1<<20))
		})
	}
}

// TestDropOldestRefusesWhenNothingCanGo fills the file system from outside.
func TestDropOldestRefusesWhenNothingCanGo(t *testing.T) {
	dir := tmpfs(t, "16m")
	l := storetest.Open(t, storetest.In(filepath.Join(dir, "log")), func(o *store.Options) { o.DropOldest = true })
	for i := range 5 {
		l.Append(noise(i+1, 100))
	}
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	t.Cleanup(func() { os.Remove(ballast) }) // before the log is closed
	eventually(t, "it is full", func() bool { return l.Stats().Health == store.Full })
	m := noise(6, 100)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Store.Append(ctx, &m, nil, 0); err != message.ErrFull {
		t.Errorf("append gives %v after %v, want %v", err, time.Since(began), message.ErrFull)
	}
}

// TestLettersAreTakenWhenFull appends messages that move a cursor to a log that refuses all others: they
// give space back.
func TestLettersAreTakenWhenFull(t *testing.T) {
	l := storetest.Open(t, func(o *store.Options) { o.Limit = limit })
	c := open(t, l, "uplink", 1)
	saved(t, c)
	var acked atomic.Uint64
	taken, err := fillUp(t, l, 2000, &acked)
	if err != message.ErrFull {
		t.Fatalf("%d messages were taken, then %v", taken, err)
	}
	durable := make(chan error, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, _ message.Position, err error) { durable <- err })
	for at := range message.Position(10) {
		m := message.Message{Topic: "dead/letters", Payload: make([]byte, 1000)}
		if err := c.AppendDone(t.Context(), &m, ack, 0, 0, at+1); err != nil {
			t.Fatalf("letter %d: %v", at, err)
		}
		if err := <-durable; err != nil || c.Durable() != at+1 {
			t.Fatalf("letter %d: %v, the cursor is durable at %d", at, err, c.Durable())
		}
	}
	reached := c.Position()
	for { // the reserve has an end
		m := message.Message{Topic: "dead/letters", Payload: make([]byte, 20<<10)}
		err := c.AppendDone(t.Context(), &m, nil, 0, 0, reached+1)
		if err == message.ErrFull {
			break
		}
		if reached++; err != nil || reached == message.Position(taken) {
			t.Fatalf("letter for %d: %v", reached, err)
		}
	}
	eventually(t, "what was taken is durable", func() bool { return c.Durable() == reached })
	if at, done := c.Done(); at != reached || len(done) > 0 {
		t.Errorf("a refused letter moved the cursor from %d to %d, %v", reached, at, done)
	}
}
