package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"sluice/gateway/message"
)

// care is what was done to a database's files before it is opened, and what can still be done.
type care struct {
	dir, name string
	damage    *damage
	newest    []placed
	salvaged  bool
}

var (
	errGaps     = errors.New("the log has gaps")
	errSalvaged = errors.New("the keys of the database were gathered again")
)

// nurse puts right in the files of the database dir/name whatever would keep Badger from opening it
// or would make it lose what is intact.
func nurse(dir, name string, damage *damage) (*care, error) {
	c := &care{dir: dir, name: name, damage: damage}
	badgerDir := filepath.Join(dir, name)
	if err := finishRebuild(dir, name); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, replacing)); err == nil {
		c.salvaged = true
		damage.note(fmt.Errorf("%w, by a run that was interrupted", errSalvaged))
	}
	if err := clearLeftovers(badgerDir, damage); err != nil {
		return nil, err
	}
	a, err := inspect(badgerDir, c.setAside)
	if err != nil {
		return nil, err
	}
	c.newest = a.newest
	for _, cause := range a.mended {
		damage.note(cause)
	}
	for _, name := range a.setAside {
		path := filepath.Join(badgerDir, name)
		if damage.setAsideFile(path) != nil {
			err = os.Remove(path) // nobody can read it anyway
		}
		if err != nil {
			return nil, err
		}
	}
	if a.lsm != nil {
		return c, c.salvage(a.lsm)
	}
	return c, finishCollections(badgerDir)
}

// salvage gathers the keys again because of cause.
func (c *care) salvage(cause error) error {
	c.salvaged = true
	c.damage.note(fmt.Errorf("the keys of the database are gathered again: %w", cause))
	return rebuild(c.dir, c.name, c.damage.note, c.setAside)
}

// done tells that the database is open and says what the salvage means for it: the log's new epoch.
func (c *care) done() error {
	if !c.salvaged {
		return nil
	}
	return os.Remove(filepath.Join(c.dir, replacing))
}

func (c *care) setAside(name string, content []byte) {
	if _, err := c.damage.setAside(name, content); err != nil {
		c.damage.log.Warn("cannot set damaged bytes aside", "name", name, "err", err)
	}
}

// mendBeforeCollection bridges what is damaged in the file that Badger collects next. It would stop at
// the damaged spot and then remove the file with everything behind it.
func (s *Store) mendBeforeCollection(path string) error {
	broken, err := mendLog(path, func(logEntry) {})
	for n, b := range broken {
		name := filepath.Base(path)
		if _, err := s.damage.setAside(fmt.Sprintf("%s-%d.bin", name, n), b); err != nil {
			s.log.Warn("cannot set damaged bytes aside", "name", name, "err", err)
		}
		s.damage.note(fmt.Errorf("%s: %d bytes are damaged", name, len(b)))
	}
	return err
}

// gaps says whether a part of the log is missing that nobody has recorded as missing: perhaps only
// the keys to it.
func (f *found) gaps() error {
	if f.fresh && len(f.headers) == 0 && f.claimed == 0 {
		return nil
	}
	holes := make(map[message.Position]message.Position, len(f.holes))
	for _, h := range f.holes {
		holes[h.first] = h.last
	}
	next := max(f.state.head, 1)
	skip := func() {
		for last, ok := holes[next]; ok; last, ok = holes[next] {
			next = last + 1
		}
	}
	for _, h := range f.headers {
		skip()
		if h.first > next {
			return fmt.Errorf("%w: %d is missing", errGaps, next)
		}
		next = max(next, h.last()+1)
	}
	skip()
	if f.claimed >= next {
		return fmt.Errorf("%w: it ends at %d but has been at %d", errGaps, next-1, f.claimed)
	}
	return nil
}

// adopt gives the log the intact blocks that lie behind its end in the value log. A kill between
// Badger's two writes leaves one, which nobody was promised; damage to the memtable's log leaves more,
// which were.
func (s *Store) adopt(f *found, newest []placed) error {
	if f.fresh {
		return nil
	}
	next := max(f.state.head, 1)
	if n := len(f.headers); n > 0 {
		next = max(next, f.headers[n-1].last()+1)
	}
	for _, h := range f.holes {
		next = max(next, h.last+1)
	}
	clock := f.state.clock
	if n := len(f.headers); n > 0 {
		clock = max(clock, f.headers[n-1].clock)
	}
	for _, p := range newest {
		if p.last < next {
			continue
		}
		value, err := p.read()
		if err != nil {
			return err
		}
		records, err := decodeBlock(value)
		if err != nil || records[0].Position > next {
			return nil
		}
		h := header{first: records[0].Position, count: uint32(len(records)), bytes: uint32(len(value)), time: records[0].Time, clock: clock}
		if h.first != next || h.last() != p.last {
			continue
		}
		if err := s.adoptBlock(f, h, value, records); err != nil {
			return fmt.Errorf("take in the block from %d to %d: %w", h.first, h.last(), err)
		}
		next = h.last() + 1
	}
	return nil
}

func (s *Store) adoptBlock(f *found, h header, value []byte, records []message.Record) error {
	devices := make(map[string]deviceMark)
	for i := range records {
		if r := &records[i]; r.Device != "" {
			devices[r.Device] = deviceMark{r.Seq, r.Position}
		}
	}
	b := newBatch(s.db)
	for device, mark := range devices {
		key := deviceKey(device)
		if b.set(key, mark.value(key)) {
			continue
		}
		if err := s.write(b); err != nil {
			return err
		}
		b = newBatch(s.db)
		b.set(key, mark.value(key))
	}
	// Last, and with its header, so that a kill on the way leaves it to be adopted again.
	key := headerKey(h.last())
	if !b.set(blockKey(h.last()), value) || !b.set(key, h.value(key)) {
		if err := s.write(b); err != nil {
			return err
		}
		b = newBatch(s.db)
		b.set(blockKey(h.last()), value)
		b.set(key, h.value(key))
	}
	if err := s.write(b); err != nil {
		return err
	}
	for device := range devices {
		delete(f.mangled, string(deviceKey(device)))
	}
	f.headers = append(f.headers, h)
	f.claim(h.last())
	s.log.Info("a block behind the log's end was taken in", "first", h.first, "last", h.last())
	return nil
}

// read gives the block; nothing writes where it lies while the database is open.
func (p *placed) read() ([]byte, error) {
	file, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entry := make([]byte, p.size)
	if _, err := file.ReadAt(entry, p.at); err != nil {
		return nil, err
	}
	e, ok := parseEntry(entry)
	if !ok {
		return nil, fmt.Errorf("%w: its place in the value log has changed", errBlock)
	}
	return slices.Clone(e.value), nil
}
