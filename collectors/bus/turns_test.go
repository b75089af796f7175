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
					if _, err := line.take(t.Context(), nil, false); err != nil {
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
		if _, err := line.take(t.Context(), nil, false); err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if _, err := line.take(impatient, nil, false); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
		}()
		synctest.Wait()
		served := false
		go func() {
			if _, err := line.take(t.Context(), nil, false); err != nil {
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
	line := turns{busy: true, normal: []chan struct{}{left, next}}
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

// Urgent turns come first, and among four of them in a row one of the others.
func TestUrgentTurnsComeFirstAndStarveNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var line turns
		if _, err := line.take(t.Context(), nil, false); err != nil {
			t.Fatal(err)
		}
		order := ""
		wait := func(name string, urgent bool) {
			go func() {
				if _, err := line.take(t.Context(), nil, urgent); err != nil {
					t.Error(err)
					return
				}
				order += name
				line.give()
			}()
			synctest.Wait()
		}
		for range 3 {
			wait("n", false)
		}
		for range 10 {
			wait("U", true)
		}
		if got := line.waiting(); got != 13 {
			t.Errorf("%d wait, want 13", got)
		}
		line.give()
		synctest.Wait()
		if want := "UUUUnUUUUnUUn"; order != want {
			t.Errorf("turns in the order %s, want %s", order, want)
		}
		if line.busy || line.row != 0 {
			t.Errorf("after the last turn: busy %v, row %d", line.busy, line.row)
		}
	})
}

func TestAQueueThatIsFullRefuses(t *testing.T) {
	line := turns{busy: true, normal: make([]chan struct{}, maxWaiting-1), urgent: make([]chan struct{}, 1)}
	if _, err := line.take(t.Context(), nil, true); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want %v", err, ErrFull)
	}
}
