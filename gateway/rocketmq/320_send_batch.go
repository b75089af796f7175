package rocketmq

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"sluice/gateway/queue"
	"sluice/gateway/remoting"
)

// 320 SEND_BATCH_MESSAGE
//
// Supported: messages of one topic into one queue, each with an offset of its own, answered together.
// Left out: offsets of a batch follow each other only while nobody else sends to the queue; a gateway that
// dies before it has answered may have kept the beginning of a batch; topics whose queue.type is BatchCQ.
func (s *Server) sendBatch(r *request) (answer, error) {
	first, queues, err := s.toSend(r)
	if err != nil {
		return answer{}, err
	}
	own, err := parseProperties(r.frame.Ext.Get(either(r, "properties", "i")))
	if err != nil {
		return answer{}, err
	}
	unique := (&queue.Message{Properties: own}).Property(queue.UniqueKey)
	parts, err := remoting.ParseBatch(r.frame.Body, maxBatch)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", queue.ErrIllegal, err)
	}
	if len(parts) == 0 {
		return answer{}, fmt.Errorf("%w: an empty batch", queue.ErrIllegal)
	}
	messages := make([]*queue.Message, len(parts))
	for i, part := range parts {
		m := *first
		m.Flag, m.Body = part.Flag, part.Body
		if m.Properties, err = parseProperties(part.Properties); err != nil {
			return answer{}, err
		}
		if m.Property(queue.UniqueKey) == "" { // the Go client's have none
			m.Set(queue.UniqueKey, s.unique.Next(s.now()))
		}
		messages[i] = &m
	}
	b := &batch{server: s, reply: r.reply, sent: make([]queue.Sent, len(parts)), flow: s.stats.flows.topic(first.Topic), size: len(r.frame.Body), unique: unique, began: s.now()}
	b.left.Store(int64(len(parts)))
	for i, m := range messages {
		if i > 0 {
			m.Queue = messages[0].Queue // the choice for the first holds for all
		}
		if err := s.queues.Send(r.ctx, m, queues, func(sent queue.Sent, err error) { b.done(i, sent, err) }); err != nil {
			for j := i; j < len(messages); j++ {
				b.done(j, queue.Sent{}, err)
			}
			break
		}
	}
	return answer{}, errLater
}

// maxBatch is how many messages may come at once.
const maxBatch = 1 << 16

// batch waits for all of its messages.
type batch struct {
	server *Server
	reply  reply
	sent   []queue.Sent
	flow   *flow
	size   int
	unique string // the batch's own key
	began  time.Time
	left   atomic.Int64
	failed atomic.Pointer[error]
}

func (b *batch) done(i int, sent queue.Sent, err error) {
	b.sent[i] = sent
	if err != nil {
		b.failed.CompareAndSwap(nil, &err)
	}
	if b.left.Add(-1) > 0 {
		return
	}
	if failed := b.failed.Load(); failed != nil {
		b.reply.fail(*failed)
		return
	}
	b.server.stats.sent.Add(uint64(len(b.sent)))
	b.flow.put(len(b.sent), b.size)
	b.server.stats.puts.took(b.server.now().Sub(b.began))
	host := b.server.host(b.reply.conn)
	ids := make([]string, len(b.sent))
	for i, sent := range b.sent {
		ids[i] = remoting.OffsetID(host, uint64(sent.Position))
	}
	fields := remoting.Fields{
		{Name: "msgId", Value: strings.Join(ids, ",")},
		field("queueId", b.sent[0].Queue),
		field("queueOffset", b.sent[0].Offset),
		{Name: "MSG_REGION", Value: region},
		{Name: "TRACE_ON", Value: "true"},
	}
	if b.unique != "" {
		fields = append(fields, remoting.Field{Name: "transactionId", Value: b.unique})
	}
	b.reply.send(answer{fields: fields})
}
