package store

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sluice/gateway/message"
)

// CursorStatus is one cursor as Cursors lists it.
type CursorStatus struct {
	Name              string
	Session           string // whose it is, and goes with; empty: nobody's
	Position, Durable message.Position
	Done              []Range // beyond Durable, as durable

	// What the log keeps for it: the messages that it has not passed, the stored bytes of the blocks
	// that hold them, and the time of the first of those blocks, in Unix milliseconds; 0: nothing.
	Messages uint64
	Bytes    int64
	Oldest   int64

	Open  bool          // somebody holds it: it neither expires nor should be dropped
	Idle  time.Duration // since it was last used, by the log clock; 0 while it is open
	Limit time.Duration // of Idle, after which it expires; 0: never
}

// usedEvery is how exact the time of the last use is on disk while a cursor is open but does not
// move: writing it more often would only wear out the flash.
const usedEvery = time.Minute

// Close tells that the holder uses the cursor no longer; from now on it is idle. It keeps its
// position and goes on pinning the log.
func (c *Cursor) Close() {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	if c.holders > 0 {
		c.holders--
	}
	if c.holders == 0 && !c.dropped && c.set.final == nil {
		c.used = c.set.clock()
		c.set.soilLocked(c)
	}
}

// openLocked notes a holder and the limit that it wants.
func (c *Cursor) openLocked(idle time.Duration) {
	limit := max(0, idle.Milliseconds())
	c.holders++
	c.used = c.set.clock()
	if limit != c.idle {
		c.idle = limit
		c.set.soilLocked(c)
	}
}

func (c *Cursor) markLocked(at message.Position, done []Range) cursorMark {
	return cursorMark{at: at, used: c.used, idle: c.idle, done: done}
}

// valueAt is what the log says about a cursor that trimming has moved to at: that is no use of it. What
// was durable beyond stays.
func (c *cursors) valueAt(moved *Cursor, key []byte, at message.Position) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return moved.markLocked(absorb(at, moved.foundDone)).value(key, present)
}

// expireCursors forgets cursors that nobody has used for too long, and notes now and then that open
// ones are in use, so that a kill does not make them look idle.
func (s *Store) expireCursors() {
	now := s.clock()
	for _, gone := range s.cursors.expire(now) {
		messages, bytes := s.index.pinned(gone.found)
		s.log.Warn("a cursor that nobody used has expired", "cursor", gone.name, "position", gone.durable,
			"unused", time.Duration(now-gone.used)*time.Millisecond, "messages", messages, "bytes", bytes)
	}
}

func (c *cursors) expire(now int64) (gone []*Cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final != nil {
		return nil
	}
	for _, known := range c.byName {
		switch {
		case known.idle == 0:
		case known.holders > 0:
			known.used = now
			// A cursor that lives for a week need not say each minute that it is in use.
			if now-known.noted >= max(usedEvery.Milliseconds(), known.idle/64) {
				c.soilLocked(known)
			}
		case known.owner == "" && now-known.used > known.idle:
			c.dropLocked(known)
			c.expired++
			gone = append(gone, known)
		}
	}
	return gone
}

func (c *cursors) dropLocked(known *Cursor) {
	known.dropped = true
	delete(c.byName, known.name)
	// At once, so that it is written before a cursor that takes the name, however urgent that is.
	c.soilNowLocked(&known.tracked)
}

func (c *cursors) expiredCount() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expired
}

// Cursors lists the cursors by name, with what each of them keeps in the log.
func (s *Store) Cursors() []CursorStatus {
	list := s.cursors.list()
	slices.SortFunc(list, func(a, b CursorStatus) int { return cmp.Compare(b.Durable, a.Durable) })
	s.index.pin(list)
	slices.SortFunc(list, func(a, b CursorStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (c *cursors) list() []CursorStatus {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]CursorStatus, 0, len(c.byName))
	for name, known := range c.byName {
		status := CursorStatus{
			Name: name, Session: known.owner, Position: known.position, Durable: known.found, Done: slices.Clone(known.foundDone),
			Open: known.holders > 0, Limit: time.Duration(known.idle) * time.Millisecond,
		}
		if !status.Open {
			status.Idle = time.Duration(max(0, now-known.used)) * time.Millisecond
		}
		list = append(list, status)
	}
	return list
}

// pin fills in what cursors keep; they are in descending order of Durable, so that one walk from the
// end of the log serves all of them.
func (ix *index) pin(list []CursorStatus) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	var messages uint64
	var bytes int64
	i := len(ix.blocks)
	for n := range list {
		at := list[n].Durable
		for i > 0 && ix.blocks[i-1].first > at {
			i--
			messages += uint64(ix.blocks[i].count)
			bytes += int64(ix.blocks[i].bytes)
		}
		list[n].Messages, list[n].Bytes = messages, bytes
		if i < len(ix.blocks) {
			list[n].Oldest = ix.blocks[i].time
		}
		// The block that the cursor stands in is kept whole.
		if i > 0 && ix.blocks[i-1].last() > at {
			list[n].Messages += uint64(ix.blocks[i-1].last() - at)
			list[n].Bytes += int64(ix.blocks[i-1].bytes)
			list[n].Oldest = ix.blocks[i-1].time
		}
	}
}

func (ix *index) pinned(at message.Position) (messages uint64, bytes int64) {
	one := []CursorStatus{{Durable: at}}
	ix.pin(one)
	return one[0].Messages, one[0].Bytes
}
