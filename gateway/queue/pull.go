package queue

import (
	"fmt"

	"sluice/gateway/message"
)

// Filter says whether a consumer wants a message; nil wants all.
type Filter func(r *message.Record) bool

// Outcome says what a Pull found.
type Outcome int

// Messages; messages that the filter did not let through; the end of the queue; an offset that the queue
// does not have any more, or not yet.
const (
	Found Outcome = iota
	NoMatch
	NoNew
	Moved
)

// Pulled is what Pull gives.
type Pulled struct {
	Outcome  Outcome
	Records  []message.Record
	Next     uint64 // where to go on
	Min, Max uint64 // the first offset that is there, and that of the next message
}

// scanned is how many messages one Pull looks at: a filter that lets little through must not hold a
// request for long.
const scanned = 2048

// Pull gives up to most messages of a queue from an offset on, of together not much more than bytes.
func (q *Queues) Pull(topic string, queue int, offset uint64, most, bytes int, wanted Filter) (Pulled, error) {
	known, ok := q.Topic(topic)
	if !ok {
		return Pulled{}, fmt.Errorf("%w: %s", ErrNoTopic, topic)
	}
	if queue < 0 || queue >= known.ReadQueues {
		return Pulled{}, fmt.Errorf("%w: %s has %d queues, no number %d", ErrNoQueue, topic, known.ReadQueues, queue)
	}
	if known.Permission&MayRead == 0 {
		return Pulled{}, fmt.Errorf("%w: reading %s", ErrForbidden, topic)
	}
	name := logTopic(topic)
	p := Pulled{Next: offset}
	var err error
	if p.Min, p.Max, err = q.log.QueueRange(name, queue); err != nil {
		return p, err
	}
	switch {
	case offset < p.Min:
		p.Outcome, p.Next = Moved, p.Min
		return p, nil
	case offset > p.Max:
		p.Outcome, p.Next = Moved, p.Max
		if p.Max == 0 {
			p.Next = 0
		}
		return p, nil
	case offset == p.Max:
		p.Outcome = NoNew
		return p, nil
	}
	p.Outcome = NoMatch
	size, batch := 0, most
	for looked := 0; looked < scanned && len(p.Records) < most && p.Next < p.Max; {
		// Nearly always what is read is what is wanted. Where a filter lets nothing through, more is read at once.
		kept := len(p.Records)
		records, next, err := q.log.ReadQueue(p.Records, name, queue, p.Next, min(batch, scanned))
		if err != nil {
			return p, err
		}
		read := records[kept:]
		if len(read) == 0 {
			// The log says itself when what is missing was trimmed or damaged. Else it is about to be there:
			// a queue counts its messages a moment before they can be read.
			p.Next = max(next, p.Next)
			break
		}
		looked += len(read)
		p.Records = records[:kept]
		for i := range read {
			r := &read[i]
			if len(p.Records) == most || size > 0 && size+len(r.Payload) > bytes {
				return p.found(), nil
			}
			p.Next = r.QueueOffset + 1
			if wanted == nil || wanted(r) {
				size += len(r.Payload) + len(r.Topic) + 128
				if kept = len(p.Records); &records[kept] != r {
					records[kept] = *r
				}
				p.Records = records[:kept+1]
			}
		}
		p.Next = max(p.Next, next)
		if batch = most - len(p.Records); wanted != nil {
			batch = max(batch, min(2*len(read), 256))
		}
	}
	return p.found(), nil
}

func (p Pulled) found() Pulled {
	if len(p.Records) > 0 {
		p.Outcome = Found
	}
	return p
}

// Range gives the first offset of a queue that is there, and that of the next message.
func (q *Queues) Range(topic string, queue int) (min, max uint64, err error) {
	return q.log.QueueRange(logTopic(topic), queue)
}

// OffsetAt gives the offset of the first message stored at a time, in Unix milliseconds, or later.
func (q *Queues) OffsetAt(topic string, queue int, unixMillis int64) (uint64, error) {
	return q.log.QueueOffsetAt(logTopic(topic), queue, unixMillis)
}

// At finds the message at a position.
func (q *Queues) At(at message.Position) (*Message, error) {
	found, err := q.log.Read(nil, at, 1)
	if err != nil {
		return nil, err
	}
	if at == 0 || len(found) == 0 || found[0].Position != at {
		return nil, fmt.Errorf("%w: at %d", ErrNoMessage, at)
	}
	return FromRecord(&found[0]), nil
}

// StoredAt gives when the first message of a queue from an offset on was stored, in Unix milliseconds; -1
// when there is none.
func (q *Queues) StoredAt(topic string, queue int, offset uint64) (int64, error) {
	first, next, err := q.Range(topic, queue)
	if err != nil || first == next {
		return -1, err
	}
	found, _, err := q.log.ReadQueue(nil, logTopic(topic), queue, max(offset, first), 1)
	if err != nil || len(found) == 0 {
		return -1, err
	}
	return found[0].Time, nil
}

// youngQueue is how many messages the log may have had since the first of a queue that counts as young.
const youngQueue = 100_000

// Young says of a queue that all it ever had is still there and recent: a group that is new to it begins
// with the first message, wherever it wanted to, as with a stock broker that has all of it in memory.
func (q *Queues) Young(topic string, queue int) bool {
	known, ok := q.Topic(topic)
	if !ok || queue >= known.ReadQueues {
		return false
	}
	first, next, err := q.Range(topic, queue)
	if err != nil || first > 0 || next == 0 {
		return err == nil && next == 0 // first and last are the same there
	}
	tail, _ := q.log.Tail()
	at, ok := q.positionOf(logTopic(topic), queue, 0)
	return ok && tail-at < youngQueue
}
