package rocketmq

import (
	"context"
	"strconv"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 324 SEND_REPLY_MESSAGE, 325 SEND_REPLY_MESSAGE_V2, 326 PUSH_REPLY_MESSAGE_TO_CLIENT
//
// Supported: the answer to a request goes to the client that asked, over its own connection.
// Left out: answers are not stored; a client that is gone does not get its answer later, it has given up
// waiting.
func (s *Server) sendReply(r *request) (answer, error) {
	m, _, err := s.toSend(r)
	if err != nil {
		return answer{}, err
	}
	properties := r.frame.Ext.Get(either(r, "properties", "i"))
	if m.Properties, err = parseProperties(properties); err != nil {
		return answer{}, err
	}
	client := m.Property(replyToClient)
	if client == "" {
		return answer{}, refuse(remoting.SystemError, "reply message properties[%s] is null", replyToClient)
	}
	to := s.members.connection(client)
	if to == nil {
		return answer{}, refuse(remoting.SystemError, "push reply message fail, channel of <%s> not found.", client)
	}
	ext := r.frame.Ext
	for _, own := range [...]remoting.Property{{Name: propertyRegion, Value: region}, {Name: propertyTrace, Value: "true"},
		{Name: "PUSH_REPLY_TIME", Value: strconv.FormatInt(s.now().UnixMilli(), 10)}} {
		m.Set(own.Name, own.Value)
	}
	if properties, err = joinProperties(m.Properties); err != nil {
		return answer{}, err
	}
	host := s.host(r.conn).String()
	push := remoting.Fields{
		{Name: "producerGroup", Value: ext.Get(either(r, "producerGroup", "a"))},
		{Name: "topic", Value: m.Topic},
		{Name: "defaultTopic", Value: queue.DefaultTopic},
		{Name: "defaultTopicQueueNums", Value: strconv.Itoa(message.DefaultQueues)},
		field("queueId", m.Queue), field("sysFlag", m.SysFlag), field("bornTimestamp", m.BornTime), field("flag", m.Flag),
		{Name: "properties", Value: properties},
		field("reconsumeTimes", m.Reconsumed),
		{Name: "bornHost", Value: r.remote.String()}, {Name: "storeHost", Value: host},
		field("storeTimestamp", s.now().UnixMilli()),
	}
	body, reply := r.frame.Body, r.reply
	if !r.conn.begin(func() {
		// The push waits for the client, so it has a goroutine; the connection's end ends it.
		ctx, cancel := context.WithTimeout(r.conn.ctx, pushTimeout)
		defer cancel()
		answered, err := to.ask(ctx, remoting.PushReplyMessageToClient, push, body)
		switch {
		case err != nil:
			reply.fail(refuse(remoting.SystemError, "push reply message to %s fail: %v", client, err))
		case answered.Code != remoting.Success:
			reply.fail(refuse(remoting.SystemError, "push reply message to %s fail: %s", client, answered.Remark))
		default:
			reply.send(answer{fields: remoting.Fields{
				{Name: "msgId", Value: remoting.OffsetID(s.host(reply.conn), 0)}, {Name: "queueId", Value: "0"}, {Name: "queueOffset", Value: "0"},
			}})
		}
	}) {
		return answer{}, refuse(remoting.SystemBusy, "broker busy: %d replies of this connection are under way", maxBegun)
	}
	return answer{}, errLater
}

const (
	replyToClient = "REPLY_TO_CLIENT"
	replySuffix   = "_REPLY_TOPIC" // behind the cluster's name it is the topic that answers are sent to
	pushTimeout   = 3 * time.Second
)
