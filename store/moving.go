package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"sluice/gateway/message"
)

// move is what a cursor does in the transaction of a group.
type move struct {
	cursor *Cursor
	done   Range
	index  uint32 // of its message in the group

	reserves bool // a range of the cursor; guarded by its set's mu
}

const (
	// groupMoves bounds what cursors add to the transaction of a group.
	groupMoves = 8
	moveCost   = entryCost + 1 + maxName + 2 + 8*(3+2*maxRanges) + 4
)

// AppendDone appends m as Store.Append does, and in the same transaction marks everything from first to
// last as done: after a power cut both are there or neither. With a first of 0 the position moves to
// last. Position and Done show it when it is about to become durable. Since it gives space back it is
// taken from the reserve of a full disk. When m is refused, or ack hears an error, the cursor has not
// moved; it is refused, too, with ErrManyRanges.
func (c *Cursor) AppendDone(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64, first, last message.Position) error {
	_, tail := c.set.ends()
	with := &move{cursor: c, done: Range{first, min(last, tail)}}
	if err := c.reserve(with); err != nil {
		return fmt.Errorf("append and move cursor %q: %w", c.name, err)
	}
	_, err := c.set.queue.appendKept(ctx, m, ack, token, false, 0, with)
	if err != nil {
		c.set.letGo([]*move{with})
	}
	return err
}

// reserve makes sure that there is room for the range when its transaction comes.
func (c *Cursor) reserve(m *move) error {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	switch {
	case c.dropped:
		return ErrNoCursor
	case c.owner != "": // it and its session are durable together
		return ErrCursorInUse
	case c.joinsLocked(m.done):
		return nil
	case len(c.done)+c.reserved >= maxRanges:
		return ErrManyRanges
	}
	m.reserves = true
	c.reserved++
	return nil
}

// letGo gives back what was reserved for moves that do not take place.
func (c *cursors) letGo(moves []*move) {
	if len(moves) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range moves {
		m.letGoLocked()
	}
}

func (m *move) letGoLocked() {
	if m.reserves {
		m.reserves = false
		m.cursor.reserved--
	}
}

// moved is what a move makes of its cursor, and where the message stands that it came with.
type moved struct {
	at message.Position
	entry
}

// move lets cursors do what the groups say, and gives what belongs into their transaction. Nothing of
// it was to be seen before, so no other transaction has it.
func (c *cursors) move(groups []sealed) (entries []moved, list []saving) {
	for _, g := range groups {
		if len(g.moves) == 0 {
			continue
		}
		c.mu.Lock()
		for _, m := range g.moves {
			m.letGoLocked()
			if m.cursor.dropped {
				continue // nobody reads there any more
			}
			m.cursor.passLocked(m.done)
			more, then := m.cursor.entriesLocked()
			for _, e := range more { // of one key the last counts
				entries = append(entries, moved{g.first + message.Position(m.index), e})
			}
			list = append(list, saving{&m.cursor.tracked, m.cursor.version, then})
			m.cursor.dirty = false
		}
		c.mu.Unlock()
	}
	return entries, list
}

func intentKey(n int) []byte { return []byte{prefixIntent, byte(n)} }

func (m moved) intent() []byte {
	b := binary.AppendUvarint(nil, uint64(m.at))
	b = binary.AppendUvarint(b, uint64(len(m.key)))
	return append(append(b, m.key...), m.value...)
}

// announce writes down which moves go with a transaction of blocks, before it. Badger writes large blocks
// first and keys later, so a kill may leave the blocks alone; adopt takes them in, and then needs to know
// what they came with.
func (s *Store) announce(moves []moved) error {
	b := newBatch(s.db)
	for n, m := range moves {
		key := intentKey(n)
		if value := sealSmall(key, present, m.intent()); !b.set(key, value) {
			if err := s.write(b); err != nil {
				return err
			}
			b = newBatch(s.db)
			b.set(key, value)
		}
	}
	if len(b.entries) == 0 {
		return nil
	}
	return s.write(b)
}

// putMoves puts moves into the transaction of their messages; what announced them ends there.
func (b *batch) putMoves(moves []moved) {
	for n, m := range moves {
		key := intentKey(n)
		if !b.set(m.key, m.value) || !b.set(key, sealSmall(key, absent, nil)) {
			b.err = errNoRoom
		}
	}
}

// recoverMoves does what was announced and whose message is in the log without it, and forgets the rest.
func (s *Store) recoverMoves(f *found) error {
	tail := message.Position(0)
	if n := len(f.headers); n > 0 {
		tail = f.headers[n-1].last()
	}
	b := newBatch(s.db)
	err := s.each(prefixIntent, true, func(key, value []byte) {
		mark, body, err := unsealSmall(key, value)
		if err == nil && mark == absent {
			return
		}
		if at, name, was, ok := decodeIntent(body); err == nil && ok && at <= tail {
			if known, some := f.cursors[name]; some {
				was.at, was.done = unite(known, was)
			}
			f.cursors[name] = was
			cursor := cursorKey(name)
			b.set(cursor, was.value(cursor, present))
		}
		b.set(key, sealSmall(key, absent, nil))
		if b.bytes > batchBytes/2 && b.err == nil {
			b.err = s.write(b)
			b = &batch{db: s.db, err: b.err}
		}
	})
	if err == nil && (len(b.entries) > 0 || b.err != nil) {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("bring moves of cursors to their end: %w", err)
	}
	return nil
}

// decodeIntent gives the position of a message, and what becomes of a cursor with it.
func decodeIntent(body []byte) (at message.Position, name string, c cursorMark, ok bool) {
	in := input{rest: body}
	at = position(&in)
	key := in.bytes()
	if in.short || len(key) < 2 || key[0] != prefixCursor {
		return 0, "", c, false
	}
	c, mark, err := decodeCursor(key, in.rest)
	return at, string(key[1:]), c, err == nil && mark == present
}

// unite gives what is done by one or the other; too many ranges are left to be done again.
func unite(a, b cursorMark) (at message.Position, done []Range) {
	at, done = absorb(max(a.at, b.at), nil)
	for _, r := range slices.Concat(a.done, b.done) {
		if r.Last > at {
			done = insertRange(done, r)
		}
	}
	at, done = absorb(at, done)
	return at, done[:min(len(done), maxRanges)]
}
