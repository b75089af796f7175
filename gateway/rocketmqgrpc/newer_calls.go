package rocketmqgrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/gateway/queue"
)

// service is what is served: the calls of the stubs, and those that came later.
func service() *grpc.ServiceDesc {
	all := v2.MessagingService_ServiceDesc
	all.Methods = append(slices.Clone(all.Methods),
		unary("RecallMessage", (*Server).recallMessage),
		unary("UpdateOffset", (*Server).updateOffset),
		unary("GetOffset", (*Server).getOffset),
		unary("QueryOffset", (*Server).queryOffset),
		unary("SyncLiteSubscription", (*Server).syncLite),
	)
	all.Streams = append(slices.Clone(all.Streams), grpc.StreamDesc{StreamName: "PullMessage", ServerStreams: true, Handler: func(srv any, stream grpc.ServerStream) error {
		var request raw
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		return srv.(*Server).pullMessage(request, stream)
	}})
	return &all
}

// unary makes a call of the service out of what answers it; the status is the field 1 of all answers.
func unary(name string, answer func(s *Server, ctx context.Context, who caller, request raw) (raw, error)) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request raw
		if err := decode(&request); err != nil {
			return nil, err
		}
		s := srv.(*Server)
		who, end, err := s.begin(ctx)
		defer end()
		var rest raw
		if err == nil {
			rest, err = answer(s, ctx, who, request)
		}
		return append(raw(nil).with(1, s.statusOf(err)), rest...), nil
	}}
}

// recallMessage takes a message back whose time has not come.
func (s *Server) recallMessage(ctx context.Context, who caller, request raw) (raw, error) {
	topicName, text := new(v2.Resource), ""
	if err := request.read(map[protowire.Number]any{1: topicName, 2: &text}); err != nil {
		return nil, err
	}
	topic, err := topicOf(topicName)
	if err != nil {
		return nil, err
	}
	if !who.account.MayPublish(topic) {
		return nil, fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
	}
	if _, known := s.queues.Topic(topic); !known {
		return nil, fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	}
	h, err := queue.ParseRecallHandle(text)
	if err != nil || h.Topic != topic {
		return nil, refuse(v2.Code_BAD_REQUEST, "recall failed, the handle is invalid")
	}
	if h.DeliverAt <= time.Now().UnixMilli() {
		return nil, refuse(v2.Code_BAD_REQUEST, "recall failed, its time has come")
	}
	heard := make(chan error, 1)
	err = s.queues.Recall(ctx, topic, h.Key, h.DeliverAt, func(_ queue.Sent, err error) { heard <- err })
	if err == nil {
		err = <-heard // the log answers everybody
	}
	if err != nil && !errors.Is(err, queue.ErrNoMessage) { // the stock proxy does not tell either
		return nil, err
	}
	return raw(nil).withBytes(2, []byte(h.Key)), nil
}

// consumed reads the group and the queue that a call is about.
func (s *Server) consumed(ctx context.Context, who caller, groupName *v2.Resource, of *v2.MessageQueue) (group, topic string, number int, err error) {
	topic, settings, err := s.mayConsume(ctx, who, of.GetTopic(), groupName)
	if err == nil {
		err = s.checkQueue(topic, int(of.GetId()))
	}
	return settings.Name, topic, int(of.GetId()), err
}

func (s *Server) checkQueue(topic string, number int) error {
	known, ok := s.queues.Topic(topic)
	switch {
	case !ok:
		return fmt.Errorf("%w: %s", queue.ErrNoTopic, topic)
	case number < 0 || number >= known.ReadQueues:
		return fmt.Errorf("%w: %s has %d queues, no number %d", queue.ErrNoQueue, topic, known.ReadQueues, number)
	}
	return nil
}

// updateOffset notes where a group goes on in a queue.
func (s *Server) updateOffset(ctx context.Context, who caller, request raw) (raw, error) {
	groupName, of, offset := new(v2.Resource), new(v2.MessageQueue), int64(0)
	if err := request.read(map[protowire.Number]any{1: groupName, 2: of, 3: &offset}); err != nil {
		return nil, err
	}
	group, topic, number, err := s.consumed(ctx, who, groupName, of)
	if err != nil {
		return nil, err
	}
	first, next, err := s.queues.Range(topic, number)
	if err != nil {
		return nil, err
	}
	if offset < 0 || uint64(offset) > next {
		return nil, refuse(illegalOffset, "queue %d of %s has the offsets %d to %d, not %d", number, topic, first, next, offset)
	}
	return nil, s.queues.Commit(group, topic, number, offset)
}

// getOffset tells where a group goes on in a queue.
func (s *Server) getOffset(ctx context.Context, who caller, request raw) (raw, error) {
	groupName, of := new(v2.Resource), new(v2.MessageQueue)
	if err := request.read(map[protowire.Number]any{1: groupName, 2: of}); err != nil {
		return nil, err
	}
	group, topic, number, err := s.consumed(ctx, who, groupName, of)
	if err != nil {
		return nil, err
	}
	next, known := s.queues.Offset(group, topic, number)
	if !known {
		return nil, refuse(offsetNotFound, "the group %s has no offset in queue %d of %s", group, number, topic)
	}
	return raw(nil).withNumber(2, next), nil
}

// What QueryOffset asks for.
const (
	fromBeginning = 0
	fromEnd       = 1
	fromTime      = 2
)

// queryOffset tells where a queue begins, ends, or was at a time.
func (s *Server) queryOffset(_ context.Context, who caller, request raw) (raw, error) {
	of, policy, at := new(v2.MessageQueue), int64(0), new(timestamppb.Timestamp)
	if err := request.read(map[protowire.Number]any{1: of, 2: &policy, 3: at}); err != nil {
		return nil, err
	}
	topic, err := topicOf(of.GetTopic())
	if err != nil {
		return nil, err
	}
	if !who.account.MaySubscribe(topic) {
		return nil, fmt.Errorf("%w: reading %s", queue.ErrForbidden, topic)
	}
	if err := s.checkQueue(topic, int(of.GetId())); err != nil {
		return nil, err
	}
	first, next, err := s.queues.Range(topic, int(of.GetId()))
	if err != nil {
		return nil, err
	}
	switch policy {
	case fromBeginning:
		return raw(nil).withNumber(2, int64(first)), nil
	case fromEnd:
		return raw(nil).withNumber(2, int64(next)), nil
	case fromTime:
		if !at.IsValid() {
			return nil, refuse(v2.Code_BAD_REQUEST, "the time makes no sense")
		}
		found, err := s.queues.OffsetAt(topic, int(of.GetId()), at.AsTime().UnixMilli())
		return raw(nil).withNumber(2, int64(found)), err
	}
	return nil, refuse(v2.Code_BAD_REQUEST, "an offset of policy %d is not known", policy)
}

// syncLite is for topics below topics, which there are none of.
func (s *Server) syncLite(context.Context, caller, raw) (raw, error) {
	return nil, refuse(v2.Code_NOT_IMPLEMENTED, "lite topics are not supported")
}

// pullBytes bounds the bodies of one answer, unless one message is larger.
const pullBytes = 256 << 10

// pullMessage gives messages of one queue from an offset on, which the consumer keeps itself. The parts of an answer are
// a status (1), messages (2) and where to go on (3).
func (s *Server) pullMessage(request raw, stream grpc.ServerStream) error {
	ctx := stream.Context()
	who, end, err := s.begin(ctx)
	defer end()
	p := pull{next: -1}
	if err == nil {
		err = s.pull(ctx, who, request, &p)
	}
	if err == nil && len(p.messages) == 0 {
		err = refuse(v2.Code_MESSAGE_NOT_FOUND, "no new message")
	}
	if err := stream.SendMsg(raw(nil).with(1, s.statusOf(err))); err != nil {
		return err
	}
	for _, m := range p.messages {
		if err := stream.SendMsg(raw(nil).with(2, m)); err != nil {
			return err
		}
		s.stats.delivered.Add(1)
	}
	if p.next < 0 {
		return nil
	}
	return stream.SendMsg(raw(nil).withNumber(3, p.next))
}

// pull is what a consumer has asked for and what was found.
type pull struct {
	messages []*v2.Message
	next     int64 // -1: not known
}

func (s *Server) pull(ctx context.Context, who caller, request raw, p *pull) error {
	groupName, of, filterWanted := new(v2.Resource), new(v2.MessageQueue), new(v2.FilterExpression)
	var (
		offset, most int64
		polling      time.Duration
	)
	parts := map[protowire.Number]any{1: groupName, 2: of, 3: &offset, 4: &most, 5: filterWanted, 6: &polling}
	if err := request.read(parts); err != nil {
		return err
	}
	_, topic, number, err := s.consumed(ctx, who, groupName, of)
	if err != nil {
		return err
	}
	filter, err := filterOf(filterWanted)
	if err != nil {
		return err
	}
	if offset < 0 {
		return refuse(illegalOffset, "there is no offset %d", offset)
	}
	patience, err := pollFor(ctx, who, polling)
	if err != nil {
		return err
	}
	p.next = offset
	look := func() (found bool, err error) {
		for {
			got, err := s.queues.Pull(topic, number, uint64(p.next), min(max(int(most), 1), maxReceived), pullBytes, filter)
			if err != nil {
				return false, err
			}
			p.next = int64(got.Next)
			switch got.Outcome {
			case queue.Moved:
				return false, refuse(illegalOffset, "queue %d of %s has the offsets %d to %d", number, topic, got.Min, got.Max)
			case queue.NoMatch:
				if ctx.Err() != nil {
					return false, ctx.Err()
				}
				continue
			}
			var m queue.Message
			for i := range got.Records {
				m.Load(&got.Records[i])
				p.messages = append(p.messages, s.shown(&m, of.GetTopic()))
			}
			return len(p.messages) > 0, nil
		}
	}
	return s.poll(ctx, patience, look, func(wake func()) (waiter, error) { return s.queues.Wait(topic, number, uint64(p.next), wake), nil })
}
