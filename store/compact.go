package store

import (
	"errors"
	"fmt"

	"sluice/gateway/message"
)

// Trickles leave a block a message. As soon as enough small neighbours stand behind each other to
// fill a block they are written again as one, under the key of the last of them. A block is settled
// when that has been decided; it is not looked at again before a restart, so a payload byte is
// written at most once more.

const (
	// leastMerged is how many blocks must become one: groups of 150 readings and more stay as they
	// are, for rewriting them would cost more than their keys do.
	leastMerged = 16
	// A block of many messages is compressed about so much; nobody reads it to find out.
	likelyRatio = 4
	fewMessages = 8 // too few to compress
)

// settled is what the indexer knows about compaction.
type settled struct {
	next message.Position // everything before it is settled
}

func (h header) likelyPlain() int {
	if h.count < fewMessages {
		return int(h.bytes)
	}
	return likelyRatio * int(h.bytes)
}

// compact decides about the next block that is not settled: it stays, or it becomes one with those
// behind it. more is false while what follows it may still change that.
func (s *Store) compact() (more bool, err error) {
	head, _ := s.index.ends()
	s.settled.next = max(s.settled.next, head)
	window, complete := s.index.window(s.settled.next)
	if len(window) < leastMerged {
		if !complete {
			return false, nil
		}
		s.settled.next = window[0].last() + 1
		return true, nil
	}
	if !complete {
		return false, nil
	}
	made, replaced, err := s.rewrite(window)
	if err != nil {
		return false, err
	}
	if len(replaced) < 2 { // the first can be read no more, or fills a block with its neighbour
		s.settled.next = window[0].last() + 1
		return true, nil
	}
	if err := s.substitute(replaced, made); err != nil {
		return false, err
	}
	s.settled.next = replaced[len(replaced)-1].last() + 1
	return true, nil
}

// window gives blocks without a gap from next on that are likely to fit in one; complete says that
// a block behind them does not, or cannot, belong to it.
func (ix *index) window(next message.Position) (window []header, complete bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	size := 0
	for i := ix.searchLocked(next); i < len(ix.blocks); i++ {
		h := ix.blocks[i]
		if n := len(window); n > 0 && (size+h.likelyPlain() > blockPayload || h.first != window[n-1].last()+1 || n == pendingMost) {
			return window, true
		}
		size += h.likelyPlain()
		window = append(window, h)
	}
	return window, false
}

// merged is a block made of others, ready to be written.
type merged struct {
	header header
	value  []byte
}

// rewrite makes one block of as many blocks, from the first on, as fit in it.
func (s *Store) rewrite(window []header) (merged, []header, error) {
	g := &group{first: window[0].first}
	taken := 0
	for _, h := range window {
		records, _, err := s.load(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return merged{}, nil, err
			}
			break
		}
		size := 0
		for i := range records {
			size += recordBound(&records[i].Message)
		}
		if len(g.plain)+size > blockPayload {
			break
		}
		for i := range records {
			m := &records[i].Message
			g.add(m, placeOf(&records[i]), recordBound(m), nil, 0)
		}
		taken++
	}
	if taken < 2 {
		return merged{}, nil, nil
	}
	window = window[:taken]
	first, last := window[0], window[taken-1]
	value := appendBlock(nil, g.plain, g.chunks, first.first, g.base)
	return merged{
		header: header{
			first: first.first, count: uint32(last.last() - first.first + 1), bytes: uint32(len(value)),
			time: g.base, clock: last.clock, // later rather than earlier
		},
		value: value,
	}, window, nil
}

// substitute writes a block in the place of others. It overwrites the last of them; from then on the
// others are covered by it, whether they are there or not, and deleting them only gives space back.
func (s *Store) substitute(replaced []header, made merged) error {
	if done, err := s.exchange(replaced, made); err != nil || !done {
		return err
	}
	s.space.wrote(int64(made.header.bytes))
	keys := make([][]byte, 0, 2*len(replaced))
	for _, h := range replaced[:len(replaced)-1] {
		keys = append(keys, blockKey(h.last()), headerKey(h.last()))
	}
	return s.removeKeys(keys)
}

// exchange is the part of substitute that trimming must not come between: a block that reaches
// below the head would be taken for one that came back.
func (s *Store) exchange(replaced []header, made merged) (done bool, err error) {
	s.reshape.Lock()
	defer s.reshape.Unlock()
	if !s.index.has(replaced) {
		return false, nil // trimmed or damaged meanwhile
	}
	b := newBatch(s.db)
	key := headerKey(made.header.last())
	if !b.set(blockKey(made.header.last()), made.value) || !b.set(key, made.header.value(key)) {
		b.err = errors.New("bug: a block does not fit in a transaction")
	}
	if err := s.write(b); err != nil {
		return false, fmt.Errorf("compact the log from %d to %d: %w", made.header.first, made.header.last(), err)
	}
	if failure := s.queue.failed(); failure != nil {
		return false, failure
	}
	s.index.substitute(made.header)
	return true, nil
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

// substitute puts a block in the place of all that it covers. What a reader found to be damaged
// since the block was made is whole again.
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
	ix.blocks[from] = made
	ix.blocks = append(ix.blocks[:from+1], ix.blocks[to:]...)
}

// sweepReplaced deletes blocks and headers within the log that a compacted block covers: of a
// compaction that a kill ended, and those that Badger brought back.
func (s *Store) sweepReplaced() error {
	head, tail := s.index.ends()
	var stray [][]byte
	for _, prefix := range []byte{prefixBlock, prefixHeader} {
		err := s.each(prefix, false, func(key, _ []byte) {
			last, ok := positionOf(key)
			if !ok || last < head || last > tail {
				return // below the head is for sweep; behind the tail is a commit on its way
			}
			if h, found := s.index.find(last); found && h.first <= last && h.last() > last {
				stray = append(stray, key)
			}
		})
		if err != nil {
			return err
		}
	}
	return s.removeKeys(stray)
}
