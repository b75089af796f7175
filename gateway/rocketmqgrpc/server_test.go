package rocketmqgrpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"sluice/gateway"
	"sluice/gateway/config"
)

// patience is how long real sockets and a busy machine may take.
const patience = 20 * time.Second

// gatewayUnderTest is a whole gateway, with its addresses.
type gatewayUnderTest struct {
	grpc, remoting, mqtt string
	stop                 func()
	reconfigure          func(more string)
	waiting              func() int // calls that wait for a message
}

// startGateway runs a gateway; more is put into its section rocketmq.
func startGateway(t testing.TB, more string) gatewayUnderTest {
	t.Helper()
	return startGatewayIn(t, t.TempDir(), more)
}

func startGatewayIn(t testing.TB, dir, more string) gatewayUnderTest {
	t.Helper()
	at := gatewayUnderTest{grpc: freeAddress(t), remoting: freeAddress(t), mqtt: freeAddress(t)}
	parse := func(more string) *config.Config {
		text := fmt.Sprintf("gateway: {name: broker-a}\nstore: {dir: ./data}\nweb: {listen: \"\"}\nmqtt: {listen: [%q], anonymous: true}\nrocketmq:\n  listen: %q\n  nameserver: \"\"\n  grpc: %q\n%s",
			at.mqtt, at.remoting, at.grpc, more)
		c, err := config.Parse(filepath.Join(dir, "sluice.yaml"), []byte(text), gateway.Kinds())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SLUICE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	g, err := gateway.New(gateway.Options{Config: parse(more), Version: "test", Log: log, AdminPassword: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	at.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended with: %v", err)
		}
	})
	t.Cleanup(at.stop)
	at.reconfigure = func(more string) {
		t.Helper()
		if err := g.Apply(parse(more), "test"); err != nil {
			t.Fatal(err)
		}
	}
	at.waiting = func() int { return g.Status().RocketMQ.GRPC.Waiting }
	return at
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// peerClient is a client that says what a test wants it to say.
type peerClient struct {
	v2.MessagingServiceClient
	t    testing.TB
	conn *grpc.ClientConn
	ctx  context.Context
}

// dial connects over plain text.
func dial(t testing.TB, at gatewayUnderTest, headers ...string) peerClient {
	t.Helper()
	return dialWith(t, at, insecure.NewCredentials(), headers...)
}

func dialWith(t testing.TB, at gatewayUnderTest, as credentials.TransportCredentials, headers ...string) peerClient {
	t.Helper()
	conn, err := grpc.NewClient(at.grpc, grpc.WithTransportCredentials(as))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if len(headers) == 0 {
		headers = []string{"x-mq-client-id", "host@1@0@" + t.Name()}
	}
	return peerClient{v2.NewMessagingServiceClient(conn), t, conn, metadata.AppendToOutgoingContext(t.Context(), headers...)}
}

func named(name string) *v2.Resource { return &v2.Resource{Name: name} }

// want fails the test unless a call went well.
func want(t testing.TB, what string, status *v2.Status, err error, code v2.Code) {
	t.Helper()
	if err != nil || status.GetCode() != code {
		t.Fatalf("%s: %v, %v, want %v", what, status, err, code)
	}
}

// nextID makes message ids.
var nextID struct {
	sync.Mutex
	n int
}

func newID() string {
	nextID.Lock()
	defer nextID.Unlock()
	nextID.n++
	return fmt.Sprintf("01%032X", nextID.n)
}

// message makes a message that may be changed before it is sent.
func message(topic, body string, change ...func(*v2.SystemProperties)) *v2.Message {
	m := &v2.Message{Topic: named(topic), Body: []byte(body), SystemProperties: &v2.SystemProperties{
		MessageId: newID(), MessageType: v2.MessageType_NORMAL, BodyEncoding: v2.Encoding_IDENTITY, BornHost: "press-7",
	}}
	for _, do := range change {
		do(m.SystemProperties)
	}
	return m
}

// send sends messages that must be taken.
func (c peerClient) send(list ...*v2.Message) []*v2.SendResultEntry {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, patience)
	defer cancel()
	answer, err := c.SendMessage(ctx, &v2.SendMessageRequest{Messages: list})
	want(c.t, "send", answer.GetStatus(), err, v2.Code_OK)
	return answer.GetEntries()
}

func receiveRequest(group, topic string, change ...func(*v2.ReceiveMessageRequest)) *v2.ReceiveMessageRequest {
	r := &v2.ReceiveMessageRequest{
		Group: named(group), MessageQueue: &v2.MessageQueue{Topic: named(topic)}, BatchSize: 32, InvisibleDuration: durationpb.New(30 * time.Second),
	}
	for _, do := range change {
		do(r)
	}
	return r
}

// receiveOnce asks once for messages.
func (c peerClient) receiveOnce(r *v2.ReceiveMessageRequest) (status *v2.Status, got []*v2.Message) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 6*time.Second)
	defer cancel()
	status, got, err := receiveFrom(ctx, c, r)
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return status, got
}

func receiveFrom(ctx context.Context, c v2.MessagingServiceClient, r *v2.ReceiveMessageRequest) (status *v2.Status, got []*v2.Message, err error) {
	stream, err := c.ReceiveMessage(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	for {
		one, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return status, got, nil
		case err != nil:
			return status, got, err
		case one.GetStatus() != nil:
			status = one.GetStatus()
		case one.GetMessage() != nil:
			got = append(got, one.GetMessage())
		}
	}
}

// receive asks until so many messages are there.
func (c peerClient) receive(many int, r *v2.ReceiveMessageRequest) (got []*v2.Message) {
	c.t.Helper()
	for end := time.Now().Add(patience); len(got) < many && time.Now().Before(end); {
		status, some := c.receiveOnce(r)
		if code := status.GetCode(); code != v2.Code_OK && code != v2.Code_MESSAGE_NOT_FOUND {
			c.t.Fatalf("receive: %v", status)
		}
		got = append(got, some...)
	}
	if len(got) != many {
		c.t.Fatalf("got %d messages, want %d", len(got), many)
	}
	return got
}

// ack acknowledges messages, and gives the answer's status.
func (c peerClient) ack(group, topic string, list ...*v2.Message) *v2.AckMessageResponse {
	c.t.Helper()
	r := &v2.AckMessageRequest{Group: named(group), Topic: named(topic)}
	for _, m := range list {
		r.Entries = append(r.Entries, &v2.AckMessageEntry{MessageId: m.GetSystemProperties().GetMessageId(), ReceiptHandle: m.GetSystemProperties().GetReceiptHandle()})
	}
	answer, err := c.AckMessage(c.ctx, r)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func TestAMessageIsSentReceivedAndAcknowledged(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	for name, as := range map[string]credentials.TransportCredentials{
		"plain": insecure.NewCredentials(), "tls": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
	} {
		c := dialWith(t, at, as)
		topic := "orders-" + name
		m := message(topic, "hello", func(p *v2.SystemProperties) {
			p.Tag, p.Keys, p.TraceContext = new("red"), []string{"k1", "k2"}, new("00-1-2-01")
		})
		m.UserProperties = map[string]string{"line": "north", "größe": "中"}
		c.send(m)
		got := c.receive(1, receiveRequest("g", topic))[0]
		p := got.GetSystemProperties()
		if string(got.GetBody()) != "hello" || got.GetUserProperties()["line"] != "north" || got.GetUserProperties()["größe"] != "中" || len(got.GetUserProperties()) != 2 ||
			p.GetTag() != "red" || strings.Join(p.GetKeys(), ",") != "k1,k2" || p.GetTraceContext() != "00-1-2-01" || p.GetMessageId() != m.GetSystemProperties().GetMessageId() ||
			p.GetBornHost() != "press-7" || p.GetDeliveryAttempt() != 1 || p.GetMessageType() != v2.MessageType_NORMAL || p.GetInvisibleDuration().AsDuration() != 30*time.Second {
			t.Errorf("%s: got %v", name, got)
		}
		if p.GetBodyDigest().GetChecksum() != "5D41402ABC4B2A76B9719D911017C592" {
			t.Errorf("%s: the digest is %v", name, p.GetBodyDigest())
		}
		want(t, name+": acknowledge", c.ack("g", topic, got).GetStatus(), nil, v2.Code_OK)
	}
}
