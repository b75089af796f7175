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

// batch is one transaction under construction, for Badger or for the journal. The first error is
// kept for commit.
type batch struct {
	db      *badger.DB
	entries []entry
	bytes   int
	err     error
}

// entry is one change that a batch makes; without a value, the removal of the key.
type entry struct{ key, value []byte }

func newBatch(db *badger.DB) *batch { return &batch{db: db} }

// set puts an entry in; false means that there is no room for it.
func (b *batch) set(key, value []byte) bool {
	return b.add(entry{key, value}, valueCost(len(value)))
}

// setAll puts all of the entries in, or none when there is no room for them.
func (b *batch) setAll(entries []entry) bool {
	size := 0
	for _, e := range entries {
		size += len(e.key) + valueCost(len(e.value)) + entryCost
	}
	if len(b.entries)+len(entries) > batchEntries || b.bytes+size > batchBytes {
		return false
	}
	for _, e := range entries {
		b.set(e.key, e.value)
	}
	return true
}

// size is how many bytes the batch holds, with those that count only as a pointer.
func (b *batch) size() (n int) {
	for _, e := range b.entries {
		n += len(e.key) + len(e.value)
	}
	return n
}

// valueCost is what a value of that size counts in a transaction.
func valueCost(size int) int {
	if size >= valueThreshold {
		return pointerCost
	}
	return size
}

// remove deletes a key; false means that there is no room for it.
func (b *batch) remove(key []byte) bool { return b.add(entry{key: key}, 0) }

func (b *batch) add(e entry, cost int) bool {
	cost += len(e.key) + entryCost
	if len(b.entries) == batchEntries || b.bytes+cost > batchBytes {
		return false
	}
	b.bytes += cost
	b.entries = append(b.entries, e)
	return true
}

// commit returns when everything in the batch is on stable storage.
func (b *batch) commit() error {
	if b.err != nil {
		return b.err
	}
	txn := b.db.NewTransaction(true)
	defer txn.Discard()
	for _, e := range b.entries {
		var err error
		if e.value == nil {
			err = txn.Delete(e.key)
		} else {
			err = txn.SetEntry(badger.NewEntry(e.key, e.value))
		}
		if err != nil {
			return err
		}
	}
	return txn.Commit()
}

// write commits a batch on behalf of the log.
func (s *Store) write(b *batch) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	return b.commit()
}

// beside writes, and meanwhile compresses the groups that are full already: nothing can join them any
// more, and the processor would only wait for the disk.
func (s *Store) beside(write func() error) error {
	done := make(chan error, 1)
	go func() { done <- write() }()
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
