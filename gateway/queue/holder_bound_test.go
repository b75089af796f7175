package queue

import "testing"

func TestAHolderThatForgetsKeepsNothingForEver(t *testing.T) {
	e := handedOut{holder: 1}
	put := 0
	for e.renewLocked(0) {
		put++
	}
	if put != renewals || e.due != renewedFor {
		t.Errorf("put off %d times to %v, want %d times to %v", put, e.due, renewals, renewedFor)
	}
}
