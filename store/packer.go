package store

import (
	"bytes"
	"errors"

	"sluice/gateway/message"
)

// packer makes full blocks of records and writes them with small values. Only when everything is
// written does Badger learn that the write-ahead log need not be read again: a kill on the way leaves
// nothing that writing it once more would not put right.
type packer struct {
	s      *Store
	left   int // about how many plain bytes are still to come
	open   *group
	clock  int64 // of the last record in it
	since  int64 // and of the first
	groups []*group
	made   []merged
	batch  *batch
	err    error

	scratch []byte // a block needs far more room while it is compressed than afterwards
}

// merged is a block ready to be written.
type merged struct {
	header header
	value  []byte
}

// blocksInAge is how many blocks of a trickle share the age that retention keeps: a block goes as a whole,
// when its last message is old enough.
const blocksInAge = 8

// add takes the records of a block, which follow those before.
func (f *packer) add(records []message.Record, clock int64) {
	if age := f.s.opts.RetentionAge.Milliseconds(); age > 0 && f.open != nil && clock-f.since > age/blocksInAge {
		f.close()
	}
	for i := range records {
		r := &records[i]
		size := recordBound(&r.Message)
		if f.open != nil && (len(f.open.plain)+size > blockPayload || len(f.open.chunks) >= maxChunks || f.open.last()+1 != r.Position) {
			f.close()
		}
		if f.open == nil {
			f.since = clock
			f.open = &group{first: r.Position, plain: make([]byte, 0, max(size, min(f.left+f.left/16, blockPayload)))}
		}
		f.clock = clock
		f.open.put(&r.Message, placeOf(r), size)
	}
}

func (f *packer) close() {
	if f.open == nil {
		return
	}
	g := f.open
	f.open = nil
	f.left -= len(g.plain)
	f.scratch = appendBlock(f.scratch[:0], g.plain, g.chunks, g.first, g.base)
	value := bytes.Clone(f.scratch)
	f.groups = append(f.groups, g)
	f.made = append(f.made, merged{
		header: header{first: g.first, count: g.count, bytes: uint32(len(value)), time: g.base, clock: f.clock},
		value:  value,
	})
}

// write makes everything durable: first the blocks, so that nothing ever speaks of positions that are
// not there, in the end the number of the last record.
func (f *packer) write(values map[string][]byte, seq uint64) error {
	headers := make([]header, len(f.made))
	for i, m := range f.made {
		key := headerKey(m.header.last())
		f.put(blockKey(m.header.last()), m.value)
		f.put(key, m.header.value(key))
		headers[i] = m.header
	}
	for key, value := range values {
		f.put([]byte(key), value)
	}
	f.put(walKey, sealWords(walKey, present, seq))
	if f.err == nil {
		f.s.stuff(f.batch, headers)
		f.err = f.s.write(f.batch)
	}
	return f.err
}

func (f *packer) put(key, value []byte) {
	if f.err != nil {
		return
	}
	if f.batch == nil {
		f.batch = newBatch(f.s.db)
	}
	if f.batch.set(key, value) {
		return
	}
	if f.err = f.s.write(f.batch); f.err != nil {
		return
	}
	f.batch = newBatch(f.s.db)
	if !f.batch.set(key, value) {
		f.err = errors.New("bug: an entry does not fit in a transaction")
	}
}
