package store

import (
	"fmt"
	"sync"

	"sluice/gateway/message"
)

// queueHints remember of the queues that are read where the next offset is, so that reading on needs
// no search.
type queueHints struct {
	mu    sync.Mutex // guards what follows
	known map[queueID]queueHint
}

type queueHint struct {
	offset uint64           // whoever wants this or a later one
	from   message.Position // can read on from here; 0: nothing is known
}

const queueHintsMost = 4096

func (q *queueHints) of(queue queueID) queueHint {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known[queue]
}

func (q *queueHints) set(queue queueID, hint queueHint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.known[queue]; !known && len(q.known) >= queueHintsMost {
		for other := range q.known {
			delete(q.known, other) // any one
			break
		}
	}
	if q.known == nil {
		q.known = make(map[queueID]queueHint)
	}
	q.known[queue] = hint
}

// grownAtOnce bounds the room that ReadQueue makes before it knows what there is.
const grownAtOnce = 64

// ReadQueue appends to dst up to max durable records of a queue in the order of their offsets,
// beginning with the first at or behind offset, and gives the offset to go on from. It reads no block
// that is known not to hold the queue. What was trimmed or damaged is skipped; when there is nothing
// at or behind offset it returns none. It may return fewer than there are.
func (s *Store) ReadQueue(dst []message.Record, topic string, queue int, offset uint64, max int) (records []message.Record, next uint64, err error) {
	w, err := s.openQueue(topic, queue)
	if err != nil || w == nil {
		return dst, offset, err
	}
	defer s.use.RUnlock()
	if offset >= w.durable || max <= 0 {
		return dst, offset, nil
	}
	_, tail := s.index.ends()
	from := message.Position(0)
	if hint := s.queues.hints.of(w.id); hint.from != 0 && hint.offset <= offset && offset-hint.offset < uint64(max) {
		from = hint.from
	} else if from, err = s.findQueued(w.id, offset); err != nil {
		return dst, offset, fmt.Errorf("find offset %d of queue %d of %q: %w", offset, queue, topic, err)
	}
	names := s.cache.borrowNames()
	defer s.cache.names.Put(names)
	dst = grown(dst, int(min(uint64(max), w.durable-offset, grownAtOnce)))
	next = offset
	blocks, found, last := 0, 0, message.Position(0)
	err = w.walk(from, func(queuedBlock, header) bool {
		blocks++
		return found == 0 || blocks <= matchBlocks
	}, func(r *blockReader, _ header) bool {
		at := r.queueOffset()
		if at < offset {
			return true
		}
		dst = grown(dst, 1)
		dst = dst[:len(dst)+1]
		topic, _ := r.topic(names)
		r.make(&dst[len(dst)-1], topic, names)
		next, last = at+1, r.position()
		found++
		return found < max
	})
	if err != nil {
		return dst[:len(dst)-found], offset, fmt.Errorf("read queue %d of %q from offset %d: %w", queue, topic, offset, err)
	}
	if found > 0 {
		s.queues.hints.set(w.id, queueHint{next, last + 1})
	} else if tail >= w.at {
		next = w.durable // what it had there is lost
	}
	return dst, next, nil
}

// QueueOffsetAt gives the offset of the first message of a queue that was stored at unixMillis or
// later, that of the next message when there is none yet. It finds what PositionAt finds.
func (s *Store) QueueOffsetAt(topic string, queue int, unixMillis int64) (uint64, error) {
	from := s.PositionAt(unixMillis)
	w, err := s.openQueue(topic, queue)
	if err != nil || w == nil {
		return 0, err
	}
	defer s.use.RUnlock()
	offset := w.durable
	if w.at < from {
		return offset, nil
	}
	err = w.walk(from, nil, func(r *blockReader, _ header) bool {
		offset = r.queueOffset()
		return false
	})
	if err != nil {
		return 0, fmt.Errorf("find the time %d in queue %d of %q: %w", unixMillis, queue, topic, err)
	}
	return offset, nil
}

// queueWalk goes through the log along one queue.
type queueWalk struct {
	s       *Store
	topic   string
	queue   byte
	tag     byte
	id      queueID
	durable uint64
	at      message.Position // of the last durable message
}

// openQueue holds the log open for reading a queue; without an error the caller lets go of s.use. It
// gives nil, and holds nothing, for a queue that never had a message.
func (s *Store) openQueue(topic string, queue int) (*queueWalk, error) {
	if queue < 0 || queue >= message.MaxQueues {
		return nil, fmt.Errorf("queue %d of %q: there are at most %d", queue, topic, message.MaxQueues)
	}
	if !s.use.TryRLock() {
		return nil, message.ErrClosed // only Close takes it for writing
	}
	if s.gone {
		s.use.RUnlock()
		return nil, message.ErrClosed
	}
	id, c, ok := s.queues.known(topic, byte(queue))
	if !ok || c.at == 0 {
		s.use.RUnlock()
		return nil, nil
	}
	return &queueWalk{s, topic, byte(queue), laneTag(topic, byte(queue)), id, c.durable, c.at}, nil
}

// walk visits the records of the queue at or behind from, block by block, until one of the two
// returns false. block, unless nil, is asked before a block is read; record is given a reader that
// stands at the record, and makes it only if it wants it.
func (w *queueWalk) walk(from message.Position, block func(queuedBlock, header) bool, record func(*blockReader, header) bool) error {
	s := w.s
	for {
		b, err := s.nextQueued(w.id, from)
		if err != nil {
			return err
		}
		from = max(from, b.first)
		h, ok := s.index.find(from)
		if !ok {
			return nil
		}
		if b.sure && h.first > b.last {
			from = b.last + 1 // it is gone
			continue
		}
		if block != nil && !block(b, h) {
			return nil
		}
		content, err := s.laned(h)
		if err != nil {
			if err := s.skip(h, err); err != nil {
				return err
			}
			from = s.behindTrim(from)
			continue
		}
		r := content.lane(uint32(max(from, h.first)-content.first), w.tag)
		for r.step() {
			if w.owns(&r.blockReader) && !record(&r.blockReader, h) {
				return nil
			}
		}
		from = h.last() + 1
	}
}

// owns says whether the present record belongs to the queue.
func (w *queueWalk) owns(r *blockReader) bool {
	if r.raw.queueNumber() != w.queue {
		return false
	}
	topic := r.raw.topic.of(r.b.plain[r.start:])
	n := len(w.topic) // see message.QueueTopic: no name of a queue is longer than that gives
	return len(topic) >= n && string(topic[:n]) == w.topic && (len(topic) == n || topic[n] == '/')
}
