package rocketmqgrpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/queue"
)

// maxAcked is how many messages one call may acknowledge.
const maxAcked = 4096

// AckMessage implements v2.MessagingServiceServer: messages have been dealt with.
func (s *Server) AckMessage(ctx context.Context, r *v2.AckMessageRequest) (*v2.AckMessageResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	var topic, group string
	if err == nil {
		topic, group, err = mayFinish(who, r.GetTopic(), r.GetGroup())
	}
	if err == nil && (len(r.GetEntries()) == 0 || len(r.GetEntries()) > maxAcked) {
		err = refuse(v2.Code_BAD_REQUEST, "1 to %d messages are acknowledged at once, not %d", maxAcked, len(r.GetEntries()))
	}
	if err != nil {
		return &v2.AckMessageResponse{Status: s.statusOf(err)}, nil
	}
	answer := &v2.AckMessageResponse{Entries: make([]*v2.AckMessageResultEntry, len(r.GetEntries()))}
	statuses := make([]*v2.Status, len(r.GetEntries()))
	for i, entry := range r.GetEntries() {
		statuses[i] = s.statusOf(s.ack(topic, group, entry.GetReceiptHandle()))
		answer.Entries[i] = &v2.AckMessageResultEntry{MessageId: entry.GetMessageId(), ReceiptHandle: entry.GetReceiptHandle(), Status: statuses[i]}
	}
	answer.Status = overall(statuses)
	return answer, nil
}

// mayFinish checks the names in a call about messages that were handed out.
func mayFinish(who caller, topicName, groupName *v2.Resource) (topic, group string, err error) {
	if topic, err = topicOf(topicName); err != nil {
		return "", "", err
	}
	if group, err = groupOf(groupName); err != nil {
		return "", "", err
	}
	if !who.account.MayUse(group) {
		return "", "", fmt.Errorf("%w: the group %s", queue.ErrForbidden, group)
	}
	return topic, group, nil
}

func (s *Server) ack(topic, group, handle string) error {
	h, err := queue.ParseHandle(handle)
	if err != nil {
		return err
	}
	lies := h.Topic(group, topic)
	err = s.queues.AckPopped(group, lies, h.Queue, h.Offset, h.PopTime)
	if errors.Is(err, queue.ErrExpired) && time.UnixMilli(h.PopTime).Add(h.Invisible).After(time.Now()) && s.queues.IsAcked(group, lies, h.Queue, h.Offset, h.PopTime) {
		return nil // once more: the client has not heard the answer
	}
	return spoiled(err)
}

// spoiled turns what may be wrong with a handle into that it is.
func spoiled(err error) error {
	if errors.Is(err, queue.ErrNoMessage) || errors.Is(err, queue.ErrNoQueue) || errors.Is(err, queue.ErrNoTopic) {
		return refuse(v2.Code_INVALID_RECEIPT_HANDLE, "%v", err)
	}
	return err
}

// ChangeInvisibleDuration implements v2.MessagingServiceServer: a message comes back at another time.
func (s *Server) ChangeInvisibleDuration(ctx context.Context, r *v2.ChangeInvisibleDurationRequest) (*v2.ChangeInvisibleDurationResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	handle := ""
	if err == nil {
		handle, err = s.changeInvisible(who, r)
	}
	return &v2.ChangeInvisibleDurationResponse{Status: s.statusOf(err), ReceiptHandle: handle}, nil
}

func (s *Server) changeInvisible(who caller, r *v2.ChangeInvisibleDurationRequest) (handle string, err error) {
	topic, group, err := mayFinish(who, r.GetTopic(), r.GetGroup())
	if err != nil {
		return "", err
	}
	invisible, given := duration(r.GetInvisibleDuration())
	if !given || invisible < 0 || invisible > mostInvisible {
		return "", refuse(v2.Code_ILLEGAL_INVISIBLE_TIME, "a message is invisible for at most %v, not %v", mostInvisible, invisible)
	}
	h, err := queue.ParseHandle(r.GetReceiptHandle())
	if err != nil {
		return "", err
	}
	h.PopTime, err = s.queues.ChangeInvisible(group, h.Topic(group, topic), h.Queue, h.Offset, h.PopTime, invisible)
	if err != nil {
		return "", spoiled(err)
	}
	h.Invisible = invisible.Truncate(time.Millisecond)
	return h.String(), nil
}

// ForwardMessageToDeadLetterQueue implements v2.MessagingServiceServer: a consumer gives a message up.
func (s *Server) ForwardMessageToDeadLetterQueue(ctx context.Context, r *v2.ForwardMessageToDeadLetterQueueRequest) (*v2.ForwardMessageToDeadLetterQueueResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	if err == nil {
		err = s.bury(ctx, who, r)
	}
	return &v2.ForwardMessageToDeadLetterQueueResponse{Status: s.statusOf(err)}, nil
}

func (s *Server) bury(ctx context.Context, who caller, r *v2.ForwardMessageToDeadLetterQueueRequest) error {
	topic, group, err := mayFinish(who, r.GetTopic(), r.GetGroup())
	if err != nil {
		return err
	}
	h, err := queue.ParseHandle(r.GetReceiptHandle())
	if err != nil {
		return err
	}
	return spoiled(s.queues.BuryPopped(ctx, group, h.Topic(group, topic), h.Queue, h.Offset, h.PopTime))
}
