package store

import "github.com/dgraph-io/badger/v4"

// A transaction may hold 15 % of the memtable, in bytes and in list nodes; what is put in the value
// log counts only with its pointer. The bounds here stay a little below that: 19660 and 189.
const (
	batchEntries = 168
	batchBytes   = 17400
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
	if !b.room(len(key) + valueCost(len(value))) {
		return false
	}
	if err := b.txn.SetEntry(badger.NewEntry(key, value)); err != nil && b.err == nil {
		b.err = err
	}
	return true
}

// setAll puts all of the entries in, or none when there is no room for them.
func (b *batch) setAll(entries []entry) bool {
	size := 0
	for _, e := range entries {
		size += len(e.key) + valueCost(len(e.value)) + entryCost
	}
	if b.entries+len(entries) > batchEntries || b.bytes+size > batchBytes {
		return false
	}
	for _, e := range entries {
		b.set(e.key, e.value)
	}
	return true
}

// valueCost is what a value of that size counts in a transaction.
func valueCost(size int) int {
	if size >= valueThreshold {
		return pointerCost
	}
	return size
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

// writeBeside does the same, and meanwhile compresses the groups that are full already: nothing can
// join them any more, and the processor would only wait for the disk.
func (s *Store) writeBeside(b *batch) error {
	done := make(chan error, 1)
	go func() { done <- s.write(b) }()
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		if s.prepare(takeFull) {
			continue
		}
		select {
		case err := <-done:
			return err
		case <-s.queue.filled:
		}
	}
}
