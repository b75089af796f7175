package store

import (
	"bytes"

	"sluice/gateway/message"
)

// lanes let a reader of one queue go from each of its records in a block to the next without reading what
// lies between. They are made when the first such reader comes; nobody else needs them.
type lanes struct {
	tags   []byte   // of each record, that of its queue: others may have the same
	starts []uint32 // where it begins
}

const laneCost = 1 + 4 // bytes of memory a record

// laneTag gives the tag of a queue; topic may be any of the full topics that belong to it. FNV-1a.
func laneTag[T string | []byte](topic T, queue byte) byte {
	h := uint32(2166136261) ^ uint32(queue)
	for i := 0; i < len(topic) && topic[i] != '/'; i++ {
		h = (h ^ uint32(topic[i])) * 16777619
	}
	return byte(h ^ h>>8 ^ h>>16 ^ h>>24)
}

// makeLanes reads all records of the block once.
func (b *block) makeLanes() {
	l := &lanes{make([]byte, b.count), make([]uint32, b.count)}
	for r := b.from(0); r.step(); {
		l.starts[r.record] = uint32(r.start)
		if queue := r.raw.queueNumber(); queue != message.NoQueue {
			l.tags[r.record] = laneTag(r.raw.topic.of(b.plain[r.start:]), queue)
		}
	}
	b.lanes = l
}

// laned gives a block whose lanes are made.
func (s *Store) laned(h header) (*block, error) {
	c := s.cache.entry(span{h.first, h.last()})
	b, err := s.content(c, h)
	if err != nil {
		return nil, err
	}
	c.laned.Do(func() {
		b.makeLanes()
		s.cache.loaded(c, blockCost+b.cost(), true)
	})
	return b, nil
}

// laneReader walks over the records of a block that may be a queue's.
type laneReader struct {
	blockReader
	tag byte
}

// lane begins at a record of a block whose lanes are made.
func (b *block) lane(record uint32, tag byte) laneReader {
	return laneReader{blockReader{b: b, next: record, at: -1}, tag}
}

// step goes to the next record that has the tag; false means that there is none.
func (r *laneReader) step() bool {
	if r.next >= r.b.count {
		return false
	}
	way := bytes.IndexByte(r.b.lanes.tags[r.next:], r.tag)
	if way < 0 {
		r.next = r.b.count
		return false
	}
	r.pass(r.next + uint32(way))
	return r.blockReader.step()
}

// pass goes to where the record of that number begins. Of those that it passes it reads the times alone,
// which are differences.
func (r *laneReader) pass(record uint32) {
	b := r.b
	if r.at < 0 || record/markEvery > r.next/markEvery {
		r.toMark(record)
	}
	for ; r.next < record; r.next++ {
		r.enter()
		difference, _ := uvarintAt(b.plain, r.at+1) // behind the flags
		r.time += int64(difference>>1) ^ -int64(difference&1)
		r.at = int(b.lanes.starts[r.next+1])
	}
}
