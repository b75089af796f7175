package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"sluice/gateway/message"
)

// Damage is a span of positions that cannot be served any more, and why. Without a span, First being
// 0, it is damage to the database's files that was put right.
type Damage struct {
	First, Last message.Position
	Cause       string
}

// What is set aside for a person to look at must not fill the disk itself.
const (
	maxSetAside = 64
	maxDamages  = 256
)

// damage collects what was found broken.
type damage struct {
	dir string // where broken bytes are set aside; empty: nowhere
	log *slog.Logger

	mu    sync.Mutex // guards what follows
	found []Damage
	holes []hole // found while reading, not yet recorded in the log
	count int
}

// add notes a damaged span, sets its bytes aside if there are any, and logs it once.
func (d *damage) add(h hole, cause error, value []byte) {
	path := ""
	if len(value) > 0 && d.dir != "" {
		var err error
		if path, err = d.setAside(fmt.Sprintf("block-%020d.bin", h.last), value); err != nil {
			d.log.Warn("cannot set a damaged block aside", "first", h.first, "last", h.last, "err", err)
		}
	}
	d.mu.Lock()
	d.count++
	if len(d.found) < maxDamages {
		d.found = append(d.found, Damage{h.first, h.last, cause.Error()})
	}
	d.holes = append(d.holes, h)
	d.mu.Unlock()
	d.log.Error("part of the log is damaged and skipped", "first", h.first, "last", h.last, "err", cause, "set_aside", path)
}

// note tells of damage that concerns no position.
func (d *damage) note(cause error) {
	d.mu.Lock()
	d.count++
	if len(d.found) < maxDamages {
		d.found = append(d.found, Damage{Cause: cause.Error()})
	}
	d.mu.Unlock()
	if d.log != nil {
		d.log.Error("a file of the database is damaged and was put right", "err", cause)
	}
}

// know notes a hole that an earlier run recorded.
func (d *damage) know(h hole) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if len(d.found) < maxDamages {
		d.found = append(d.found, Damage{h.first, h.last, "recorded by an earlier run"})
	}
}

func (d *damage) list() (found []Damage, count int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Damage(nil), d.found...), d.count
}

// unrecorded gives the holes that the log does not know yet, and takes them off the list.
func (d *damage) unrecorded(most int) []hole {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(most, len(d.holes))
	holes := d.holes[:n:n]
	d.holes = d.holes[n:]
	return holes
}

func (d *damage) setAside(name string, content []byte) (string, error) {
	if err := d.roomForOneMore(); err != nil {
		return "", err
	}
	path := filepath.Join(d.dir, name)
	return path, os.WriteFile(path, content, 0o640)
}

func (d *damage) setAsideFile(path string) error {
	if err := d.roomForOneMore(); err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(d.dir, filepath.Base(path)))
}

func (d *damage) roomForOneMore() error {
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	if len(entries) >= maxSetAside {
		return fmt.Errorf("%s holds %d files already", d.dir, len(entries))
	}
	return nil
}

// skip decides what becomes of a block that could not be read: nothing when it was trimmed
// meanwhile, else it is taken out of the log. An error means that the disk did not answer at all.
func (s *Store) skip(h header, cause error) error {
	if head, _ := s.index.ends(); h.last() < max(head, message.Position(s.leaving.Load())) {
		return nil
	}
	if !errors.Is(cause, errBlock) && !errors.Is(cause, errAbsent) {
		return fmt.Errorf("read the log at %d: %w", h.first, cause)
	}
	if !s.index.remove(h) {
		return nil // another reader was here first
	}
	value, err := s.value(blockKey(h.last()))
	if err != nil {
		value = nil
	}
	s.damage.add(hole{h.first, h.last()}, cause, value)
	s.queue.wake() // the committer records it
	return nil
}

// recordHoles makes the log remember what cannot be read, so that its positions stay accounted for
// and the bytes are given back.
func (s *Store) recordHoles() error {
	for {
		holes := s.damage.unrecorded(20)
		if len(holes) == 0 {
			return nil
		}
		s.reshape.Lock()
		b := newBatch(s.db)
		for _, h := range holes {
			b.set(gapKey(h.first), h.value())
			b.remove(blockKey(h.last))
			b.remove(headerKey(h.last))
		}
		err := s.write(b)
		s.reshape.Unlock()
		if err != nil {
			return fmt.Errorf("record a hole in the log: %w", err)
		}
	}
}
