package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"sluice/gateway/message"
)

// Closed is the log of a gateway that is stopped, held for reading: while it is, no gateway can open
// it. Nothing in the directory changes, unless Repaired says otherwise.
type Closed struct {
	// Repaired is true when the gateway did not stop in an orderly way: then Badger's files had to
	// be brought to an end as the gateway's next start would have done. The log's content is the same.
	Repaired bool

	store *Store
}

// ErrNoLog is what a folder without a log gives.
var ErrNoLog = errors.New("there is no log in this folder")

// OpenClosed opens the log in dir for reading.
func OpenClosed(dir string) (*Closed, error) {
	s, repaired, err := openClosed(dir, nil)
	if err != nil {
		return nil, err
	}
	f := newFound()
	if err := f.load(s.db); err != nil {
		return nil, errors.Join(fmt.Errorf("read the log in %s: %w", dir, err), s.closeClosed())
	}
	s.writer.state = f.state
	s.index.head = max(f.state.head, 1)
	s.epoch = f.state.epoch
	s.dropped.Store(f.state.dropped)
	s.recoverBlocks(&f)
	s.recoverClock(&f)
	s.loadQueues(&f)
	for name, c := range f.cursors {
		s.cursors.restore(name, c, s.index.head, s.index.tail, false)
	}
	return &Closed{Repaired: repaired, store: s}, nil
}

// brokenError says that Badger's files cannot be opened without losing something.
type brokenError struct {
	dir    string
	causes []error
}

func (e *brokenError) Error() string {
	return fmt.Sprintf("the log in %s is damaged (%v); the gateway's next start sets the damage aside and reports it", e.dir, e.causes[0])
}

// openClosed locks the directory and opens Badger in it, for reading only if that is possible. What
// is wrong with Badger's files goes into report, unless it is nil.
func openClosed(dir string, report *Report) (s *Store, repaired bool, err error) {
	lock, err := claimExisting(dir)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	files := filepath.Join(dir, "log")
	quiet := slog.New(slog.DiscardHandler)
	if report == nil {
		report = &Report{}
	}
	broken := examine(files)
	for _, cause := range broken {
		report.find("%v", cause)
	}
	onSyncFailure := func(err error) { report.find("%v", err) }
	options := badgerOptions(files, defaultFileSize, &badgerLog{log: quiet, onSyncFailure: onSyncFailure})
	s = &Store{
		opts: Options{Dir: dir}, log: quiet, lock: lock, opened: time.Now(),
		space:  space{dir: dir, fileSize: defaultFileSize},
		cache:  cache{bound: cacheBytes, lanes: lanesBytes},
		damage: damage{log: quiet}, // without a directory: nothing is set aside
		queues: newQueueTable(queueMemory),
	}
	s.openSmall()
	orderly, err := endedInOrder(files)
	if err != nil {
		return nil, false, inWords(dir, err)
	}
	if orderly {
		if orderly, err = s.walSettled(); err != nil {
			return nil, false, inWords(dir, err)
		}
	}
	if orderly {
		if s.db, err = openBadger(dir, options.WithReadOnly(true)); err == nil {
			return s, false, nil
		}
		// Badger may want to cut what a power cut left behind; it says so only here.
	}
	if len(broken) > 0 {
		return nil, false, &brokenError{dir, broken}
	}
	if err := clearLeftovers(files, &damage{dir: filepath.Join(dir, "damaged"), log: quiet}); err != nil {
		return nil, false, inWords(dir, err)
	}
	if m, err := measure(dir); err != nil {
		return nil, false, inWords(dir, err)
	} else if m.free < 1<<20+flushSpace {
		return nil, false, inWords(dir, syscall.ENOSPC) // Badger would die of SIGBUS
	}
	if s.db, err = openBadger(dir, options); err != nil {
		return nil, false, err
	}
	replayed, err := s.replay()
	if err == nil && replayed.found {
		err = clearWAL(s.walDir())
	}
	if err != nil {
		return nil, false, errors.Join(fmt.Errorf("read the write-ahead log in %s: %w", dir, err), s.db.Close())
	}
	return s, true, nil
}

// walSettled says whether Badger has everything that the write-ahead log holds: an orderly end leaves
// files without a record.
func (s *Store) walSettled() (bool, error) {
	records, err := readWAL(s.walDir())
	return len(records) == 0, err
}

// endedInOrder says whether Badger left nothing to be done at the next opening: an orderly end
// flushes the memtables and leaves no file without a head.
func endedInOrder(files string) (bool, error) {
	entries, err := os.ReadDir(files)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		switch filepath.Ext(entry.Name()) {
		case ".mem":
			return false, nil
		case ".vlog":
			info, err := entry.Info()
			if err != nil {
				return false, err
			}
			if info.Size() < vlogHead {
				return false, nil
			}
		}
	}
	return true, nil
}

// claimExisting locks a log's directory without changing anything in it.
func claimExisting(dir string) (*os.File, error) {
	if _, err := os.Stat(filepath.Join(dir, "log")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoLog)
	} else if err != nil {
		return nil, inWords(dir, err)
	}
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return claim(dir) // copied without it
	}
	if err != nil {
		return nil, inWords(dir, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("the log in %s is in use: stop the gateway first", dir)
		}
		return nil, inWords(dir, err)
	}
	return lock, nil
}

func (s *Store) closeClosed() error {
	return errors.Join(s.db.Close(), s.lock.Close())
}

// Close lets go of the directory.
func (c *Closed) Close() error { return c.store.closeClosed() }

// Summary is what a log holds.
type Summary struct {
	Epoch         uint64          `json:"epoch"`
	First         uint64          `json:"first"` // the first position that is not trimmed
	Last          uint64          `json:"last"`
	Messages      uint64          `json:"messages"`
	Blocks        int             `json:"blocks"`
	BlockBytes    int64           `json:"block_bytes"` // of the blocks as they are stored
	DiskBytes     int64           `json:"disk_bytes"`  // of all files in the directory
	OldestMessage *time.Time      `json:"oldest_message,omitempty"`
	Dropped       uint64          `json:"dropped"` // messages taken from a cursor that had not passed them, ever
	Cursors       []CursorSummary `json:"cursors"`
	Devices       []DeviceSummary `json:"devices"`
	Damage        []DamageSummary `json:"damage"`
}

// CursorSummary is one cursor in a Summary.
type CursorSummary struct {
	Name          string `json:"name"`
	Position      uint64 `json:"position"`
	Messages      uint64 `json:"messages"` // that it has not passed
	Bytes         int64  `json:"bytes"`    // of the blocks that they are in
	UnusedSeconds int64  `json:"unused_seconds"`
	LimitSeconds  int64  `json:"limit_seconds"` // 0: it never expires

	Done []RangeSummary `json:"done,omitempty"` // beyond Position
}

// RangeSummary is a span of positions, both inclusive.
type RangeSummary struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// DeviceSummary is the last reading of a device.
type DeviceSummary struct {
	Name     string `json:"name"`
	Seq      uint64 `json:"seq"`
	Position uint64 `json:"position"`
}

// DamageSummary is a span of positions that cannot be served.
type DamageSummary struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Cause string `json:"cause"`
}

// Summary gives what the log holds, without reading its messages.
func (c *Closed) Summary() (Summary, error) {
	s := c.store
	if _, _, err := s.space.weigh(); err != nil {
		return Summary{}, inWords(s.opts.Dir, err)
	}
	stats := s.Stats()
	sum := Summary{
		Epoch: stats.Epoch, First: uint64(stats.First), Last: uint64(stats.Last), Messages: stats.Messages,
		Blocks: len(s.index.blocks), BlockBytes: stats.BlockBytes, DiskBytes: stats.Bytes, Dropped: stats.Dropped,
		Cursors: []CursorSummary{}, Devices: []DeviceSummary{}, Damage: []DamageSummary{},
	}
	if stats.Oldest != 0 {
		oldest := time.UnixMilli(stats.Oldest).UTC()
		sum.OldestMessage = &oldest
	}
	for _, cursor := range s.Cursors() {
		shown := CursorSummary{
			Name: cursor.Name, Position: uint64(cursor.Durable), Messages: cursor.Messages, Bytes: cursor.Bytes,
			UnusedSeconds: int64(cursor.Idle / time.Second), LimitSeconds: int64(cursor.Limit / time.Second),
		}
		for _, r := range cursor.Done {
			shown.Done = append(shown.Done, RangeSummary{uint64(r.First), uint64(r.Last)})
		}
		sum.Cursors = append(sum.Cursors, shown)
	}
	for _, d := range stats.Damage {
		sum.Damage = append(sum.Damage, DamageSummary{uint64(d.First), uint64(d.Last), d.Cause})
	}
	err := s.db.View(func(txn *badger.Txn) error {
		return eachDevice(txn, func(name string, mark deviceMark) {
			sum.Devices = append(sum.Devices, DeviceSummary{name, mark.seq, uint64(mark.at)})
		})
	})
	if err != nil {
		return Summary{}, fmt.Errorf("read the log in %s: %w", s.opts.Dir, err)
	}
	slices.SortFunc(sum.Devices, func(a, b DeviceSummary) int { return strings.Compare(a.Name, b.Name) })
	return sum, nil
}

// eachDevice visits the devices whose sequence number can be believed; Check reports the others.
func eachDevice(txn *badger.Txn, visit func(name string, mark deviceMark)) error {
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Seek([]byte{prefixDevice}); it.ValidForPrefix([]byte{prefixDevice}); it.Next() {
		key := it.Item().KeyCopy(nil)
		err := it.Item().Value(func(value []byte) error {
			if mark, err := decodeDevice(key, value); err == nil {
				visit(string(key[1:]), mark)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Records visits the records from one position to another, both inclusive, in order and one block
// at a time. What cannot be read is passed over; Damage has it afterwards.
func (c *Closed) Records(from, to message.Position, visit func(*message.Record) error) error {
	for from <= to {
		records, err := c.store.blockFrom(from)
		if err != nil || len(records) == 0 {
			return err
		}
		for i := range records {
			if records[i].Position > to {
				return nil
			}
			if err := visit(&records[i]); err != nil {
				return err
			}
		}
		from = records[len(records)-1].Position + 1
	}
	return nil
}

// Damage is what could not be read so far.
func (c *Closed) Damage() []Damage {
	found, _ := c.store.damage.list()
	return found
}

// blockFrom gives the records at and behind from of the first readable block that has any: so that
// whoever walks over the log holds one block, however large the messages are.
func (s *Store) blockFrom(from message.Position) ([]message.Record, error) {
	if !s.use.TryRLock() {
		return nil, message.ErrClosed
	}
	defer s.use.RUnlock()
	if s.gone {
		return nil, message.ErrClosed
	}
	for {
		h, ok := s.index.find(from)
		if !ok {
			return nil, nil
		}
		records, err := s.records(h)
		if err == nil {
			if from > h.first {
				records = records[from-h.first:]
			}
			return records, nil
		}
		if err := s.skip(h, err); err != nil {
			return nil, err
		}
		from = h.last() + 1
	}
}
