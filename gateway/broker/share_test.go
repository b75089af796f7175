package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func join(t testing.TB, b *Broker, group, filter string, durable bool) (*Subscription, int) {
	t.Helper()
	s := b.Subscribe(FromNow)
	number, err := s.Join(group, filter, durable)
	if err != nil {
		t.Fatal(err)
	}
	return s, number
}

func TestMembersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		log.add("a")
		one, number := join(t, b, "g", "a", false)
		two, same := join(t, b, "g", "a", false)
		other, another := join(t, b, "h", "a", false)
		if number != same || number == another || number == 0 {
			t.Errorf("the shares have the numbers %d, %d and %d, want two of three alike", number, same, another)
		}
		one.Add("a")
		log.add("a", "b", "a", "a", "a")
		synctest.Wait()
		for n, want := range map[*Subscription][]message.Position{
			one: {2, 2, 4, 5, 5, 6}, two: {4, 6}, other: {2, 4, 5, 6},
		} {
			got := places(receive(t, n, 10))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("a member got %v, want %v", got, want)
			}
		}
		one.Close()
		two.Close()
		other.Close()
		if stats := b.Stats(); stats.Shares != 0 || stats.Filters != 0 {
			t.Errorf("%+v is left of the shares", stats)
		}
	})
}

func TestMemberThatTakesNothingIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		slow, number := join(t, b, "g", "a", false)
		fast, _ := join(t, b, "g", "a", false)
		defer slow.Close()
		defer fast.Close()
		var got []message.Position
		const all = 4000
		for range all / 100 {
			log.addAtOnce(slices.Repeat([]message.Message{{Topic: "a", Payload: make([]byte, 500)}}, 100)...)
			synctest.Wait()
			if len(got) < all/2 {
				got = append(got, places(receive(t, fast, 150))...)
			}
		}
		for len(got) < all-shareWindow {
			got = append(got, places(receive(t, fast, 150))...)
		}
		if !slices.IsSorted(got) || len(slices.Compact(got)) != all-shareWindow {
			t.Errorf("it got %d messages, want %d in order", len(got), all-shareWindow)
		}
		slow.Leave(number, true)
		if got := receive(t, fast, 150); len(got) != shareWindow || got[0].Position != 1 || got[0].Topic != "a" {
			t.Errorf("of the slow one it got %d, want %d", len(got), shareWindow)
		}
	})
}

func TestWhatAMemberHasNotDoneGoesToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		one, number := join(t, b, "g", "a", true)
		for range 6 {
			log.add("a")
		}
		if got := receive(t, one, 4); len(got) != 4 {
			t.Fatalf("it got %d messages, want 4", len(got))
		}
		one.Done(number, 2)
		one.Done(number, 2)
		one.Done(number, 99)
		cursor := log.cursors["share/g/a"]
		if got := cursor.Position(); got != 0 {
			t.Errorf("the cursor stands at %d, want it before the first that is not done", got)
		}
		one.Done(number, 1)
		if got := cursor.Position(); got != 2 {
			t.Errorf("the cursor stands at %d, want 2", got)
		}
		one.Close()
		log.add("a")
		synctest.Wait()
		two, _ := join(t, b, "g", "a", true)
		var got []message.Position
		for len(got) < 5 {
			got = append(got, places(receive(t, two, 2))...)
		}
		if want := []message.Position{3, 4, 5, 6, 7}; !slices.Equal(got, want) {
			t.Errorf("the next member got %v, want %v", got, want)
		}
		for _, at := range got {
			two.Done(number, at)
		}
		if got := cursor.Position(); got != 7 {
			t.Errorf("the cursor stands at %d, want 7", got)
		}
		if !b.Wanted("a") {
			t.Error("a durable share does not want its messages kept")
		}
		two.Leave(number, true)
		if _, there := log.cursors["share/g/a"]; there || b.Stats().Shares != 0 || b.Wanted("a") {
			t.Error("the share outlives its last member")
		}
		two.Close()
	})
}

func TestDurableShareContinuesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		before := New(log)
		one, number := join(t, before, "g", "a", true)
		go before.Run(t.Context())
		for range 1000 {
			log.add("a", "b")
		}
		got := receive(t, one, 10)
		one.Done(number, got[0].Position)
		synctest.Wait()

		b := New(log) // the other is as good as killed
		route(t, b)
		two, number := join(t, b, "g", "a", true)
		defer two.Close()
		for want := message.Position(3); want < 2000; want += 2 {
			got := receive(t, two, 1)
			if got[0].Position != want || got[0].Share != number {
				t.Fatalf("got %d of share %d, want %d of %d", got[0].Position, got[0].Share, want, number)
			}
			two.Done(number, want)
		}
		if got := b.Stats().Live; got != 1 {
			t.Errorf("%d are live, want 1", got)
		}
		synctest.Wait()
		time.Sleep(2 * followEvery)
		if got := log.cursors["share/g/a"].Position(); got != 2000 {
			t.Errorf("the cursor stands at %d, want 2000: what does not match must not pin the log", got)
		}
	})
}

func TestShareOfSleepingMembersWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		own, _ := log.OpenCursor("session", 0)
		if err := b.Sleep("session", []string{"$share/g/a", "$share/g/a"}, own); err != nil {
			t.Fatal(err)
		}
		one, number := join(t, b, "g", "a", true)
		log.add("a", "a")
		one.Leave(number, true)
		log.add("b")
		synctest.Wait()
		time.Sleep(2 * followEvery)
		if got := log.cursors["share/g/a"].Position(); got != 0 {
			t.Errorf("the share's cursor stands at %d, want 0", got)
		}
		if got := log.cursors["session"].Position(); got != 3 {
			t.Errorf("the session's own cursor stands at %d, want 3", got)
		}
		b.Wake("session")
		if _, err := one.Join("g", "a", true); err != nil {
			t.Fatal(err)
		}
		if got, want := places(receive(t, one, 10)), []message.Position{1, 2}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		one.Close()
		if err := b.Sleep("session", []string{"$share/g/a"}, own); err != nil {
			t.Fatal(err)
		}
		b.Forget("session")
		b.Forget("session")
		if _, there := log.cursors["share/g/a"]; there || b.Stats().Shares != 0 {
			t.Error("the share outlives its last session")
		}
	})
}

func TestJoinTellsOfACursorThatCannotBeOpened(t *testing.T) {
	b := New(closedLog{newMemLog()})
	s := b.Subscribe(FromNow)
	if _, err := s.Join("g", "a", true); !errors.Is(err, message.ErrClosed) {
		t.Errorf("Join gave %v, want %v", err, message.ErrClosed)
	}
	if err := b.Sleep("x", []string{"a", "$share/g/a"}, &memCursor{}); !errors.Is(err, message.ErrClosed) {
		t.Errorf("Sleep gave %v, want %v", err, message.ErrClosed)
	}
	s.Close()
	if _, err := s.Join("g", "a", false); !errors.Is(err, message.ErrClosed) {
		t.Errorf("Join of a closed one gave %v, want %v", err, message.ErrClosed)
	}
	if stats := b.Stats(); stats != (Stats{}) || b.Wanted("a") {
		t.Errorf("%+v is left", stats)
	}
}

type closedLog struct{ *memLog }

func (closedLog) OpenCursor(string, message.Position) (Cursor, error) { return nil, message.ErrClosed }

// client is a member of the model test. It takes part for a while, is done with much of what it got, and
// leaves.
type client struct {
	b      *Broker
	random *rand.Rand

	mu   *sync.Mutex // guards what follows, which all clients share
	done map[message.Position]int
}

func (c *client) visit(t *testing.T, durable bool) {
	s, number := join(t, c.b, "g", "+", durable)
	if c.random.IntN(2) == 0 {
		s.Add("x")
	}
	var last message.Position
	var open []message.Position
	given := make(map[message.Position]bool)
	for range 1 + c.random.IntN(60) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		got, err := s.Next(ctx, nil, 1+c.random.IntN(40))
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for _, d := range got {
			if d.Topic != "a" && d.Topic != "x" {
				t.Errorf("%d came under %q", d.Position, d.Topic)
			}
			if d.Share == 0 {
				if d.Position <= last || d.Topic != "x" {
					t.Errorf("%d under %s comes behind %d", d.Position, d.Topic, last)
				}
				last = d.Position
				continue
			}
			if given[d.Position] {
				t.Errorf("%d came twice to the same member", d.Position)
			}
			given[d.Position] = true
			open = append(open, d.Position)
		}
		for len(open) > 0 && c.random.IntN(10) > 0 {
			i := c.random.IntN(min(3, len(open)))
			c.mu.Lock()
			c.done[open[i]]++
			c.mu.Unlock()
			s.Done(number, open[i])
			open = slices.Delete(open, i, i+1)
		}
		for range c.random.IntN(20) {
			runtime.Gosched()
		}
	}
	if c.random.IntN(2) == 0 {
		s.Leave(number, false)
	}
	s.Close()
}

// TestSharesAgainstAModel: with members that come and go, each message is done with once, and all are.
func TestSharesAgainstAModel(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprint("durable=", durable), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			synctest.Test(t, func(t *testing.T) { shareAgainstAModel(t, seed, durable) })
		})
	}
}

func shareAgainstAModel(t *testing.T, seed uint64, durable bool) {
	log := newMemLog()
	b := New(&restlessLog{Log: log})
	route(t, b)
	stays, number := join(t, b, "g", "+", durable) // so that the share does
	var mu sync.Mutex
	done := make(map[message.Position]int)
	var clients sync.WaitGroup
	ended := make(chan struct{})
	for n := range 5 {
		c := &client{b: b, random: rand.New(rand.NewPCG(seed, uint64(n))), mu: &mu, done: done}
		clients.Go(func() {
			for {
				c.visit(t, durable && c.random.IntN(2) == 0)
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 99))
	want := make(map[message.Position]int)
	for range 100 {
		burst := make([]message.Message, random.IntN(40))
		if random.IntN(20) == 0 {
			burst = make([]message.Message, 2*maxInbox)
		}
		for i := range burst {
			burst[i] = message.Message{Topic: []string{"a", "x", "a/b"}[random.IntN(3)]}
		}
		log.addAtOnce(burst...)
		for range random.IntN(500) {
			runtime.Gosched()
		}
	}
	for _, record := range log.records {
		if record.Topic != "a/b" {
			want[record.Position] = 1
		}
	}
	close(ended)
	clients.Wait()
	for len(done) < len(want) { // the last one
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		got, err := stays.Next(ctx, nil, 100)
		cancel()
		if err != nil {
			t.Fatalf("%d of %d messages were done with: %v", len(done), len(want), err)
		}
		for _, d := range got {
			done[d.Position]++
			stays.Done(number, d.Position)
		}
	}
	for at, n := range done {
		if n != want[at] {
			t.Errorf("%d was done with %d times, want %d", at, n, want[at])
		}
	}
	if durable {
		synctest.Wait()
		time.Sleep(2 * followEvery)
		tail, _ := log.Tail()
		if got := log.cursors["share/g/+"].Position(); got != tail {
			t.Errorf("the cursor stands at %d, want %d", got, tail)
		}
	}
	stays.Leave(number, true)
	stays.Close()
	if stats := b.Stats(); stats.Shares != 0 || stats.Filters != 0 || len(log.cursors) != 0 {
		t.Errorf("%+v and %d cursors are left", stats, len(log.cursors))
	}
}

// TestShareKeepsNoOldRecords: neither what waits for a member nor what lies in its inbox.
func TestShareKeepsNoOldRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		busy := b.Subscribe(FromNow)
		defer busy.Close()
		busy.Add("busy")
		idle, number := join(t, b, "g", "a", false)
		defer idle.Close()
		for range 2 * shareWindow {
			log.add("a")
			b.Hand(&message.Message{Topic: "a"})
		}
		payload := make([]byte, 100_000)
		for range 4 * maxAge / len(payload) {
			log.addAtOnce(message.Message{Topic: "busy", Payload: payload})
			synctest.Wait()
			receive(t, busy, 10)
		}
		sh := b.router.shares["share/g/a"]
		if _, some := idle.inbox.firstOf(func(i item) bool { return i.record != nil && i.logged() }); some {
			t.Error("the inbox keeps records of the log")
		}
		if _, some := sh.waiting.firstOf(item.logged); some || sh.live {
			t.Error("the share keeps records of the log")
		}
		var got []message.Position
		handed := 0
		for len(got) < 2*shareWindow || handed < 2*shareWindow {
			for _, d := range receive(t, idle, 10) {
				if d.Topic != "a" || d.Share != number {
					t.Fatalf("got %+v", d)
				}
				if d.Position == 0 {
					handed++
				} else {
					got = append(got, d.Position)
				}
			}
		}
		if !slices.IsSorted(got) || len(got) != 2*shareWindow {
			t.Errorf("got %v, want %d in order", got, 2*shareWindow)
		}
	})
}

// holdingLog lets the first read of a matching log wait until it is let go, and then fail.
type holdingLog struct {
	*memLog
	once   sync.Once
	letGo  chan struct{}
	inside chan struct{}
}

func (l *holdingLog) ReadMatching(dst []message.Record, from message.Position, most int, wanted []string) ([]message.Record, message.Position, error) {
	var failed error
	l.once.Do(func() {
		close(l.inside)
		<-l.letGo
		failed = message.ErrFailed
	})
	if failed != nil {
		return dst, from, failed
	}
	records, err := l.Read(nil, from, 10)
	for _, r := range records {
		if filters(wanted).match(r.Topic) {
			dst = append(dst, r)
		}
		from = r.Position + 1
	}
	return dst, from, err
}

func TestMemberThatWaitsReadsOnForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &holdingLog{memLog: newMemLog(), letGo: make(chan struct{}), inside: make(chan struct{})}
		log.OpenCursor("share/g/a", 0)
		log.add("a", "b", "b", "b", "b", "b", "b", "b", "b", "b", "a", "a")
		b := New(log)
		one, _ := join(t, b, "g", "a", true)
		two, _ := join(t, b, "g", "a", true)
		var failed error
		var got []message.Delivery
		go func() { _, failed = one.Next(t.Context(), nil, 10) }()
		<-log.inside
		go func() { got, _ = two.Next(t.Context(), nil, 10) }()
		synctest.Wait()
		if got != nil || failed != nil {
			t.Fatal("both read at once")
		}
		close(log.letGo)
		synctest.Wait()
		if !errors.Is(failed, message.ErrFailed) || len(got) == 0 {
			t.Errorf("the one that read failed with %v, the other got %v, want some", failed, places(got))
		}
		one.Close()
		two.Close()
	})
}
