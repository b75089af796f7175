package rocketmq

import (
	"errors"
	"fmt"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 370 RECALL_MESSAGE
//
// Supported: a message whose time has not come is taken back, by the handle that sending it gave.
func (s *Server) recallMessage(r *request) (answer, error) {
	topic, err := r.text("topic")
	if err != nil {
		return answer{}, err
	}
	text := r.frame.Ext.Get("recallHandle")
	if !r.account.MayPublish(topic) {
		return answer{}, fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
	}
	if _, known := s.queues.Topic(topic); !known {
		return answer{}, fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	}
	h, err := queue.ParseRecallHandle(text)
	if err != nil || h.Topic != topic {
		return answer{}, refuse(remoting.IllegalOperation, "recall failed, the handle is invalid")
	}
	if h.DeliverAt <= s.now().UnixMilli() {
		return answer{}, refuse(remoting.IllegalOperation, "recall failed, timestamp invalid")
	}
	reply := r.reply
	err = s.queues.Recall(r.ctx, topic, h.Key, h.DeliverAt, func(_ queue.Sent, err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		reply.send(answer{fields: remoting.Fields{{Name: "msgId", Value: h.Key}}})
	})
	switch {
	case errors.Is(err, queue.ErrNoMessage): // the stock broker does not tell either
		return answer{fields: remoting.Fields{{Name: "msgId", Value: h.Key}}}, nil
	case err != nil:
		return answer{}, err
	}
	return answer{}, errLater
}
