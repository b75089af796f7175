package store

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"time"

	"sluice/gateway/message"
)

// FindByKey gives up to max records, the newest first, that carry key as their property UNIQ_KEY or
// as one of the keys in KEYS, and whose time lies within from and to, both inclusive; a zero time is
// no bound. Only blocks that may hold the key are read, with those that the index has not reached.
func (s *Store) FindByKey(ctx context.Context, key string, from, to time.Time, max int) ([]message.Record, error) {
	if !s.use.TryRLock() {
		return nil, message.ErrClosed // only Close takes it for writing
	}
	defer s.use.RUnlock()
	if s.gone {
		return nil, message.ErrClosed
	}
	search := keySearch{s: s, ctx: ctx, key: key, print: fingerprint(key), min: -1 << 63, max: 1<<63 - 1, most: max}
	if !from.IsZero() {
		search.min = from.UnixMilli()
	}
	if !to.IsZero() {
		search.max = to.UnixMilli()
	}
	if key == "" || max <= 0 || search.min > search.max {
		return nil, nil
	}
	err := search.run()
	return search.found, err
}

// keySearch goes back through the log span by span: not indexed, pending, or a run.
type keySearch struct {
	s        *Store
	ctx      context.Context
	key      string
	print    uint64
	min, max int64
	most     int
	found    []message.Record
	plain    []byte // of the chunk that is looked at
}

func (k *keySearch) run() error {
	head, end := k.s.index.ends()
	for end >= head && len(k.found) < k.most {
		begin, err := k.span(head, end)
		if err != nil {
			return err
		}
		end = begin - 1
	}
	return nil
}

// span searches the last part of the log up to end that is indexed in one way, and gives where it
// begins.
func (k *keySearch) span(head, end message.Position) (begin message.Position, err error) {
	p := &k.s.postings
	begin = head
	p.mu.RLock()
	open := p.pending
	if open != nil && len(open.lasts) > 0 {
		switch last := open.last(); {
		case end > last:
			begin = max(begin, last+1)
		case end >= open.first:
			hits := open.withKey(k.print)
			possible := open.maxTime >= k.min && open.minTime <= k.max
			p.mu.RUnlock()
			if possible {
				err = k.blocks(hits, head, end)
			}
			return max(head, open.first), err
		}
	}
	i := sort.Search(len(p.runs), func(i int) bool { return p.runs[i].last >= end })
	if i < len(p.runs) && p.runs[i].first <= end {
		r := p.runs[i]
		p.mu.RUnlock()
		return max(head, r.first), k.indexed(r, head, end)
	}
	if i > 0 {
		begin = max(begin, p.runs[i-1].last+1)
	}
	p.mu.RUnlock()
	return begin, k.blocks([]hole{{begin, end}}, head, end)
}

// withKey gives the blocks that have a key with this fingerprint.
func (p *pending) withKey(print uint64) (hits []hole) {
	var blocks []uint16
	for _, k := range p.keys {
		if k>>blockBits == print {
			blocks = append(blocks, uint16(k&(1<<blockBits-1)))
		}
	}
	for _, b := range slices.Compact(blocks) { // they were added in the order of the log
		hits = append(hits, p.block(b))
	}
	return hits
}

func (k *keySearch) indexed(r *run, head, end message.Position) error {
	at, err := k.s.rootOf(r)
	if err == nil && (at.maxTime < k.min || at.minTime > k.max) {
		return nil
	}
	var hits []hole
	if err == nil {
		var blocks []uint32
		blocks, err = k.s.lookUp(r, at, fingerprintEntries, fingerprintKey(nil, k.print))
		for _, b := range blocks {
			hits = append(hits, at.block(b))
		}
	}
	if err != nil {
		if err = k.s.lostRun(r, err); !unreadable(err) {
			return err
		}
		hits = []hole{{r.first, r.last}} // merged away just now, or damaged: read the blocks
	}
	return k.blocks(hits, head, end)
}

// blocks reads the blocks in these spans, from the last to the first, and takes what matches.
func (k *keySearch) blocks(spans []hole, head, end message.Position) error {
	for _, span := range slices.Backward(spans) {
		first, last := max(span.first, head), min(span.last, end)
		for last >= first && len(k.found) < k.most {
			if err := k.ctx.Err(); err != nil {
				return err
			}
			h, ok := k.s.index.before(last)
			if !ok || h.last() < first {
				break
			}
			if err := k.block(h, max(first, h.first), last); err != nil {
				if err := k.s.skip(h, err); err != nil {
					return err
				}
				first = k.s.behindTrim(first)
				continue
			}
			last = h.first - 1
		}
	}
	return nil
}

// block takes what matches in a block. One that no reader has in the cache is looked through chunk by
// chunk, past the cache: a search must not push out what the readers are at.
func (k *keySearch) block(h header, first, last message.Position) error {
	if c := k.s.cache.peek(span{h.first, h.last()}); c != nil {
		b, err := k.s.content(c, h)
		if err == nil {
			k.take(b, first, last)
		}
		return err
	}
	before := len(k.found)
	return k.s.inBlock(h, func(value []byte) error {
		k.found = k.found[:before]
		l, err := parseLayout(value)
		if err == nil {
			err = h.suits(l.first, l.count)
		}
		if err != nil {
			return err
		}
		next := l.first + message.Position(l.count) // behind the chunk
		for i := len(l.chunks) - 1; i >= 0 && len(k.found) < k.most; i-- {
			c := &l.chunks[i]
			next -= message.Position(c.records)
			if err := k.chunk(c, l.base, next, first, last); err != nil {
				return err
			}
		}
		return nil
	})
}

// chunk takes what matches in a chunk whose first record has position at.
func (k *keySearch) chunk(c *storedChunk, base int64, at, first, last message.Position) error {
	if at > last || at+message.Position(c.records) <= first {
		return nil
	}
	if cap(k.plain) < c.size {
		k.plain = make([]byte, max(c.size, chunkPayload))
	}
	plain := k.plain[:c.size]
	if err := c.decode(plain); err != nil {
		return err
	}
	if !bytes.Contains(plain, []byte(k.key)) {
		return nil
	}
	b := &block{first: at, count: c.records, base: base, plain: plain, chunks: []chunk{{c.size, c.records}}}
	if err := b.checkYoung(); err != nil {
		return err
	}
	k.take(b, first, last)
	return nil
}

// take adds the records of b that match, the newest first. They do not share its memory.
func (k *keySearch) take(b *block, first, last message.Position) {
	if first > b.last() || last < b.first {
		return
	}
	names := k.s.cache.borrowNames()
	defer k.s.cache.names.Put(names)
	key := []byte(k.key)
	var found []message.Record
	for r := b.from(uint32(max(first, b.first) - b.first)); r.step(); {
		at := b.first + message.Position(r.record)
		if at > last {
			break
		}
		if r.time < k.min || r.time > k.max || !bytes.Contains(r.raw.properties.of(b.plain[r.start:]), key) {
			continue
		}
		var record message.Record
		topic, _ := r.topic(names)
		r.make(&record, topic, names)
		eachKey(record.Properties, func(key string) bool {
			if key == k.key {
				record.Payload = bytes.Clone(record.Payload)
				found = append(found, record)
				return false
			}
			return true
		})
	}
	for _, record := range slices.Backward(found) {
		if len(k.found) == k.most {
			return
		}
		k.found = append(k.found, record)
	}
}

// PositionAt gives the first position whose message was stored at unixMillis or later, the position
// behind the tail when there is none. While the clock does not jump it is exact. When it has jumped
// the result may lie too early, never so late that a block which begins at unixMillis or later is
// passed over: whoever goes on from here may see older messages, but misses nothing that was stored
// while the clock was right.
func (s *Store) PositionAt(unixMillis int64) message.Position {
	if !s.use.TryRLock() {
		return s.Head()
	}
	defer s.use.RUnlock()
	if s.gone {
		return s.Head()
	}
	before, next, found := s.index.firstSince(unixMillis)
	if before.count > 0 {
		// What cannot be read holds nothing that could be served from within it.
		if b, err := s.block(before); err == nil {
			for r := b.from(uint32(before.first - b.first)); r.step(); {
				if r.time >= unixMillis {
					return b.first + message.Position(r.record)
				}
			}
		}
	}
	if found {
		return next
	}
	_, tail := s.index.ends()
	return tail + 1
}

// before gives the last block that begins at or before p.
func (ix *index) before(p message.Position) (header, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	i := sort.Search(len(ix.blocks), func(i int) bool { return ix.blocks[i].first > p })
	if i == 0 {
		return header{}, false
	}
	return ix.blocks[i-1], true
}

// firstSince gives the first position of the first block whose first message has at least this
// time, and the block before it, which may hold such messages too.
func (ix *index) firstSince(unixMillis int64) (before header, first message.Position, found bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	for _, h := range ix.blocks {
		if h.time >= unixMillis {
			return before, h.first, true
		}
		before = h
	}
	return before, 0, false
}
