package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// stalest is the file of the value log that Badger would collect next: it looks at the one with the most
// stale bytes and at no other.
type stalest struct {
	path        string
	size, stale int64
	behind      int64 // stale bytes of smaller files that are worth collecting, once it is out of the way
}

// due says with which ratio Badger must be asked so that it collects the file; ok is false when that is not
// worth it. A file is, when as much of it is stale as ratio says, or when it stands before smaller files
// that hold more stale bytes than are alive in it: a log that is often killed has many such.
func (f stalest) due(ratio float64, room int64) (with float64, ok bool) {
	switch alive := f.size - f.stale; {
	case f.stale == 0:
		return 0, false
	case float64(f.stale) >= ratio*float64(f.size):
		return ratio, true
	case f.behind > alive && room > alive:
		return math.Nextafter(float64(f.stale)/float64(f.size), 0), true
	}
	return 0, false
}

// stalest reads what Badger knows of its files. What is stale may be counted twice, so a file may be said to
// have more than it holds.
func (s *Store) stalest(ratio float64) (top stalest, err error) {
	dir := filepath.Join(s.opts.Dir, "log")
	content, err := os.ReadFile(filepath.Join(dir, discardFile)) // the same pages as Badger's mapping
	if err != nil {
		return top, err
	}
	var worth, topWorth int64
	var most uint64
	for ; len(content) >= discardEntry; content = content[discardEntry:] {
		number, stale := binary.BigEndian.Uint64(content), binary.BigEndian.Uint64(content[8:])
		if number == 0 {
			break
		}
		if stale == 0 {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("%06d.vlog", number))
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was collected
		}
		if err != nil {
			return top, err
		}
		gain := int64(0)
		if size := info.Size(); float64(stale) >= ratio*float64(size) {
			gain = size
		}
		worth += gain
		if stale > most {
			most, topWorth = stale, gain
			top = stalest{path: path, size: info.Size(), stale: min(int64(stale), info.Size())}
		}
	}
	if top.size >= 2*s.opts.FileSize {
		return stalest{}, nil // the file that is being written, which has its space in advance
	}
	top.behind = worth - topWorth
	return top, nil
}

// finishCollections has files collected again that a kill kept from being removed: Badger has nothing alive
// in them and counts from 0 what is stale, so it would never look at them again. If it was wrong, it finds
// what is alive when it rewrites them.
func finishCollections(badgerDir string) error {
	file, err := os.OpenFile(filepath.Join(badgerDir, discardFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	var entry [discardEntry]byte
	for at := int64(0); ; at += discardEntry {
		_, err := file.ReadAt(entry[:], at)
		number := binary.BigEndian.Uint64(entry[:])
		if errors.Is(err, io.EOF) || err == nil && number == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint64(entry[8:]) != 0 {
			continue
		}
		info, err := os.Stat(filepath.Join(badgerDir, fmt.Sprintf("%06d.vlog", number)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(entry[8:], uint64(info.Size()))
		if _, err := file.WriteAt(entry[8:], at+8); err != nil {
			return err
		}
	}
}

// collectOne gives back one file; an error says that there is none, or why not.
func (s *Store) collectOne(ratio float64) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	top, err := s.stalest(ratio)
	if err != nil {
		s.log.Warn("cannot look at the files before one is collected", "err", err)
		return err
	}
	m, _ := s.space.snapshot()
	ratio, ok := top.due(ratio, m.free-s.space.floor())
	if !ok {
		return errNothingStale
	}
	if err := s.mendBeforeCollection(top.path); err != nil {
		s.log.Warn("cannot look at a file before it is collected", "err", err)
		return err
	}
	return s.db.RunValueLogGC(ratio)
}

var errNothingStale = errors.New("no file is stale enough to be collected")
