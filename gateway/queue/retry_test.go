package queue_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

func (p *plant) sendBack(group string, at message.Position, level int, most *int) error {
	p.t.Helper()
	_, err := waited(p.t, func(done func(queue.Sent, error)) error {
		return p.SendBack(p.t.Context(), group, at, "id", level, most, done)
	})
	return err
}

func TestWhatIsSentBackComesAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		sent := send(t, p.Queues, queue.Message{Topic: "orders", Queue: 3, Flag: 5, BornTime: 77, Body: []byte("x"),
			Properties: with(queue.UniqueKey, "key", queue.TimerDelaySec, "-1", "a", "b")})
		at, most := sent.Position, 3
		for n, wait := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute} {
			if err := p.sendBack("pickers", at, 0, &most); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait - time.Millisecond)
			same(t, "too early", len(p.bodies("%RETRY%pickers", 0)), n)
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
			list := p.messages("%RETRY%pickers", 0)
			if len(list) != n+1 {
				t.Fatalf("%d came again, want %d", len(list), n+1)
			}
			m := list[n]
			same(t, "what came", []any{m.Reconsumed, m.Flag, m.BornTime, string(m.Body), m.Property(queue.RetryTopicName), m.Property(queue.OriginID), m.Property(queue.UniqueKey), m.Property("a"), m.Property(queue.Delay)},
				[]any{n + 1, 5, 77, "x", "orders", "id", "key", "b", strconv.Itoa(3 + n)})
			at = m.Position
		}
		if err := p.sendBack("pickers", at, 0, &most); err != nil {
			t.Fatal(err)
		}
		dead := p.messages("%DLQ%pickers", 0)
		if len(dead) != 1 {
			t.Fatalf("%d dead letters", len(dead))
		}
		same(t, "the dead letter", []any{dead[0].Reconsumed, dead[0].Property(queue.RetryTopicName), dead[0].Property(queue.OriginID)}, []any{4, "orders", "id"})
	})
}

func TestSendBackSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		sent := send(t, p.Queues, queue.Message{Topic: "orders", Body: []byte("x")})
		waits := send(t, p.Queues, queue.Message{Topic: "orders", Properties: with(queue.Delay, "18")})
		for _, at := range []message.Position{0, 99, waits.Position} {
			if err := p.sendBack("pickers", at, 0, nil); !errors.Is(err, queue.ErrNoMessage) {
				t.Errorf("at %d: %v", at, err)
			}
		}
		if err := p.sendBack("pick ers", sent.Position, 0, nil); !errors.Is(err, queue.ErrName) {
			t.Errorf("a group without a name: %v", err)
		}
		if err := p.sendBack("pickers", sent.Position, -1, nil); err != nil {
			t.Error(err)
		}
		same(t, "dead", p.bodies("%DLQ%pickers", 0), []string{"x"})
	})
}

func TestAConsumersOwnRetriesEndAsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plantOf(t, queue.Options{})
		for n, most := range []string{"", "2", "5"} {
			m := queue.Message{Topic: "%RETRY%pickers", Reconsumed: 3, Body: fmt.Append(nil, n), Properties: with(queue.Delay, "1")}
			if most != "" {
				m.Set(queue.MaxRetriesName, most)
			}
			send(t, p.Queues, m)
		}
		same(t, "at once", p.bodies("%RETRY%pickers", 0), []string(nil))
		time.Sleep(1100 * time.Millisecond)
		same(t, "again", p.bodies("%RETRY%pickers", 0), []string{"0", "2"})
		same(t, "dead", p.bodies("%DLQ%pickers", 0), []string{"1"})
	})
}
