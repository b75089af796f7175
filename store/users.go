package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// User is somebody who may log in.
type User struct {
	Name, Role   string
	PasswordHash []byte
	// Gone marks a user who was removed: an entry that were deleted could come back with a damaged
	// database, one that is overwritten cannot.
	Gone bool `json:",omitempty"`
}

const (
	prefixUser = 'u'
	keptGone   = 1000 // marks of users who were removed
)

// User finds a user by name.
func (a *Admin) User(name string) (user User, known bool, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(userKey(name))
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &user) })
	})
	if errors.Is(err, badger.ErrKeyNotFound) || err == nil && user.Gone {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("read user %q: %w", name, err)
	}
	return user, true, nil
}

// PutUser makes or replaces a user, whose sessions end.
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
	err = a.write(func(txn *badger.Txn) error {
		if err := signOut(txn, user.Name); err != nil {
			return err
		}
		return txn.Set(key, value)
	})
	if err != nil {
		return fmt.Errorf("put user %q: %w", user.Name, err)
	}
	return nil
}

// RemoveUser removes a user with all sessions; known is false when there is none of that name.
func (a *Admin) RemoveUser(name string) (known bool, err error) {
	if _, known, err = a.User(name); err != nil || !known {
		return known, err
	}
	all, err := a.allUsers()
	if err != nil {
		return true, err
	}
	key := userKey(name)
	value, err := encodeJSON(key, User{Name: name, Gone: true})
	if err != nil {
		return true, fmt.Errorf("remove user %q: %w", name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.write(func(txn *badger.Txn) error {
		gone := 0
		for _, u := range all {
			if !u.Gone {
				continue
			}
			if gone++; gone < keptGone {
				continue
			}
			if err := txn.Delete(userKey(u.Name)); err != nil {
				return err
			}
		}
		if err := signOut(txn, name); err != nil {
			return err
		}
		return txn.Set(key, value)
	})
	if err != nil {
		return true, fmt.Errorf("remove user %q: %w", name, err)
	}
	return true, nil
}

// Users lists all users by name.
func (a *Admin) Users() (users []User, err error) {
	all, err := a.allUsers()
	for _, u := range all {
		if !u.Gone {
			users = append(users, u)
		}
	}
	return users, err
}

func (a *Admin) allUsers() (users []User, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
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

func userKey(name string) []byte { return append([]byte{prefixUser}, name...) }

// Token is a key to the API, known by its hash alone.
type Token struct {
	Name, Role string
	By         string // who made it
	Made       int64  // Unix milliseconds
	Expires    int64  // Unix milliseconds; 0: never
	Hash       [32]byte
}

// tokensKey is the one entry that holds all tokens, so that one that was revoked is overwritten.
const tokensKey = "tokens"

// Tokens lists the tokens as they were put.
func (a *Admin) Tokens() (tokens []Token, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(tokensKey))
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &tokens) })
	})
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return tokens, nil
}

// PutTokens replaces all tokens.
func (a *Admin) PutTokens(tokens []Token) error {
	value, err := encodeJSON([]byte(tokensKey), tokens)
	if err != nil {
		return fmt.Errorf("put tokens: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(func(txn *badger.Txn) error { return txn.Set([]byte(tokensKey), value) }); err != nil {
		return fmt.Errorf("put tokens: %w", err)
	}
	return nil
}
