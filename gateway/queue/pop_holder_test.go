package queue_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/gateway/queue"
)

func TestWhatAHolderHasStaysUntilItLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 3)
		holder := b.NewHolder()
		first := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 3, Invisible: time.Minute, Holder: holder})
		if got := fmt.Sprint(bodies(first)); got != "[0 1 2]" {
			t.Fatalf("popped %s", got)
		}
		time.Sleep(5 * time.Minute)
		if again := bodies(b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3})); len(again) > 0 {
			t.Errorf("what somebody is still at comes again: %v", again)
		}
		ack := func(offset uint64) error { return b.AckPopped("g", "orders", 0, offset, first.Time) }
		if err := ack(0); err != nil {
			t.Errorf("after five minutes: %v", err)
		}
		if _, err := b.ChangeInvisible("g", "orders", 0, 1, first.Time, 10*time.Second); err != nil {
			t.Error(err)
		}
		time.Sleep(11 * time.Second)
		if again := fmt.Sprint(bodies(b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3}))); again != "[1]" {
			t.Errorf("what it said when to give back: %s, want [1]", again)
		}
		holder.Leave()
		holder.Leave()
		time.Sleep(time.Second)
		if again := fmt.Sprint(bodies(b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3}))); again != "[2]" {
			t.Errorf("when it has left: %s, want [2]", again)
		}
		if err := ack(2); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("the handle of who left: %v", err)
		}
	})
}

func TestAHolderThatHasLeftKeepsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 1)
		holder := b.NewHolder()
		holder.Leave()
		b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Invisible: time.Minute, Holder: holder})
		time.Sleep(2 * time.Minute)
		if again := bodies(b.pop(queue.PopRequest{Topic: "orders", Queue: -1})); len(again) != 1 {
			t.Errorf("after two minutes it gives %v", again)
		}
	})
}

func TestWhatWasPoppedIsBuried(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 2)
		p := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 2})
		bury := func(offset uint64, popTime int64) error {
			return b.BuryPopped(t.Context(), "g", "orders", 0, offset, popTime)
		}
		if err := bury(0, p.Time+1); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("with another's handle: %v", err)
		}
		b.full.Store(true)
		if err := bury(0, p.Time); err == nil {
			t.Error("a full log buries")
		}
		b.full.Store(false)
		if again := fmt.Sprint(bodies(b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 2}))); again != "[0]" {
			t.Errorf("what could not be buried comes again: %s, want [0]", again)
		}
		if err := bury(1, p.Time); err != nil {
			t.Error(err)
		}
		if !b.IsAcked("g", "orders", 0, 1, p.Time) {
			t.Error("what is buried is not acknowledged")
		}
		if got := fmt.Sprint(bodies(b.pop(queue.PopRequest{Group: "undertaker", Topic: "%DLQ%g", Queue: -1}))); got != "[1]" {
			t.Errorf("the dead letters are %s, want [1]", got)
		}
	})
}
