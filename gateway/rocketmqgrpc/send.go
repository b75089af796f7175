package rocketmqgrpc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

// maxSent is how many messages one call may bring.
const maxSent = 1024

// SendMessage implements v2.MessagingServiceServer: it is answered when the messages would survive a power cut.
func (s *Server) SendMessage(ctx context.Context, r *v2.SendMessageRequest) (*v2.SendMessageResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	var entries []*v2.SendResultEntry
	if err == nil {
		entries, err = s.send(ctx, who, r.GetMessages())
	}
	if err != nil {
		return &v2.SendMessageResponse{Status: s.statusOf(err)}, nil
	}
	statuses := make([]*v2.Status, len(entries))
	for i, entry := range entries {
		statuses[i] = entry.GetStatus()
	}
	return &v2.SendMessageResponse{Status: overall(statuses), Entries: entries}, nil
}

func (s *Server) send(ctx context.Context, who caller, list []*v2.Message) ([]*v2.SendResultEntry, error) {
	switch {
	case len(list) == 0:
		return nil, refuse(v2.Code_BAD_REQUEST, "nothing is sent")
	case len(list) > maxSent:
		return nil, refuse(v2.Code_BAD_REQUEST, "%d messages at once, at most %d are taken", len(list), maxSent)
	}
	topic, err := topicOf(list[0].GetTopic())
	if err != nil {
		return nil, err
	}
	if !who.account.MayPublish(topic) {
		return nil, fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
	}
	all, err := s.readSent(who, list, topic)
	if err != nil {
		return nil, err
	}
	entries := make([]*v2.SendResultEntry, len(all))
	var waits sync.WaitGroup
	for i, m := range all {
		id, half := m.Property(queue.UniqueKey), m.Property(queue.Transaction) != ""
		entries[i] = &v2.SendResultEntry{MessageId: id}
		waits.Add(1)
		err := s.queues.Send(ctx, m, 0, func(sent queue.Sent, err error) {
			defer waits.Done()
			if err != nil {
				entries[i].Status = s.statusOf(err)
				return
			}
			s.stats.sent.Add(1)
			s.fillSent(entries[i], topic, sent, half)
		})
		if err != nil {
			entries[i].Status = s.statusOf(err)
			waits.Done()
		}
	}
	waits.Wait() // the log answers everybody
	return entries, nil
}

// readSent checks all messages of a call before the first is sent.
func (s *Server) readSent(who caller, list []*v2.Message, topic string) ([]*queue.Message, error) {
	now := time.Now()
	all := make([]*queue.Message, len(list))
	for i, one := range list {
		if nameOf(one.GetTopic()) != topic {
			return nil, refuse(v2.Code_BAD_REQUEST, "messages of one call are of one topic")
		}
		var err error
		if all[i], err = s.sent(who, one, topic, now); err != nil {
			return nil, err
		}
		kind := kindOf(all[i])
		if known, ok := s.queues.Topic(topic); ok && !takes(known, kind) {
			return nil, refuse(v2.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, "the topic %s does not take messages of the type %s", topic, kind)
		}
		if kind != v2.MessageType_TRANSACTION {
			continue
		}
		if len(list) > 1 {
			return nil, refuse(v2.Code_BAD_REQUEST, "a message of a transaction is sent alone")
		}
		if s.clients.publishes(who, topic, now) {
			s.queues.ProducerCame(topic)
		}
	}
	return all, nil
}

func takes(topic queue.Topic, kind v2.MessageType) bool {
	for _, one := range accepts(topic) {
		if one == kind {
			return true
		}
	}
	return false
}

// fillSent says what became of a message.
func (s *Server) fillSent(entry *v2.SendResultEntry, topic string, sent queue.Sent, half bool) {
	entry.Status, entry.Offset = okStatus, int64(sent.Offset)
	if half {
		entry.TransactionId = transactionID{sent.Position, sent.Offset}.String()
	}
	if sent.Recallable {
		setRecallHandle(entry, queue.RecallHandle{Topic: topic, Broker: s.options.Name, DeliverAt: sent.DeliverAt, Key: entry.MessageId}.String())
	}
}

// transactionID is what a producer decides about a half message with: where it lies.
type transactionID struct {
	position message.Position
	offset   uint64
}

func (t transactionID) String() string { return fmt.Sprintf("%X-%X", uint64(t.position), t.offset) }

func parseTransactionID(text string) (t transactionID, err error) {
	at, offset, ok := strings.Cut(text, "-")
	position, err1 := strconv.ParseUint(at, 16, 64)
	number, err2 := strconv.ParseUint(offset, 16, 64)
	if !ok || err1 != nil || err2 != nil {
		return t, refuse(v2.Code_INVALID_TRANSACTION_ID, "%.80q is no transaction id", text)
	}
	return transactionID{message.Position(position), number}, nil
}
