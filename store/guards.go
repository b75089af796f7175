package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

// claim makes the directory and locks it for this process. Badger has a lock of its own, but the
// files that a kill left must be cleared before Badger is opened, and by nobody else.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, inWords(dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, inWords(dir, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("open the log in %s: it is in use by another process", dir)
		}
		return nil, inWords(dir, err)
	}
	return lock, nil
}

// inWords says on one line why a directory cannot be used.
func inWords(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open the log in %s: no permission to write there", dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("open the log in %s: the file system is read-only", dir)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("open the log in %s: no space left", dir)
	}
	return fmt.Errorf("open the log in %s: %s", dir, strings.ReplaceAll(err.Error(), "\n", " "))
}

// vlogHead is what every value-log and memtable file of Badger begins with.
const vlogHead = 20

// clearLeftovers removes what a kill may leave between the creation or deletion of a file and its
// end, and what makes Badger refuse to open: files of no bytes. A file that is shorter than its own
// head holds no entry either; it is set aside in case that somebody wants to know.
func clearLeftovers(badgerDir string, damage *damage) error {
	entries, err := os.ReadDir(badgerDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); ext != ".vlog" && ext != ".mem" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		path := filepath.Join(badgerDir, entry.Name())
		switch {
		case info.Size() == 0:
			err = os.Remove(path)
		case info.Size() < vlogHead:
			err = damage.setAsideFile(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openBadger opens the database and turns whatever goes wrong, panics on mangled files included,
// into an error on one line.
func openBadger(dir string, options badger.Options) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("open the log in %s: its files are damaged: %v", dir, r)
		}
	}()
	if err := checkSizes(options, wordBits); err != nil {
		return nil, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	db, err = badger.Open(options)
	if err != nil {
		return nil, inWords(dir, err)
	}
	return db, nil
}

// badgerLog passes Badger's messages on. Badger only logs a failed sync of its value log and
// acknowledges the transaction all the same: onSyncFailure hears of it before the commit returns.
type badgerLog struct {
	log           *slog.Logger
	onSyncFailure func(error)
}

func (l *badgerLog) Errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	// "Error while curlf sync" in 4.9.6; anything else that speaks of a failed sync is as bad.
	if strings.Contains(format, "sync") {
		l.onSyncFailure(errors.New(text))
		return
	}
	l.log.Warn("database complains", "detail", text)
}

func (l *badgerLog) Warningf(format string, args ...any) {
	l.log.Debug("database warns", "detail", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l *badgerLog) Infof(string, ...any)  {} // formatting it would cost more than it tells
func (l *badgerLog) Debugf(string, ...any) {}
