package rocketmq

import (
	"errors"
	"fmt"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 029 SEARCH_OFFSET_BY_TIMESTAMP, 030 GET_MAX_OFFSET, 031 GET_MIN_OFFSET, 032 GET_EARLIEST_MSG_STORETIME
//
// Supported: the first message stored at a time or later; the first and the next offset of a queue.
// Left out: boundaryType UPPER gives the same as LOWER.
func (s *Server) searchOffset(r *request) (answer, error) {
	topic, number, err := s.readQueue(r)
	if err != nil {
		return answer{}, err
	}
	at, err := r.number("timestamp")
	if err != nil {
		return answer{}, err
	}
	offset, err := s.queues.OffsetAt(topic, number, at)
	return answer{fields: remoting.Fields{field("offset", offset)}}, err
}

func (s *Server) maxOffset(r *request) (answer, error) {
	topic, number, err := s.readQueue(r)
	if errors.Is(err, queue.ErrNoQueue) {
		return answer{fields: remoting.Fields{{Name: "offset", Value: "0"}}}, nil // the stock broker does not mind
	}
	if err != nil {
		return answer{}, err
	}
	_, next, err := s.queues.Range(topic, number)
	return answer{fields: remoting.Fields{field("offset", next)}}, err
}

func (s *Server) minOffset(r *request) (answer, error) {
	topic, number, err := s.readQueue(r)
	if err != nil {
		return answer{}, err
	}
	first, _, err := s.queues.Range(topic, number)
	return answer{fields: remoting.Fields{field("offset", first)}}, err
}

func (s *Server) earliestTime(r *request) (answer, error) {
	topic, number, err := s.readQueue(r)
	if err != nil {
		return answer{}, err
	}
	at, err := s.queues.StoredAt(topic, number, 0)
	return answer{fields: remoting.Fields{field("timestamp", at)}}, err
}

// readQueue gives a queue that exists and may be read.
func (s *Server) readQueue(r *request) (topic string, number int, err error) {
	if topic, number, err = r.queue(); err != nil {
		return "", 0, err
	}
	if !r.account.MaySubscribe(topic) && !r.account.MayPublish(topic) {
		return "", 0, fmt.Errorf("%w: reading %s", queue.ErrForbidden, topic)
	}
	known, ok := s.queues.Topic(topic)
	switch {
	case !ok:
		return "", 0, fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	case number < 0 || number >= known.ReadQueues:
		return "", 0, fmt.Errorf("%w: %s has %d queues, no number %d", queue.ErrNoQueue, topic, known.ReadQueues, number)
	}
	return topic, number, nil
}
