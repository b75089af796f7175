package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/gateway/message"
)

// Cursor is a durable position under a name: everything up to it is done with and no longer pins
// the log. Beyond it there may be ranges that are done too. All methods may be called from any
// goroutine.
type Cursor struct {
	set  *cursors
	name string

	// guarded by set.mu
	tracked
	position  message.Position
	done      []Range          // beyond it, in order, never touching it or each other
	found     message.Position // after a power cut
	foundDone []Range          // likewise; never changed in place
	reserved  int              // ranges that are on their way with an append
	dropped   bool
	owner     string // the session whose it is: that decides when it goes; empty: none
	holders   int    // who opened it and has not closed it
	used      int64  // the log clock when it was last used
	noted     int64  // used as it is on disk
	idle      int64  // milliseconds without use after which it expires; 0: never
}

// cursors are all that the log knows.
type cursors struct {
	*keeper                                      // its mutex guards what follows and the fields of every Cursor
	ends    func() (head, tail message.Position) // of the durable log
	clock   func() int64                         // the log clock
	queue   *queue
	byName  map[string]*Cursor
	floor   message.Position // what is before it is being removed: no new cursor stands there
	expired uint64
}

// OpenCursor makes the named cursor, or finds it where it was. A new one stands before start; it
// pins the log at once and becomes durable like a move. It never expires.
func (s *Store) OpenCursor(name string, start message.Position) (*Cursor, error) {
	return s.OpenExpiringCursor(name, start, 0)
}

// OpenExpiringCursor is OpenCursor for a cursor that is forgotten when nobody has used it for idle,
// counted by the log clock; 0 is never. Whoever opens a cursor last decides. One that is open, or
// was closed not long enough ago, does not expire.
func (s *Store) OpenExpiringCursor(name string, start message.Position, idle time.Duration) (*Cursor, error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("open cursor %q: a name has 1 to %d bytes", name, maxName)
	}
	c := &s.cursors
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final != nil {
		return nil, fmt.Errorf("open cursor %q: %w", name, c.final)
	}
	return c.openLocked(name, start, idle), nil
}

func (c *cursors) openLocked(name string, start message.Position, idle time.Duration) *Cursor {
	if known, ok := c.byName[name]; ok {
		known.openLocked(idle)
		return known
	}
	made := &Cursor{set: c, name: name}
	made.item = made
	head, tail := c.ends()
	made.position = min(max(start, head, c.floor)-1, tail)
	c.byName[name] = made
	made.openLocked(idle)
	c.soilLocked(made)
	return made
}

// DropCursor forgets a cursor; what only it pinned may be trimmed. A name that is not known is
// none either.
func (s *Store) DropCursor(name string) error {
	c := &s.cursors
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.byName[name]
	switch {
	case !ok:
		return nil
	case c.final != nil:
		return fmt.Errorf("drop cursor %q: %w", name, c.final)
	case known.owner != "":
		return fmt.Errorf("drop cursor %q of session %q: %w", name, known.owner, ErrCursorInUse)
	}
	c.dropLocked(known)
	return nil
}

// DropIdleCursor is DropCursor for a cursor that nobody holds; else it refuses with ErrCursorInUse.
// A name that is not known gives ErrNoCursor.
func (s *Store) DropIdleCursor(name string) error {
	c := &s.cursors
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.byName[name]
	switch {
	case !ok:
		return fmt.Errorf("drop cursor %q: %w", name, ErrNoCursor)
	case known.holders > 0 || known.owner != "":
		return fmt.Errorf("drop cursor %q: %w", name, ErrCursorInUse)
	case c.final != nil:
		return fmt.Errorf("drop cursor %q: %w", name, c.final)
	}
	c.dropLocked(known)
	return nil
}

// Why DropIdleCursor refuses.
var (
	ErrNoCursor    = errors.New("there is no such cursor")
	ErrCursorInUse = errors.New("the cursor is in use")
)

// Position is the position last moved to, durable or not.
func (c *Cursor) Position() message.Position {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	return c.position
}

// Durable is the position that would be found after a power cut.
func (c *Cursor) Durable() message.Position {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	return c.found
}

// Move records progress; it becomes durable within 200 ms, or at once when wanted by Sync. Moving
// backwards does nothing, nor does it lead beyond the last durable message.
func (c *Cursor) Move(to message.Position) {
	_, tail := c.set.ends()
	to = min(to, tail)
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if to <= c.position || c.dropped {
		return
	}
	c.passLocked(Range{Last: to})
}

// Flush asks for the position to become durable with the next transaction, without waiting for it.
func (c *Cursor) Flush() {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	c.set.hurryLocked(&c.tracked)
}

// Sync waits until the position is durable, and what is done beyond it.
func (c *Cursor) Sync(ctx context.Context) error { return c.set.sync(ctx, &c.tracked) }

// SyncTo waits until the cursor would be found at upTo or beyond it after a power cut. It must have been
// moved there.
func (c *Cursor) SyncTo(ctx context.Context, upTo message.Position) error {
	for {
		c.set.mu.Lock()
		done := c.dropped || c.found >= min(upTo, c.position)
		c.set.mu.Unlock()
		if done {
			return nil
		}
		if err := c.set.syncNext(ctx, &c.tracked); err != nil {
			return err
		}
	}
}

func (c *cursors) soilLocked(changed *Cursor) { c.keeper.soilLocked(&changed.tracked) }

// entriesLocked says where the cursor stands, or that it is gone.
func (c *Cursor) entriesLocked() ([]entry, func()) {
	mark, done := byte(present), slices.Clone(c.done)
	if c.dropped {
		mark, done = absent, nil
	}
	key, at, used := cursorKey(c.name), c.position, c.used
	return []entry{{key, c.markLocked(at, done).value(key, mark)}}, func() {
		c.found, c.foundDone = absorb(max(c.found, at), done)
		c.noted = used
	}
}

// slowest gives the position up to which no cursor wants anything any more. It counts what is
// durable only: after a power cut a cursor is found there.
func (c *cursors) slowest(tail message.Position) message.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	slowest := tail
	for _, known := range c.byName {
		slowest = min(slowest, known.found)
	}
	return slowest
}

// leave says that everything before head is about to go, which every cursor had passed up to passed.
// It refuses when a cursor has been made meanwhile that still wants some of it.
func (c *cursors) leave(head, passed message.Position) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.byName {
		if passed >= head-1 && known.found < head-1 && !known.dropped {
			return false
		}
	}
	c.floor = head
	return true
}

// behind gives the cursors that have not passed at.
func (c *cursors) behind(at message.Position) []*Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*Cursor
	for _, known := range c.byName {
		if known.found < at && !known.dropped {
			list = append(list, known)
		}
	}
	return list
}

// lift moves cursors over what was dropped, after the transaction that has the first n of them.
func (c *cursors) lift(list []*Cursor, n int, to message.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, behind := range list {
		behind.position, behind.done = absorb(max(behind.position, to), behind.done)
		if i < n {
			behind.found, behind.foundDone = absorb(max(behind.found, to), behind.foundDone)
		} else {
			c.soilLocked(behind)
		}
	}
}

// restore puts a cursor back where the log remembers it, or at the nearest place that there is.
func (c *cursors) restore(name string, was cursorMark, head, tail message.Position, mangled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there, done := fitRanges(min(max(was.at, head-1), tail), tail, was.done)
	known := &Cursor{
		set: c, name: name, position: there, done: slices.Clone(done), found: there, foundDone: done,
		used: was.used, noted: was.used, idle: was.idle,
	}
	known.item = known
	if mangled {
		known.used = c.clock()
	}
	c.byName[name] = known
	if there != was.at || mangled || !slices.Equal(done, was.done) {
		c.soilLocked(known)
	}
}
