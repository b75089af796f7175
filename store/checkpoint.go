package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"sluice/gateway/message"
)

// A checkpoint brings what the write-ahead log holds into Badger: many small blocks as few full ones,
// and of every small value the latest. It runs beside the commits that follow, which go to the other
// file.

// young is what only the write-ahead log has: generation by generation, of which the older one is on
// its way into Badger. Its blocks are held by the cache.
type young struct {
	limit int // plain bytes of a generation, 0: everything goes to Badger directly

	mu      sync.Mutex // guards the pointers and the maps behind them
	open    *generation
	leaving *generation // nil when there is none

	written chan error // has the outcome of the checkpoint that is under way; the committer's own
}

type generation struct {
	first, last message.Position // of its blocks; last is 0 when it has none
	blocks      int
	bytes       int               // plain
	seq         uint64            // of its last record
	values      map[string][]byte // by key
}

// youngBlocks is how many blocks a generation may have: readers look among them one by one.
const youngBlocks = 2048

func (g *generation) empty() bool { return g == nil || g.seq == 0 }

func (g *generation) set(key, value []byte) {
	if g.values == nil {
		g.values = make(map[string][]byte)
	}
	g.values[string(key)] = value
}

// value gives what the write-ahead log says under key.
func (y *young) value(key []byte) (value []byte, ok bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, g := range []*generation{y.open, y.leaving} {
		if g != nil {
			if value, ok = g.values[string(key)]; ok {
				return value, true
			}
		}
	}
	return nil, false
}

// override corrects what a later checkpoint would write: something else has been written directly.
func (y *young) override(key, value []byte) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.open == nil {
		return
	}
	if _, waits := y.open.values[string(key)]; waits {
		y.open.values[string(key)] = value
	}
}

// bytes is what a checkpoint still has to write, at most.
func (y *young) bytes() int64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := 0
	for _, g := range []*generation{y.open, y.leaving} {
		if g != nil {
			n += g.bytes
		}
	}
	return int64(n)
}

// none says whether Badger has everything.
func (y *young) none() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.open.empty() && y.leaving == nil
}

// take notes what a record brought; only the committer calls it.
func (y *young) take(seq uint64, groups []sealed, entries []entry) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.open == nil {
		y.open = &generation{}
	}
	g := y.open
	g.seq = seq
	for _, added := range groups {
		if g.last == 0 {
			g.first = added.first
		}
		g.last = added.last()
		g.blocks++
		g.bytes += len(added.plain)
		for device, mark := range added.devices {
			key := deviceKey(device)
			g.set(key, mark.value(key))
		}
	}
	for _, e := range entries {
		g.set(e.key, e.value)
	}
}

// full says whether it is time for a checkpoint.
func (y *young) full() bool {
	return y.open != nil && (y.open.bytes >= y.limit || y.open.blocks >= youngBlocks || len(y.open.values) >= youngBlocks)
}

// turn starts a checkpoint of all that the current file holds, and goes on in the other.
func (s *Store) turn() {
	s.awaitCheckpoint()
	y := &s.young
	if y.open.empty() || s.queue.failed() != nil {
		return
	}
	y.mu.Lock()
	y.leaving, y.open = y.open, nil
	y.mu.Unlock()
	s.wal.swap()
	done := make(chan error, 1)
	y.written = done
	g := y.leaving
	go func() { done <- s.checkpoint(g) }()
}

// awaitCheckpoint returns when none is under way.
func (s *Store) awaitCheckpoint() {
	if s.young.written != nil {
		s.endCheckpoint(<-s.young.written)
	}
}

// pollCheckpoint takes note of one that has come to its end; false means that one is under way.
func (s *Store) pollCheckpoint() bool {
	if s.young.written == nil {
		return true
	}
	select {
	case err := <-s.young.written:
		s.endCheckpoint(err)
		return true
	default:
		return false
	}
}

func (s *Store) endCheckpoint(err error) {
	y := &s.young
	y.written = nil
	if err != nil {
		s.must(fmt.Errorf("checkpoint: %w", err))
		return
	}
	s.wal.settled = y.leaving.seq
	y.mu.Lock()
	y.leaving = nil
	y.mu.Unlock()
}

// settle brings everything that is durable into Badger.
func (s *Store) settle() {
	s.turn()
	s.awaitCheckpoint()
}

// checkpointed brings everything that was durable at the call into the database's own files, so that
// what reads those finds it.
func (s *Store) checkpointed(ctx context.Context) error {
	s.lifeMu.Lock()
	runs := s.ran != nil && !s.stopped
	s.lifeMu.Unlock()
	if !runs || s.young.none() {
		return nil
	}
	done := make(chan struct{})
	select {
	case s.settling <- done:
	case <-s.ran:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return s.queue.failed()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkpoint writes a generation into Badger and puts its blocks in the place of the small ones.
func (s *Store) checkpoint(g *generation) error {
	s.reshape.Lock()
	defer s.reshape.Unlock()
	full := packer{s: s, left: g.bytes, scratch: s.packing}
	defer func() { s.packing = full.scratch }()
	for p := g.first; p != 0 && p <= g.last; {
		h, ok := s.index.find(p)
		if !ok {
			return fmt.Errorf("bug: no block at %d", p)
		}
		records, err := s.records(h)
		if err != nil {
			return err
		}
		full.add(records, h.clock)
		p = h.last() + 1
	}
	full.close()
	if err := full.write(g.values, g.seq); err != nil {
		return err
	}
	if failure := s.queue.failed(); failure != nil {
		return failure
	}
	for i, made := range full.made {
		s.space.wrote(int64(made.header.bytes))
		s.cache.put(full.groups[i])
		s.index.substitute(made.header)
	}
	s.cache.release(g.first, g.last)
	return nil
}

func (s *Store) walDir() string { return filepath.Join(s.opts.Dir, "wal") }
