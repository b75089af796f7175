package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

const (
	ballastFile = "ballast"
	ballastSize = 3 << 20 // for opening, and then for closing
	// A log that was opened on a full disk takes of what it was given, and leaves 16 KB of new files with each
	// start: after a power cut it needs so much more, some twenty times.
	ballastStarts = 1 << 20
	ballastGiven  = 32 << 10 // beyond what opening needs

	// What Badger writes when it closes: the memtable as a table, and perhaps one compaction that the
	// flush sets off, which writes as much of the LSM as is in one level before it deletes anything.
	flushSpace   = 2 * memTableSize
	compactSpace = 2 << 20
	adminSpace   = 1<<20 + 1<<19
)

// ballast is a file without content that holds room on the disk for the writes that cannot be put
// off: those of opening a log, and Badger's last flush when it is closed. Somebody else may have
// filled the disk by then, and Badger writes into sparse mappings, where a page that the file system
// has no room for is SIGBUS and the end of the process.
type ballast struct {
	path string
	size int64
}

func (sp *space) ballast() ballast {
	return ballast{filepath.Join(sp.dir, ballastFile), max(sp.floor(), ballastSize) + ballastStarts}
}

// keep makes the ballast where it is missing or not whole, and the disk has room for more than it.
func (b ballast) keep(free int64) (made bool, err error) {
	if b.left() >= b.size || free < 2*b.size {
		return false, nil
	}
	file, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return false, err
	}
	err = reserveSpace(file, b.size)
	if err := errors.Join(err, file.Close()); err != nil {
		return false, errors.Join(err, b.drop()) // half of it would be taken for the whole
	}
	return true, nil
}

// reserveSpace gives the file blocks of its own, written where the file system cannot do it otherwise.
func reserveSpace(file *os.File, size int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	for chunk := make([]byte, 64<<10); size > 0; size -= int64(len(chunk)) {
		if _, err := file.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// left is what the ballast still holds.
func (b ballast) left() int64 {
	info, err := os.Stat(b.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// give lets go of n bytes, rounded up to blocks of the disk.
func (b ballast) give(n int64) error {
	const block = 64 << 10 // at least as large as any file system's
	if rest := (b.left() - n) / block * block; rest > 0 {
		return os.Truncate(b.path, rest)
	}
	return b.drop()
}

// drop gives the room to whoever writes next.
func (b ballast) drop() error {
	if err := os.Remove(b.path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// keepBallast makes the ballast again once there is room for it.
func (s *Store) keepBallast() {
	m, _ := s.space.snapshot()
	made, err := s.space.ballast().keep(m.free)
	if err != nil {
		s.log.Warn("no room is kept for a full disk", "err", err)
	}
	if made {
		s.space.forget()
	}
}

// spaceToOpen says how much is free for Badger to open with, the ballast included if it must be.
func (s *Store) spaceToOpen() (free int64, err error) {
	m, err := measure(s.opts.Dir)
	if err != nil || m.free >= s.space.floor() {
		return m.free, err
	}
	if err := s.space.ballast().give(s.space.floor() + ballastGiven - m.free); err != nil {
		return 0, err
	}
	m, err = measure(s.opts.Dir)
	return m.free, err
}

// closeBadger closes the log's database. On a full disk the ballast makes room for what that writes.
func (s *Store) closeBadger() error {
	lsm := int64(0)
	for _, table := range s.db.Tables() {
		lsm += int64(table.OnDiskSize)
	}
	need := flushSpace + min(lsm, compactSpace)
	if m, err := measure(s.opts.Dir); err == nil && m.free < need {
		if err := s.space.ballast().give(need - m.free); err != nil {
			s.log.Warn("cannot make room on a full disk", "err", err)
		}
	}
	return closeFlushing(s.db, s.opts.Dir, need)
}

// closeFlushing closes a database unless there is no room for what it would flush. Then it stays as it
// is until the process ends, which is as good as a kill: all that was acknowledged is in Badger's
// logs, and the next start reads it from there.
func closeFlushing(db *badger.DB, dir string, need int64) error {
	if m, err := measure(dir); err == nil && m.free < need {
		return fmt.Errorf("no space left to close the database: %d bytes are free, %d are needed; nothing is lost, and the next start puts it in order", m.free, need)
	}
	return db.Close()
}
