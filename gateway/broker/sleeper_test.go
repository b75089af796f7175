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

type fullLog struct{ *memLog }

func (fullLog) Append(context.Context, *message.Message, message.Acknowledger, uint64) error {
	return message.ErrFull
}

func TestCursorOfASleeperFollowsUntilSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		cursor := &memCursor{}
		if err := b.Sleep("s", []string{"rare", "rare/#"}, cursor); err != nil {
			t.Fatal(err)
		}
		log.add("a", "a")
		synctest.Wait()
		time.Sleep(2 * followEvery)
		if got := cursor.Position(); got != 2 {
			t.Errorf("the cursor stands at %d, want 2", got)
		}
		log.add("a", "rare", "rare", "a")
		synctest.Wait()
		if got := cursor.Position(); got != 3 {
			t.Errorf("the cursor stands at %d, want 3, before the first that matches", got)
		}
		if stats := b.Stats(); stats.Sleeping != 1 || stats.Filters != 0 {
			t.Errorf("%+v: something has come, so nothing is looked for", stats)
		}
		if !b.Wanted("rare") || b.Wanted("a") {
			t.Error("rare, and nothing else, is to be kept for it")
		}
		log.add("a", "rare")
		synctest.Wait()
		time.Sleep(2 * followEvery)
		if got := cursor.Position(); got != 3 {
			t.Errorf("the cursor stands at %d, want 3", got)
		}
		b.Wake("s")
		b.Wake("s")
		if b.Wanted("rare") || b.Stats().Sleeping != 0 {
			t.Error("it sleeps on")
		}
	})
}

func TestWakingTakesTheCursorAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		cursor := &memCursor{}
		b.Sleep("s", []string{"rare"}, &memCursor{})
		b.Sleep("s", []string{"rare"}, cursor) // takes the place of the other
		log.add("a", "a")
		synctest.Wait()
		b.Wake("s")
		if got := cursor.Position(); got != 2 {
			t.Errorf("the cursor stands at %d, want 2", got)
		}
		if stats := b.Stats(); stats.Filters != 0 || b.Wanted("rare") {
			t.Errorf("%+v is left", stats)
		}
	})
}

// TestSleeperWithAPastIsLookedThrough: it went to sleep, or the gateway started, with a cursor far behind.
func TestSleeperWithAPastIsLookedThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("#")
		var topics []string
		for range 2000 {
			topics = append(topics, "a")
		}
		log.add(topics...)
		log.add("rare")
		log.add(topics...)
		none, some, gone := &memCursor{}, &memCursor{}, &memCursor{}
		b.router.at.Store(4001) // where the router would be
		b.Sleep("none", []string{"other"}, none)
		b.Sleep("some", []string{"rare"}, some)
		b.Sleep("gone", []string{"rare"}, gone)
		b.Wake("gone")
		if none.Position() != 0 || !b.router.sleepers["none"].waiting {
			t.Error("Sleep has read the log")
		}
		route(t, b)
		time.Sleep(time.Second)
		if none.Position() != 4001 || some.Position() != 2000 || gone.Position() != 0 {
			t.Errorf("the cursors stand at %d, %d and %d, want 4001, 2000 and 0", none.Position(), some.Position(), gone.Position())
		}
		log.add("a", "other")
		synctest.Wait()
		if got := none.Position(); got != 4002 {
			t.Errorf("the cursor stands at %d, want 4002", got)
		}
	})
}

// TestManySleepersAreMovedInTurn: each move is written to flash.
func TestManySleepersAreMovedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		ctx, cancel := context.WithCancel(t.Context())
		go b.Run(ctx)
		cursors := make([]*memCursor, 5*followAtOnce)
		for i := range cursors {
			cursors[i] = new(memCursor)
			b.Sleep(fmt.Sprint(i), []string{fmt.Sprint("to/", i)}, cursors[i])
		}
		moved := func() (n int) {
			for _, c := range cursors {
				if c.Position() > 0 {
					n++
				}
			}
			return n
		}
		log.add("a")
		time.Sleep(followEvery + time.Second)
		if got := moved(); got != followAtOnce {
			t.Errorf("%d cursors were moved at once, want %d", got, followAtOnce)
		}
		time.Sleep(3 * followEvery)
		if got := moved(); got != 4*followAtOnce {
			t.Errorf("%d cursors were moved, want %d", got, 4*followAtOnce)
		}
		cancel()
		synctest.Wait()
		if got := moved(); got != len(cursors) {
			t.Errorf("%d cursors were moved in the end, want all %d", got, len(cursors))
		}
	})
}

// TestSessionsAgainstAModel: sessions whose clients come and go get each message once and in order.
func TestSessionsAgainstAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(&restlessMatchingLog{restlessLog{Log: &matchLog{memLog: log}}})
		route(t, b)
		var sessions sync.WaitGroup
		ended := make(chan struct{})
		for n, filter := range []string{"a", "rare", "#", "b/+", "never"} {
			random := rand.New(rand.NewPCG(seed, uint64(n)))
			sessions.Go(func() { liveSession(t, b, random, log, filter, ended) })
		}
		random := rand.New(rand.NewPCG(seed, 99))
		for range 200 {
			burst := make([]message.Message, random.IntN(40))
			for i := range burst {
				burst[i] = message.Message{Topic: []string{"a", "a", "b/c", "b/d", "c"}[random.IntN(5)]}
				if random.IntN(300) == 0 {
					burst[i].Topic = "rare"
				}
			}
			log.addAtOnce(burst...)
			for range random.IntN(200) {
				runtime.Gosched()
			}
			if random.IntN(10) == 0 {
				time.Sleep(followEvery)
			}
		}
		close(ended)
		sessions.Wait()
	})
}

func liveSession(t *testing.T, b *Broker, random *rand.Rand, log *memLog, filter string, ended chan struct{}) {
	cursor := new(memCursor)
	var got []message.Position
	ending, last := false, false
	for !last {
		last = ending // once more when all is there
		s := b.Subscribe(cursor.Position())
		s.Resume(filter, 0)
		tail, _ := log.Tail()
		for n := random.IntN(20); n > 0 || last && s.Passed() < tail; n-- {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			deliveries, err := s.Next(ctx, nil, 1+random.IntN(50))
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			got = append(got, places(deliveries)...)
		}
		cursor.Move(s.Passed())
		s.Close()
		if err := b.Sleep(filter, []string{filter}, cursor); err != nil {
			t.Error(err)
		}
		for range random.IntN(300) {
			runtime.Gosched()
		}
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(10)) * time.Second)
		}
		b.Wake(filter)
		select {
		case <-ended:
			ending = true
		default:
		}
	}
	var want []message.Position
	for _, record := range log.records {
		if message.Match(filter, record.Topic) {
			want = append(want, record.Position)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s got %d messages, want %d", filter, len(got), len(want))
	}
}
