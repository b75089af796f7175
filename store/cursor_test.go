package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

func open(t *testing.T, l *storetest.Log, name string, start message.Position) *store.Cursor {
	t.Helper()
	c, err := l.OpenCursor(name, start)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func saved(t *testing.T, c *store.Cursor) {
	t.Helper()
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCursorsStayWhereTheyWere(t *testing.T) {
	l := storetest.Open(t)
	l.Append(text("1"), text("2"), text("3"))
	c := open(t, l, "uplink", 1)
	if c.Position() != 0 {
		t.Errorf("a new cursor stands at %d, want 0", c.Position())
	}
	saved(t, c)
	c.Move(2)
	c.Move(1) // backwards does nothing
	if c.Position() != 2 {
		t.Errorf("the cursor stands at %d, want 2", c.Position())
	}
	saved(t, c)
	if c.Durable() != 2 {
		t.Errorf("durable at %d, want 2", c.Durable())
	}
	c.Move(99) // not beyond the end
	fresh := open(t, l, "fresh", 4)
	if fresh.Position() != 3 {
		t.Errorf("a cursor from now on stands at %d, want 3", fresh.Position())
	}
	l.Reopen() // an orderly end saves what was not synced
	got := l.Cursors()
	if len(got) != 2 || got[0].Name != "fresh" || got[1].Name != "uplink" {
		t.Fatalf("got %v, want fresh and uplink", got)
	}
	for _, c := range got {
		if c.Position != 3 || c.Durable != 3 || c.Messages != 0 || c.Bytes != 0 || c.Open {
			t.Errorf("got %+v, want it at 3, keeping nothing", c)
		}
	}
	if c := open(t, l, "uplink", 1); c.Position() != 3 {
		t.Errorf("found at %d, want 3", c.Position())
	}
}

func TestMovesBecomeDurableByThemselves(t *testing.T) {
	l := storetest.Open(t)
	l.Append(text("1"))
	c := open(t, l, "uplink", 1)
	c.Move(1)
	eventually(t, "the move is durable", func() bool { return c.Durable() == 1 })
}

func TestManyCursorsAreSaved(t *testing.T) {
	l := storetest.Open(t)
	last := l.Append(text("1"), text("2"))
	const n = 500 // far more than one transaction holds
	cursors := make([]*store.Cursor, n)
	for i := range cursors {
		cursors[i] = open(t, l, fmt.Sprintf("session-%0200d", i), 1)
		cursors[i].Move(last)
	}
	saved(t, cursors[n-1])
	saved(t, cursors[0])
	l.Reopen()
	for _, c := range l.Cursors() {
		if c.Durable != last {
			t.Errorf("%s is at %d, want %d", c.Name, c.Durable, last)
		}
	}
	if got := len(l.Cursors()); got != n {
		t.Errorf("%d cursors, want %d", got, n)
	}
}

func TestDroppedCursorsAreGone(t *testing.T) {
	l := storetest.Open(t)
	l.Append(text("1"), text("2"))
	old := open(t, l, "session", 1)
	old.Move(2)
	saved(t, old)
	if err := l.DropCursor("session"); err != nil {
		t.Fatal(err)
	}
	if err := l.DropCursor("never there"); err != nil {
		t.Error(err)
	}
	old.Move(2) // does nothing any more
	saved(t, old)
	l.Reopen()
	if got := l.Cursors(); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	// Dropped and made again before anything was written.
	open(t, l, "session", 1)
	if err := l.DropCursor("session"); err != nil {
		t.Fatal(err)
	}
	c := open(t, l, "session", 2)
	saved(t, c)
	l.Reopen()
	if got := l.Cursors(); len(got) != 1 || got[0].Position != 1 {
		t.Errorf("got %v, want one at 1", got)
	}
}

func TestCursorNamesAreBounded(t *testing.T) {
	l := storetest.Open(t)
	for _, name := range []string{"", fmt.Sprintf("%0300d", 0)} {
		if _, err := l.OpenCursor(name, 1); err == nil {
			t.Errorf("a name of %d bytes was taken", len(name))
		}
	}
}

func TestSyncEndsWithTheLog(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir(), FileSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.OpenCursor("c", 1) // nothing commits it yet
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Sync(context.Background()) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil && !errors.Is(err, message.ErrClosed) {
		t.Errorf("sync gives %v, want nil: closing saves cursors", err)
	}
	if _, err := s.OpenCursor("d", 1); !errors.Is(err, message.ErrClosed) {
		t.Errorf("open on a closed log gives %v", err)
	}
}
