package rocketmqgrpc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func body(m *v2.Message) string { return string(m.GetBody()) }

func bodies(list []*v2.Message) (all []string) {
	for _, m := range list {
		all = append(all, body(m))
	}
	return all
}

func TestTheRouteIsWhereTheClientCameTo(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	mapped := &v2.Endpoints{Scheme: v2.AddressScheme_DOMAIN_NAME, Addresses: []*v2.Address{{Host: "edge.example.com", Port: 18081}}}
	for _, asked := range []*v2.Endpoints{mapped, nil} {
		answer, err := c.QueryRoute(c.ctx, &v2.QueryRouteRequest{Topic: named("orders"), Endpoints: asked})
		want(t, "route", answer.GetStatus(), err, v2.Code_OK)
		expected := asked
		if asked == nil { // :authority tells
			host, port, _ := strings.Cut(c.conn.Target(), ":")
			expected = &v2.Endpoints{Scheme: v2.AddressScheme_IPv4, Addresses: []*v2.Address{{Host: host}}}
			fmt.Sscan(port, &expected.Addresses[0].Port)
		}
		if len(answer.GetMessageQueues()) != 4 {
			t.Fatalf("the route is %v", answer)
		}
		for i, q := range answer.GetMessageQueues() {
			if !proto.Equal(q.GetBroker().GetEndpoints(), expected) || q.GetId() != int32(i) || q.GetPermission() != v2.Permission_READ_WRITE || len(q.GetAcceptMessageTypes()) != 4 {
				t.Errorf("queue %d is %v, want endpoints %v", i, q, expected)
			}
		}
	}
}

func TestATagOrAnExpressionFilters(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	for i, tag := range []string{"red", "green", "blue", "red"} {
		m := message("orders", fmt.Sprint(tag, i), func(p *v2.SystemProperties) { p.Tag = &tag })
		m.UserProperties = map[string]string{"n": fmt.Sprint(i)}
		c.send(m)
	}
	for name, filter := range map[string]*v2.FilterExpression{
		"tags": {Type: v2.FilterType_TAG, Expression: "red || blue"}, "sql": {Type: v2.FilterType_SQL, Expression: "TAGS IN ('red', 'blue') AND n >= 0"},
	} {
		got := c.receive(3, receiveRequest(name, "orders", func(r *v2.ReceiveMessageRequest) { r.FilterExpression = filter }))
		for _, m := range got {
			if strings.HasPrefix(body(m), "green") {
				t.Errorf("%s lets %s through", name, body(m))
			}
		}
	}
	status, _ := c.receiveOnce(receiveRequest("g", "orders", func(r *v2.ReceiveMessageRequest) {
		r.FilterExpression = &v2.FilterExpression{Type: v2.FilterType_SQL, Expression: "n >"}
	}))
	want(t, "a wrong expression", status, nil, v2.Code_ILLEGAL_FILTER_EXPRESSION)
}

func TestMessagesOfAGroupKeepTheirOrder(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	for i := range 20 {
		c.send(message("orders", fmt.Sprint(i/10, "-", i%10), func(p *v2.SystemProperties) {
			p.MessageGroup, p.MessageType = new(fmt.Sprint("press-", i/10)), v2.MessageType_FIFO
		}))
	}
	last := map[string]int32{}
	for _, m := range c.receive(20, receiveRequest("g", "orders")) {
		p := m.GetSystemProperties()
		if queue, seen := last[p.GetMessageGroup()]; seen && queue != p.GetQueueId() {
			t.Errorf("the group %s is in the queues %d and %d", p.GetMessageGroup(), queue, p.GetQueueId())
		}
		last[p.GetMessageGroup()] = p.GetQueueId()
		if p.GetMessageType() != v2.MessageType_FIFO {
			t.Errorf("the type is %v", p.GetMessageType())
		}
	}
	if len(last) != 2 {
		t.Errorf("the groups are %v", last)
	}
}

func TestAMessageWaitsForItsTimeAndIsTakenBack(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	due := time.Now().Add(3 * time.Second)
	late := func(at time.Time) func(p *v2.SystemProperties) {
		return func(p *v2.SystemProperties) {
			p.DeliveryTimestamp, p.MessageType = timestamppb.New(at), v2.MessageType_DELAY
		}
	}
	c.send(message("orders", "later", late(due)))
	entry := c.send(message("orders", "never", late(due)))[0]
	handle := field(entry.ProtoReflect().GetUnknown(), 5)
	if len(handle) == 0 {
		t.Fatal("there is no recall handle")
	}
	ask := appendField(appendField(nil, 1, marshal(t, named("orders"))), 2, handle)
	answer := c.invoke("RecallMessage", ask)
	want(t, "recall", statusIn(t, answer), nil, v2.Code_OK)
	if got := string(field(answer, 2)); got != entry.GetMessageId() {
		t.Errorf("%s was recalled, want %s", got, entry.GetMessageId())
	}
	got := c.receive(1, receiveRequest("g", "orders"))[0]
	if now := time.Now(); body(got) != "later" || now.Before(due) || got.GetSystemProperties().GetMessageType() != v2.MessageType_DELAY || got.GetSystemProperties().GetDeliveryTimestamp().AsTime().UnixMilli() != due.UnixMilli() {
		t.Errorf("%v before its time: %v", due.Sub(now), got)
	}
	status, some := c.receiveOnce(receiveRequest("g", "orders"))
	want(t, "after that", status, nil, v2.Code_MESSAGE_NOT_FOUND)
	if len(some) > 0 {
		t.Errorf("got %v", some)
	}
	tooLate, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{message("orders", "x", late(time.Now().Add(100*24*time.Hour)))}})
	want(t, "in a hundred days", tooLate.GetStatus(), err, v2.Code_ILLEGAL_DELIVERY_TIME)
}

func TestWhatIsNotAcknowledgedComesAgainAndDies(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	c.send(message("orders", "hard"), message("orders", "easy"))
	var hard *v2.Message
	for _, m := range c.receive(2, receiveRequest("g", "orders")) {
		if body(m) == "easy" {
			want(t, "ack", c.ack("g", "orders", m).GetStatus(), nil, v2.Code_OK)
			want(t, "ack again", c.ack("g", "orders", m).GetStatus(), nil, v2.Code_OK)
			continue
		}
		hard = m
	}
	old := hard.GetSystemProperties().GetReceiptHandle()
	change := func(handle string, d time.Duration) *v2.ChangeInvisibleDurationResponse {
		answer, err := c.ChangeInvisibleDuration(c.ctx, &v2.ChangeInvisibleDurationRequest{
			Group: named("g"), Topic: named("orders"), ReceiptHandle: handle, InvisibleDuration: durationpb.New(d), MessageId: hard.GetSystemProperties().GetMessageId(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := change(old, time.Minute)
	want(t, "longer", answer.GetStatus(), nil, v2.Code_OK)
	want(t, "the old handle", change(old, time.Minute).GetStatus(), nil, v2.Code_INVALID_RECEIPT_HANDLE)
	want(t, "at once", change(answer.GetReceiptHandle(), 0).GetStatus(), nil, v2.Code_OK)
	again := c.receive(1, receiveRequest("g", "orders"))[0]
	p := again.GetSystemProperties()
	if body(again) != "hard" || p.GetDeliveryAttempt() != 2 || again.GetTopic().GetName() != "orders" {
		t.Errorf("the second try is %v", again)
	}
	bury := &v2.ForwardMessageToDeadLetterQueueRequest{Group: named("g"), Topic: named("orders"), ReceiptHandle: p.GetReceiptHandle(), MessageId: p.GetMessageId()}
	buried, err := c.ForwardMessageToDeadLetterQueue(c.ctx, bury)
	want(t, "bury", buried.GetStatus(), err, v2.Code_OK)
	buried, err = c.ForwardMessageToDeadLetterQueue(c.ctx, bury)
	want(t, "bury again", buried.GetStatus(), err, v2.Code_INVALID_RECEIPT_HANDLE)
	dead := c.receive(1, receiveRequest("undertaker", "%DLQ%g"))[0]
	if body(dead) != "hard" || dead.GetSystemProperties().GetMessageId() != p.GetMessageId() {
		t.Errorf("the dead letter is %v", dead)
	}
	both := c.ack("g", "orders", dead, &v2.Message{SystemProperties: &v2.SystemProperties{ReceiptHandle: new("nonsense")}})
	want(t, "handles of nothing", both.GetStatus(), nil, v2.Code_INVALID_RECEIPT_HANDLE)
}

// A body travels compressed, and is what it was at the other end.
func TestACompressedBodyIsTheSameAtTheOtherEnd(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	text := strings.Repeat("twenty-one degrees; ", 1000)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Name = "named.txt"
	io.WriteString(z, text) //nolint:errcheck // into memory
	z.Close()
	c.send(message("orders", packed.String(), func(p *v2.SystemProperties) { p.BodyEncoding = v2.Encoding_GZIP }))
	got := c.receive(1, receiveRequest("g", "orders"))[0]
	if got.GetSystemProperties().GetBodyEncoding() != v2.Encoding_GZIP {
		t.Fatalf("the body is encoded as %v", got.GetSystemProperties().GetBodyEncoding())
	}
	r, err := gzip.NewReader(bytes.NewReader(got.GetBody()))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(r); err != nil || string(out) != text {
		t.Errorf("the body has %d bytes, want %d: %v", len(out), len(text), err)
	}
	broken, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{message("orders", "not gzip", func(p *v2.SystemProperties) { p.BodyEncoding = v2.Encoding_GZIP })}})
	want(t, "what is not compressed", broken.GetStatus(), err, v2.Code_MESSAGE_CORRUPTED)
}

func TestWhatIsWrongWithAMessageHasACode(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	for name, bad := range map[string]struct {
		m    *v2.Message
		code v2.Code
	}{
		"empty":         {message("orders", ""), 41302},
		"too large":     {message("orders", strings.Repeat("x", 4<<20+1)), v2.Code_MESSAGE_BODY_TOO_LARGE},
		"topic":         {message("a b", "x"), v2.Code_ILLEGAL_TOPIC},
		"tag":           {message("orders", "x", func(p *v2.SystemProperties) { p.Tag = new("a|b") }), v2.Code_ILLEGAL_MESSAGE_TAG},
		"key":           {message("orders", "x", func(p *v2.SystemProperties) { p.Keys = []string{"a\x01"} }), v2.Code_ILLEGAL_MESSAGE_KEY},
		"message group": {message("orders", "x", func(p *v2.SystemProperties) { p.MessageGroup = new(strings.Repeat("g", 65)) }), v2.Code_ILLEGAL_MESSAGE_GROUP},
		"id":            {message("orders", "x", func(p *v2.SystemProperties) { p.MessageId = " " }), v2.Code_ILLEGAL_MESSAGE_ID},
		"property":      {withProperty("KEYS", "x"), v2.Code_ILLEGAL_MESSAGE_PROPERTY_KEY},
		"properties":    {withProperty("a", strings.Repeat("x", 17<<10)), v2.Code_MESSAGE_PROPERTIES_TOO_LARGE},
	} {
		answer, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{bad.m}})
		if err != nil || answer.GetStatus().GetCode() != bad.code {
			t.Errorf("%s: %v, %v, want %v", name, answer.GetStatus(), err, bad.code)
		}
	}
	status, _ := c.receiveOnce(receiveRequest("g", "orders", func(r *v2.ReceiveMessageRequest) { r.InvisibleDuration = durationpb.New(time.Second) }))
	want(t, "a second", status, nil, v2.Code_ILLEGAL_INVISIBLE_TIME)
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	status, _, err := receiveFrom(ctx, c, receiveRequest("g", "orders"))
	want(t, "a deadline that is too near", status, err, v2.Code_BAD_REQUEST)
	nobody := dial(t, gatewayUnderTest{grpc: c.conn.Target()}, "x-mq-language", "GO")
	beat, err := nobody.Heartbeat(nobody.ctx, &v2.HeartbeatRequest{ClientType: v2.ClientType_PRODUCER})
	want(t, "nobody's heartbeat", beat.GetStatus(), err, v2.Code_CLIENT_ID_REQUIRED)
	beat, err = c.Heartbeat(c.ctx, &v2.HeartbeatRequest{})
	want(t, "a heartbeat of no type", beat.GetStatus(), err, v2.Code_UNRECOGNIZED_CLIENT_TYPE)
}

func withProperty(name, value string) *v2.Message {
	m := message("orders", "x")
	m.UserProperties = map[string]string{name: value}
	return m
}

// The calls that came after the stubs, as they travel.
func TestAQueueIsReadFromAnOffsetOn(t *testing.T) {
	t.Parallel()
	c := dial(t, startGateway(t, ""))
	for i := range 3 {
		c.send(message("orders", fmt.Sprint(i), func(p *v2.SystemProperties) { p.MessageGroup = new("one") }))
	}
	number := c.receive(3, receiveRequest("g", "orders"))[0].GetSystemProperties().GetQueueId()
	at := marshal(t, &v2.MessageQueue{Topic: named("orders"), Id: number})
	group := marshal(t, named("reader"))
	place := appendField(appendField(nil, 1, group), 2, at)

	want(t, "no offset yet", statusIn(t, c.invoke("GetOffset", place)), nil, 40404)
	want(t, "beyond the end", statusIn(t, c.invoke("UpdateOffset", appendNumber(place, 3, 4))), nil, 40019)
	want(t, "update", statusIn(t, c.invoke("UpdateOffset", appendNumber(place, 3, 2))), nil, v2.Code_OK)
	answer := c.invoke("GetOffset", place)
	want(t, "get", statusIn(t, answer), nil, v2.Code_OK)
	if got := numberField(answer, 2); got != 2 {
		t.Errorf("the group goes on at %d, want 2", got)
	}
	for policy, expected := range map[uint64]uint64{0: 0, 1: 3} {
		if got := numberField(c.invoke("QueryOffset", appendNumber(appendField(nil, 1, at), 2, policy)), 2); got != expected {
			t.Errorf("the offset of policy %d is %d, want %d", policy, got, expected)
		}
	}
	past := appendField(appendNumber(appendField(nil, 1, at), 2, 2), 3, marshal(t, timestamppb.New(time.Unix(1, 0))))
	if got := numberField(c.invoke("QueryOffset", past), 2); got != 0 {
		t.Errorf("long ago the queue was at %d", got)
	}
	parts := c.pull(appendNumber(appendNumber(place, 3, 1), 4, 32))
	var got []string
	var next uint64
	for _, part := range parts {
		if m := field(part, 2); m != nil {
			one := new(v2.Message)
			if err := proto.Unmarshal(m, one); err != nil {
				t.Fatal(err)
			}
			got = append(got, body(one))
		}
		next = max(next, numberField(part, 3))
	}
	if fmt.Sprint(got) != "[1 2]" || next != 3 {
		t.Errorf("pulled %v and go on at %d, want [1 2] and 3", got, next)
	}
	want(t, "lite topics", statusIn(t, c.invoke("SyncLiteSubscription", nil)), nil, v2.Code_NOT_IMPLEMENTED)
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func appendField(b []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b[:len(b):len(b)], number, protowire.BytesType), value)
}

func appendNumber(b []byte, number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b[:len(b):len(b)], number, protowire.VarintType), value)
}

// field gives the bytes of a field, numberField its number.
func field(b []byte, number protowire.Number) (value []byte) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return nil
		}
		b = b[size:]
		if n == number && kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(b)
			return value
		}
		b = b[protowire.ConsumeFieldValue(n, kind, b):]
	}
	return nil
}

func numberField(b []byte, number protowire.Number) uint64 {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return 0
		}
		b = b[size:]
		if n == number && kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(b)
			return value
		}
		b = b[protowire.ConsumeFieldValue(n, kind, b):]
	}
	return 0
}

func statusIn(t testing.TB, answer []byte) *v2.Status {
	t.Helper()
	status := new(v2.Status)
	if err := proto.Unmarshal(field(answer, 1), status); err != nil {
		t.Fatal(err)
	}
	return status
}
