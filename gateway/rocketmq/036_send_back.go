package rocketmq

import (
	"fmt"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 036 CONSUMER_SEND_MSG_BACK
//
// Supported: the message at a position goes to the group's %RETRY% topic after the delay of its turn, or of the
// level that the consumer names, or to %DLQ% once it was given back often enough.
func (s *Server) sendBack(r *request) (answer, error) {
	group, err := r.text("group")
	if err != nil {
		return answer{}, err
	}
	at, err := r.number("offset")
	if err != nil {
		return answer{}, err
	}
	if !r.account.MayUse(group) {
		return answer{}, fmt.Errorf("%w: the group %s", queue.ErrForbidden, group)
	}
	var most *int
	if _, given := r.frame.Ext.Lookup("maxReconsumeTimes"); given && r.frame.Version >= countsRetries {
		n := int(r.numberOr("maxReconsumeTimes", queue.DefaultRetries))
		most = &n
	}
	reply, topic := r.reply, r.frame.Ext.Get("originTopic")
	err = s.queues.SendBack(r.ctx, group, message.Position(at), remoting.OffsetID(s.host(r.conn), uint64(at)), int(r.numberOr("delayLevel", 0)), most, func(_ queue.Sent, err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		s.stats.flows.sentBack(topic, group).put(1, 0)
		reply.send(answer{})
	})
	if err != nil {
		return answer{}, err
	}
	return answer{}, errLater
}

// countsRetries is the client version from which on maxReconsumeTimes means something.
const countsRetries = 121
