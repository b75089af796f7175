package store

import (
	"fmt"

	"sluice/gateway/message"
)

// resumeQueue lets a message that is appended next keep the offset that it had in another log.
func (s *Store) resumeQueue(r *message.Record) error {
	topic := message.QueueTopic(r.Topic)
	if r.Queue == message.NoQueue {
		return nil
	}
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	if topic == "" || !s.queues.resume(topic, r.Queue, r.QueueOffset) {
		return fmt.Errorf("%w: offset %d of queue %d of %q at %d", ErrExport, r.QueueOffset, r.Queue, topic, r.Position)
	}
	return nil
}

// restored lets the queues that have no messages in an export go on where they were. Nothing is
// appended any more, and tail is the log's end.
func (q *queueTable) restored(queues exportedQueues, tail message.Position) {
	for _, e := range queues.list {
		_, c, _ := q.known(e.topic, e.queue)
		if c.at == 0 || c.durable < e.next {
			q.place(e.topic, e.queue, e.next, min(max(e.last, c.at), tail))
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.published, q.start = tail, queues.start
	for _, t := range q.byID {
		for i := range t.queues {
			if c := &t.queues[i]; c.at == 0 {
				c.next, c.durable = q.start, q.start
			}
		}
	}
}
