package rocketmq

import (
	"fmt"
	"math"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// maxFound is how many messages one query gives.
const maxFound = 64

// 012 QUERY_MESSAGE
//
// Supported: by a word of KEYS or by unique key, within a time, the last that there are; also messages that MQTT clients
// and devices published, by the unique key that they are given, and readings by their device.
// Left out: readings of a device that is silent for so long that each queue has 16,384 later ones.
func (s *Server) queryMessage(r *request) (answer, error) {
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	key, err := r.text("key")
	if err != nil {
		return answer{}, err
	}
	if !r.account.MaySubscribe(topic) {
		return answer{}, fmt.Errorf("%w: reading %s", queue.ErrForbidden, topic)
	}
	most := min(max(r.numberOr("maxNum", maxFound), 1), maxFound)
	from, to := r.numberOr("beginTimestamp", 0), r.numberOr("endTimestamp", math.MaxInt64)
	list, err := s.queues.Find(r.ctx, topic, key, time.UnixMilli(from), time.UnixMilli(to), int(most))
	if err != nil {
		return answer{}, err
	}
	if len(list) == 0 {
		return answer{}, refuse(remoting.QueryNotFound, "can not find message, maybe time range not correct")
	}
	var b []byte
	for _, m := range list {
		if b, err = s.appendMessage(b, r.conn, m); err != nil {
			return answer{}, err
		}
	}
	_, last := s.queues.Reach()
	return answer{fields: remoting.Fields{
		field("indexLastUpdateTimestamp", s.now().UnixMilli()), field("indexLastUpdatePhyoffset", last),
	}, body: b}, nil
}

// 033 VIEW_MESSAGE_BY_ID
//
// Supported: the message at a position, which is what an offset message id carries.
func (s *Server) viewMessage(r *request) (answer, error) {
	at, err := r.number("offset")
	if err != nil {
		return answer{}, err
	}
	m, err := s.queues.At(message.Position(at))
	if err != nil {
		return answer{}, refuse(remoting.SystemError, "can not find message by the offset: %d", at)
	}
	if !r.account.MaySubscribe(m.Topic) {
		return answer{}, fmt.Errorf("%w: reading %s", queue.ErrForbidden, m.Topic)
	}
	body, err := s.appendMessage(nil, r.conn, m)
	return answer{body: body}, err
}
