package store

import (
	"fmt"
	"slices"
	"testing"

	"sluice/gateway/message"
)

// TestMovesFollowABlockThatWasTakenIn has what a kill between Badger's two writes leaves once open has
// taken the block in: the message, the word that a cursor moves with it, and no move.
func TestMovesFollowABlockThatWasTakenIn(t *testing.T) {
	s := standing(t, t.TempDir(), nil)
	put(t, s, 10, varied(1, 50, 40)...)
	for _, name := range []string{"uplink", "other"} {
		c := must(s.OpenCursor(name, 1))
		c.Move(5)
		if err := c.MarkDone(20, 22); err != nil {
			t.Fatal(err)
		}
	}
	settleAll(s)
	s.settle()
	value := func(name string, mark cursorMark) entry {
		return entry{cursorKey(name), mark.value(cursorKey(name), present)}
	}
	err := s.announce([]moved{
		{50, value("uplink", cursorMark{at: 7, done: []Range{{23, 25}, {30, 30}}})},
		{51, value("other", cursorMark{at: 9})},  // its message did not come
		{49, value("fresh", cursorMark{at: 12})}, // not durable before
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "[fresh 12 [] other 5 [{20 22}] uplink 7 [{20 25} {30 30}]]"
	for life := range 3 {
		dir := copyStill(t, s.opts.Dir)
		closed(t, s)
		s = standing(t, dir, nil)
		var got []any
		for _, c := range s.Cursors() {
			got = append(got, c.Name, c.Durable, c.Done)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("in life %d the cursors are %v, want %s", life+1, got, want)
		}
		appendNow(t, s, "takes a position that was spoken of")
	}
	closed(t, s)
	sound(t, s.opts.Dir)
}

// TestMovesAreDurableWithTheirMessage looks at every cursor value that becomes durable while a message with
// a move waits: none has the move before the message is there.
func TestMovesAreDurableWithTheirMessage(t *testing.T) {
	for name, young := range map[string]int{"badger": -1, "log": 0} {
		t.Run(name, func(t *testing.T) {
			s := standingYoung(t, t.TempDir(), young)
			put(t, s, 10, varied(1, 50, 40)...)
			c := must(s.OpenCursor("uplink", 1))
			settleAll(s)
			m := message.Message{Topic: "dead/letters", Payload: []byte("1 to 10")}
			var heard []message.Position
			ack := message.AcknowledgeFunc(func(_ uint64, at message.Position, err error) {
				if err == nil && c.Durable() == 10 {
					heard = append(heard, at)
				}
			})
			if err := c.AppendDone(t.Context(), &m, ack, 0, 0, 10); err != nil {
				t.Fatal(err)
			}
			if err := c.MarkDone(20, 20); err != nil {
				t.Fatal(err)
			}
			s.commit(nil) // of what is dirty
			if at := c.Durable(); at != 0 || c.Position() != 0 || c.DurableFrom(20) != 20 {
				t.Errorf("an unrelated transaction leaves the cursor at %d, durable at %d", c.Position(), at)
			}
			settleAll(s)
			if !slices.Equal(heard, []message.Position{51}) {
				t.Errorf("with the move durable %v were acknowledged, want 51", heard)
			}
			if err := s.DropCursor("uplink"); err != nil {
				t.Fatal(err)
			}
			if err := c.AppendDone(t.Context(), &m, ack, 0, 0, 10); err == nil {
				t.Error("a cursor that was dropped moves")
			}
		})
	}
}
