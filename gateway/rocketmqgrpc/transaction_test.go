package rocketmqgrpc_test

import (
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"
)

// telemetry opens a stream, says who the client is and gives what it is told.
func (c peerClient) telemetry(settings *v2.Settings) (stream v2.MessagingService_TelemetryClient, told *v2.Settings) {
	c.t.Helper()
	stream, err := c.Telemetry(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := stream.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: settings}}); err != nil {
		c.t.Fatal(err)
	}
	answer := c.heard(stream)
	want(c.t, "settings", answer.GetStatus(), nil, v2.Code_OK)
	return stream, answer.GetSettings()
}

// heard gives the next command of a stream.
func (c peerClient) heard(stream v2.MessagingService_TelemetryClient) *v2.TelemetryCommand {
	c.t.Helper()
	type said struct {
		command *v2.TelemetryCommand
		err     error
	}
	got := make(chan said, 1)
	go func() {
		command, err := stream.Recv()
		got <- said{command, err}
	}()
	select {
	case one := <-got:
		if one.err != nil {
			c.t.Fatal(one.err)
		}
		return one.command
	case <-time.After(patience):
		c.t.Fatal("nothing is said")
	}
	return nil
}

func producerOf(topics ...string) *v2.Settings {
	publishing := new(v2.Publishing)
	for _, topic := range topics {
		publishing.Topics = append(publishing.Topics, named(topic))
	}
	return &v2.Settings{ClientType: v2.ClientType_PRODUCER.Enum(), RequestTimeout: durationpb.New(3 * time.Second), PubSub: &v2.Settings_Publishing{Publishing: publishing}}
}

func consumerOf(group, topic string, kind v2.ClientType) *v2.Settings {
	return &v2.Settings{ClientType: &kind, PubSub: &v2.Settings_Subscription{Subscription: &v2.Subscription{
		Group: named(group), Subscriptions: []*v2.SubscriptionEntry{{Topic: named(topic), Expression: &v2.FilterExpression{Type: v2.FilterType_TAG, Expression: "*"}}},
	}}}
}

func TestClientsAreToldHowToBehave(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	_, told := c.telemetry(producerOf("orders"))
	if told.GetPublishing().GetMaxBodySize() != 4<<20 || told.GetBackoffPolicy().GetExponentialBackoff() == nil || told.GetBackoffPolicy().GetMaxAttempts() != 3 {
		t.Errorf("a producer is told %v", told)
	}
	other := dial(t, gatewayUnderTest{grpc: c.conn.Target()}, "x-mq-client-id", "consumer")
	_, told = other.telemetry(consumerOf("g", "orders", v2.ClientType_PUSH_CONSUMER))
	if told.GetSubscription().GetReceiveBatchSize() != 32 || told.GetSubscription().GetFifo() || told.GetSubscription().GetLongPollingTimeout().AsDuration() != 20*time.Second ||
		told.GetBackoffPolicy().GetMaxAttempts() != 17 || len(told.GetBackoffPolicy().GetCustomizedBackoff().GetNext()) != 16 ||
		told.GetBackoffPolicy().GetCustomizedBackoff().GetNext()[0].AsDuration() != 10*time.Second {
		t.Errorf("a consumer is told %v", told)
	}
	assigned, err := other.QueryAssignment(other.ctx, &v2.QueryAssignmentRequest{Topic: named("orders"), Group: named("g")})
	want(t, "assignment", assigned.GetStatus(), err, v2.Code_OK)
	if len(assigned.GetAssignments()) != 1 || assigned.GetAssignments()[0].GetMessageQueue().GetId() != -1 {
		t.Errorf("assigned is %v", assigned)
	}
	stream, err := c.Telemetry(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: &v2.Settings{}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("settings of neither a producer nor a consumer are taken")
	}
}

func half(topic, body string) *v2.Message {
	return message(topic, body, func(p *v2.SystemProperties) {
		p.MessageType, p.OrphanedTransactionRecoveryDuration = v2.MessageType_TRANSACTION, durationpb.New(time.Second)
	})
}

func TestATransactionIsDecided(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	stream, _ := c.telemetry(producerOf("orders"))
	decide := func(id string, how v2.TransactionResolution) *v2.Status {
		answer, err := c.EndTransaction(c.ctx, &v2.EndTransactionRequest{Topic: named("orders"), TransactionId: id, Resolution: how})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetStatus()
	}
	yes, no := c.send(half("orders", "yes"))[0], c.send(half("orders", "no"))[0]
	want(t, "roll back", decide(no.GetTransactionId(), v2.TransactionResolution_ROLLBACK), nil, v2.Code_OK)
	want(t, "commit", decide(yes.GetTransactionId(), v2.TransactionResolution_COMMIT), nil, v2.Code_OK)
	want(t, "commit again", decide(yes.GetTransactionId(), v2.TransactionResolution_COMMIT), nil, v2.Code_OK)
	want(t, "what never was", decide("FFFF-1", v2.TransactionResolution_COMMIT), nil, v2.Code_INVALID_TRANSACTION_ID)
	want(t, "nonsense", decide("nonsense", v2.TransactionResolution_COMMIT), nil, v2.Code_INVALID_TRANSACTION_ID)

	orphan := c.send(half("orders", "orphan"))[0]
	asked := c.heard(stream).GetRecoverOrphanedTransactionCommand()
	if asked.GetMessage().GetSystemProperties().GetMessageId() != orphan.GetMessageId() || body(asked.GetMessage()) != "orphan" || asked.GetMessage().GetTopic().GetName() != "orders" {
		t.Fatalf("asked is %v", asked)
	}
	want(t, "commit what was asked about", decide(asked.GetTransactionId(), v2.TransactionResolution_COMMIT), nil, v2.Code_OK)
	got := bodies(c.receive(2, receiveRequest("g", "orders")))
	if got[0] != "yes" && got[1] != "yes" || got[0] != "orphan" && got[1] != "orphan" {
		t.Errorf("got %v, want yes and orphan", got)
	}
}

// A producer that was not there when its message was asked about is asked when it comes, over a restart too.
func TestAProducerThatComesBackIsAsked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := startGatewayIn(t, dir, "")
	dial(t, at).send(half("orders", "orphan"))
	at.stop()
	c := dial(t, startGatewayIn(t, dir, ""), "x-mq-client-id", "another")
	stream, _ := c.telemetry(producerOf("orders"))
	asked := c.heard(stream).GetRecoverOrphanedTransactionCommand()
	if body(asked.GetMessage()) != "orphan" {
		t.Errorf("asked is %v", asked)
	}
}
