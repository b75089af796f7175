package rocketmq

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 212 RESET_CONSUMER_OFFSET_IN_BROKER, 220 RESET_CONSUMER_CLIENT_OFFSET, 222 INVOKE_BROKER_TO_RESET_OFFSET
//
// Supported: to a time, to an offset, to the end; one queue or all; while consumers are connected, whatever
// kind they are: what they commit meanwhile does not count, and their next pull is sent to the new place.
// Left out: 220 is not sent to clients, the pull tells them sooner; isForce makes no difference, an offset
// may go forward and back.
func (s *Server) resetOffset(r *request) (answer, error) {
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	topic, known := s.queues.Topic(name)
	if !known {
		return answer{}, fmt.Errorf("%w: topic[%s] not exist", queue.ErrNoTopic, name)
	}
	if _, known := s.queues.Group(group); !known {
		return answer{}, fmt.Errorf("%w: Group %s does not exist", queue.ErrNoGroup, group)
	}
	only, to, at := r.numberOr("queueId", -1), r.numberOr("offset", -1), r.numberOr("timestamp", -1)
	if only >= int64(topic.ReadQueues) {
		return answer{}, fmt.Errorf("%w: %s has %d queues, no number %d", queue.ErrNoQueue, name, topic.ReadQueues, only)
	}
	var entries []remoting.QueueEntry
	var places []queue.Place
	for i := range topic.ReadQueues {
		if only >= 0 && int64(i) != only {
			continue
		}
		next, err := s.resetTarget(name, i, to, at, only >= 0)
		if err != nil {
			return answer{}, err
		}
		places = append(places, queue.Place{Topic: name, Queue: i, Next: next})
		entries = append(entries, remoting.QueueEntry{Queue: s.queueNamed(name, i), Value: strconv.AppendInt(nil, next, 10)})
	}
	if err := s.queues.Reset(r.ctx, group, places); err != nil {
		return answer{}, err
	}
	b := remoting.AppendQueueMap([]byte(`{"offsetTable":`), entries)
	return answer{body: append(b, '}')}, nil
}

// resetTarget gives the offset that a queue is to be consumed from.
func (s *Server) resetTarget(topic string, number int, to, at int64, exact bool) (int64, error) {
	first, next, err := s.queues.Range(topic, number)
	switch {
	case err != nil:
		return 0, err
	case exact && to >= 0 && (uint64(to) < first || uint64(to) > next):
		return 0, refuse(remoting.SystemError, "Target offset %d not in consume queue range [%d-%d]", to, first, next)
	case exact && to >= 0:
		return to, nil
	case at < 0:
		return int64(next), nil
	}
	offset, err := s.queues.OffsetAt(topic, number, at)
	return int64(offset), err
}

// tellMoved sees to it that the members of a group hear of its offsets that were moved, here or over HTTP,
// and do not undo that.
func (s *Server) tellMoved(group string, places []queue.Place) {
	if crew, online := s.members.consuming(group); online && crew.model != "BROADCASTING" {
		for _, p := range places {
			s.resets.add(lockKey{group, p.Topic, p.Queue}, p.Next)
		}
	}
	for _, one := range s.members.clients(group) {
		one.conn.wakeHeld() // a pull that waits at the old place is repeated at once
	}
}

// maxResets bounds how many resets may wait for their consumers; those beyond are only committed.
const maxResets = 100_000

// resets are offsets that were moved while somebody consumed, until he pulls.
type resets struct {
	mu      sync.RWMutex // guards pending
	pending map[lockKey]int64
}

func (s *resets) add(at lockKey, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil {
		s.pending = make(map[lockKey]int64)
	}
	if len(s.pending) < maxResets {
		s.pending[at] = next
	}
}

// waits says that commits for a queue mean what was before a reset.
func (s *resets) waits(group, topic string, number int) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, waits := s.pending[lockKey{group, topic, number}]
	return waits
}

// take gives where a consumer has to go on that pulls from an offset; false when nobody has moved it.
func (s *resets) take(group, topic string, number int, from int64) (next int64, moved bool) {
	if !s.waits(group, topic, number) {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := lockKey{group, topic, number}
	next, moved = s.pending[at]
	delete(s.pending, at)
	return next, moved && next != from
}

// moved answers a pull at an offset that the group is not to consume from any more.
func (s *Server) moved(p *pull) (a answer, moved bool, err error) {
	next, moved := s.resets.take(p.group, p.topic, p.queue, p.offset)
	if !moved {
		return answer{}, false, nil
	}
	first, end, err := s.queues.Range(p.topic, p.queue)
	if err != nil {
		return answer{}, false, err
	}
	return answer{code: remoting.PullOffsetMoved, remark: "OFFSET_RESET", fields: remoting.Fields{
		{Name: "suggestWhichBrokerId", Value: "0"},
		field("nextBeginOffset", next), field("minOffset", first), field("maxOffset", end),
		{Name: "topicSysFlag", Value: "0"}, {Name: "groupSysFlag", Value: "0"},
	}}, true, nil
}

// 314 CLONE_GROUP_OFFSET
//
// Supported: a group goes on where another stands, in one topic or in all; not while it is online.
func (s *Server) cloneOffsets(r *request) (answer, error) {
	from, err := r.text("srcGroup")
	if err != nil {
		return answer{}, err
	}
	to, err := r.text("destGroup")
	if err != nil {
		return answer{}, err
	}
	topics := s.topicsOf(from)
	if only := r.frame.Ext.Get("topic"); only != "" {
		topics = []string{only}
	}
	return answer{}, s.clone(r.ctx, from, to, topics)
}

func (s *Server) clone(ctx context.Context, from, to string, topics []string) (err error) {
	if crew, online := s.members.consuming(to); online {
		for _, topic := range topics {
			if crew.subscribes(topic) {
				return refuse(remoting.SystemError, "the group %s is consuming %s: clone the offsets while it is not", to, topic)
			}
		}
	}
	s.queues.EachOffset(from, func(topic string, number int, next int64) {
		if err == nil && slices.Contains(topics, topic) {
			err = s.queues.Commit(to, topic, number, next)
		}
	})
	if err != nil {
		return err
	}
	return s.queues.SyncGroup(ctx, to)
}
