package uplinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sluice/bridge"
)

// holdsBack lets the cloud refuse a message in the middle of others. Those before it are taken, it is
// refused, and of those behind it none is taken before it was sent again.
func holdsBack(t *testing.T, h Harness) {
	if h.Refuse == nil {
		t.Skip("this cloud cannot refuse a message")
	}
	for _, at := range []int{0, 13, 29} {
		t.Run(fmt.Sprint(at), func(t *testing.T) { holdsBackAt(t, h, at) })
	}
}

func holdsBackAt(t *testing.T, h Harness, at int) {
	const n = 30
	h.Refuse(fmt.Sprintf("message %d", at))
	link := connect(t, h)
	defer link.Close()
	before := len(h.Received())
	a := newAnswers()
	lane, end := context.WithCancel(t.Context())
	defer end()
	taken := 0
	for i := range n {
		done := a.done(i)
		err := sendWith(lane, link, i, func(err error) {
			if err != nil {
				end() // as the forwarder does before the answer returns
			}
			done(err)
		})
		if err != nil && lane.Err() == nil {
			t.Fatalf("send message %d: %v", i, err)
		}
		if err != nil {
			break
		}
		taken++
	}
	a.wait(t, taken)
	if err := sendWith(lane, link, n, a.done(n)); err == nil {
		t.Error("a message whose context has ended is taken")
	}
	for i := range taken {
		got := a.got[i]
		if len(got) != 1 {
			t.Fatalf("message %d was answered %d times", i, len(got))
		}
		_, refused := errors.AsType[*bridge.RefusedError](got[0])
		switch {
		case i < at && got[0] != nil:
			t.Errorf("message %d, before the one that is refused, was answered with %v", i, got[0])
		case i == at && !refused:
			t.Errorf("the message that is refused was answered with %v", got[0])
		case i > at && !errors.Is(got[0], bridge.ErrHeld):
			t.Errorf("message %d, behind the one that is refused, was answered with %v", i, got[0])
		}
	}
	if err := link.Err(); err != nil {
		t.Fatalf("the link was lost over a refusal: %v", err)
	}
	h.Refuse("")
	again := newAnswers()
	for i := at; i < n; i++ {
		if err := send(t.Context(), link, again, i); err != nil {
			t.Fatalf("send message %d again: %v", i, err)
		}
	}
	again.wait(t, n-at)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("message %d", i))
	}
	if got := h.Received()[before:]; !slices.Equal(got, want) {
		t.Errorf("the cloud has %q, want each message once and in order", got)
	}
}
