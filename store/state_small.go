package store

import (
	"errors"
	"fmt"
	"time"
)

// small is what the log's database holds beside messages and cursors: sessions, consumer groups,
// topics, retained messages. All of it is in memory; its keys are numbered slots that are overwritten
// and never deleted, so that nothing which Badger brings back can be taken for something.
type small struct {
	keeper
	store *Store
	bytes int  // of all values, as they are stored
	off   bool // a restore writes the values itself

	sessions sessions
	groups   groups
	topics   topics
	retained retained
	replay   replay
}

// What the small values may take in all, and how many of each kind there may be. Memory needs about
// three times the bytes and 300 for each value.
const (
	maxSmallBytes    = 16 << 20
	maxSessions      = 10_000
	maxSubscriptions = 50_000
	maxGroups        = 2_000
	maxOffsets       = 20_000 // of a group in a topic
	maxTopics        = 20_000
	maxRetained      = 50_000
)

// maxSmallValue keeps every value in the LSM: see valueThreshold.
const maxSmallValue = valueThreshold - 100

// ErrTooMany is what whoever adds to the small state is told when it has no room.
var ErrTooMany = errors.New("there are too many of them already")

// openSmall wires what keeps the small values, cursors included, to the rest of the log.
func (s *Store) openSmall() {
	m := &s.small
	m.store = s
	m.wake = s.queue.wake
	m.sessions = newSessions(m)
	m.groups = newGroups(m)
	m.topics = newTopics(m)
	m.retained = newRetained(m)
	m.replay.small = m
	m.replay.item = &m.replay
	s.cursors = cursors{keeper: &m.keeper, ends: s.index.ends, clock: s.clock, queue: &s.queue, byName: make(map[string]*Cursor)}
}

// slots numbers the values of one kind. A slot is free again when the mark that empties it is durable.
type slots struct {
	kind byte
	most uint32
	next uint32 // the lowest that was never used
	free []uint32
}

func (s *slots) takeLocked() (slot uint32, err error) {
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
		return slot, nil
	}
	if s.next == s.most {
		return 0, fmt.Errorf("%w: %d", ErrTooMany, s.most)
	}
	s.next++
	return s.next - 1, nil
}

func (s *slots) giveLocked(slot uint32) { s.free = append(s.free, slot) }

// recoverLocked notes a slot that the database has, in use or not, in ascending order.
func (s *slots) recoverLocked(slot uint32) {
	for ; s.next < slot; s.next++ {
		s.free = append(s.free, s.next)
	}
	s.next = max(s.next, slot+1)
}

// slotted is a small value in its slot.
type slotted struct {
	tracked
	slot  uint32
	gone  bool // only the mark that empties the slot is still to be written
	empty bool // that mark is durable: the slot may be another's
	size  int  // as it counts in small.bytes
}

// roomLocked says whether values may grow by n bytes.
func (m *small) roomLocked(n int) error {
	switch {
	case m.final != nil:
		return m.final
	case m.bytes+n > maxSmallBytes:
		return fmt.Errorf("%w: they take %d bytes", ErrTooMany, m.bytes)
	}
	return nil
}

// sizeLocked notes what a value takes from now on.
func (m *small) sizeLocked(v *slotted, size int) {
	m.bytes += size - v.size
	v.size = size
}

// entry is the value as the database has it.
func (s *slots) entry(slot uint32, body []byte) entry {
	key := smallKey(s.kind, slot)
	return entry{key, sealSmall(key, present, body)}
}

// dropLocked empties a slot.
func (m *small) dropLocked(v *slotted) {
	v.gone = true
	m.sizeLocked(v, 0)
	m.soilLocked(&v.tracked)
}

// goneLocked is what entriesLocked gives for a value that was dropped.
func (s *slots) goneLocked(v *slotted) ([]entry, func()) {
	if v.empty {
		return nil, nil
	}
	key := smallKey(s.kind, v.slot)
	return []entry{{key, sealSmall(key, absent, nil)}}, func() {
		if !v.empty {
			v.empty = true
			s.giveLocked(v.slot)
		}
	}
}

// StateStats counts the small state.
type StateStats struct {
	Open                                                       int // sessions in use
	Sessions, Subscriptions, Groups, Offsets, Topics, Retained int
	Bytes                                                      int    // of all values as they are stored
	CarriedBytes                                               int64  // of retained messages that the log has no more
	RetainedRefused                                            uint64 // retained messages that found no room
	SessionsExpired, GroupsExpired                             uint64 // since the log was opened
	Replayed                                                   uint64 // messages read at open, behind the checkpoint
}

// StateStats gives the present counts. It touches no disk.
func (s *Store) StateStats() StateStats {
	m := &s.small
	m.mu.Lock()
	defer m.mu.Unlock()
	open := 0
	for _, x := range m.sessions.byID {
		if x.holders > 0 {
			open++
		}
	}
	return StateStats{
		Open: open, Sessions: len(m.sessions.byID), Subscriptions: m.sessions.subscribed, Groups: len(m.groups.byName), Offsets: m.groups.offsets,
		Topics: len(m.topics.byName), Retained: m.retained.count, Bytes: m.bytes, CarriedBytes: m.retained.carried,
		RetainedRefused: m.retained.refused, SessionsExpired: m.sessions.expired, GroupsExpired: m.groups.expired,
		Replayed: m.replay.read,
	}
}

// tendSmall is what the committing goroutine does for the small state between transactions.
func (s *Store) tendSmall(now time.Time) {
	if s.small.replay.due(now) {
		s.small.replay.begin(now)
	}
}

// expireSmall forgets what nobody has used for too long.
func (s *Store) expireSmall() {
	m := &s.small
	now := s.clock()
	m.mu.Lock()
	sessions, groups := m.sessions.expireLocked(now), m.groups.expireLocked(now)
	m.retained.expireLocked(now)
	m.mu.Unlock()
	for _, gone := range sessions {
		messages, bytes := uint64(0), int64(0)
		if gone.Cursor != "" {
			messages, bytes = s.index.pinned(gone.Position)
		}
		s.log.Warn("a session that nobody used has expired", "session", gone.ID, "unused", gone.Unused, "messages", messages, "bytes", bytes)
	}
	for _, name := range groups {
		s.log.Info("the offsets of a group that nobody used have expired", "group", name)
	}
}

// flushSmall writes until the values are durable. It runs on the committing goroutine.
func (s *Store) flushSmall(values ...*tracked) error {
	done := false
	s.small.afterwards(func(error) { done = true }, values...)
	for !done && s.queue.failed() == nil {
		s.commit(nil)
	}
	return s.queue.failed()
}

// recoverSmall takes over what the database says, and then what the log says that the database had
// not heard of.
func (s *Store) recoverSmall(f *found) error {
	m := &s.small
	m.mu.Lock()
	for _, broken := range f.smallBroken {
		if _, err := s.damage.setAside(fmt.Sprintf("small-%x.bin", broken.key[1:]), broken.value); err != nil {
			s.log.Warn("cannot set a damaged value aside", "key", fmt.Sprintf("%q", broken.key), "err", err)
		}
		s.damage.note(fmt.Errorf("%w under key %q", errValue, broken.key))
	}
	m.sessions.recoverLocked(f.small)
	m.groups.recoverLocked(f.small)
	m.topics.recoverLocked(f.small)
	m.retained.recoverLocked(f.small)
	m.replay.recoverLocked(f.small, len(f.smallBroken) > 0)
	m.sessions.adoptCursorsLocked()
	err := m.pullBackLocked(m.sessions.ahead)
	m.sessions.ahead = nil
	m.mu.Unlock()
	if err != nil {
		return err
	}
	for _, broken := range f.smallBroken {
		b := newBatch(s.db)
		if len(broken.key) == 6 {
			b.set(broken.key, sealSmall(broken.key, absent, nil))
		} else {
			b.remove(broken.key) // none of ours
		}
		if err := s.write(b); err != nil {
			return fmt.Errorf("empty the damaged value under key %q: %w", broken.key, err)
		}
	}
	return m.replay.run()
}

// latestSmall is the latest log clock that a small value speaks of.
func (f *found) latestSmall() (clock int64) {
	for _, v := range f.small {
		if v.mark == absent {
			continue
		}
		switch v.kind {
		case smallSession:
			body, _ := decodeSession(v.body)
			clock = max(clock, body.used)
		case smallGroup:
			body, _ := decodeGroup(v.body)
			clock = max(clock, body.used)
		}
	}
	return clock
}

// pullBackLocked writes values again that spoke of positions which are given out again now. It must be
// done before they are: after the next kill nothing would tell what is there then from what was meant.
func (m *small) pullBackLocked(values []*tracked) error {
	b := newBatch(m.store.db)
	for _, t := range values {
		entries, _ := t.item.entriesLocked()
		if b.setAll(entries) {
			continue
		}
		if err := m.store.write(b); err != nil {
			return fmt.Errorf("write values that were ahead of the log: %w", err)
		}
		b = newBatch(m.store.db)
		b.setAll(entries)
	}
	if len(b.entries) == 0 {
		return nil
	}
	if err := m.store.write(b); err != nil {
		return fmt.Errorf("write values that were ahead of the log: %w", err)
	}
	return nil
}
