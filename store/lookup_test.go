package store

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sluice/gateway/message"
)

// TestLookUpsBesideCheckpoints looks up a key that every message has while small blocks become full
// ones: each is found once, the newest first, none is missing.
func TestLookUpsBesideCheckpoints(t *testing.T) {
	s, stop := running(t, Options{Dir: filepath.Join(t.TempDir(), "log")})
	const n = 600
	durable := make(chan message.Position, 1)
	ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
		if err != nil {
			at = 0
		}
		durable <- at
	})
	search := func(tail message.Position) {
		found, err := s.FindByKey(t.Context(), "all", time.Time{}, time.Time{}, 2*n)
		if err != nil || len(found) != int(tail) {
			t.Fatalf("%d of %d messages are found: %v", len(found), tail, err)
		}
		for i, r := range found {
			if want := tail - message.Position(i); r.Position != want || string(r.Payload[:4]) != fmt.Sprintf("%04d", want) {
				t.Fatalf("message %d of the answer is %d with %.4s, want %d", i, r.Position, r.Payload, want)
			}
		}
	}
	filling := bytes.Repeat([]byte("x"), 8<<10)
	for i := range n {
		m := message.Message{
			Topic: "t", Time: int64(i), Payload: fmt.Appendf(nil, "%04d%s", i+1, filling),
			Properties: []message.Property{{Name: propertyKeys, Value: "all"}},
		}
		if err := s.Append(t.Context(), &m, ack, 0); err != nil {
			t.Fatal(err)
		}
		if at := <-durable; at != message.Position(i+1) {
			t.Fatalf("message %d was acknowledged as %d", i+1, at)
		}
		if i%10 == 0 {
			search(message.Position(i + 1))
		}
	}
	if s.index.storedEnd() == 0 {
		t.Error("there was no checkpoint: the test proves nothing")
	}
	search(n)
	stop()
}
