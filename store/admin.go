package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Admin is the small database of users and configuration revisions. It is apart from the log, whose
// options would suit neither its values nor its pace.
type Admin struct {
	db   *badger.DB
	lock *os.File

	failure atomic.Pointer[error] // set for good when a sync failed

	mu   sync.Mutex // guards what follows; one writer at a time, so that revisions get ascending keys
	next uint64     // key of the next revision
}

// User is somebody who may log in.
type User struct {
	Name, Role   string
	PasswordHash []byte
}

// Revision is one configuration that was in force.
type Revision struct {
	Time   int64 // Unix milliseconds
	Author string
	Text   string
}

const (
	prefixUser     = 'u'
	prefixRevision = 'v'
	maxRevision    = 512 << 10
	keptRevisions  = 1000
)

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
	a := &Admin{lock: lock, next: 1}
	files := filepath.Join(dir, "db")
	if err := clearLeftovers(files, &damage{dir: filepath.Join(dir, "damaged")}); err != nil {
		return nil, inWords(dir, err)
	}
	m, err := measure(dir)
	if err != nil {
		return nil, inWords(dir, err)
	}
	if m.free < 1<<20 {
		return nil, fmt.Errorf("open the database in %s: no space left", dir)
	}
	logger := &badgerLog{log: slog.New(slog.DiscardHandler), onSyncFailure: a.fail}
	if a.db, err = openBadger(dir, adminOptions(files, logger)); err != nil {
		return nil, err
	}
	err = a.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		if it.Seek([]byte{prefixRevision + 1}); it.ValidForPrefix([]byte{prefixRevision}) {
			a.next = binary.BigEndian.Uint64(it.Item().Key()[1:]) + 1
		}
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
	o.MemTableSize = 4 << 20 // a revision is one value below 15 % of it
	o.NumMemtables = 1
	o.BaseTableSize, o.BaseLevelSize = 4<<20, 8<<20
	o.NumLevelZeroTables, o.NumLevelZeroTablesStall = 1, 3
	o.NumCompactors = 2
	o.ValueThreshold = 4 << 10
	o.ValueLogFileSize = 4 << 20
	o.Compression = options.None
	o.BlockCacheSize, o.IndexCacheSize = 1<<20, 0
	o.MetricsEnabled = false
	o.Logger = logger
	return o
}

func (a *Admin) fail(err error) { a.failure.CompareAndSwap(nil, &err) }

// write commits one transaction and returns when it is on stable storage.
func (a *Admin) write(change func(txn *badger.Txn) error) error {
	if a.failure.Load() == nil {
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

// User finds a user by name.
func (a *Admin) User(name string) (user User, known bool, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(userKey(name))
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &user) })
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("read user %q: %w", name, err)
	}
	return user, true, nil
}

// PutUser makes or replaces a user.
func (a *Admin) PutUser(user User) error {
	if user.Name == "" || len(user.Name) > maxName {
		return fmt.Errorf("put user %q: a name has 1 to %d bytes", user.Name, maxName)
	}
	key := userKey(user.Name)
	value, err := encodeJSON(key, user)
	if err != nil {
		return fmt.Errorf("put user %q: %w", user.Name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		return fmt.Errorf("put user %q: %w", user.Name, err)
	}
	return nil
}

// Users lists all users by name.
func (a *Admin) Users() ([]User, error) {
	var users []User
	err := a.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Seek([]byte{prefixUser}); it.ValidForPrefix([]byte{prefixUser}); it.Next() {
			var user User
			item := it.Item()
			if err := item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &user) }); err != nil {
				return err
			}
			users = append(users, user)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return users, nil
}

// AddRevision records a configuration, stamped with now when it has no time. The oldest beyond
// 1,000 are forgotten.
func (a *Admin) AddRevision(revision Revision) error {
	if len(revision.Text) > maxRevision {
		return fmt.Errorf("add a revision: %d bytes, at most %d fit", len(revision.Text), maxRevision)
	}
	if revision.Time == 0 {
		revision.Time = time.Now().UnixMilli()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := revisionKey(a.next)
	value, err := encodeJSON(key, revision)
	if err != nil {
		return fmt.Errorf("add a revision: %w", err)
	}
	err = a.write(func(txn *badger.Txn) error {
		if a.next > keptRevisions {
			if err := txn.Delete(revisionKey(a.next - keptRevisions)); err != nil {
				return err
			}
		}
		return txn.Set(key, value)
	})
	if err != nil {
		return fmt.Errorf("add a revision: %w", err)
	}
	a.next++
	return nil
}

// Revisions gives up to limit revisions, the newest first.
func (a *Admin) Revisions(limit int) ([]Revision, error) {
	var list []Revision
	err := a.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		for it.Seek([]byte{prefixRevision + 1}); len(list) < limit && it.ValidForPrefix([]byte{prefixRevision}); it.Next() {
			var revision Revision
			item := it.Item()
			if err := item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &revision) }); err != nil {
				return err
			}
			list = append(list, revision)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return list, nil
}

// Close closes the database.
func (a *Admin) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.db.Close()
	if unlock := a.lock.Close(); err == nil {
		err = unlock
	}
	return err
}

func userKey(name string) []byte { return append([]byte{prefixUser}, name...) }

func revisionKey(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixRevision}, n)
}

// Users and revisions are few and grow fields over time: JSON behind a version byte and before a
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
