package store

import (
	"slices"
	"sort"
	"sync"

	"sluice/gateway/message"
)

// index is what memory knows of the durable log: one small header a block, in order, and its ends.
// Whatever is in it is durable and may be read.
type index struct {
	mu       sync.RWMutex // guards what follows
	blocks   []header
	head     message.Position
	tail     message.Position
	stored   message.Position // the last in Badger; what is behind it only the write-ahead log has
	bytes    int64            // of the blocks as they are stored
	messages uint64
	grown    chan struct{} // closed at the next growth; nil when nobody asked
}

// find gives the first block that ends at or behind from.
func (ix *index) find(from message.Position) (header, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	i := ix.searchLocked(from)
	if i == len(ix.blocks) {
		return header{}, false
	}
	return ix.blocks[i], true
}

func (ix *index) searchLocked(from message.Position) int {
	return sort.Search(len(ix.blocks), func(i int) bool { return ix.blocks[i].last() >= from })
}

// grow publishes a committed block; stored says that Badger has it.
func (ix *index) grow(h header, stored bool) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if stored {
		ix.stored = h.last()
	}
	ix.blocks = append(ix.blocks, h)
	ix.bytes += int64(h.bytes)
	ix.messages += uint64(h.count)
	ix.tail = h.last()
	if ix.grown != nil {
		close(ix.grown)
		ix.grown = nil
	}
}

// substitute puts a block in the place of all that it covers.
func (ix *index) substitute(made header) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	from := ix.searchLocked(made.first)
	to := ix.searchLocked(made.last() + 1)
	for _, h := range ix.blocks[from:to] {
		ix.bytes -= int64(h.bytes)
		ix.messages -= uint64(h.count)
	}
	ix.bytes += int64(made.bytes)
	ix.messages += uint64(made.count)
	ix.stored = made.last()
	ix.blocks[from] = made
	ix.blocks = append(ix.blocks[:from+1], ix.blocks[to:]...)
}

// has says whether these blocks are still in the log, one behind the other.
func (ix *index) has(list []header) bool {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	at := ix.searchLocked(list[0].last())
	if at+len(list) > len(ix.blocks) {
		return false
	}
	for i, h := range list {
		if ix.blocks[at+i] != h {
			return false
		}
	}
	return true
}

// firstYoung gives the oldest block that Badger does not have yet.
func (ix *index) firstYoung() (header, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	i := ix.searchLocked(ix.stored + 1)
	if i == len(ix.blocks) {
		return header{}, false
	}
	return ix.blocks[i], true
}

// storedEnd is the last position that Badger has.
func (ix *index) storedEnd() message.Position {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.stored
}

// oldest gives up to n blocks from the head that Badger has, but never the last of them: while it is
// there, the tail can be proven.
func (ix *index) oldest(n int) []header {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	n = min(n, ix.searchLocked(ix.stored+1)-1)
	if n <= 0 {
		return nil
	}
	return slices.Clone(ix.blocks[:n])
}

// trim forgets the blocks below head, where the log starts from now on.
func (ix *index) trim(head message.Position) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	n := ix.searchLocked(head)
	for _, h := range ix.blocks[:n] {
		ix.bytes -= int64(h.bytes)
		ix.messages -= uint64(h.count)
	}
	ix.blocks = ix.blocks[n:]
	if cap(ix.blocks) > 4*len(ix.blocks)+64 {
		ix.blocks = slices.Clone(ix.blocks) // gives back what the trimmed front held
	}
	ix.head = head
}

// remove forgets one block that cannot be read; false when it was not there any more.
func (ix *index) remove(h header) bool {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	i := ix.searchLocked(h.last())
	if i == len(ix.blocks) || ix.blocks[i] != h {
		return false
	}
	ix.blocks = slices.Concat(ix.blocks[:i], ix.blocks[i+1:])
	ix.bytes -= int64(h.bytes)
	ix.messages -= uint64(h.count)
	return true
}

func (ix *index) ends() (head, tail message.Position) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.head, ix.tail
}

func (ix *index) size() (bytes int64, messages uint64) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.bytes, ix.messages
}

// Tail gives the last durable position and a channel that is closed when it has grown.
func (s *Store) Tail() (message.Position, <-chan struct{}) {
	ix := &s.index
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.grown == nil {
		ix.grown = make(chan struct{})
	}
	return ix.tail, ix.grown
}

// Head gives the first position that has not been trimmed.
func (s *Store) Head() message.Position {
	head, _ := s.index.ends()
	return head
}
