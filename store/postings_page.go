package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/klauspost/compress/s2"

	"sluice/gateway/message"
)

// kind says what the entries of an index page are about; it is part of the page's key.
type kind byte

const (
	kindTopic       kind = 't' // a topic, see topicKey
	kindFingerprint kind = 'f' // fingerprintBytes of the hash of a message key
	kindQueue       kind = 'q' // a queue, see queueKey
	kindRoot        kind = 'r' // the blocks of the run and the first key of each page
)

// entryKinds are the kinds of pages that hold entries, in the order in which a run is written.
var entryKinds = [...]kind{kindTopic, kindFingerprint, kindQueue}

// The places of the kinds in entryKinds.
const (
	topicEntries = iota
	fingerprintEntries
	queueEntriesKind
)

const (
	pagePlain   = 32 << 10 // where a page is closed
	maxPage     = 4 << 20  // plain bytes that are believed
	pageHead    = 6        // version, codec, plain bytes
	pageKeySize = 1 + 8 + 1 + 4
)

// pageKey names a page. The numbers of runs are never given out twice, so a page that Badger brings
// back belongs to no run that is listed.
func pageKey(run uint64, k kind, page uint32) []byte {
	key := make([]byte, 0, pageKeySize)
	key = binary.BigEndian.AppendUint64(append(key, prefixPage), run)
	return binary.BigEndian.AppendUint32(append(key, byte(k)), page)
}

func runOfPage(key []byte) (run uint64, ok bool) {
	if len(key) != pageKeySize {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// sealPage compresses what a page holds and closes it with a checksum over key and value.
func sealPage(key, plain []byte) []byte {
	value := make([]byte, pageHead, pageHead+s2.MaxEncodedLen(len(plain))+4)
	value[0], value[1] = formatVersion, codecS2
	binary.BigEndian.PutUint32(value[2:], uint32(len(plain)))
	stored := len(s2.Encode(value[pageHead:cap(value)-4], plain))
	return seal(key, value[:pageHead+stored])
}

func openPage(key, value []byte) (plain []byte, err error) {
	if len(value) < pageHead+4 {
		return nil, fmt.Errorf("%w under key %q: %d bytes", errValue, key, len(value))
	}
	body, sum := value[:len(value)-4], binary.BigEndian.Uint32(value[len(value)-4:])
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body) != sum {
		return nil, fmt.Errorf("%w under key %q: checksum", errValue, key)
	}
	if body[0] != formatVersion || body[1] != codecS2 {
		return nil, fmt.Errorf("%w under key %q: version %d with codec %d is not known", errValue, key, body[0], body[1])
	}
	size := binary.BigEndian.Uint32(body[2:])
	if n, err := s2.DecodedLen(body[pageHead:]); err != nil || uint32(n) != size || size > maxPage {
		return nil, fmt.Errorf("%w under key %q: it does not hold the %d bytes that it claims", errValue, key, size)
	}
	if plain, err = s2.Decode(nil, body[pageHead:]); err != nil {
		return nil, fmt.Errorf("%w under key %q: %v", errValue, key, err)
	}
	return plain, nil
}

// appendEntry writes one entry: a key, of which only what differs from the key before is stored,
// and the numbers of the blocks, within the run, that hold it. They grow. A queue's have the offset of
// its first message in each, which grow too; other kinds have none.
func appendEntry(page, before, key []byte, blocks []uint32, offsets []uint64) []byte {
	shared := 0
	for shared < min(len(before), len(key)) && before[shared] == key[shared] {
		shared++
	}
	page = binary.AppendUvarint(page, uint64(shared))
	page = binary.AppendUvarint(page, uint64(len(key)-shared))
	page = append(page, key[shared:]...)
	page = binary.AppendUvarint(page, uint64(len(blocks)))
	next := uint32(0)
	for _, b := range blocks {
		page = binary.AppendUvarint(page, uint64(b-next))
		next = b + 1
	}
	least := uint64(0)
	for _, o := range offsets {
		page = binary.AppendUvarint(page, o-least)
		least = o + 1
	}
	return page
}

// entryReader walks over the entries of a page.
type entryReader struct {
	plain  []byte
	at     int      // where the next entry begins
	key    []byte   // of the present entry; overwritten by the next
	blocks []uint32 // likewise

	queues  bool     // the entries are those of queues
	offsets []uint64 // of a queue; likewise
	err     error
}

// next goes to the next entry; false means the end of the page, or err.
func (r *entryReader) next() bool {
	plain := r.plain
	if r.err != nil || r.at >= len(plain) {
		return false
	}
	shared, at := uvarintAt(plain, r.at)
	rest := textAt(plain, at)
	n, at := uvarintAt(plain, rest.to)
	if at > len(plain) || shared > uint64(len(r.key)) || n == 0 || n > uint64(len(plain)-at) || n > maxRunBlocks {
		r.err = errEntry
		return false
	}
	suffix, last := plain[rest.from:rest.to], r.key[shared:]
	if len(r.key) > 0 && bytes.Compare(suffix, last) <= 0 || len(r.key) == 0 && len(suffix) == 0 {
		r.err = fmt.Errorf("%w: entries of an index page are out of order", errValue)
		return false
	}
	r.key = append(r.key[:shared], suffix...)
	r.blocks, r.at, r.err = readBlocks(r.blocks[:0], plain, at, int(n))
	if r.err == nil && r.queues {
		r.readOffsets()
	}
	return r.err == nil
}

func (r *entryReader) readOffsets() {
	r.offsets = r.offsets[:0]
	least := uint64(0)
	for range r.blocks {
		var more uint64
		more, r.at = uvarintAt(r.plain, r.at)
		o := least + more
		if r.at > len(r.plain) || o < least || o == math.MaxUint64 {
			r.err = fmt.Errorf("%w: the offsets of a queue in an index page", errValue)
			return
		}
		r.offsets = append(r.offsets, o)
		least = o + 1
	}
}

var errEntry = fmt.Errorf("%w: an entry of an index page", errValue)

// findEntry gives the blocks of one key in a page whose entries have no offsets. It makes no key but compares what is stored of each:
// what an entry shares with the one before, as much as it can, says how it stands to the key that is
// looked for.
func findEntry(plain, key []byte) (blocks []uint32, err error) {
	same := 0 // bytes that the entry before has in common with key; it is less than key
	for at := 0; at < len(plain); {
		shared, next := uvarintAt(plain, at)
		rest := textAt(plain, next)
		n, next := uvarintAt(plain, rest.to)
		if next > len(plain) || n == 0 || n > uint64(len(plain)-next) || n > maxRunBlocks {
			return nil, errEntry
		}
		if at > 0 && shared < uint64(same) {
			return nil, nil // it is greater than the one before where that is like key
		}
		if shared == uint64(same) {
			own := plain[rest.from:rest.to]
			equal := 0
			for equal < len(own) && same+equal < len(key) && own[equal] == key[same+equal] {
				equal++
			}
			switch {
			case equal < len(own) && (same+equal == len(key) || own[equal] > key[same+equal]):
				return nil, nil
			case equal == len(own) && same+equal == len(key):
				blocks, _, err = readBlocks(nil, plain, next, int(n))
				return blocks, err
			}
			same += equal
		}
		for at = next; n > 0; n-- {
			if _, at = uvarintAt(plain, at); at > len(plain) {
				return nil, errEntry
			}
		}
	}
	return nil, nil
}

// readBlocks appends the n numbers of blocks at at, and says where they end.
func readBlocks(blocks []uint32, plain []byte, at, n int) ([]uint32, int, error) {
	next := uint64(0)
	for range n {
		var more uint64
		if more, at = uvarintAt(plain, at); at > len(plain) || more >= maxRunBlocks || next+more >= maxRunBlocks {
			return nil, at, fmt.Errorf("%w: a block of an index page", errValue)
		}
		next += more
		blocks = append(blocks, uint32(next))
		next++
	}
	return blocks, at, nil
}

// root is what a run says about itself: where its blocks end and where its pages begin.
type root struct {
	first   message.Position
	lasts   []message.Position // of each block
	minTime int64              // of the messages
	maxTime int64
	fences  [len(entryKinds)][][]byte // the first key of each page
}

func (r *root) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.first))
	b = binary.AppendUvarint(b, uint64(len(r.lasts)))
	next := r.first
	for _, last := range r.lasts {
		b = binary.AppendUvarint(b, uint64(last-next))
		next = last + 1
	}
	b = binary.AppendVarint(b, r.minTime)
	b = binary.AppendVarint(b, r.maxTime)
	for _, fences := range r.fences {
		b = binary.AppendUvarint(b, uint64(len(fences)))
		for _, f := range fences {
			b = binary.AppendUvarint(b, uint64(len(f)))
			b = append(b, f...)
		}
	}
	return b
}

func decodeRoot(plain []byte) (*root, error) {
	in := input{rest: plain}
	r := &root{first: message.Position(in.uvarint())}
	n := in.uvarint()
	if r.first == 0 || n == 0 || n > uint64(len(in.rest)) || n > maxRunBlocks {
		return nil, fmt.Errorf("%w: the root of an index run with %d blocks", errValue, n)
	}
	r.lasts = make([]message.Position, n)
	next := r.first
	for i := range r.lasts {
		last := next + message.Position(in.uvarint())
		if last < next || last+1 == 0 {
			in.short = true
		}
		r.lasts[i] = last
		next = last + 1
	}
	r.minTime, r.maxTime = in.varint(), in.varint()
	for k := range r.fences {
		if k == queueEntriesKind && len(in.rest) == 0 {
			r.fences[k] = [][]byte{} // from when messages had no queues
			break
		}
		n := in.uvarint()
		if n > uint64(len(in.rest)) {
			in.short = true
			break
		}
		r.fences[k] = make([][]byte, n)
		for i := range r.fences[k] {
			r.fences[k][i] = in.bytes()
			if i > 0 && bytes.Compare(r.fences[k][i-1], r.fences[k][i]) >= 0 {
				in.short = true
			}
		}
	}
	if in.short || len(in.rest) != 0 {
		return nil, fmt.Errorf("%w: the root of an index run", errValue)
	}
	return r, nil
}

// memory is what the root takes.
func (r *root) memory() int {
	const fence = 24 + 8 // a slice and what it points to
	size := 256 + 8*len(r.lasts)
	for _, fences := range r.fences {
		size += fence * len(fences)
	}
	return size
}

func (r *root) last() message.Position { return r.lasts[len(r.lasts)-1] }

// block gives the span of a block by its number.
func (r *root) block(n uint32) hole {
	if n == 0 {
		return hole{r.first, r.lasts[0]}
	}
	return hole{r.lasts[n-1] + 1, r.lasts[n]}
}
