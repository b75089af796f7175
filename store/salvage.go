package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/gateway/message"
)

// A salvage makes the keys of a database anew when Badger could not open it, or would open it and
// lose what is intact: from the sound blocks of all tables, from the memtables' logs, and from the
// value log, whose entries carry their keys. The value log itself stays where it is, since it may be
// as large as the disk. What is gathered is written as logs of memtables, which Badger replays when it
// opens; the files that they replace are set aside.
//
// A kill may come at any moment: the new files are made in a folder of their own, which tells by its
// name how far the exchange has come.
const (
	gathering = "salvage"       // incomplete: it is thrown away
	gathered  = "salvage-ready" // complete: the old files go
	replacing = "salvage-moved" // the old files are gone: the new ones come
)

// walBytes is what the memory of one memtable may take: below MemTableSize of the log's options.
const (
	walBytes  = 56 << 10
	nodeBytes = 112 // Badger's own for an entry beside key and value, at most
)

// salvage gathers the keys of the database in dir.
type salvage struct {
	dir     string
	keys    map[string]tableEntry
	blocks  []candidate
	devices map[string]deviceMark
	stale   map[uint64]int64 // bytes in each value log
	live    map[uint64]int64
	report  func(cause error)
	aside   func(name string, content []byte)
}

// candidate is a sound block, of which perhaps no key speaks.
type candidate struct {
	header  header
	entry   tableEntry
	file    uint64
	at      int
	devices map[string]deviceMark
}

// rebuild salvages the database in dir/name.
func rebuild(dir, name string, report func(error), aside func(string, []byte)) error {
	if err := gather(dir, name, report, aside); err != nil {
		return err
	}
	return finishRebuild(dir, name)
}

// gather makes the new files, complete, in a folder of their own.
func gather(dir, name string, report func(error), aside func(string, []byte)) error {
	s := salvage{
		dir: filepath.Join(dir, name), keys: make(map[string]tableEntry), devices: make(map[string]deviceMark),
		stale: make(map[uint64]int64), live: make(map[uint64]int64), report: report, aside: aside,
	}
	files, err := listFiles(s.dir)
	if err != nil {
		return err
	}
	for _, t := range files.tables {
		if err := scanTable(t.path, s.keep); err != nil {
			report(fmt.Errorf("%s: %w", filepath.Base(t.path), err))
		}
	}
	if err := s.keepLogs(files.wals); err != nil {
		return err
	}
	for _, l := range files.logs {
		broken, err := mendLog(l.path, func(e logEntry) { s.value(l.number, e) })
		if err != nil {
			return err
		}
		for n, b := range broken {
			aside(fmt.Sprintf("%s-%d.bin", filepath.Base(l.path), n), b)
			report(fmt.Errorf("%s: %d bytes are damaged", filepath.Base(l.path), len(b)))
		}
	}
	s.choose()
	first := uint64(1)
	if n := len(files.wals); n > 0 {
		first = files.wals[n-1].number + 1
	}
	if err := s.write(filepath.Join(dir, gathering), first); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, gathering), filepath.Join(dir, gathered))
}

// keep remembers the newest version of a key.
func (s *salvage) keep(key []byte, e tableEntry) {
	if strings.HasPrefix(string(key), "!badger!") {
		return
	}
	if known, ok := s.keys[string(key)]; !ok || known.version <= e.version {
		s.keys[string(key)] = e
	}
}

func (s *salvage) keepLogs(wals []badgerFile) error {
	for _, w := range wals {
		_, _, err := inspectLog(w.path, func(e logEntry) {
			if e.meta&entryEnd == 0 {
				s.keep(e.key, tableEntry{e.version, e.meta, slices.Clone(e.value)})
			}
		}, func(int, int) {})
		if err != nil {
			return err
		}
	}
	return nil
}

// head is the log's head as far as it is known.
func (s *salvage) head() message.Position {
	st, err := decodeState(s.keys[string(stateKey)].value)
	if err != nil {
		return 0
	}
	return st.head
}

// value looks at an entry of the value log: whether a key leads to it, and if none does, whether it
// is what a lost key would have led to.
func (s *salvage) value(file uint64, e logEntry) {
	s.stale[file] += int64(e.size)
	known, ok := s.keys[string(e.key)]
	pointer := appendPointer(nil, file, e.at, e.size)
	leads := ok && known.meta&entryPointer != 0 && string(known.value) == string(pointer)
	if ok && known.version >= e.version && !leads {
		return
	}
	made := tableEntry{e.version, e.meta&^(1<<6|entryEnd) | entryPointer, pointer}
	if e.key[0] != prefixBlock {
		if strings.HasPrefix(string(e.key), "f~") {
			return // what an earlier mending put there
		}
		s.keys[string(e.key)] = made
		s.live[file] += int64(e.size)
		return
	}
	s.block(e.key, e.value, made, file, e.at)
}

// block looks at a block wherever it lies. Without its header, which may have lain elsewhere, nobody
// would find it.
func (s *salvage) block(key, value []byte, e tableEntry, file uint64, at int) {
	records, err := decodeBlock(value)
	if err != nil {
		return // whoever reads it will report it
	}
	h := header{first: records[0].Position, count: uint32(len(records)), bytes: uint32(len(value)), time: records[0].Time}
	if last, ok := positionOf(key); !ok || last != h.last() {
		return
	}
	devices := make(map[string]deviceMark)
	for i := range records {
		if r := &records[i]; r.Device != "" {
			devices[r.Device] = deviceMark{r.Seq, r.Position}
		}
	}
	s.blocks = append(s.blocks, candidate{h, e, file, at, devices})
}

func (s *salvage) mark(devices map[string]deviceMark) {
	for device, mark := range devices {
		if mark.at > s.devices[device].at {
			s.devices[device] = mark
		}
	}
}

// choose takes the blocks that have a header, and of the others those that fill a span of positions
// which nothing else fills, the newest first: a block may have been replaced, or its place taken after
// a kill.
func (s *salvage) choose() {
	head, version := s.head(), uint64(0)
	for key, e := range s.keys {
		if key[0] == prefixBlock && e.meta&(entryPointer|entryDeleted) == 0 {
			s.block([]byte(key), e.value, e, 0, 0)
		}
	}
	var filled []header // in order, without overlap
	place := func(h header) bool {
		at, _ := slices.BinarySearchFunc(filled, h.first, func(f header, p message.Position) int { return cmp.Compare(f.last(), p) })
		if at < len(filled) && filled[at].first <= h.last() {
			return false
		}
		filled = slices.Insert(filled, at, h)
		return true
	}
	for key, e := range s.keys {
		version = max(version, e.version)
		if key[0] != prefixHeader || e.meta&entryDeleted != 0 {
			continue
		}
		if h, err := decodeHeader([]byte(key), e.value); err == nil && h.last() >= head {
			place(h)
		}
	}
	slices.SortFunc(s.blocks, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.entry.version, a.entry.version), cmp.Compare(b.file, a.file), cmp.Compare(b.at, a.at))
	})
	for _, c := range s.blocks {
		last := c.header.last()
		if last < head {
			continue
		}
		at := headerKey(last)
		known, err := decodeHeader(at, s.keys[string(at)].value)
		if err == nil && (known.first != c.header.first || s.keys[string(blockKey(last))].version > c.entry.version) {
			continue
		}
		if err != nil {
			if !place(c.header) {
				continue
			}
			s.keys[string(at)] = tableEntry{c.entry.version, 0, c.header.value(at)}
		}
		s.keys[string(blockKey(last))] = c.entry
		if c.file != 0 {
			s.live[c.file] += int64(c.header.bytes)
		}
		s.mark(c.devices)
	}
	for device, mark := range s.devices {
		key := deviceKey(device)
		known, err := decodeDevice(key, s.keys[string(key)].value)
		if err != nil || known.at < mark.at {
			s.keys[string(key)] = tableEntry{max(version, 1), 0, mark.value(key)}
		}
	}
}

// write makes the new files in folder.
func (s *salvage) write(folder string, first uint64) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o750); err != nil {
		return err
	}
	names := make([]string, 0, len(s.keys))
	for key := range s.keys {
		names = append(names, key)
	}
	slices.Sort(names)
	content, memory := make([]byte, vlogHead), 0
	flush := func() error {
		err := writeSynced(filepath.Join(folder, fmt.Sprintf("%05d.mem", first)), content)
		first++
		content, memory = content[:vlogHead], 0
		return err
	}
	for _, key := range names {
		e := s.keys[key]
		need := nodeBytes + len(key) + versionBytes + len(e.value)
		if memory > 0 && memory+need > walBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		memory += need
		content = appendLogEntry(content, e.meta&^(1<<6|entryEnd), []byte(key), e.version, e.value)
	}
	if err := flush(); err != nil {
		return err
	}
	// What no key leads to is stale: told so, the collector gives it back.
	discard, files := make([]byte, discardSize), make([]uint64, 0, len(s.stale))
	for file, bytes := range s.stale {
		if bytes > s.live[file] {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	for i, file := range files {
		if (i+2)*discardEntry > len(discard) {
			break
		}
		binary.BigEndian.PutUint64(discard[i*discardEntry:], file)
		binary.BigEndian.PutUint64(discard[i*discardEntry+8:], uint64(s.stale[file]-s.live[file]))
	}
	if err := writeSynced(filepath.Join(folder, discardFile), discard); err != nil {
		return err
	}
	return syncFolder(folder)
}

// finishRebuild exchanges the files, from wherever a kill left off. Without anything to do it does
// nothing. The emptied folder stays until what depends on the salvage is durable too: see care.done.
func finishRebuild(dir, name string) error {
	badgerDir := filepath.Join(dir, name)
	if err := os.RemoveAll(filepath.Join(dir, gathering)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, gathered)); err == nil {
		if err := syncFolder(dir); err != nil {
			return err
		}
		if err := moveOld(dir, badgerDir); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, replacing)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // an earlier salvage left it empty
		}
		if err := os.Rename(filepath.Join(dir, gathered), filepath.Join(dir, replacing)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, replacing))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(syncFolder(badgerDir), syncFolder(dir)); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(dir, replacing, entry.Name()), filepath.Join(badgerDir, entry.Name())); err != nil {
			return err
		}
	}
	return syncFolder(badgerDir)
}

// moveOld sets aside what the new files replace: a few megabytes at most. Only the last such set is
// kept.
func moveOld(dir, badgerDir string) error {
	aside := filepath.Join(dir, "damaged", "keys")
	files, err := listFiles(badgerDir)
	if err != nil {
		return err
	}
	old := []string{filepath.Join(badgerDir, manifestFile), filepath.Join(badgerDir, discardFile)}
	for _, f := range slices.Concat(files.tables, files.wals) {
		old = append(old, f.path)
	}
	if files.manifest { // the first to go is the manifest: from then on this set is being filled
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(aside, 0o750); err != nil {
		return err
	}
	for _, path := range old {
		err := os.Rename(path, filepath.Join(aside, filepath.Base(path)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// appendPointer writes where in the value log a value is, as Badger has it in memory; all machines
// that we build for are little-endian.
func appendPointer(b []byte, file uint64, at, size int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(file))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	return binary.LittleEndian.AppendUint32(b, uint32(at))
}

func writeSynced(path string, content []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
