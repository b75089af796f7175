package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// route runs the broker until the test ends.
func route(t testing.TB, b *Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func receive(t *testing.T, s *Subscription, most int) []message.Delivery {
	t.Helper()
	got, err := s.Next(t.Context(), nil, most)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func places(deliveries []message.Delivery) (at []message.Position) {
	for _, d := range deliveries {
		at = append(at, d.Position)
	}
	return at
}

// addAtOnce appends messages that become durable together.
func (l *memLog) addAtOnce(messages ...message.Message) {
	for i := range messages {
		l.Append(context.Background(), &messages[i], nobody{}, 0)
	}
	l.sync()
}

func TestSubscriptionSeesWhatComesAfterItsFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		log.add("a")
		s := b.Subscribe(FromNow)
		defer s.Close()
		if got := s.Add("a"); got != 1 {
			t.Errorf("a counts behind %d, want 1", got)
		}
		log.add("a", "b")
		if got := s.Add("b"); got != 3 {
			t.Errorf("b counts behind %d, want 3", got)
		}
		if got := s.Add("a"); got != 1 {
			t.Errorf("a counts behind %d when it is added again, want 1 as before", got)
		}
		log.add("a", "b")
		synctest.Wait()
		if got, want := places(receive(t, s, 10)), []message.Position{2, 4, 5}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		log.add("a", "b", "a")
		synctest.Wait()
		if got := s.Passed(); got != 5 {
			t.Errorf("it has passed %d, want 5", got)
		}
		s.Remove("a")
		if got := s.Passed(); got != 6 {
			t.Errorf("without a it has passed %d, want 6", got)
		}
		if got, want := places(receive(t, s, 10)), []message.Position{7}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		log.add("b", "a", "b")
		synctest.Wait()
		if got := s.Skip(); got != 2 {
			t.Errorf("skipped %d, want 2", got)
		}
		log.add("c", "c")
		synctest.Wait()
		if got := s.Passed(); got != 13 {
			t.Errorf("it has passed %d, want 13: what does not match must not hold up a cursor", got)
		}
	})
}

func TestSubscriptionWaitsForARouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("a")
		log.add("a", "a")
		var got []message.Delivery
		go func() { got, _ = s.Next(t.Context(), nil, 10) }()
		synctest.Wait()
		if got != nil {
			t.Fatalf("got %v without a router", got)
		}
		route(t, b)
		synctest.Wait()
		if want := []message.Position{1, 2}; !slices.Equal(places(got), want) {
			t.Errorf("got %v, want %v", places(got), want)
		}
	})
}

func TestBacklogComesBeforeWhatIsLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		for range 500 {
			log.add("a", "b")
		}
		s := b.Subscribe(100)
		defer s.Close()
		s.Resume("a", 300)
		s.Resume("b", 900)
		if got := s.Behind(); got != 900 {
			t.Errorf("it is %d messages behind, want 900", got)
		}
		var want, got []message.Position
		for at := message.Position(301); at <= 1000; at++ {
			if at%2 == 1 || at > 900 {
				want = append(want, at)
			}
		}
		for len(got) < len(want) {
			got = append(got, places(receive(t, s, 17))...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		log.add("a")
		if got, want := places(receive(t, s, 17)), []message.Position{1001}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if stats := b.Stats(); stats.Live != 1 || stats.Behind != 0 {
			t.Errorf("%+v, want one that is live", stats)
		}
	})
}

// countingLog counts the reads.
type countingLog struct {
	*memLog
	reads int
}

func (l *countingLog) Read(dst []message.Record, from message.Position, most int) ([]message.Record, error) {
	l.reads++
	return l.memLog.Read(dst, from, most)
}

func TestRouterWithoutReadersDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &countingLog{memLog: newMemLog()}
		b := New(log)
		route(t, b)
		s := b.Subscribe(FromNow)
		log.add("a", "a")
		synctest.Wait()
		log.add("a", "a")
		synctest.Wait()
		if log.reads != 0 || s.Passed() != 4 {
			t.Errorf("%d reads for nobody up to %d, want none up to 4", log.reads, s.Passed())
		}
		s.Add("a")
		s.Close()
		log.add("a")
		synctest.Wait()
		if log.reads != 0 {
			t.Errorf("%d reads for a closed subscription", log.reads)
		}
	})
}

func TestClosedSubscriptionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(newMemLog())
		s := b.Subscribe(FromNow)
		s.Add("a")
		done := make(chan error)
		go func() {
			_, err := s.Next(t.Context(), nil, 1)
			done <- err
		}()
		synctest.Wait()
		s.Close()
		s.Close()
		if err := <-done; !errors.Is(err, message.ErrClosed) {
			t.Errorf("Next ends with %v, want %v", err, message.ErrClosed)
		}
		if stats := b.Stats(); stats != (Stats{}) {
			t.Errorf("%+v is left of it", stats)
		}
	})
}

// weakLog fails to read while it is told to.
type weakLog struct {
	*memLog
	mu   sync.Mutex
	weak bool
}

func (l *weakLog) set(weak bool) { l.mu.Lock(); defer l.mu.Unlock(); l.weak = weak }

func (l *weakLog) Read(dst []message.Record, from message.Position, most int) ([]message.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.weak {
		return dst, message.ErrFailed
	}
	return l.memLog.Read(dst, from, most)
}

func TestReadersHearOfALogThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &weakLog{memLog: newMemLog()}
		b := New(log)
		route(t, b)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("a")
		log.set(true)
		log.add("a")
		if _, err := s.Next(t.Context(), nil, 1); !errors.Is(err, message.ErrFailed) {
			t.Fatalf("Next gave %v, want %v", err, message.ErrFailed)
		}
		log.set(false)
		if got, want := places(receive(t, s, 1)), []message.Position{1}; !slices.Equal(got, want) {
			t.Errorf("afterwards it got %v, want %v", got, want)
		}
		log.add("a")
		if got, want := places(receive(t, s, 1)), []message.Position{2}; !slices.Equal(got, want) {
			t.Errorf("afterwards it got %v, want %v", got, want)
		}
	})
}

func TestWhatWasTrimmedHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		s := b.Subscribe(0)
		defer s.Close()
		s.Resume("a", 0)
		log.add("a", "a", "a")
		log.trim(4)
		route(t, b)
		var got []message.Delivery
		go func() { got, _ = s.Next(t.Context(), nil, 10) }()
		synctest.Wait()
		log.add("a")
		synctest.Wait()
		if want := []message.Position{4}; !slices.Equal(places(got), want) {
			t.Errorf("got %v, want %v", places(got), want)
		}
	})
}

// TestNobodyKeepsOldRecords: each record may keep a block of the log in memory.
func TestNobodyKeepsOldRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		rare, busy := b.Subscribe(FromNow), b.Subscribe(FromNow)
		defer rare.Close()
		defer busy.Close()
		rare.Add("rare")
		busy.Add("busy")
		b.Hand(&message.Message{Topic: "rare"})
		payload := make([]byte, 100_000)
		for i := range 3 * maxAge / len(payload) {
			if i == 3 || i == 10 {
				log.add("rare")
			}
			log.addAtOnce(message.Message{Topic: "busy", Payload: payload})
			synctest.Wait()
			receive(t, busy, 10)
		}
		if rare.inbox.n != 1 || rare.live || busy.inbox.n != 0 {
			t.Errorf("the idle reader keeps %d messages, the busy one %d, want what the log does not hold", rare.inbox.n, busy.inbox.n)
		}
		if len(b.router.age.listed) > 2 || len(b.router.age.marks) > 2*maxAge/ageStep {
			t.Errorf("%d readers and %d marks are remembered", len(b.router.age.listed), len(b.router.age.marks))
		}
		var got []message.Position
		for len(got) < 3 {
			got = append(got, places(receive(t, rare, 10))...)
		}
		if want := []message.Position{0, 4, 12}; !slices.Equal(got, want) {
			t.Errorf("it got %v, want %v", got, want)
		}
	})
}

func TestSlowReaderCostsNoMoreThanItsInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("#")
		for range 300 {
			log.addAtOnce(slices.Repeat([]message.Message{{Topic: "a", Payload: make([]byte, 20)}}, 10)...)
		}
		synctest.Wait()
		if s.inbox.n != maxInbox || s.live {
			t.Errorf("it holds %d messages, want %d, and live is %v", s.inbox.n, maxInbox, s.live)
		}
		if got := s.Behind(); got != 3000 {
			t.Errorf("it is %d behind, want 3000", got)
		}
		if got := s.Passed(); got != 0 {
			t.Errorf("it has passed %d, want nothing", got)
		}
		for want := message.Position(1); want <= 3000; want++ {
			if got := places(receive(t, s, 1)); got[0] != want {
				t.Fatalf("got %d, want %d", got[0], want)
			}
		}
		if got := s.Passed(); got != 3000 {
			t.Errorf("it has passed %d, want 3000", got)
		}
		log.addAtOnce(slices.Repeat([]message.Message{{Topic: "a", Payload: make([]byte, maxInboxBytes/2-1)}}, 5)...)
		synctest.Wait()
		if s.inbox.n != 2 || s.inbox.bytes > maxInboxBytes {
			t.Errorf("it holds %d messages of %d bytes, want 2 within %d", s.inbox.n, s.inbox.bytes, maxInboxBytes)
		}
		if got := receive(t, s, 0); got != nil {
			t.Errorf("asked for nothing it got %v", places(got))
		}
	})
}

// restlessLog lets others run at each call, so that they meet in many orders.
type restlessLog struct {
	Log
	seed atomic.Uint64
}

func (l *restlessLog) yield() {
	for range rand.New(rand.NewPCG(l.seed.Add(1), 0)).IntN(30) {
		runtime.Gosched()
	}
}

func (l *restlessLog) Read(dst []message.Record, from message.Position, most int) ([]message.Record, error) {
	l.yield()
	defer l.yield()
	return l.Log.Read(dst, from, most)
}

func (l *restlessLog) Tail() (message.Position, <-chan struct{}) {
	defer l.yield()
	return l.Log.Tail()
}

func (l *restlessLog) DropCursor(name string) error { return l.Log.(forgetfulLog).DropCursor(name) }

// restlessMatchingLog is one that can pass over what does not match.
type restlessMatchingLog struct{ restlessLog }

func (l *restlessMatchingLog) ReadMatching(dst []message.Record, from message.Position, most int, wanted []string) ([]message.Record, message.Position, error) {
	l.yield()
	defer l.yield()
	return l.Log.(matchingLog).ReadMatching(dst, from, most, wanted)
}

// reader is one subscriber of the model test. It checks with each call of Next that it gets exactly what
// its filters, as they are during the call, let through.
type reader struct {
	t       *testing.T
	log     *memLog
	s       *Subscription
	random  *rand.Rand
	after   map[string]message.Position
	last    message.Position // everything up to it has been checked
	dropped message.Position // up to there Skip may have dropped things
}

func (r *reader) wants(record message.Record) bool {
	for filter, after := range r.after {
		if record.Position > after && message.Match(filter, record.Topic) {
			return true
		}
	}
	return false
}

// gets checks what came, and that nothing is missing up to upTo.
func (r *reader) gets(got []message.Delivery, upTo message.Position) {
	for _, d := range got {
		if d.Position == 0 {
			continue // the log does not hold it
		}
		if d.Position <= r.last {
			r.t.Errorf("%d comes behind %d", d.Position, r.last)
		}
		if !r.wants(d.Record) {
			r.t.Errorf("%d under %s comes, nobody wants it: %v", d.Position, d.Topic, r.after)
		}
		r.misses(d.Position - 1)
		r.last = d.Position
	}
	r.misses(upTo)
}

// misses checks that nothing wanted lies between what was checked and upTo.
func (r *reader) misses(upTo message.Position) {
	if upTo <= r.last {
		return
	}
	records, _ := r.log.Read(nil, r.last+1, int(upTo-r.last))
	for _, record := range records {
		if record.Position > r.dropped && r.wants(record) {
			r.t.Errorf("%d under %s is missing: %v", record.Position, record.Topic, r.after)
		}
	}
	r.last = upTo
}

func (r *reader) step() {
	filters := []string{"a", "b", "c", "+", "#", "a/#", "a/b", "+/b", "x"}
	switch n := r.random.IntN(20); {
	case n < 2:
		filter := filters[r.random.IntN(len(filters))]
		before, _ := r.log.Tail()
		after := r.s.Add(filter)
		if known, there := r.after[filter]; there && known != after || !there && after < before {
			r.t.Errorf("%s counts behind %d, the log stood at %d", filter, after, before)
		}
		r.after[filter] = after
	case n < 3:
		for filter := range r.after {
			r.misses(r.s.Passed()) // it asked for them until now
			r.s.Remove(filter)
			delete(r.after, filter)
			break
		}
	case n < 4 && r.random.IntN(4) == 0:
		r.s.Skip()
		r.dropped, _ = r.log.Tail()
	case n < 6:
		for range r.random.IntN(100) {
			runtime.Gosched()
		}
	default:
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Millisecond)
		defer cancel()
		got, err := r.s.Next(ctx, nil, 1+r.random.IntN(300))
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			r.t.Error(err)
		}
		r.gets(got, 0)
		r.misses(r.s.Passed())
	}
}

// TestSubscriptionsAgainstAModel lets readers of every pace run against a writer that comes in bursts.
func TestSubscriptionsAgainstAModel(t *testing.T) {
	for _, matching := range []bool{false, true} {
		t.Run(fmt.Sprint("matching=", matching), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) { readAgainstAModel(t, seed, matching) })
		})
	}
}

func readAgainstAModel(t *testing.T, seed uint64, matching bool) {
	log := newMemLog()
	b := New(&restlessLog{Log: log})
	if matching {
		b = New(&restlessMatchingLog{restlessLog{Log: &matchLog{memLog: log}}})
	}
	route(t, b)
	var readers sync.WaitGroup
	ended := make(chan struct{})
	for n := range 6 {
		r := &reader{t: t, log: log, random: rand.New(rand.NewPCG(seed, uint64(n))), after: make(map[string]message.Position)}
		if n%2 == 0 {
			r.s = b.Subscribe(FromNow)
		} else {
			r.s = b.Subscribe(0)
			r.s.Resume("a", 0)
			r.after["a"] = 0
		}
		readers.Go(func() {
			defer r.s.Close()
			for ending := false; !t.Failed(); {
				tail, _ := log.Tail()
				if ending && r.s.Passed() >= tail {
					return
				}
				r.step()
				select {
				case <-ended:
					ending = true
				default:
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	topics := []string{"a", "b", "c", "a/b", "$x/b", "y/b"}
	for range 150 {
		burst := make([]message.Message, random.IntN(50))
		if random.IntN(10) == 0 {
			burst = make([]message.Message, 2*maxInbox)
		}
		for i := range burst {
			burst[i] = message.Message{Topic: topics[random.IntN(len(topics))]}
		}
		log.addAtOnce(burst...)
		b.Hand(&message.Message{Topic: "b"})
		for range random.IntN(500) {
			runtime.Gosched()
		}
	}
	close(ended)
	readers.Wait()
}
