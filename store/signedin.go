package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// SignedIn is a session of the page, known by the hash of its token alone. Times are Unix milliseconds.
type SignedIn struct {
	Hash    []byte // SHA-256 of the token
	User    string
	Created int64
	Used    int64 // some time before the last use
	Expires int64 // however much it is used
}

// signedInKey is the one entry that holds all sessions, so that one that was ended is overwritten. No backup
// has it, and none brings it back.
const signedInKey = "sessions"

// SignedIn lists the sessions as they were put, but for those that ended with their user's password.
func (a *Admin) SignedIn() (sessions []SignedIn, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		sessions, err = signedIn(txn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list who is signed in: %w", err)
	}
	return sessions, nil
}

// PutSignedIn replaces all sessions, durably when it returns.
func (a *Admin) PutSignedIn(sessions []SignedIn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(func(txn *badger.Txn) error { return putSignedIn(txn, sessions) }); err != nil {
		return fmt.Errorf("keep who is signed in: %w", err)
	}
	return nil
}

func signedIn(txn *badger.Txn) (sessions []SignedIn, err error) {
	item, err := txn.Get([]byte(signedInKey))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &sessions) })
	return sessions, err
}

func putSignedIn(txn *badger.Txn, sessions []SignedIn) error {
	value, err := encodeJSON([]byte(signedInKey), sessions)
	if err != nil {
		return err
	}
	return txn.Set([]byte(signedInKey), value)
}

// signOut ends the sessions of a user in the transaction that changes the user: no power cut can come between.
func signOut(txn *badger.Txn, user string) error {
	all, err := signedIn(txn)
	if errors.Is(err, errValue) {
		return putSignedIn(txn, nil) // nobody knows whose they are
	}
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(all), func(s SignedIn) bool { return s.User == user })
	if len(left) == len(all) {
		return nil
	}
	return putSignedIn(txn, left)
}
