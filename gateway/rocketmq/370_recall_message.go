package rocketmq

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	h, err := parseRecallHandle(text)
	if err != nil || h.topic != topic {
		return answer{}, refuse(remoting.IllegalOperation, "recall failed, the handle is invalid")
	}
	if h.deliverAt <= s.now().UnixMilli() {
		return answer{}, refuse(remoting.IllegalOperation, "recall failed, timestamp invalid")
	}
	reply := r.reply
	err = s.queues.Recall(r.ctx, topic, h.key, h.deliverAt, func(_ queue.Sent, err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		reply.send(answer{fields: remoting.Fields{{Name: "msgId", Value: h.key}}})
	})
	switch {
	case errors.Is(err, queue.ErrNoMessage): // the stock broker does not tell either
		return answer{fields: remoting.Fields{{Name: "msgId", Value: h.key}}}, nil
	case err != nil:
		return answer{}, err
	}
	return answer{}, errLater
}

// recallHandle is what a producer needs to take a message back.
type recallHandle struct {
	topic, broker string
	deliverAt     int64
	key           string
}

func (h recallHandle) String() string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "v1 %s %s %d %s", h.topic, h.broker, h.deliverAt, h.key))
}

func parseRecallHandle(text string) (h recallHandle, err error) {
	b, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		return h, err
	}
	parts := strings.Split(string(b), " ")
	if len(parts) != 5 || parts[0] != "v1" {
		return h, errors.New("not a recall handle")
	}
	h = recallHandle{topic: parts[1], broker: parts[2], key: parts[4]}
	h.deliverAt, err = strconv.ParseInt(parts[3], 10, 64)
	return h, err
}
