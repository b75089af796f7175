package rocketmq

import (
	"fmt"
	"strconv"
	"strings"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 202 GET_TOPIC_STATS_INFO
//
// Supported: the first and the next offset of every queue, when its last message was stored, how many come
// a second over RocketMQ.
func (s *Server) topicStats(r *request) (answer, error) {
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	topic, known := s.queues.Topic(name)
	if !known {
		return answer{}, fmt.Errorf("%w: topic[%s] not exist", queue.ErrNoTopic, name)
	}
	entries := make([]remoting.QueueEntry, 0, topic.ReadQueues)
	for i := range max(topic.ReadQueues, topic.WriteQueues) {
		first, next, err := s.queues.Range(name, i)
		if err != nil {
			return answer{}, err
		}
		last := int64(0)
		if next > first {
			if last, err = s.queues.StoredAt(name, i, next-1); err != nil {
				return answer{}, err
			}
		}
		value := fmt.Appendf(nil, `{"lastUpdateTimestamp":%d,"maxOffset":%d,"minOffset":%d}`, max(last, 0), next, first)
		entries = append(entries, remoting.QueueEntry{Queue: s.queueNamed(name, i), Value: value})
	}
	b := remoting.AppendQueueMap([]byte(`{"offsetTable":`), entries)
	b = append(b, `,"topicPutTps":`...)
	b = appendRate(b, s.stats.flows.rate(name))
	return answer{body: append(b, '}')}, nil
}

// queueNamed gives a queue its name in maps.
func (s *Server) queueNamed(topic string, queue int) remoting.MessageQueue {
	return remoting.MessageQueue{Topic: topic, BrokerName: s.options.Name, QueueID: int32(queue)}
}

func appendRate(b []byte, rate float64) []byte { return strconv.AppendFloat(b, rate, 'f', 2, 64) }

// 208 GET_CONSUME_STATS
//
// Supported: where a group stands in every queue of the topics that it has an offset in, or of some of them.
// Left out: pullOffset is the committed offset: what is pulled and not consumed yet is not told apart.
func (s *Server) consumeStats(r *request) (answer, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return answer{}, err
	}
	var only []string
	if topic := r.frame.Ext.Get("topic"); topic != "" {
		only = []string{topic}
	} else if list := r.frame.Ext.Get("topicList"); list != "" {
		only = strings.Split(list, ";")
	}
	stats, err := s.consumed(group, only)
	if err != nil {
		return answer{}, err
	}
	return answer{body: stats.append(nil)}, nil
}

// consumed is where a group stands.
type consumed struct {
	entries []remoting.QueueEntry
	rate    float64
	behind  int64 // messages
}

func (c *consumed) append(b []byte) []byte {
	b = append(b, `{"consumeTps":`...)
	b = appendRate(b, c.rate)
	b = append(b, `,"offsetTable":`...)
	return append(remoting.AppendQueueMap(b, c.entries), '}')
}

// consumed looks where a group stands in some topics, or in all that it has an offset in and, while it is
// online, is subscribed to.
func (s *Server) consumed(group string, only []string) (c consumed, err error) {
	if len(only) == 0 {
		only = s.topicsOf(group)
	}
	crew, online := s.members.consuming(group)
	for _, name := range only {
		topic, known := s.queues.Topic(name)
		if !known || online && len(crew.subscriptions) > 0 && !crew.subscribes(name) {
			continue
		}
		for i := range topic.ReadQueues {
			if err := c.add(s, group, name, i); err != nil {
				return c, err
			}
		}
		c.rate += s.stats.flows.rate(name + "@" + group)
	}
	return c, nil
}

func (c *consumed) add(s *Server, group, topic string, queue int) error {
	_, next, err := s.queues.Range(topic, queue)
	if err != nil {
		return err
	}
	offset, _ := s.queues.Offset(group, topic, queue)
	offset = max(offset, 0)
	last := int64(0)
	if offset > 0 && uint64(offset) <= next {
		if last, err = s.queues.StoredAt(topic, queue, uint64(offset-1)); err != nil {
			return err
		}
	}
	c.behind += int64(next) - offset
	c.entries = append(c.entries, remoting.QueueEntry{Queue: s.queueNamed(topic, queue), Value: fmt.Appendf(nil,
		`{"brokerOffset":%d,"consumerOffset":%d,"lastTimestamp":%d,"pullOffset":%d}`, next, offset, max(last, 0), offset)})
	return nil
}

// topicsOf lists the topics that a group has an offset in.
func (s *Server) topicsOf(group string) (topics []string) {
	s.queues.EachOffset(group, func(topic string, _ int, _ int64) {
		if len(topics) == 0 || topics[len(topics)-1] != topic {
			topics = append(topics, topic)
		}
	})
	return unique(topics)
}
