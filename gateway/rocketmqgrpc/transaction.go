package rocketmqgrpc

import (
	"context"
	"fmt"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"sluice/gateway/queue"
)

// EndTransaction implements v2.MessagingServiceServer: a producer has decided about a half message.
func (s *Server) EndTransaction(ctx context.Context, r *v2.EndTransactionRequest) (*v2.EndTransactionResponse, error) {
	who, end, err := s.begin(ctx)
	defer end()
	if err == nil {
		err = s.endTransaction(ctx, who, r)
	}
	return &v2.EndTransactionResponse{Status: s.statusOf(err)}, nil
}

func (s *Server) endTransaction(ctx context.Context, who caller, r *v2.EndTransactionRequest) error {
	topic, err := topicOf(r.GetTopic())
	if err != nil {
		return err
	}
	if !who.account.MayPublish(topic) {
		return fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
	}
	id, err := parseTransactionID(r.GetTransactionId())
	if err != nil {
		return err
	}
	decision := queue.Undecided
	switch r.GetResolution() {
	case v2.TransactionResolution_COMMIT:
		decision = queue.Commit
	case v2.TransactionResolution_ROLLBACK:
		decision = queue.Rollback
	}
	heard := make(chan error, 1)
	half := queue.Half{Group: topic, Position: id.position, Offset: id.offset}
	if err := s.queues.End(ctx, half, decision, func(err error) { heard <- err }); err != nil {
		return refuse(v2.Code_INVALID_TRANSACTION_ID, "%v", err)
	}
	return <-heard // the log answers everybody
}

// askProducer asks a client that sends to the topic of a half message what became of it.
func (s *Server) askProducer(group string, half *queue.Message) bool {
	if group != half.Topic {
		return false // it was sent over the other protocol
	}
	t := s.clients.publishing(half.Topic)
	if t == nil {
		return false
	}
	shown := s.shown(half, &v2.Resource{Name: half.Topic})
	shown.SystemProperties.MessageType = v2.MessageType_TRANSACTION
	id := transactionID{half.Position, half.Offset}
	return t.tell(&v2.TelemetryCommand{Status: okStatus, Command: &v2.TelemetryCommand_RecoverOrphanedTransactionCommand{
		RecoverOrphanedTransactionCommand: &v2.RecoverOrphanedTransactionCommand{Message: shown, TransactionId: id.String()},
	}})
}
