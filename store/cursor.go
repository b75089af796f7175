package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sluice/gateway/message"
)

// Cursor is a durable position under a name: everything up to it is done with and no longer pins
// the log. All methods may be called from any goroutine.
type Cursor struct {
	set  *cursors
	name string

	// guarded by set.mu
	position message.Position
	durable  message.Position
	written  bool // it has been durable once: it exists
	dirty    bool
	dropped  bool
	holders  int           // who opened it and has not closed it
	used     int64         // the log clock when it was last used
	noted    int64         // used as it is on disk
	idle     int64         // milliseconds without use after which it expires; 0: never
	moved    time.Time     // when it became dirty
	saved    chan struct{} // closed when durable changes or never will again; nil when nobody waits
}

// cursorDelay is the longest that a move waits for its transaction: the contract's bound for what
// is repeated after a kill.
const cursorDelay = 200 * time.Millisecond

// cursors are all that the log knows, and those that wait to be written.
type cursors struct {
	wake  func()                               // tells the committer
	ends  func() (head, tail message.Position) // of the durable log
	clock func() int64                         // the log clock

	mu      sync.Mutex // guards what follows and the fields of every Cursor
	byName  map[string]*Cursor
	dirty   []*Cursor
	urgent  bool  // somebody waits in Sync
	final   error // why nothing will become durable any more
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
	if known, ok := c.byName[name]; ok {
		known.openLocked(idle)
		return known, nil
	}
	made := &Cursor{set: c, name: name}
	made.openLocked(idle)
	head, tail := c.ends()
	made.position = min(max(start, head)-1, tail)
	c.byName[name] = made
	c.soilLocked(made)
	return made, nil
}

// DropCursor forgets a cursor; what only it pinned may be trimmed. A name that is not known is
// none either.
func (s *Store) DropCursor(name string) error {
	c := &s.cursors
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.byName[name]
	if !ok {
		return nil
	}
	if c.final != nil {
		return fmt.Errorf("drop cursor %q: %w", name, c.final)
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
	case known.holders > 0:
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
	return c.durable
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
	c.position = to
	if !c.dirty {
		c.used = c.set.clock()
	}
	c.set.soilLocked(c)
}

// Flush asks for the position to become durable with the next transaction, without waiting for it.
func (c *Cursor) Flush() {
	c.set.mu.Lock()
	urgent := c.dirty
	if urgent {
		c.set.urgent = true
	}
	c.set.mu.Unlock()
	if urgent {
		c.set.wake()
	}
}

// Sync waits until the position is durable.
func (c *Cursor) Sync(ctx context.Context) error { return c.SyncTo(ctx, c.Position()) }

// SyncTo waits until the cursor would be found at upTo or beyond it after a power cut. It must have been
// moved there.
func (c *Cursor) SyncTo(ctx context.Context, upTo message.Position) error {
	set := c.set
	set.mu.Lock()
	target := min(upTo, c.position)
	for {
		if c.dropped || c.written && c.durable >= target {
			set.mu.Unlock()
			return nil
		}
		if set.final != nil {
			err := set.final
			set.mu.Unlock()
			return err
		}
		if c.saved == nil {
			c.saved = make(chan struct{})
		}
		saved := c.saved
		set.urgent = true
		set.mu.Unlock()
		set.wake()
		select {
		case <-saved:
		case <-ctx.Done():
			return ctx.Err()
		}
		set.mu.Lock()
	}
}

func (c *Cursor) releaseLocked() {
	if c.saved != nil {
		close(c.saved)
		c.saved = nil
	}
}

func (c *cursors) soilLocked(dirty *Cursor) {
	if dirty.dirty {
		return
	}
	dirty.dirty = true
	dirty.moved = time.Now()
	c.dirty = append(c.dirty, dirty)
	if len(c.dirty) == 1 {
		c.wake() // for its clock
	}
}

// due says how long the dirty cursors may still wait for company; ok is false when there is none.
func (c *cursors) due() (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dirty) == 0 {
		return 0, false
	}
	if c.urgent {
		return 0, true
	}
	return max(0, cursorDelay-time.Since(c.dirty[0].moved)), true
}

// cursorSave is what one transaction says about a cursor.
type cursorSave struct {
	cursor *Cursor
	at     message.Position
	used   int64
	mark   byte
}

// save puts as many dirty cursors into the transaction as it has room for, the longest waiting
// first. They are clean from now on; saved or failed must follow.
func (c *cursors) save(b *batch) []cursorSave {
	c.mu.Lock()
	defer c.mu.Unlock()
	var saves []cursorSave
	for len(c.dirty) > 0 {
		next := c.dirty[0]
		mark := byte(present)
		if next.dropped {
			mark = absent
		}
		key := cursorKey(next.name)
		// A name dropped and made again has two entries here; they stand in the right order.
		if !b.set(key, next.markLocked(next.position).value(key, mark)) {
			break
		}
		next.dirty = false
		saves = append(saves, cursorSave{next, next.position, next.used, mark})
		c.dirty = c.dirty[1:]
	}
	if len(c.dirty) == 0 {
		c.dirty, c.urgent = nil, false
	}
	return saves
}

// saved tells that the transaction is durable.
func (c *cursors) saved(saves []cursorSave) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range saves {
		s.cursor.durable = max(s.cursor.durable, s.at)
		s.cursor.noted = s.used
		s.cursor.written = true
		s.cursor.releaseLocked()
	}
}

// end tells everybody that nothing becomes durable any more.
func (c *cursors) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final == nil {
		c.final = why
	}
	for _, known := range c.byName {
		known.releaseLocked()
	}
}

// slowest gives the position up to which no cursor wants anything any more. It counts what is
// durable only: after a power cut a cursor is found there.
func (c *cursors) slowest(tail message.Position) message.Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	slowest := tail
	for _, known := range c.byName {
		slowest = min(slowest, known.durable)
	}
	return slowest
}

// behind gives the cursors that have not passed at.
func (c *cursors) behind(at message.Position) []*Cursor {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*Cursor
	for _, known := range c.byName {
		if known.durable < at && !known.dropped {
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
		behind.position = max(behind.position, to)
		if i < n {
			behind.durable = max(behind.durable, to)
			behind.written = true
			behind.releaseLocked()
		} else {
			c.soilLocked(behind)
		}
	}
}

// restore puts a cursor back where the log remembers it, or at the nearest place that there is.
func (c *cursors) restore(name string, was cursorMark, head, tail message.Position, mangled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := min(max(was.at, head-1), tail)
	known := &Cursor{
		set: c, name: name, position: there, durable: there, written: true,
		used: was.used, noted: was.used, idle: was.idle,
	}
	if mangled {
		known.used = c.clock()
	}
	c.byName[name] = known
	if there != was.at || mangled {
		c.soilLocked(known)
	}
}
