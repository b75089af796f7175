package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Setup is how far the first run of the gateway has come.
type Setup struct {
	Done      []string // steps that somebody has finished on the page
	Skipped   []string // steps that somebody has left for later
	Dismissed bool     // nobody wants to be reminded any more
	// Draft is what was chosen and does not run yet, as the page wrote it; it holds no secrets.
	Draft json.RawMessage `json:",omitempty"`
	// Given is the administrator's hash as it came from the environment. While the administrator still
	// has it, the password is one that others can read.
	Given []byte `json:",omitempty"`
}

// maxDraft bounds a draft, so that it fits into a transaction of the database with its options.
const maxDraft = 256 << 10

const prefixSetup = 's'

var setupKey = []byte{prefixSetup, '1'} // there is one gateway to set up

// Setup gives what ChangeSetup has kept; the zero Setup before.
func (a *Admin) Setup() (setup Setup, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(setupKey)
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error { return decodeJSON(setupKey, value, &setup) })
	})
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return Setup{}, fmt.Errorf("read how far the set-up is: %w", err)
	}
	return setup, nil
}

// ChangeSetup changes what is kept; changes at once follow one another.
func (a *Admin) ChangeSetup(change func(*Setup)) (Setup, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	setup, err := a.Setup()
	if err != nil {
		return Setup{}, err
	}
	change(&setup)
	if len(setup.Draft) > maxDraft {
		return Setup{}, fmt.Errorf("keep how far the set-up is: a draft of %d bytes, at most %d fit", len(setup.Draft), maxDraft)
	}
	if bytes.Equal(setup.Draft, []byte("null")) {
		setup.Draft = nil
	}
	value, err := encodeJSON(setupKey, setup)
	if err != nil {
		return Setup{}, fmt.Errorf("keep how far the set-up is: %w", err)
	}
	if err := a.write(func(txn *badger.Txn) error { return txn.Set(setupKey, value) }); err != nil {
		return Setup{}, fmt.Errorf("keep how far the set-up is: %w", err)
	}
	return setup, nil
}
