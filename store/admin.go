package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Admin is the small database of users, their sessions, tokens, configuration revisions and audit records. It is apart from the log, whose
// options would suit neither its values nor its pace.
type Admin struct {
	db   *badger.DB
	lock *os.File

	failure atomic.Pointer[error] // set for good when a sync failed

	mu        sync.Mutex // guards what follows; one writer at a time, so that entries get ascending numbers
	revisions journal
	audits    journal
}

// OpenAdmin finds or makes the database in a directory of its own.
func OpenAdmin(dir string) (*Admin, error) {
	lock, err := claim(dir)
	if err != nil {
		return nil, err
	}
	a, err := openAdmin(dir, lock)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return a, nil
}

func openAdmin(dir string, lock *os.File) (*Admin, error) {
	a := &Admin{
		lock:      lock,
		revisions: journal{prefix: prefixRevision, kept: keptRevisions},
		audits:    journal{prefix: prefixAudit, kept: keptAudits},
	}
	files := filepath.Join(dir, "db")
	care, err := nurse(dir, "db", &damage{dir: filepath.Join(dir, "damaged"), log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, inWords(dir, err)
	}
	m, err := measure(dir)
	if err != nil {
		return nil, inWords(dir, err)
	}
	if m.free < 1<<20 {
		return nil, fmt.Errorf("open the database in %s: no space left", dir)
	}
	o := adminOptions(files, &badgerLog{log: slog.New(slog.DiscardHandler), onSyncFailure: a.fail})
	a.db, err = openBadger(dir, o)
	if err != nil && !care.salvaged {
		if err := care.salvage(err); err != nil {
			return nil, inWords(dir, err)
		}
		a.db, err = openBadger(dir, o)
	}
	if err != nil {
		return nil, err
	}
	if err := care.done(); err != nil {
		a.db.Close()
		return nil, inWords(dir, err)
	}
	err = a.db.View(func(txn *badger.Txn) error {
		a.revisions.recover(txn)
		a.audits.recover(txn)
		return nil
	})
	if err != nil {
		a.db.Close()
		return nil, fmt.Errorf("open the database in %s: %w", dir, err)
	}
	return a, nil
}

func adminOptions(dir string, logger badger.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.SyncWrites = true
	// Large enough for what is below ValueThreshold; a revision mostly is not. More would be memory
	// that the collector of garbage counts as used, and doubles.
	o.MemTableSize = 1 << 20
	o.NumMemtables = 1
	o.BaseTableSize, o.BaseLevelSize = 1<<20, 8<<20
	o.NumLevelZeroTables, o.NumLevelZeroTablesStall = 1, 3
	o.NumCompactors = 2
	o.ValueThreshold = 4 << 10
	o.ValueLogFileSize = 4 << 20
	o.Compression = options.None
	o.BlockCacheSize, o.IndexCacheSize = 0, 0
	o.MetricsEnabled = false
	o.Logger = logger
	return o
}

func (a *Admin) dir() string { return filepath.Dir(a.lock.Name()) }

func (a *Admin) fail(err error) { a.failure.CompareAndSwap(nil, &err) }

// write commits one transaction and returns when it is on stable storage.
func (a *Admin) write(change func(txn *badger.Txn) error) error {
	if a.failure.Load() == nil {
		if m, err := measure(a.dir()); err != nil || m.free < adminSpace {
			return errors.Join(err, fmt.Errorf("write to the database in %s: %w", a.dir(), syscall.ENOSPC))
		}
		if err := a.db.Update(change); err != nil {
			return err
		}
	}
	// Badger acknowledges although the sync failed: see badgerLog.
	if failure := a.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// Close closes the database.
func (a *Admin) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := closeFlushing(a.db, a.dir(), adminSpace)
	if unlock := a.lock.Close(); err == nil {
		err = unlock
	}
	return err
}

// Users, sessions, tokens and revisions are few and grow fields over time: JSON behind a version byte and before a
// checksum.
func encodeJSON(key []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return seal(key, append([]byte{formatVersion}, text...)), nil
}

func decodeJSON(key, value []byte, v any) error {
	if len(value) < 5 || value[0] != formatVersion {
		return fmt.Errorf("%w under key %q", errValue, key)
	}
	body := value[:len(value)-4]
	if string(seal(key, body[:len(body):len(body)])) != string(value) {
		return fmt.Errorf("%w under key %q: checksum", errValue, key)
	}
	if err := json.Unmarshal(body[1:], v); err != nil {
		return fmt.Errorf("%w under key %q: %v", errValue, key, err)
	}
	return nil
}
