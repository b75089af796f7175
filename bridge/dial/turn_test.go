package dial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTurnStaysWithTheLastGoodAddress(t *testing.T) {
	var turn Turn
	up := []bool{true, true, true}
	var tried []int
	try := func() error {
		tried = nil
		return turn.Try(t.Context(), len(up), func(_ context.Context, i int) error {
			tried = append(tried, i)
			if !up[i] {
				return fmt.Errorf("address %d is down", i)
			}
			return nil
		})
	}
	for _, c := range []struct {
		up    []bool
		avoid int // -1: none
		want  []int
	}{
		{[]bool{true, true, true}, -1, []int{0}},
		{[]bool{false, true, true}, -1, []int{0, 1}},
		{[]bool{true, true, true}, -1, []int{1}}, // no way back while it works
		{[]bool{true, false, false}, -1, []int{1, 2, 0}},
		{[]bool{true, true, true}, 0, []int{1}}, // took the connection, but was of no use
		{[]bool{true, true, true}, 0, []int{1}}, // 1 is the good one: what is said about 0 is old
		{[]bool{true, true, false}, 1, []int{2, 0}},
	} {
		up = c.up
		if c.avoid >= 0 {
			turn.Avoid(c.avoid, len(up))
		}
		if err := try(); err != nil || !slices.Equal(tried, c.want) {
			t.Errorf("with %v up and %d avoided it tried %v (%v), want %v", c.up, c.avoid, tried, err, c.want)
		}
	}
	up = []bool{false, false, false}
	if err := try(); err == nil || !strings.Contains(err.Error(), "address 0 is down; address 1 is down; address 2 is down") {
		t.Errorf("with all down the error is %v", err)
	}
}

func TestTurnEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var turn Turn
	tried := 0
	err := turn.Try(ctx, 3, func(ctx context.Context, _ int) error {
		tried++
		cancel()
		return ctx.Err()
	})
	if tried != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("tried %d addresses after ctx had ended: %v", tried, err)
	}
}

func TestTurnForgetsAnAddressThatIsGone(t *testing.T) {
	turn := Turn{next: 2}
	var first int
	turn.Try(t.Context(), 2, func(_ context.Context, i int) error { first = i; return nil })
	if first != 0 {
		t.Errorf("of two addresses it began with %d", first)
	}
}
