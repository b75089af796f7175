package bus

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var line turns
		var order []int
		for i := range 10 {
			go func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				for round := range 3 {
					if err := line.take(t.Context(), nil); err != nil {
						t.Error(err)
						return
					}
					order = append(order, i+10*round)
					time.Sleep(time.Second)
					line.give()
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(order) != 30 || !slices.IsSorted(order) {
			t.Errorf("got %v, want round after round in the order of arrival", order)
		}
	})
}

func TestWhoLeavesTheQueueLosesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var line turns
		if err := line.take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if err := line.take(impatient, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
		}()
		synctest.Wait()
		served := false
		go func() {
			if err := line.take(t.Context(), nil); err != nil {
				t.Error(err)
			}
			served = true
			line.give()
		}()
		time.Sleep(2 * time.Second)
		line.give()
		synctest.Wait()
		if !served {
			t.Error("the turn was lost with the caller that left")
		}
	})
}

func TestATurnHandedToWhoHadLeftGoesOn(t *testing.T) {
	left, next := make(chan struct{}), make(chan struct{})
	line := turns{busy: true, waiting: []chan struct{}{left, next}}
	line.give()      // to left
	line.leave(left) // which gave up in the same moment
	select {
	case <-next:
	default:
		t.Error("the next in the queue got no turn")
	}
	line.give()
	if line.busy {
		t.Error("the line is still busy after the last turn")
	}
}
