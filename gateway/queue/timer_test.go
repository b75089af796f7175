package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

func TestADelayedMessageComesWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		time.Sleep(300 * time.Millisecond) // between two seconds
		now := time.Now().UnixMilli()
		for _, m := range [][]string{
			{"level 2", queue.Delay, "2", queue.TimerDelayMs, "1"},
			{"3 s", queue.TimerDelaySec, "3", queue.TimerDelayMs, "1"},
			{"1500 ms", queue.TimerDelayMs, "1500"},
			{"at 700 ms", queue.TimerDeliverMs, fmt.Sprint(now + 700)},
			{"past", queue.TimerDeliverMs, fmt.Sprint(now - 700)},
			{"level 0", queue.Delay, "0"},
			{"level 99", queue.Delay, "99"},
		} {
			sent := send(t, p.Queues, queue.Message{Topic: "later", Queue: 1, Body: []byte(m[0]), Properties: with(m[1:]...)})
			same(t, m[0]+" is for queue", sent.Queue, 1)
		}
		same(t, "at once", p.bodies("later", 1), []string{"past", "level 0"})
		got := p.bodies("later", 1)
		for at := 50 * time.Millisecond; at < 6*time.Second; at += 100 * time.Millisecond {
			time.Sleep(time.Until(time.UnixMilli(now).Add(at)))
			for _, body := range p.bodies("later", 1)[len(got):] {
				got = append(got, fmt.Sprintf("%s within %v", body, at))
			}
		}
		same(t, "in the end", got, []string{"past", "level 0", "at 700 ms within 750ms", "1500 ms within 1.75s", "3 s within 3.75s", "level 2 within 5.05s"})
		same(t, "waiting", p.Pending(), queue.Pending{Delayed: 1})
		for _, m := range p.messages("later", 1) {
			if m.Topic != "later" || m.Queue != 1 {
				t.Errorf("delivered as %+v", m)
			}
		}
	})
}

func TestWhatCannotBeDelayedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{Waiting: 2})
		for _, property := range [][]string{
			{queue.TimerDelaySec, "259201"}, {queue.TimerDelayMs, "99999999999999999"}, {queue.TimerDeliverMs, "9223372036854775807"}, {queue.TimerDelaySec, "soon"},
		} {
			_, err := waited(t, func(done func(queue.Sent, error)) error {
				return p.Send(t.Context(), &queue.Message{Topic: "later", Properties: with(property...)}, 0, done)
			})
			if !errors.Is(err, queue.ErrIllegal) {
				t.Errorf("%v: %v, want %v", property, err, queue.ErrIllegal)
			}
		}
		for range 2 {
			send(t, p.Queues, queue.Message{Topic: "later", Properties: with(queue.TimerDelaySec, "259200")})
		}
		err := p.Send(t.Context(), &queue.Message{Topic: "later", Properties: with(queue.Delay, "1")}, 0, nil)
		if !errors.Is(err, message.ErrFull) {
			t.Errorf("a third: %v, want %v", err, message.ErrFull)
		}
	})
}

func TestARecalledMessageDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		var sent [3]queue.Sent
		for i := range sent {
			sent[i] = send(t, p.Queues, queue.Message{Topic: "later", Queue: 0, Body: fmt.Append(nil, i), Properties: with(queue.TimerDelaySec, "10", queue.UniqueKey, fmt.Sprint("key-", i))})
		}
		recall := func(key string, at int64) error {
			_, err := waited(t, func(done func(queue.Sent, error)) error { return p.Recall(t.Context(), "later", key, at, done) })
			return err
		}
		if err := recall("key-1", sent[1].DeliverAt+1000); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("with another time: %v", err)
		}
		if err := recall("key-1", sent[1].DeliverAt); err != nil {
			t.Error(err)
		}
		if err := recall("key-1", sent[1].DeliverAt); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("twice: %v", err)
		}
		p.restart()
		if err := recall("key-2", 0); err != nil {
			t.Error(err)
		}
		p.kill(0, func() {})
		time.Sleep(12 * time.Second)
		same(t, "delivered", p.bodies("later", 0), []string{"0"})
		if err := recall("key-0", 0); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("too late: %v", err)
		}
	})
}

func TestAFullLogDelaysWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		var want []string
		for i := range 600 { // more than are dealt with at once
			want = append(want, fmt.Sprint(i))
			m := queue.Message{Topic: "later", Queue: 0, Body: []byte(want[i]), Properties: with(queue.Delay, "1", queue.UniqueKey, want[i])}
			if err := p.Send(t.Context(), &m, 0, func(queue.Sent, error) {}); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		sent := send(t, p.Queues, queue.Message{Topic: "later", Queue: 0, Properties: with(queue.TimerDelaySec, "60", queue.UniqueKey, "key")})
		half := p.half("half")
		p.tap.full.Store(true)
		time.Sleep(10 * time.Second)
		same(t, "from a full log", p.bodies("later", 0), []string(nil))
		for _, err := range []error{
			p.end(half, queue.Commit), p.end(half, queue.Rollback),
			func() error {
				_, err := waited(t, func(done func(queue.Sent, error)) error {
					return p.Recall(t.Context(), "later", "key", sent.DeliverAt, done)
				})
				return err
			}(),
		} {
			if !errors.Is(err, message.ErrFull) {
				t.Errorf("to a full log: %v, want %v", err, message.ErrFull)
			}
		}
		p.tap.full.Store(false)
		time.Sleep(3 * time.Second)
		same(t, "afterwards", p.bodies("later", 0), want)
		if err := p.end(half, queue.Commit); err != nil {
			t.Error(err)
		}
		same(t, "committed", p.bodies("orders", 1), []string{"half"})
		time.Sleep(time.Second) // until the mark is durable
		same(t, "pending", p.Pending(), queue.Pending{Delayed: 1})
	})
}
