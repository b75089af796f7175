package store

import (
	"testing"
	"time"
)

// TestARangeWaitsForTheIndex asks for the range of a queue while a group is being made visible: what is
// counted must be readable at once, so there is no answer before the index has it.
func TestARangeWaitsForTheIndex(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	appendNow(t, s, "1", "2")
	_, tail := s.index.ends()
	again := &group{first: tail, count: 1} // the last one, once more
	answered := make(chan struct{})
	s.queues.publish(again, func() {
		go func() {
			defer close(answered)
			if _, _, err := s.QueueRange("t", 0); err != nil {
				t.Error(err)
			}
		}()
		select {
		case <-answered:
			t.Error("the range is told before the index has grown")
		case <-time.After(20 * time.Millisecond):
		}
	})
	<-answered
}
