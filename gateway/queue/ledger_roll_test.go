package queue_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/queue"
	"sluice/store"
)

// What is far in the future must not keep the log from being trimmed, and must come nevertheless.
func TestWhatWaitsLongDoesNotPinTheLog(t *testing.T) {
	for _, rolls := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			options := queue.Options{RollBytes: 256 << 10}
			if !rolls {
				options.RollBytes = 1 << 40
			}
			p := plantOf(t, options, func(o *store.Options) { o.RetentionSize = 128 << 10 })
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprint("timer ", i))
				send(t, p.Queues, queue.Message{Topic: "later", Queue: 0, Body: []byte(want[i]), Properties: with(queue.TimerDelaySec, "300", queue.UniqueKey, want[i])})
			}
			if err := p.Commit("readers", "later", 0, 0); err != nil { // so that what came stays
				t.Fatal(err)
			}
			half := p.half("half", queue.CheckImmunity, "1000")
			largest := int64(0)
			for round := range 50 {
				for range 20 {
					body := make([]byte, 4000)
					rand.Read(body) // which does not compress
					send(t, p.Queues, queue.Message{Topic: "traffic", Body: body})
				}
				if round == 30 {
					p.restart()
				}
				time.Sleep(5 * time.Second)
				largest = max(largest, p.store.Stats().BlockBytes)
			}
			t.Logf("rolls: %v, the log had up to %d bytes", rolls, largest)
			if most := int64(1 << 20); (largest < most) != rolls {
				t.Errorf("the log had up to %d bytes; it rolls: %v", largest, rolls)
			}
			if err := p.end(half, queue.Commit); err != nil { // by the name that it had at first
				t.Error(err)
			}
			if head := p.store.Head(); (head > half.Position) != rolls {
				t.Errorf("the log begins at %d, the half message was at %d; it rolls: %v", head, half.Position, rolls)
			}
			for _, group := range p.Groups() {
				if group.Name != "readers" {
					t.Errorf("there is a group %q", group.Name)
				}
			}
			time.Sleep(time.Minute)
			got := p.bodies("later", 0)
			if !slices.Equal(got, want) {
				t.Errorf("what came later is %q, want %q", got, want)
			}
			same(t, "committed", p.bodies("orders", 1), []string{"half"})
			time.Sleep(time.Minute)
			same(t, "pending", p.Pending(), queue.Pending{})
		})
	}
}
