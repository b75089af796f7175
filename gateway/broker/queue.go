package broker

import "sluice/gateway/message"

// queue holds what a consumer has returned, oldest first: first the acknowledged records whose
// cursor is not durable yet, then those in flight. It is as long as the receiver's window and
// MaxUnsynced allow.
type queue struct {
	entries []entry
	first   int // index of the oldest entry that counts
	open    int // index of the first one that is not acknowledged
}

type entry struct {
	position message.Position
	time     int64
}

func (q *queue) push(at message.Position, time int64) {
	if q.first > 1024 && q.first > len(q.entries)/2 {
		q.open -= q.first
		q.entries = append(q.entries[:0], q.entries[q.first:]...)
		q.first = 0
	}
	q.entries = append(q.entries, entry{at, time})
}

// ack marks everything up to and including upTo.
func (q *queue) ack(upTo message.Position) {
	for q.open < len(q.entries) && q.entries[q.open].position <= upTo {
		q.open++
	}
}

// forget lets go of the acknowledged entries that are durably done with.
func (q *queue) forget(durable message.Position) {
	for q.first < q.open && q.entries[q.first].position <= durable {
		q.first++
	}
}

// rewind drops what is in flight and tells where it began and how many there were.
func (q *queue) rewind() (first message.Position, n int) {
	n = q.inFlight()
	if n > 0 {
		first = q.entries[q.open].position
	}
	q.entries = q.entries[:q.open]
	return first, n
}

// excess says whether at least bound acknowledged entries are not durable, and which of them must
// become so that fewer are left.
func (q *queue) excess(bound int) (upTo message.Position, found bool) {
	last := q.open - bound
	if last < q.first {
		return 0, false
	}
	return q.entries[last].position, true
}

func (q *queue) acked() int    { return q.open - q.first }
func (q *queue) inFlight() int { return len(q.entries) - q.open }

// oldest is the time of the oldest record in flight.
func (q *queue) oldest() (time int64, found bool) {
	if q.inFlight() == 0 {
		return 0, false
	}
	return q.entries[q.open].time, true
}
