package rocketmq

import (
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 300 QUERY_TOPIC_CONSUME_BY_WHO, 343 QUERY_TOPICS_BY_CONSUMER, 345 QUERY_SUBSCRIPTION_BY_CONSUMER
//
// Supported: the groups that are subscribed to a topic or have an offset in it; the topics that a group has an
// offset in; what a group that is online is subscribed to.
func (s *Server) subscribersOf(r *request) (answer, error) {
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	groups := s.members.subscribedTo(topic)
	for _, g := range s.queues.Groups() {
		if slices.Contains(s.topicsOf(g.Name), topic) {
			groups = append(groups, g.Name)
		}
	}
	groups = unique(groups)
	if groups == nil {
		groups = []string{}
	}
	body, err := jsonBody(struct {
		Groups []string `json:"groupList"`
	}{groups})
	return answer{body: body}, err
}

func (s *Server) topicsByGroup(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	return listOfTopics(s.topicsOf(group), "")
}

func (s *Server) subscriptionOf(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	topic := r.frame.Ext.Get("topic")
	list := struct {
		Group        string            `json:"group"`
		Subscription *subscriptionData `json:"subscriptionData"`
		Topic        string            `json:"topic"`
	}{Group: group, Topic: topic}
	crew, _ := s.members.consuming(group)
	for i := range crew.subscriptions {
		if crew.subscriptions[i].Topic == topic {
			list.Subscription = &crew.subscriptions[i]
		}
	}
	body, err := jsonBody(list)
	return answer{body: body}, err
}

// subscribedTo lists the groups that are online and subscribed to a topic.
func (m *members) subscribedTo(topic string) (groups []string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for group, g := range m.consumers {
		if g.subscriptions[topic] != nil {
			groups = append(groups, group)
		}
	}
	return groups
}

// 303 QUERY_CONSUME_TIME_SPAN
//
// Supported: for every queue when its first and its last message was stored, when the one that the group
// consumed last was, and for how long the next one has been waiting.
func (s *Server) consumeTimeSpan(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	name, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	topic, known := s.queues.Topic(name)
	if !known {
		return answer{}, fmt.Errorf("%w: topic[%s] not exist", queue.ErrNoTopic, name)
	}
	type span struct {
		At    int64        `json:"consumeTimeStamp"`
		Delay int64        `json:"delayTime"`
		Max   int64        `json:"maxTimeStamp"`
		Queue messageQueue `json:"messageQueue"`
		Min   int64        `json:"minTimeStamp"`
	}
	spans := []span{}
	for i := range topic.WriteQueues {
		first, next, err := s.queues.Range(name, i)
		if err != nil {
			return answer{}, err
		}
		one := span{Queue: messageQueue{name, s.options.Name, i}}
		stored := func(offset uint64) int64 {
			at, failed := s.queues.StoredAt(name, i, offset)
			if failed != nil {
				err = failed
			}
			return at
		}
		if one.Min, one.Max, one.At = stored(first), -1, -1; next > first {
			one.Max = stored(next - 1)
		}
		offset, _ := s.queues.Offset(group, name, i)
		if offset > 0 {
			one.At = stored(uint64(offset - 1))
		} else {
			one.At = one.Min
		}
		if uint64(max(offset, 0)) < next {
			one.Delay = s.now().UnixMilli() - stored(uint64(max(offset, 0)))
		}
		if err != nil {
			return answer{}, err
		}
		spans = append(spans, one)
	}
	body, err := jsonBody(struct {
		Spans []span `json:"consumeTimeSpanSet"`
	}{spans})
	return answer{body: body}, err
}

// 308 QUERY_CORRECTION_OFFSET
//
// Supported: the least offset in every queue of a topic of all other groups, or of some, that are behind a group's.
func (s *Server) correctionOffsets(r *request) (answer, error) {
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	compare, err := r.text("compareGroup")
	if err != nil {
		return answer{}, err
	}
	var filter []string
	if list := r.frame.Ext.Get("filterGroups"); list != "" {
		filter = strings.Split(list, ",")
	}
	least := make(map[int]int64)
	for _, g := range s.queues.Groups() {
		if g.Name == compare || slices.Contains(filter, g.Name) {
			continue
		}
		s.queues.EachOffset(g.Name, func(in string, queue int, next int64) {
			if old, known := least[queue]; in == topic && (!known || next < old) {
				least[queue] = next
			}
		})
	}
	entries := []remoting.IntEntry{}
	s.queues.EachOffset(compare, func(in string, queue int, next int64) {
		if other, known := least[queue]; in == topic && known && other < next {
			entries = append(entries, remoting.IntEntry{Key: int64(queue), Value: fmt.Append(nil, other)})
		}
	})
	b := remoting.AppendIntMap([]byte(`{"correctionOffsets":`), entries, false)
	return answer{body: append(b, '}')}, nil
}
