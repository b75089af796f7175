package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// storeLog lets a store be the log of a broker.
type storeLog struct{ *store.Store }

func (l storeLog) OpenCursor(name string, done message.Position) (Cursor, error) {
	return l.Store.OpenCursor(name, done+1)
}

// world is a log that can be killed, or at least restarted.
type world interface {
	add(topics ...string)
	restart() (log Log, lost bool) // lost: what was not durable
}

type memWorld struct{ *memLog }

func (w memWorld) restart() (Log, bool) {
	for _, c := range w.cursors {
		c.kill()
	}
	return w.memLog, true
}

type storeWorld struct {
	*storetest.Log
}

func (w storeWorld) add(topics ...string) {
	for _, topic := range topics {
		w.Log.Append(message.Message{Topic: topic, Time: 1})
	}
}

func (w storeWorld) restart() (Log, bool) {
	w.Log.Reopen()
	return storeLog{w.Log.Store}, false
}

// laneReader is what a forwarder sees of a lane.
type laneReader interface {
	Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error)
	Ack(upTo message.Position)
	Rewind()
	SetAside(ctx context.Context, at message.Position, m *message.Message) error
}

// lanesModel is what a receiver knows: which records it has been given, and which of them are safe.
type lanesModel struct {
	t       *testing.T
	w       world
	c       *Consumer
	live    *Live
	wanted  []message.Position // matching records, by position
	acked   map[message.Position]bool
	out     [2][]message.Position // per lane: returned and not acknowledged
	jumps   int
	both    int // rounds in which both lanes had something
	repeats int
	aside   int
}

func (m *lanesModel) open(log Log) {
	c, err := New(log).Consumer("uplink", []string{"a/#"}, Oldest)
	if err != nil {
		m.t.Fatal(err)
	}
	m.c, m.out = c, [2][]message.Position{}
	if m.live, err = c.Live(); err != nil {
		m.t.Fatal(err)
	}
	m.live.Begin()
}

func (m *lanesModel) lane(i int) (laneReader, *lane) {
	if i == 0 {
		return m.c, &m.c.lane
	}
	return m.live, &m.live.lane
}

// compare holds the backlog against the model.
func (m *lanesModel) compare(step int) {
	m.t.Helper()
	want := 0
	for _, at := range m.wanted {
		if !m.acked[at] {
			want++
		}
	}
	got, err := m.c.Backlog(m.t.Context())
	if err != nil || got.Messages != uint64(want) || (want > 0) == got.Oldest.IsZero() {
		m.t.Fatalf("step %d: the backlog is %+v, %v, want %d messages", step, got, err, want)
	}
	if got.Backfill > 0 && got.Messages > got.Backfill {
		m.both++
	}
}

func (m *lanesModel) read(step, i, most int) {
	m.t.Helper()
	from, l := m.lane(i)
	if l.ahead.n == 0 {
		return // it would wait
	}
	records, err := from.Next(m.t.Context(), nil, most)
	if err != nil || len(records) == 0 || len(records) > most {
		m.t.Fatalf("step %d: lane %d gives %d of %d records, %v", step, i, len(records), most, err)
	}
	for _, at := range positions(records) {
		n := len(m.out[i])
		if m.acked[at] || slices.Contains(m.out[1-i], at) || n > 0 && m.out[i][n-1] >= at || !slices.Contains(m.wanted, at) {
			m.t.Fatalf("step %d: lane %d gives %d; acknowledged %v, out %v", step, i, at, m.acked[at], m.out)
		}
		m.out[i] = append(m.out[i], at)
	}
}

func (m *lanesModel) ack(i, n int) {
	if n == 0 {
		return
	}
	for _, at := range m.out[i][:n] {
		m.acked[at] = true
	}
	r, _ := m.lane(i)
	r.Ack(m.out[i][n-1])
	m.out[i] = m.out[i][n:]
}

func (m *lanesModel) step(step int, r *rand.Rand) {
	i := r.IntN(2)
	reads, _ := m.lane(i)
	switch r.IntN(16) {
	case 0, 1, 2:
		var topics []string
		for range r.IntN(30) {
			topics = append(topics, []string{"a/1", "b/1", "a/2"}[r.IntN(3)])
		}
		m.added(topics)
	case 3, 4, 5, 6, 7:
		m.read(step, i, 1+r.IntN(12))
	case 8, 9, 10, 11:
		m.ack(i, r.IntN(len(m.out[i])+1))
	case 12:
		before := m.live.first
		m.live.Begin()
		m.out = [2][]message.Position{}
		if m.live.first != before {
			m.jumps++
		}
	case 13:
		reads.Rewind()
		m.out[i] = nil
	case 14:
		if r.IntN(2) == 0 {
			if err := m.c.Sync(m.t.Context()); err != nil {
				m.t.Fatal(err)
			}
		} else if len(m.out[i]) > 0 {
			at := m.out[i][0]
			letter := message.Message{Topic: "dead/letters", Payload: fmt.Append(nil, at)}
			if err := reads.SetAside(m.t.Context(), at+1000, &letter); !errors.Is(err, errNotFirst) {
				m.t.Fatalf("step %d: setting aside what was not returned: %v", step, err)
			}
			if err := reads.SetAside(m.t.Context(), at, &letter); err != nil {
				m.t.Fatalf("step %d: %v", step, err)
			}
			m.acked[at], m.out[i] = true, m.out[i][1:]
			m.aside++
		}
	case 15:
		if r.IntN(3) == 0 {
			m.restart()
		}
	}
}

func (m *lanesModel) added(topics []string) {
	log := m.c.log
	tail, _ := log.Tail()
	m.w.add(topics...)
	for i, topic := range topics {
		if topic[0] == 'a' {
			m.wanted = append(m.wanted, tail+message.Position(i)+1)
		}
	}
}

// restart forgets what was not durable: exactly that comes again.
func (m *lanesModel) restart() {
	cursor := m.c.cursor.(laneCursor)
	lost := make(map[message.Position]bool)
	for at := range m.acked {
		if cursor.DurableFrom(at) < at {
			lost[at] = true
		}
	}
	log, loses := m.w.restart()
	if loses {
		for at := range lost {
			delete(m.acked, at)
			m.repeats++
		}
	}
	m.open(log)
}

// TestLanesAgainstModel reads in two lanes, acknowledges, sets aside, connects anew and kills at random,
// over a log in memory and over the store. SLUICE_SEED repeats a run.
func TestLanesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SLUICE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("SLUICE_SEED=%d", seed)
	for name, made := range map[string]func(t *testing.T) (world, Log, int){
		"memory": func(*testing.T) (world, Log, int) { l := newMemLog(); return memWorld{l}, l, 2500 },
		"store": func(t *testing.T) (world, Log, int) {
			l := storetest.Open(t)
			return storeWorld{l}, storeLog{l.Store}, 400
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, log, steps := made(t)
			r := rand.New(rand.NewPCG(seed, 0))
			m := &lanesModel{t: t, w: w, acked: make(map[message.Position]bool)}
			m.open(log)
			for step := range steps {
				m.step(step, r)
				m.compare(step)
			}
			m.live.Rewind()
			m.c.Rewind()
			m.out = [2][]message.Position{}
			for i := range 2 {
				for _, l := m.lane(i); l.ahead.n > 0; {
					m.read(steps, i, 100)
					m.ack(i, len(m.out[i]))
				}
			}
			m.compare(steps)
			for _, at := range m.wanted {
				if !m.acked[at] {
					t.Errorf("%d was never acknowledged", at)
				}
			}
			tail, _ := m.c.log.Tail()
			// Records behind the last that is wanted are passed by the next read, which here does not come.
			if at, last := m.c.cursor.Position(), m.wanted[len(m.wanted)-1]; at < last || at > tail {
				t.Errorf("the cursor stands at %d, the last that is wanted at %d, the log ends at %d", at, last, tail)
			}
			if m.jumps == 0 || m.both == 0 || m.aside == 0 {
				t.Errorf("%d jumps, %d rounds with both lanes, %d set aside: this says little", m.jumps, m.both, m.aside)
			}
			t.Logf("%d records, %d jumps, %d repeated, %d set aside", len(m.wanted), m.jumps, m.repeats, m.aside)
		})
	}
}

// TestLiveComesFirst shows the order of things after an outage.
func TestLiveComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		log.add("a", "a", "x", "a", "x") // 1 to 5
		c := mustConsumer(t, New(log), "uplink", "a", Oldest)
		live, err := c.Live()
		if err != nil {
			t.Fatal(err)
		}
		live.Begin()
		log.add("x", "a", "a") // 6 to 8
		if got := fmt.Sprint(next(t, c, 10)); got != "[1 2 4]" {
			t.Errorf("the backfill gives %s", got)
		}
		records, err := live.Next(t.Context(), nil, 10)
		if got := fmt.Sprint(positions(records)); err != nil || got != "[7 8]" {
			t.Errorf("live gives %s, %v", got, err)
		}
		live.Ack(7)
		if at := c.cursor.Position(); at != 0 {
			t.Errorf("the cursor stands at %d while the backfill waits", at)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if records, err := c.Next(ctx, nil, 10); len(records) > 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the backfill goes on with %v, %v", positions(records), err)
		}
		c.Ack(4)
		if at := c.cursor.Position(); at != 7 {
			t.Errorf("the cursor stands at %d, it should have jumped to 7", at)
		}
		live.Ack(8)
		if at := c.cursor.Position(); at != 8 {
			t.Errorf("the cursor stands at %d, want 8", at)
		}
	})
}

// TestStrictReadsOverDoneRanges is a route whose order was live-first before a restart.
func TestStrictReadsOverDoneRanges(t *testing.T) {
	log := newMemLog()
	log.add("a", "a", "a", "a", "a")
	cursor, _ := log.OpenCursor("uplink", 0)
	cursor.(laneCursor).MarkDone(2, 3)
	c := mustConsumer(t, New(log), "uplink", "a", Oldest)
	if got := backlog(t, c); got != 3 {
		t.Errorf("the backlog is %d, want 3", got)
	}
	var got []message.Position
	for len(got) < 3 {
		got = append(got, next(t, c, 10)...)
	}
	if fmt.Sprint(got) != "[1 4 5]" {
		t.Errorf("got %v, want [1 4 5]", got)
	}
	c.Ack(5)
	if c.holes || cursor.Position() != 5 {
		t.Errorf("holes %v, at %d", c.holes, cursor.Position())
	}
}

// TestLanesAtTheSameTime lets both lanes run in goroutines of their own through several connections, while
// messages come in. Every record is acknowledged once and each lane keeps the order.
func TestLanesAtTheSameTime(t *testing.T) {
	l := storetest.Open(t)
	w := storeWorld{l}
	c := mustConsumer(t, New(storeLog{l.Store}), "uplink", "a/#", Oldest)
	live, err := c.Live()
	if err != nil {
		t.Fatal(err)
	}
	const rounds, perRound = 6, 300
	var mu sync.Mutex
	acked := make(map[message.Position]int)
	for round := range rounds {
		for i := range perRound {
			m := message.Message{Topic: []string{"a/1", "b/1"}[i%2], Time: 1}
			if err := l.Store.Append(t.Context(), &m, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		w.add("a/1", "b/1")
		live.Begin()
		ctx, stop := context.WithCancel(t.Context())
		var lanes sync.WaitGroup
		left := 40 + round*30 // a connection breaks before all is done
		if round == rounds-1 {
			left = 1 << 30
		}
		for i, from := range []laneReader{c, live} {
			lanes.Go(func() {
				last := message.Position(0)
				for {
					records, err := from.Next(ctx, nil, 7)
					if err != nil {
						return
					}
					for _, at := range positions(records) {
						mu.Lock()
						if left == 0 {
							mu.Unlock()
							return
						}
						left--
						acked[at]++
						mu.Unlock()
						if at <= last {
							t.Errorf("lane %d gives %d behind %d", i, at, last)
						}
						last = at
						from.Ack(at)
					}
				}
			})
		}
		w.add("a/1", "a/1", "b/1")
		deadline := time.Now().Add(20 * time.Second)
		for ended := false; !ended && time.Now().Before(deadline); {
			mu.Lock()
			ended = left == 0 || len(acked) == (round+1)*(perRound/2+3) && left > 1<<20
			mu.Unlock()
			grown, cancel := context.WithTimeout(ctx, time.Millisecond)
			<-grown.Done()
			cancel()
		}
		stop()
		lanes.Wait()
	}
	for at, n := range acked {
		if n != 1 {
			t.Errorf("%d was acknowledged %d times", at, n)
		}
	}
	if got := backlog(t, c); got != 0 || len(acked) != rounds*(perRound/2+3) {
		t.Errorf("%d records wait, %d were acknowledged, want %d", got, len(acked), rounds*(perRound/2+3))
	}
}
