package store

import "github.com/dgraph-io/badger/v4"

// A transaction may hold 15 % of the memtable, in bytes and in list nodes; what is put in the value
// log counts only with its pointer. The bounds here stay a little below that: 9830 and 94.
const (
	batchEntries = 84
	batchBytes   = 8700
	entryCost    = 12 // Badger's own count beside key and value
	pointerCost  = 12
)

// batch is one transaction under construction. The first error is kept for commit.
type batch struct {
	txn     *badger.Txn
	entries int
	bytes   int
	err     error
}

func newBatch(db *badger.DB) *batch { return &batch{txn: db.NewTransaction(true)} }

// set puts an entry in; false means that there is no room for it.
func (b *batch) set(key, value []byte) bool {
	cost := len(value)
	if cost >= 100 { // options.go: ValueThreshold
		cost = pointerCost
	}
	if !b.room(len(key) + cost) {
		return false
	}
	if err := b.txn.SetEntry(badger.NewEntry(key, value)); err != nil && b.err == nil {
		b.err = err
	}
	return true
}

// remove deletes a key; false means that there is no room for it.
func (b *batch) remove(key []byte) bool {
	if !b.room(len(key)) {
		return false
	}
	if err := b.txn.Delete(key); err != nil && b.err == nil {
		b.err = err
	}
	return true
}

func (b *batch) room(size int) bool {
	if b.entries == batchEntries || b.bytes+size+entryCost > batchBytes {
		return false
	}
	b.entries++
	b.bytes += size + entryCost
	return true
}

// filling is the value of every filler key: as large as one in the LSM may be, more or less.
var filling = make([]byte, 80)

// pad adds scratch keys until the batch has n bytes or no room.
func (b *batch) pad(n int) {
	for i := byte(0); b.bytes < n && b.set([]byte{prefixFiller, i}, filling); i++ {
	}
}

// commit returns when everything in the batch is on stable storage.
func (b *batch) commit() error {
	defer b.txn.Discard()
	if b.err != nil {
		return b.err
	}
	return b.txn.Commit()
}

// write commits a batch on behalf of the log.
func (s *Store) write(b *batch) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return b.commit()
}
