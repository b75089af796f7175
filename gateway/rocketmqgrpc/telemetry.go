package rocketmqgrpc

import (
	"fmt"
	"slices"
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"sluice/gateway/queue"
)

// What clients are told about trying again and about sizes.
const (
	producerTries    = 3
	producerFirst    = 10 * time.Millisecond
	producerLast     = time.Second
	maxBody          = 4 << 20 // bytes of a message
	maxReceived      = 32      // messages of one answer
	defaultPoll      = 20 * time.Second
	maxTelemetryWait = 64 // commands that wait for a client to read them
)

// telemetry is a client's open stream. One goroutine reads it, the call's own; what is told the client is
// written by another, which lives as long as there is something.
type telemetry struct {
	stream v2.MessagingService_TelemetryServer

	mu      sync.Mutex // guards what follows
	pending []*v2.TelemetryCommand
	over    bool
	writing sync.WaitGroup
	busy    bool
}

// tell sends a command soon. False says that the client is gone, or does not read.
func (t *telemetry) tell(command *v2.TelemetryCommand) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || len(t.pending) >= maxTelemetryWait {
		return false
	}
	t.pending = append(t.pending, command)
	if !t.busy {
		t.busy = true
		t.writing.Go(t.write)
	}
	return true
}

func (t *telemetry) write() {
	for {
		t.mu.Lock()
		if len(t.pending) == 0 || t.over {
			t.busy = false
			t.mu.Unlock()
			return
		}
		command := t.pending[0]
		t.pending = t.pending[1:]
		t.mu.Unlock()
		if t.stream.Send(command) != nil {
			t.end() // the reader hears why
		}
	}
}

func (t *telemetry) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over, t.pending = true, nil
}

// Telemetry implements v2.MessagingServiceServer: a client says who it is and is told how to behave, for as long as
// the stream lasts, and is asked about transactions.
func (s *Server) Telemetry(stream v2.MessagingService_TelemetryServer) error {
	who, err := s.caller(stream.Context())
	if err != nil {
		return stream.Send(&v2.TelemetryCommand{Status: s.statusOf(err)})
	}
	t := &telemetry{stream: stream}
	defer func() {
		s.clients.hangUp(who, t)
		t.end()
		t.writing.Wait()
	}()
	for {
		command, err := stream.Recv()
		if err != nil {
			return nil // it has hung up, however
		}
		said, ok := command.GetCommand().(*v2.TelemetryCommand_Settings)
		if !ok {
			continue // answers to questions that are not asked
		}
		if said.Settings.GetPubSub() == nil {
			return status.Error(codes.InvalidArgument, "the settings are those of neither a producer nor a consumer")
		}
		answer := &v2.TelemetryCommand{Status: okStatus}
		if err := s.settle(who, t, said.Settings); err != nil {
			answer.Status = s.statusOf(err)
		}
		answer.Command = &v2.TelemetryCommand_Settings{Settings: said.Settings}
		t.tell(answer) // one that is said too much and does not listen is not answered
	}
}

// settle notes what a client says of itself, and fills in what it is told.
func (s *Server) settle(who caller, t *telemetry, settings *v2.Settings) error {
	settings.Metric = &v2.Metric{}
	now := time.Now()
	switch said := settings.PubSub.(type) {
	case *v2.Settings_Publishing:
		var topics []string
		for _, resource := range said.Publishing.GetTopics() {
			topic, err := topicOf(resource)
			if err != nil {
				return err
			}
			if !who.account.MayPublish(topic) {
				return fmt.Errorf("%w: sending to %s", queue.ErrForbidden, topic)
			}
			topics = append(topics, topic)
		}
		if said.Publishing == nil {
			said.Publishing = &v2.Publishing{}
		}
		said.Publishing.MaxBodySize, said.Publishing.ValidateMessageType = maxBody, true
		settings.BackoffPolicy = &v2.RetryPolicy{MaxAttempts: producerTries, Strategy: &v2.RetryPolicy_ExponentialBackoff{
			ExponentialBackoff: &v2.ExponentialBackoff{Initial: durationpb.New(producerFirst), Max: durationpb.New(producerLast), Multiplier: 2},
		}}
		fresh, err := s.clients.settle(who, t, "", topics, now)
		if err != nil {
			return err
		}
		for _, topic := range fresh {
			s.queues.ProducerCame(topic)
		}
	case *v2.Settings_Subscription:
		return s.settleConsumer(who, t, settings, said, now)
	}
	return nil
}

func (s *Server) settleConsumer(who caller, t *telemetry, settings *v2.Settings, said *v2.Settings_Subscription, now time.Time) error {
	name, err := groupOf(said.Subscription.GetGroup())
	if err != nil {
		return err
	}
	if !who.account.MayUse(name) {
		return fmt.Errorf("%w: consuming with the group %s", queue.ErrForbidden, name)
	}
	for _, entry := range said.Subscription.GetSubscriptions() {
		topic, err := topicOf(entry.GetTopic())
		if err != nil {
			return err
		}
		if !who.account.MaySubscribe(topic) {
			return fmt.Errorf("%w: subscribing to %s", queue.ErrForbidden, topic)
		}
	}
	group, err := s.queues.UseGroup(t.stream.Context(), name)
	if err != nil {
		return err
	}
	said.Subscription.Fifo = &group.Ordered
	if said.Subscription.ReceiveBatchSize == nil {
		said.Subscription.ReceiveBatchSize = new(int32(maxReceived))
	}
	if said.Subscription.LongPollingTimeout == nil {
		said.Subscription.LongPollingTimeout = durationpb.New(defaultPoll)
	}
	settings.BackoffPolicy = &v2.RetryPolicy{MaxAttempts: int32(group.MaxRetries) + 1, Strategy: &v2.RetryPolicy_CustomizedBackoff{
		CustomizedBackoff: &v2.CustomizedBackoff{Next: slices.Clone(retryDelays)},
	}}
	_, err = s.clients.settle(who, t, name, nil, now)
	return err
}

// retryDelays are after how long a consumer wants a message again that it could not deal with, by how often that was.
var retryDelays = func() (all []*durationpb.Duration) {
	for level := queue.FirstRetryLevel; level <= queue.DelayLevels; level++ {
		all = append(all, durationpb.New(queue.DelayOf(level)))
	}
	return all
}()
