package rocketmq

import (
	"fmt"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 014 QUERY_CONSUMER_OFFSET, 015 UPDATE_CONSUMER_OFFSET
//
// Supported: an offset that was never committed is QUERY_NOT_FOUND, so that the client begins where it
// wants to, unless the queue is so young that it begins with the first message; a commit that leads back; negative
// offsets, which the Go client commits for queues that it never read, mean nothing; a group that nobody made is
// refused. A commit is durable within 200 ms.
func (s *Server) queryConsumerOffset(r *request) (answer, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return answer{}, err
	}
	topic, number, err := r.queue()
	if err != nil {
		return answer{}, err
	}
	if !r.account.MayUse(group) {
		return answer{}, fmt.Errorf("%w: the group %s", queue.ErrForbidden, group)
	}
	next, known := s.queues.Offset(group, topic, number)
	if !known && r.frame.Ext.Get("setZeroIfNotFound") != "false" && s.queues.Young(topic, number) {
		return answer{fields: remoting.Fields{{Name: "offset", Value: "0"}}}, nil
	}
	if !known {
		return answer{}, refuse(remoting.QueryNotFound, "Not found, maybe this group consumer boot first")
	}
	return answer{fields: remoting.Fields{field("offset", next)}}, nil
}

func (s *Server) updateConsumerOffset(r *request) (answer, error) {
	group, err := r.text("consumerGroup")
	if err != nil {
		return answer{}, err
	}
	topic, number, err := r.queue()
	if err != nil {
		return answer{}, err
	}
	next, err := r.number("commitOffset")
	if err != nil {
		return answer{}, err
	}
	if !r.account.MayUse(group) {
		return answer{}, fmt.Errorf("%w: the group %s", queue.ErrForbidden, group)
	}
	// Whoever consumes has said so in a heartbeat, which makes the group.
	if _, known := s.queues.Group(group); !known {
		return answer{}, refuse(remoting.SubscriptionGroupNotExist, "Group %s not exist!", group)
	}
	if _, known := s.queues.Topic(topic); !known {
		return answer{}, fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	}
	if s.resets.waits(group, topic, number) {
		return answer{remark: "Offset has been previously reset"}, nil
	}
	return answer{}, s.queues.Commit(group, topic, number, next)
}
