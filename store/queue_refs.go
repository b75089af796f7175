package store

import (
	"encoding/binary"

	"sluice/gateway/message"
)

// queuePlace is a message's place in the queues of its RocketMQ topic.
type queuePlace struct {
	queue  byte // message.NoQueue: it belongs to none
	offset uint64
}

var nowhere = queuePlace{queue: message.NoQueue}

func placeOf(r *message.Record) queuePlace { return queuePlace{r.Queue, r.QueueOffset} }

// queueRef is a place as a record has it: a record so many before it in its chunk, of whatever queue,
// has the offset before its own. So a record need not repeat its offset, and whoever decodes it need
// not know which records belong to one queue. With back 0 the offset itself follows.
type queueRef struct {
	queuePlace
	back uint64
}

const (
	queueBits  = 4
	queueMask  = 1<<queueBits - 1
	queueBound = 3 + binary.MaxVarintLen64 // a chunk has fewer than 1<<17 records
)

func (r queueRef) append(b []byte) []byte {
	if r.queue == message.NoQueue {
		return b
	}
	b = binary.AppendUvarint(b, r.back<<queueBits|uint64(r.queue))
	if r.back == 0 {
		b = binary.AppendUvarint(b, r.offset)
	}
	return b
}

// queueRefs remembers by their offsets where the last records were. What it forgets costs a few bytes
// in a record and nothing else.
type queueRefs [256]struct {
	offset uint64
	at     message.Position
}

// refer gives the place of the record at a position; opened is the first one in its chunk.
func (q *queueRefs) refer(in queuePlace, at, opened message.Position) queueRef {
	ref := queueRef{queuePlace: in}
	if in.queue == message.NoQueue {
		return ref
	}
	if known := &q[(in.offset-1)%uint64(len(q))]; in.offset > 0 && known.offset == in.offset-1 && known.at >= opened && known.at < at {
		ref.back = uint64(at - known.at)
	}
	entry := &q[in.offset%uint64(len(q))]
	entry.offset, entry.at = in.offset, at
	return ref
}
