package store

import (
	"errors"
	"strings"
	"testing"
)

// TestNewCursorAndTrim lets a cursor be made between the decision what to trim and its removal: either
// nothing goes, or the cursor never stood where it went.
func TestNewCursorAndTrim(t *testing.T) {
	s, err := Open(Options{youngBytes: -1, Dir: t.TempDir(), FileSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		appendNow(t, s, strings.Repeat("x", 100<<10))
	}
	_, tail := s.index.ends()
	gone := s.index.oldest(1)
	if len(gone) != 1 || gone[0].last() >= tail {
		t.Fatalf("the log has %v up to %d", gone, tail)
	}
	passed := s.cursors.slowest(tail)
	early, err := s.OpenCursor("early", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.remove(gone, passed); !errors.Is(err, errWanted) || s.Head() != 1 {
		t.Errorf("removing what a new cursor wants: %v, head %d", err, s.Head())
	}
	early.Move(tail)
	settleAll(s)
	if !s.cursors.leave(gone[0].last()+1, s.cursors.slowest(tail)) {
		t.Error("nothing may go although every cursor has passed it")
	}
	late, err := s.OpenCursor("late", 1)
	if err != nil {
		t.Fatal(err)
	}
	if late.Position() != gone[0].last() {
		t.Errorf("a new cursor stands at %d in what is being removed, want %d", late.Position(), gone[0].last())
	}
}
