package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"sluice/gateway/message"
)

const (
	maxRunBlocks = 8192 // a run is not merged beyond
	mergeFan     = 8    // runs of a level that become one of the next
	maxRuns      = 1 << 16
)

// run is a part of the index, sorted and written once: it says which of the blocks from first to
// last hold a topic or a message key. Memory knows no more of it than this; its root and pages are
// read when somebody asks.
type run struct {
	id          uint64
	slot        uint16
	level       uint8
	blocks      uint32
	first, last message.Position
	bytes       uint64 // of its pages
}

// A run exists when a slot says so. Slots are overwritten, never deleted, because Badger may bring
// deleted keys back; pages whose run no slot knows are swept.
func slotKey(slot uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{prefixRun}, slot)
}

// numberKey is where the next number of a run is kept while no slot can prove it.
var numberKey = []byte{prefixRun}

func (r *run) value(key []byte) []byte {
	return sealWords(key, present, r.id, uint64(r.first), uint64(r.last), uint64(r.level)<<32|uint64(r.blocks), r.bytes)
}

func emptySlot(key []byte) []byte { return sealWords(key, absent, 0, 0, 0, 0, 0) }

// decodeSlot gives the run in a slot, nil when it is empty.
func decodeSlot(key, value []byte) (*run, error) {
	mark, f, err := unseal(key, value, 5)
	if err != nil || mark == absent {
		return nil, err
	}
	if len(key) != 3 {
		return nil, fmt.Errorf("%w: %q is no slot", errValue, key)
	}
	r := &run{
		id: f[0], slot: binary.BigEndian.Uint16(key[1:]), level: uint8(f[3] >> 32), blocks: uint32(f[3]),
		first: message.Position(f[1]), last: message.Position(f[2]), bytes: f[4],
	}
	if r.first == 0 || r.last < r.first || r.blocks == 0 || r.blocks > maxRunBlocks {
		return nil, fmt.Errorf("%w under key %q: a run of %d blocks from %d to %d", errValue, key, r.blocks, r.first, r.last)
	}
	return r, nil
}

// page reads one page of a run.
func (s *Store) page(id uint64, k kind, n uint32) (plain []byte, err error) {
	key := pageKey(id, k, n)
	// Badger answers with an empty value when the collector removed a file meanwhile: see inBlock.
	for range 3 {
		err = s.view(key, func(value []byte) (err error) {
			plain, err = openPage(key, value)
			return err
		})
		if err == nil {
			return plain, nil
		}
	}
	return nil, err
}

// rootOf reads the root of a run.
func (s *Store) rootOf(r *run) (*root, error) {
	if known := s.postings.cachedRoot(r.id); known != nil {
		return known, nil
	}
	plain, err := s.page(r.id, kindRoot, 0)
	if err != nil {
		return nil, err
	}
	found, err := decodeRoot(plain)
	if err != nil {
		return nil, err
	}
	if found.first != r.first || found.last() != r.last || len(found.lasts) != int(r.blocks) {
		return nil, fmt.Errorf("%w: the root of index run %d is another run's", errValue, r.id)
	}
	s.postings.cacheRoot(r.id, found)
	return found, nil
}

// scan visits the entries of one kind from the first whose key may begin with prefix to the last.
func (s *Store) scan(r *run, at *root, k int, prefix []byte, visit func(key []byte, blocks []uint32, offsets []uint64)) error {
	fences := at.fences[k]
	page := sort.Search(len(fences), func(i int) bool { return bytes.Compare(fences[i], prefix) > 0 })
	for page = max(page-1, 0); page < len(fences); page++ {
		if beyond(fences[page], prefix) {
			return nil
		}
		plain, err := s.page(r.id, entryKinds[k], uint32(page))
		if err != nil {
			return err
		}
		entries := entryReader{plain: plain, queues: k == queueEntriesKind}
		for entries.next() {
			if beyond(entries.key, prefix) {
				return nil
			}
			if bytes.HasPrefix(entries.key, prefix) {
				if int(entries.blocks[len(entries.blocks)-1]) >= len(at.lasts) {
					return fmt.Errorf("%w: index run %d speaks of a block that it has not", errValue, r.id)
				}
				visit(entries.key, entries.blocks, entries.offsets)
			}
		}
		if entries.err != nil {
			return entries.err
		}
	}
	return nil
}

// lookUp gives the blocks that a run has for exactly this key.
func (s *Store) lookUp(r *run, at *root, k int, key []byte) ([]uint32, error) {
	fences := at.fences[k]
	page := sort.Search(len(fences), func(i int) bool { return bytes.Compare(fences[i], key) > 0 }) - 1
	if page < 0 {
		return nil, nil
	}
	plain, err := s.page(r.id, entryKinds[k], uint32(page))
	if err != nil {
		return nil, err
	}
	blocks, err := findEntry(plain, key)
	if err == nil && len(blocks) > 0 && int(blocks[len(blocks)-1]) >= len(at.lasts) {
		err = fmt.Errorf("%w: index run %d speaks of a block that it has not", errValue, r.id)
	}
	return blocks, err
}

// beyond says that neither key nor anything behind it begins with prefix.
func beyond(key, prefix []byte) bool {
	return bytes.Compare(key, prefix) > 0 && !bytes.HasPrefix(key, prefix)
}

// runWriter writes a run page by page, each transaction a few of them; nothing counts before the
// slot is written.
type runWriter struct {
	s     *Store
	run   run
	root  root
	kind  int // index into entryKinds of the open page
	plain []byte
	key   []byte // of the last entry
	batch *batch
	open  int // pages in batch
}

// pagesAtOnce bounds what a transaction of index pages keeps in memory and how long it holds up
// appends.
const pagesAtOnce = 4

func (s *Store) newRun(first message.Position, lasts []message.Position, level uint8) *runWriter {
	p := &s.postings
	p.mu.Lock()
	id := p.nextRun
	p.nextRun++
	p.mu.Unlock()
	return &runWriter{
		s:    s,
		run:  run{id: id, level: level, blocks: uint32(len(lasts)), first: first, last: lasts[len(lasts)-1]},
		root: root{first: first, lasts: lasts},
	}
}

// add writes an entry; kinds and within them keys must come in order.
func (w *runWriter) add(k int, key []byte, blocks []uint32, offsets []uint64) error {
	if k != w.kind || len(w.plain) >= pagePlain {
		if err := w.closePage(); err != nil {
			return err
		}
		w.kind = k
	}
	if len(w.plain) == 0 {
		w.root.fences[k] = append(w.root.fences[k], bytes.Clone(key))
		w.key = w.key[:0]
	}
	w.plain = appendEntry(w.plain, w.key, key, blocks, offsets)
	w.key = append(w.key[:0], key...)
	return nil
}

func (w *runWriter) closePage() error {
	if len(w.plain) == 0 {
		return nil
	}
	n := uint32(len(w.root.fences[w.kind]) - 1)
	err := w.put(pageKey(w.run.id, entryKinds[w.kind], n), w.plain)
	w.plain = w.plain[:0]
	return err
}

func (w *runWriter) put(key, plain []byte) error {
	if w.batch == nil {
		w.batch = newBatch(w.s.db)
	}
	value := sealPage(key, plain)
	w.run.bytes += uint64(len(value))
	w.batch.set(key, value)
	if w.open++; w.open < pagesAtOnce {
		return nil
	}
	return w.flush()
}

func (w *runWriter) flush() error {
	if w.batch == nil {
		return nil
	}
	b := w.batch
	w.batch, w.open = nil, 0
	if err := w.s.write(b); err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	return w.s.queue.failed()
}

// finish writes root and slot; the runs that it replaces end in the same transaction. It gives the
// run as it is listed from now on.
func (w *runWriter) finish(replaced []*run) (*run, error) {
	if err := w.closePage(); err != nil {
		return nil, err
	}
	if err := w.flush(); err != nil { // all pages are durable before the slot says so
		return nil, err
	}
	if err := w.put(pageKey(w.run.id, kindRoot, 0), w.root.append(nil)); err != nil {
		return nil, err
	}
	made := w.run
	if len(replaced) > 0 {
		made.slot = replaced[0].slot
	} else {
		slot, ok := w.s.postings.freeSlot()
		if !ok {
			return nil, errSlots
		}
		made.slot = slot
	}
	key := slotKey(made.slot)
	w.batch.set(key, made.value(key))
	for _, old := range replaced {
		if old.slot != made.slot {
			key := slotKey(old.slot)
			w.batch.set(key, emptySlot(key))
		}
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	w.s.space.wrote(int64(made.bytes))
	return &made, nil
}

// abandon forgets a run that is not finished; its pages are swept.
func (w *runWriter) abandon() { w.batch = nil }

var errSlots = fmt.Errorf("%w: the index has no free slot", errValue)

// mergeable finds the oldest neighbours of one level that may become one of the next. No run covers
// more than a quarter of the log: what the head has passed within a run is given back only with it.
func mergeable(runs []*run, head, tail message.Position) []*run {
	most := (tail - min(head, tail)) / 4
	for i := 0; i+mergeFan <= len(runs); i++ {
		group, blocks := runs[i:i+mergeFan], uint32(0)
		fits := group[mergeFan-1].last-group[0].first < most
		for j, r := range group {
			blocks += r.blocks
			if r.level != group[0].level || j > 0 && r.first != group[j-1].last+1 {
				fits = false
				break
			}
		}
		if fits && blocks <= maxRunBlocks {
			return slices.Clone(group)
		}
	}
	return nil
}
