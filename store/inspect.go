package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"sluice/gateway/message"
)

const (
	manifestFile = badger.ManifestFilename
	registryFile = badger.KeyRegistryFileName
	discardFile  = "DISCARD"
	discardSize  = 1 << 20
	discardEntry = 16
)

// badgerFiles are the files of a database by what they are, numbered ones in order.
type badgerFiles struct {
	dir                string
	tables, logs, wals []badgerFile // .sst, .vlog, .mem
	manifest           bool
}

type badgerFile struct {
	number uint64
	path   string
	size   int64
}

func listFiles(dir string) (badgerFiles, error) {
	files := badgerFiles{dir: dir}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return files, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return files, err
		}
		if entry.Name() == manifestFile {
			files.manifest = true
		}
		ext := filepath.Ext(entry.Name())
		number, err := strconv.ParseUint(strings.TrimSuffix(entry.Name(), ext), 10, 32)
		if err != nil {
			continue
		}
		file := badgerFile{number, filepath.Join(dir, entry.Name()), info.Size()}
		switch ext {
		case ".sst":
			files.tables = append(files.tables, file)
		case ".vlog":
			files.logs = append(files.logs, file)
		case ".mem":
			files.wals = append(files.wals, file)
		}
	}
	for _, list := range [][]badgerFile{files.tables, files.logs, files.wals} {
		slices.SortFunc(list, func(a, b badgerFile) int { return int(int64(a.number) - int64(b.number)) })
	}
	return files, nil
}

// ailment is what an inspection found in a database's files.
type ailment struct {
	lsm      error // why keys and small values must be gathered again; nil when they are sound
	mended   []error
	setAside []string // files that are made anew when they are missing
	newest   []placed // the last blocks in the newest value log
}

// placed says where in the value log a block lies.
type placed struct {
	last message.Position
	path string
	at   int64
	size int
}

// inspect looks at what Badger would stumble over: it cuts files at the first flipped bit, removes
// tables that a shortened manifest does not name, and dies of a broken table in a goroutine of its
// own. Value logs are mended where they lie.
func inspect(dir string, aside func(name string, content []byte)) (a ailment, err error) {
	files, err := listFiles(dir)
	if err != nil || files.none() {
		return a, err
	}
	a.look(files)
	for i, l := range files.logs {
		newest := i == len(files.logs)-1
		if !newest && !encrypted(l.path) {
			continue // Badger cuts only the newest; the others are mended before they are collected
		}
		visit := func(e logEntry) {
			if newest {
				a.note(l.path, e)
			}
		}
		broken, err := mendLog(l.path, visit)
		if err != nil {
			return a, err
		}
		for n, b := range broken {
			aside(fmt.Sprintf("%s-%d.bin", filepath.Base(l.path), n), b)
			a.mended = append(a.mended, fmt.Errorf("%s: %d bytes are damaged", filepath.Base(l.path), len(b)))
		}
	}
	return a, nil
}

// examine is inspect without putting anything right.
func examine(dir string) (broken []error) {
	files, err := listFiles(dir)
	if err != nil {
		return []error{err}
	}
	if files.none() {
		return nil
	}
	var a ailment
	a.look(files)
	broken = a.mended
	if a.lsm != nil {
		broken = append(broken, a.lsm)
	}
	for i, l := range files.logs {
		if encrypted(l.path) {
			broken = append(broken, fmt.Errorf("%s: its head is damaged", filepath.Base(l.path)))
		}
		if i < len(files.logs)-1 {
			continue
		}
		if spans, _, err := inspectLog(l.path, func(logEntry) {}, func(int, int) {}); err != nil || spans > 0 {
			broken = append(broken, fmt.Errorf("%s: damaged in %d places, %v", filepath.Base(l.path), spans, err))
		}
	}
	return broken
}

func (f *badgerFiles) none() bool {
	return len(f.tables)+len(f.logs)+len(f.wals) == 0 && !f.manifest
}

// look examines everything but the value log.
func (a *ailment) look(files badgerFiles) {
	a.lsm = inspectTables(files)
	for _, w := range files.wals {
		if a.lsm == nil {
			a.lsm = inspectMemtable(w)
		}
	}
	if err := registrySound(files.dir); err != nil {
		a.mended = append(a.mended, fmt.Errorf("%s: %w", registryFile, err))
		a.setAside = append(a.setAside, registryFile)
	}
	if err := discardSound(filepath.Join(files.dir, discardFile)); err != nil {
		a.mended = append(a.mended, fmt.Errorf("%s: %w", discardFile, err))
		a.setAside = append(a.setAside, discardFile)
	}
}

// inspectMemtable looks through a memtable's log.
func inspectMemtable(w badgerFile) error {
	end := tornEnd{short: w.size < memtableLog}
	broken, rest, err := inspectLog(w.path, end.visit, end.damaged)
	if end.short && rest > 0 {
		broken++
	}
	if broken > end.spans || broken > 0 && !end.torn() || err != nil {
		return fmt.Errorf("%s is damaged in %d places, %v", filepath.Base(w.path), broken, err)
	}
	return nil
}

// tornEnd tells the last transaction in a memtable's log, of which a power cut kept some pages and not
// others, from damage: nothing else is behind the damaged span, and what is before it is whole or the
// same transaction. Its sync had not returned, so nobody was promised anything; Badger cuts it off.
type tornEnd struct {
	spans          int
	last, behind   uint64 // versions: of the last entry before the first span, of those behind it
	whole, several bool   // the transaction before it has its end; those behind are of several
	short          bool   // the file has not the size that Badger gives one that it writes to
}

// memtableLog is that size. Badger cuts one that it has read at the end of its last entry, behind which
// nothing is torn: what ends in the middle of one was cut by somebody else.
const memtableLog = 2 * memTableSize

func (t *tornEnd) visit(e logEntry) {
	if t.spans == 0 {
		t.last, t.whole = e.version, e.meta&entryEnd != 0
		return
	}
	t.several = t.several || t.behind != 0 && t.behind != e.version
	t.behind = e.version
}

func (t *tornEnd) damaged(int, int) { t.spans++ }

func (t *tornEnd) torn() bool {
	return t.spans > 0 && !t.short && !t.several && (t.last == 0 || t.whole || t.last == t.behind)
}

// note remembers the last blocks of the value log.
func (a *ailment) note(path string, e logEntry) {
	if last, ok := positionOf(e.key); ok && e.key[0] == prefixBlock {
		if len(a.newest) == maxNewest {
			a.newest = slices.Delete(a.newest, 0, 1)
		}
		a.newest = append(a.newest, placed{last, path, int64(e.at), e.size})
	}
}

// maxNewest bounds what is remembered of the newest value log.
const maxNewest = 64

// inspectLog counts the damaged spans of a log file without touching it.
// rest is how many bytes at its end are no whole entry.
func inspectLog(path string, visit func(logEntry), damaged func(from, to int)) (broken, rest int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	data, err := mapFile(file)
	if err != nil || data == nil {
		return 0, 0, err
	}
	defer func() { _ = unix.Munmap(data) }()
	if len(data) < vlogHead {
		return 0, 0, nil
	}
	if binary.BigEndian.Uint64(data) != 0 {
		broken++
	}
	rest = scanLog(data, visit, func(from, to int) { broken++; damaged(from, to) })
	return broken, rest, nil
}

// encrypted says whether Badger would look for an encryption key to a value log.
func encrypted(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var head [8]byte
	_, err = file.ReadAt(head[:], 0)
	return err == nil && head != [8]byte{}
}

// inspectTables holds the manifest against the tables that are there.
func inspectTables(files badgerFiles) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", manifestFile, r)
		}
	}()
	if !files.manifest && len(files.tables) == 0 {
		return nil // as a salvage leaves it: Badger makes a new one and replays the memtables' logs
	}
	if !files.manifest {
		return fmt.Errorf("%s is missing", manifestFile)
	}
	file, err := os.Open(filepath.Join(files.dir, manifestFile))
	if err != nil {
		return err
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.DefaultOptions("").WithLogger(nil))
	if err != nil {
		return fmt.Errorf("%s: %w", manifestFile, err)
	}
	var unnamed []badgerFile
	for _, t := range files.tables {
		_, named := manifest.Tables[t.number]
		delete(manifest.Tables, t.number)
		if !named {
			unnamed = append(unnamed, t)
		} else if err := scanTable(t.path, func([]byte, tableEntry) {}); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(t.path), err)
		}
	}
	for number := range manifest.Tables {
		return fmt.Errorf("%06d.sst is missing", number)
	}
	if len(unnamed) == 0 {
		return nil
	}
	return inspectUnnamed(files, unnamed)
}

// inspectUnnamed says whether tables that the manifest does not name hold something that nothing else
// does. A kill between the making of a table and its entry in the manifest, or between that and the
// removal of the tables that it replaces, leaves nothing of the kind but what was deleted.
func inspectUnnamed(files badgerFiles, unnamed []badgerFile) error {
	s := salvage{keys: make(map[string]tableEntry)}
	for _, t := range files.tables {
		if !slices.Contains(unnamed, t) {
			if err := scanTable(t.path, s.keep); err != nil {
				return err
			}
		}
	}
	if err := s.keepLogs(files.wals); err != nil {
		return err
	}
	head := s.head()
	var missing error
	for _, t := range unnamed {
		// An error is one that was being made.
		_ = scanTable(t.path, func(key []byte, e tableEntry) {
			if known, ok := s.keys[string(key)]; ok && known.version >= e.version || e.meta&entryDeleted != 0 {
				return
			}
			if key[0] == prefixPage || key[0] == prefixOffset {
				return // deleted since, and the deletion forgotten: pages count only where they are listed
			}
			if last, ok := positionOf(key); ok && (key[0] == prefixBlock || key[0] == prefixHeader) && last < head {
				return
			}
			missing = fmt.Errorf("%s does not name %s, which has key %q", manifestFile, filepath.Base(t.path), key)
		})
	}
	return missing
}

// registrySound says whether Badger can read its registry of keys, of which we have none.
func registrySound(dir string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	if _, err := os.Stat(filepath.Join(dir, registryFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	registry, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true})
	if err != nil {
		return err
	}
	return registry.Close()
}

// discardSound says whether the statistics of the collector can be true. Badger believes them: a
// number that no file can have sends its search for a file round for ever.
func discardSound(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(content) == 0 || len(content)%discardSize != 0 {
		return fmt.Errorf("%d bytes are not whole", len(content))
	}
	seen := make(map[uint64]bool)
	for ; len(content) > 0; content = content[discardEntry:] {
		number, discarded := binary.BigEndian.Uint64(content), binary.BigEndian.Uint64(content[8:])
		if number == 0 {
			break
		}
		if number > math.MaxUint32 || discarded > 1<<40 || seen[number] {
			return fmt.Errorf("file %d with %d bytes stale", number, discarded)
		}
		seen[number] = true
	}
	return nil
}
