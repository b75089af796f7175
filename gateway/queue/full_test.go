package queue_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/store"
)

func narrow(o *store.Options) { o.Limit = 16 << 20 }

// fill sends what does not compress until the log refuses it, and says how many it took.
func (p *plant) fill() (taken int) {
	p.t.Helper()
	body := make([]byte, 128<<10)
	random := rand.NewChaCha8([32]byte{})
	for ; taken < 1000; taken++ {
		random.Read(body) // it gives no error
		heard := make(chan error, 1)
		err := p.Send(p.t.Context(), &queue.Message{Topic: "bulk", Body: body}, 0, func(_ queue.Sent, err error) { heard <- err })
		if errors.Is(err, message.ErrFull) {
			return taken
		}
		if err == nil {
			err = <-heard
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("the log is never full")
	return taken
}

func (p *plant) refuses() bool {
	err := p.Send(p.t.Context(), &queue.Message{Topic: "bulk", Body: []byte("x")}, 0, func(queue.Sent, error) {})
	if err != nil && !errors.Is(err, message.ErrFull) {
		p.t.Fatal(err)
	}
	return err != nil
}

func TestAFullLogIsFreedOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{}, narrow)
		send(t, p.Queues, queue.Message{Topic: "orders", Queue: 1, Body: []byte("late"), Properties: with(queue.Delay, "6")}) // two minutes
		half := p.half("undecided", queue.CheckImmunity, "7200")
		if taken := p.fill(); taken < 10 {
			t.Fatalf("only %d messages were taken", taken)
		}
		time.Sleep(time.Minute)
		if p.refuses() {
			t.Fatal("the log is full for the sake of two messages")
		}
		same(t, "waiting", p.Pending(), queue.Pending{Delayed: 1, Half: 1})
		time.Sleep(2 * time.Minute)
		if err := p.end(half, queue.Commit); err != nil {
			t.Error(err)
		}
		same(t, "in the end", p.bodies("orders", 1), []string{"late", "undecided"})
	})
}

func TestWhatIsDueComesOutOfAFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{}, narrow)
		group := func(next int64) {
			t.Helper()
			for number := range 4 {
				if err := p.Commit("slow", "bulk", number, next); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := p.UseGroup(t.Context(), "slow"); err != nil {
			t.Fatal(err)
		}
		group(0)
		for _, body := range []string{"one", "two", "three"} {
			send(t, p.Queues, queue.Message{Topic: "orders", Queue: 1, Body: []byte(body), Properties: with(queue.Delay, "4")}) // 30 s
		}
		half := p.half("decided", queue.CheckImmunity, "7200")
		p.fill()
		time.Sleep(time.Minute)
		if !p.refuses() {
			t.Fatal("the log is not full although a group has read nothing")
		}
		same(t, "what was due", p.bodies("orders", 1), []string{"one", "two", "three"})
		if err := p.end(half, queue.Commit); err != nil {
			t.Error(err)
		}
		p.restart()
		time.Sleep(time.Minute)
		same(t, "after a restart", p.bodies("orders", 1), []string{"one", "two", "three", "decided"})
		same(t, "waiting", p.Pending(), queue.Pending{})
		group(1000)
		time.Sleep(time.Minute)
		if p.refuses() {
			t.Error("the log is full although all was read")
		}
	})
}
