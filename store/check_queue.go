package store

import (
	"slices"

	"sluice/gateway/message"
)

// checkQueues walks over the log and says whether every queue counts its messages without gaps, but
// for holes, and whether what is saved about queues agrees.
func (s *Store) checkQueues(report *Report, f *found) {
	type place struct {
		offset uint64
		at     message.Position
	}
	type queue struct {
		topic string
		queue byte
	}
	first, last := make(map[queue]place), make(map[queue]place)
	saved := make([]map[queue]savedQueue, len(f.queues))
	for i, m := range f.queues {
		t := newQueueTable(queueMemory)
		other := Store{db: s.db, queues: t}
		if err := other.loadSaved(m); err != nil {
			report.find("the queues as of %d: %v", m.at, err)
			continue
		}
		saved[i] = make(map[queue]savedQueue)
		for _, topic := range t.byID {
			for _, q := range topic.saved(nil) {
				saved[i][queue{topic.name, q.queue}] = q
			}
		}
	}
	holes := slices.Clone(f.holes)
	for _, h := range f.headers {
		if h.last() < f.state.head {
			continue
		}
		records, _, err := s.load(h)
		if err != nil {
			holes = append(holes, hole{h.first, h.last()}) // checkBlocks reported it
			continue
		}
		for i := range records {
			r := &records[i]
			if r.Queue == message.NoQueue {
				continue
			}
			q := queue{message.QueueTopic(r.Topic), r.Queue}
			now := place{r.QueueOffset, r.Position}
			before, known := last[q]
			if !known {
				first[q] = now
			} else if now.offset <= before.offset || now.offset != before.offset+1 && !holeBetween(holes, before.at, now.at) {
				report.find("queue %d of %q has offset %d at %d, and %d before it at %d", q.queue, q.topic, now.offset, now.at, before.offset, before.at)
			}
			last[q] = now
			for i, m := range f.queues {
				if was, found := saved[i][q]; saved[i] != nil && r.Position <= m.at && (!found || was.next <= r.QueueOffset || was.last < r.Position) {
					report.find("the queues as of %d do not know offset %d of queue %d of %q at %d", m.at, r.QueueOffset, q.queue, q.topic, r.Position)
				}
			}
		}
	}
	for i := range saved {
		for q, was := range saved[i] {
			if now, found := first[q]; found && now.at > f.queues[i].at && now.offset < was.next {
				report.find("queue %d of %q has offset %d at %d, but was at %d before", q.queue, q.topic, now.offset, now.at, was.next)
			}
		}
	}
	report.Queues = len(last)
}

func holeBetween(holes []hole, a, b message.Position) bool {
	return slices.ContainsFunc(holes, func(h hole) bool { return h.first > a && h.last < b })
}
