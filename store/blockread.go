package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/s2"

	"sluice/gateway/message"
)

// block is the content of a block in memory: its records as bytes, all of which have been checked.
// Records are made from it when somebody asks; they share its memory, which never changes.
type block struct {
	first   message.Position
	count   uint32
	base    int64
	plain   []byte
	chunks  []chunk
	marks   []mark
	offsets []uint64                 // of the records in their queues, see noOffset
	lanes   *lanes                   // nil until somebody reads a queue
	topics  atomic.Pointer[topicSet] // nil until somebody looks for single topics
}

// mark says where every markEvery-th record begins, so that a reader need not pass over a whole chunk.
type mark struct {
	at     int
	before int64 // the time that the record's own is counted from
}

const (
	markEvery = 32
	markCost  = 16
)

func (b *block) last() message.Position { return b.first + message.Position(b.count) - 1 }

// cost is the memory that it takes.
func (b *block) cost() int {
	cost := cap(b.plain) + markCost*len(b.marks) + 8*len(b.offsets)
	if b.lanes != nil {
		cost += laneCost * int(b.count)
	}
	return cost
}

// decodeBlock gives the records of a block. They share memory that belongs to nobody else.
func decodeBlock(value []byte) ([]message.Record, error) {
	b, err := openBlock(value, false)
	if err != nil {
		return nil, err
	}
	return b.appendTo(nil, 0, b.count, new(nameTable)), nil
}

// layout is how a stored block is divided.
type layout struct {
	first   message.Position
	count   uint32
	base    int64
	largest int // plain bytes of the largest chunk
	plain   int
	chunks  []storedChunk
}

// storedChunk is a chunk as it is stored.
type storedChunk struct {
	data    []byte
	size    int // plain bytes
	records uint32
}

// parseLayout checks a stored block as far as that goes without decompressing it.
func parseLayout(value []byte) (l layout, err error) {
	if len(value) < blockHead+blockTail {
		return l, fmt.Errorf("%w: only %d bytes", errBlock, len(value))
	}
	body, sum := value[:len(value)-blockTail], binary.BigEndian.Uint32(value[len(value)-blockTail:])
	if crc32.Checksum(body, castagnoli) != sum {
		return l, fmt.Errorf("%w: checksum", errBlock)
	}
	if body[0] != formatVersion || body[1] != codecS2 {
		return l, fmt.Errorf("%w: version %d with codec %d is not known", errBlock, body[0], body[1])
	}
	chunks := int(binary.BigEndian.Uint16(body[2:]))
	l.first = message.Position(binary.BigEndian.Uint64(body[4:]))
	l.count = binary.BigEndian.Uint32(body[12:])
	l.base = int64(binary.BigEndian.Uint64(body[16:]))
	if len(body) < blockHead+chunks*chunkHead {
		return l, fmt.Errorf("%w: %d chunks do not fit in %d bytes", errBlock, chunks, len(body))
	}
	table, data := body[blockHead:blockHead+chunks*chunkHead], body[blockHead+chunks*chunkHead:]

	// A checksum is no promise of sense: nothing is allocated that a block of ours would not need.
	var plain, records, storedBytes uint64
	l.chunks = make([]storedChunk, 0, chunks)
	for ; len(table) > 0; table = table[chunkHead:] {
		size, stored, in := binary.BigEndian.Uint32(table), binary.BigEndian.Uint32(table[4:]), binary.BigEndian.Uint32(table[8:])
		if size > chunkPayload && in != 1 {
			return l, fmt.Errorf("%w: a chunk of %d bytes with %d messages", errBlock, size, in)
		}
		if size > maxPlain || uint64(stored) > uint64(len(data)) {
			return l, fmt.Errorf("%w: a chunk of %d bytes, %d stored, with %d left", errBlock, size, stored, len(data))
		}
		plain += uint64(size)
		records += uint64(in)
		storedBytes += uint64(stored)
		l.largest = max(l.largest, int(size))
		l.chunks = append(l.chunks, storedChunk{data[:stored], int(size), in})
		data = data[stored:]
	}
	count := uint64(l.count)
	if plain > maxPlain || plain > blockPayload && count != 1 || records != count || count == 0 || count > plain/leastRecord || l.first == 0 || l.first+message.Position(count) < l.first {
		return l, fmt.Errorf("%w: %d messages from %d, %d in chunks of %d plain bytes", errBlock, count, l.first, records, plain)
	}
	if len(data) != 0 {
		return l, fmt.Errorf("%w: %d bytes too many", errBlock, len(data))
	}
	l.plain = int(plain)
	return l, nil
}

// decode decompresses the chunk into plain, which has its size.
func (c *storedChunk) decode(plain []byte) error {
	if n, err := s2.DecodedLen(c.data); err != nil || n != c.size {
		return fmt.Errorf("%w: a chunk does not hold the %d bytes that it claims", errBlock, c.size)
	}
	if _, err := s2.Decode(plain, c.data); err != nil {
		return fmt.Errorf("%w: %v", errBlock, err)
	}
	return nil
}

// openBlock decompresses a stored block and checks everything in it. With help another processor, if
// there is an idle one, takes a part of the chunks: whoever asks waits for nothing else.
func openBlock(value []byte, help bool) (*block, error) {
	l, err := parseLayout(value)
	if err != nil {
		return nil, err
	}
	b := &block{first: l.first, count: l.count, base: l.base, plain: make([]byte, l.plain), chunks: make([]chunk, len(l.chunks))}
	end := 0
	for i := range l.chunks {
		end += l.chunks[i].size
		b.chunks[i] = chunk{end, l.chunks[i].records}
	}
	err = b.check(func(i, from, to int) error { return l.chunks[i].decode(b.plain[from:to:to]) }, help)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// groupBlock is the block of a group that was just committed, whose bytes memory still has;
// checkYoung must follow before anybody reads it.
func groupBlock(g *group) *block {
	return &block{first: g.first, count: g.count, base: g.base, plain: g.plain, chunks: g.chunks}
}

func (b *block) checkYoung() error {
	return b.check(func(int, int, int) error { return nil }, false)
}

// check fills in each chunk and looks whether its records make sense.
func (b *block) check(fill func(i, from, to int) error, help bool) error {
	b.marks = make([]mark, (int(b.count)+markEvery-1)/markEvery)
	b.offsets = make([]uint64, b.count) // a record says only which one it follows
	if help && len(b.chunks) > 1 && len(b.chunks) <= helpedChunks && runtime.GOMAXPROCS(0) > 1 {
		return b.checkTogether(fill)
	}
	from, record := 0, uint32(0)
	for i, c := range b.chunks {
		if err := b.fillChunk(fill, i, from, record); err != nil {
			return err
		}
		from, record = c.end, record+c.records
	}
	return nil
}

// helpedChunks is more than a block of ours has when its chunks are full.
const helpedChunks = 64

// checkTogether does the same with two goroutines, each taking the next chunk that nobody has taken: a
// helper that comes late, because all processors are busy, holds nobody up.
func (b *block) checkTogether(fill func(i, from, to int) error) error {
	var next atomic.Int32
	work := func() error {
		from, record, at := 0, uint32(0), 0
		for {
			i := int(next.Add(1)) - 1
			if i >= len(b.chunks) {
				return nil
			}
			for ; at < i; at++ {
				from, record = b.chunks[at].end, record+b.chunks[at].records
			}
			if err := b.fillChunk(fill, i, from, record); err != nil {
				return err
			}
		}
	}
	var helper sync.WaitGroup
	var trouble error
	helper.Go(func() {
		// What panics here must cost one block, as it does for the caller: see view.
		defer func() {
			if r := recover(); r != nil {
				trouble = fmt.Errorf("%w: %v", errBlock, r)
			}
		}()
		trouble = work()
	})
	defer helper.Wait() // also when work panics: the helper reads what is mapped only until then
	err := work()
	helper.Wait()
	if err == nil {
		err = trouble
	}
	return err
}

func (b *block) fillChunk(fill func(i, from, to int) error, i, from int, record uint32) error {
	if err := fill(i, from, b.chunks[i].end); err != nil {
		return err
	}
	return b.checkChunk(i, from, record)
}

// checkChunk checks the records of chunk i, which begins at byte from with that record of the block,
// and sets the marks in it.
func (b *block) checkChunk(i, from int, record uint32) error {
	c := b.chunks[i]
	chunk, at, before := b.plain[from:c.end], 0, b.base
	var r rawRecord
	for n := record; n < record+c.records; n++ {
		if n%markEvery == 0 {
			b.marks[n/markEvery] = mark{from + at, before}
		}
		size := r.parse(chunk[at:])
		offset, ok := r.offsetIn(b.offsets[record:n])
		if size == 0 || !ok || !r.sound() {
			return fmt.Errorf("%w: the record at %d", errBlock, b.first+message.Position(n))
		}
		b.offsets[n] = offset
		at += size
		before += r.time
	}
	if at != len(chunk) {
		return fmt.Errorf("%w: %d bytes behind the last record of a chunk", errBlock, len(chunk)-at)
	}
	return nil
}

// blockReader walks over the records of a block. record, time and raw are those of the present one.
type blockReader struct {
	b      *block
	raw    rawRecord
	record uint32
	time   int64
	start  int // where it begins

	next  uint32 // record
	at    int    // where it begins
	chunk int    // in which chunk
}

// from gives a reader whose first record is the one of that number.
func (b *block) from(record uint32) blockReader {
	r := blockReader{b: b, next: record}
	if record >= b.count {
		return r
	}
	r.toMark(record)
	for r.next < record {
		r.step()
	}
	return r
}

// toMark goes to the last mark before a record.
func (r *blockReader) toMark(record uint32) {
	b := r.b
	m := b.marks[record/markEvery]
	r.next, r.at, r.time = record/markEvery*markEvery, m.at, m.before
	r.chunk = sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].end > m.at })
}

// enter goes into the next chunk where one ends.
func (r *blockReader) enter() {
	for r.at == r.b.chunks[r.chunk].end {
		r.chunk++
		r.time = r.b.base
	}
}

// step goes to the next record; false means that there is none.
func (r *blockReader) step() bool {
	b := r.b
	if r.next >= b.count {
		return false
	}
	r.enter()
	r.start = r.at
	r.at += r.raw.parse(b.plain[r.at:b.chunks[r.chunk].end])
	r.time += r.raw.time
	r.record = r.next
	r.next++
	return true
}

// topic gives the topic of the present record, with its slot in names.
func (r *blockReader) topic(names *nameTable) (topic string, slot int) {
	return names.text(r.raw.topic.of(r.b.plain[r.start:]))
}

// position is that of the present record, queueOffset its offset in its queue.
func (r *blockReader) position() message.Position { return r.b.first + message.Position(r.record) }
func (r *blockReader) queueOffset() uint64        { return r.b.offsets[r.record] }

// make turns the present record, whose topic is known, into one for the log's readers.
func (r *blockReader) make(into *message.Record, topic string, names *nameTable) {
	raw, bytes := &r.raw, r.b.plain[r.start:]
	into.Position = r.b.first + message.Position(r.record)
	into.Topic = topic
	into.Payload = raw.payload.of(bytes)
	into.Time = r.time
	into.QoS = raw.flags & flagQoS
	into.Retain = raw.flags&flagRetain != 0
	into.Seq = raw.seq
	into.Queue, into.QueueOffset = raw.queueNumber(), 0
	if into.Queue != message.NoQueue {
		into.QueueOffset = r.b.offsets[r.record]
	}
	into.Device, into.Client, into.Properties = "", "", nil
	if raw.flags&flagDevice != 0 {
		into.Device, _ = names.text(raw.device.of(bytes))
	}
	if raw.flags&flagClient != 0 {
		into.Client, _ = names.text(raw.client.of(bytes))
	}
	if raw.flags&flagProperties != 0 {
		into.Properties = names.properties(raw.properties.of(bytes))
	}
}

// appendTo appends n records from the one of that number on.
func (b *block) appendTo(dst []message.Record, from, n uint32, names *nameTable) []message.Record {
	start := len(dst)
	dst = grown(dst, int(n))[:start+int(n)]
	r := b.from(from)
	for i := start; i < len(dst) && r.step(); i++ {
		topic, _ := r.topic(names)
		r.make(&dst[i], topic, names)
	}
	return dst
}

// grown gives room for n more, and when dst must move for twice as much as it has.
func grown(dst []message.Record, n int) []message.Record {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	moved := make([]message.Record, len(dst), max(len(dst)+n, 2*cap(dst)))
	copy(moved, dst)
	return moved
}
