package rocketmq

import (
	"fmt"
	"strings"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 010 SEND_MESSAGE, 310 SEND_MESSAGE_V2
//
// Supported: both spellings of the fields under either code; synchronous, asynchronous and one-way; the
// queue that the producer names or, at -1, one of our choice; making topics; delay levels, timers, half
// messages; what goes back to %RETRY%. The answer comes when the message would survive a power cut.
// Left out: WAIT=false makes no difference: the answer waits for the sync in any case.
func (s *Server) sendMessage(r *request) (answer, error) {
	m, queues, err := s.toSend(r)
	if err != nil {
		return answer{}, err
	}
	if m.Properties, err = parseProperties(r.frame.Ext.Get(either(r, "properties", "i"))); err != nil {
		return answer{}, err
	}
	if most := r.frame.Ext.Get(either(r, "maxReconsumeTimes", "l")); most != "" && r.frame.Version >= countsRetries && m.Property(queue.MaxRetriesName) == "" &&
		strings.HasPrefix(m.Topic, queue.RetryPrefix) {
		m.Set(queue.MaxRetriesName, most)
	}
	if group, retry := strings.CutPrefix(m.Topic, queue.RetryPrefix); retry {
		m.Dead = s.locks.holds(group, s.now()) // an ordered group has tried in place
	}
	if m.Property(queue.UniqueKey) == "" {
		m.Set(queue.UniqueKey, s.unique.Next(s.now()))
	}
	if m.Body = r.frame.Body; len(m.Body) == 0 {
		return answer{}, refuse(remoting.SystemError, "the message body is empty")
	}
	reply, host := r.reply, s.host(r.conn)
	unique, flow := m.Property(queue.UniqueKey), s.stats.flows.topic(m.Topic)
	size, topic, began := len(m.Body), m.Topic, s.now()
	err = s.queues.Send(r.ctx, m, queues, func(sent queue.Sent, err error) {
		if err != nil {
			reply.fail(err)
			return
		}
		s.stats.sent.Add(1)
		flow.put(1, size)
		s.stats.puts.took(s.now().Sub(began))
		fields := remoting.Fields{
			{Name: "msgId", Value: remoting.OffsetID(host, uint64(sent.Position))},
			field("queueId", sent.Queue),
			field("queueOffset", sent.Offset),
			{Name: "transactionId", Value: unique},
			{Name: "MSG_REGION", Value: region},
			{Name: "TRACE_ON", Value: "true"},
		}
		if sent.Recallable {
			fields = append(fields, remoting.Field{Name: "recallHandle", Value: queue.RecallHandle{Topic: topic, Broker: s.options.Name, DeliverAt: sent.DeliverAt, Key: unique}.String()})
		}
		reply.send(answer{fields: fields})
	})
	if err != nil {
		return answer{}, err
	}
	return answer{}, errLater
}

// sentFlags are the bits that a producer's sysFlag may have: compressed, several tags, half message, and the
// kind of compression. Those that say how a stored message is laid out are not its own.
const sentFlags = 0x707 | 0x40

// region is what clients are told about where the broker is.
const region = "DefaultRegion"

// either gives the name under which a field came: the long one, or the letter of the second version.
func either(r *request, long, short string) string {
	if _, ok := r.frame.Ext.Lookup(short); ok {
		return short
	}
	return long
}

// toSend reads what single messages and batches have in common.
func (s *Server) toSend(r *request) (m *queue.Message, queues int, err error) {
	topic, err := r.text(either(r, "topic", "b"))
	if err != nil {
		return nil, 0, err
	}
	if !r.account.MayPublish(topic) {
		return nil, 0, fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
	}
	number, err := r.number(either(r, "queueId", "e"))
	if err != nil {
		return nil, 0, err
	}
	if number < -1 || number > message.MaxQueues {
		return nil, 0, fmt.Errorf("%w: %s has no queue %d", queue.ErrNoQueue, topic, number)
	}
	sysFlag, err := r.optional(either(r, "sysFlag", "f"), 0)
	if err != nil {
		return nil, 0, err
	}
	if sysFlag&^sentFlags != 0 {
		return nil, 0, fmt.Errorf("%w: sysFlag %#x", queue.ErrIllegal, sysFlag)
	}
	born, err := r.optional(either(r, "bornTimestamp", "g"), s.now().UnixMilli())
	if err != nil {
		return nil, 0, err
	}
	template, wanted := r.frame.Ext.Get(either(r, "defaultTopic", "c")), r.numberOr(either(r, "defaultTopicQueueNums", "d"), int64(s.queues.NewQueues()))
	if _, known := s.queues.Topic(topic); !known {
		if _, like := s.route(template); !like && template != "" {
			return nil, 0, fmt.Errorf("%w: %s, nor is there %s, which it should be like", queue.ErrNoTopic, topic, template)
		}
		if wanted <= 0 {
			return nil, 0, refuse(remoting.InvalidParameter, "%s cannot be made with %d queues", topic, wanted)
		}
	}
	return &queue.Message{
		Topic:      topic,
		Queue:      int(number),
		Flag:       int32(r.numberOr(either(r, "flag", "h"), 0)),
		SysFlag:    int32(sysFlag),
		BornTime:   born,
		BornHost:   r.remote,
		Reconsumed: int32(r.numberOr(either(r, "reconsumeTimes", "j"), 0)),
	}, int(wanted), nil
}

// parseProperties reads properties as they travel in a field.
func parseProperties(text string) ([]message.Property, error) {
	parsed, err := remoting.ParseProperties(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", queue.ErrIllegal, err)
	}
	list := make([]message.Property, len(parsed), len(parsed)+4)
	for i, p := range parsed {
		list[i] = message.Property(p)
	}
	return list, nil
}
