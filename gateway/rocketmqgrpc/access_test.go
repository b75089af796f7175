package rocketmqgrpc_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"strings"
	"testing"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

const withKeys = `  access:
    - {access_key: scada, secret_key: secret, publish: [orders], subscribe: [orders], groups: ["scada*"]}
`

// signed are the headers of a client with keys.
func signed(client, key, secret, format string) []string {
	const at = "20261124T041500Z"
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(at))
	return []string{"x-mq-client-id", client, "x-mq-date-time", at,
		"authorization", fmt.Sprintf("MQv2-HMAC-SHA1 Credential=%s//Rocketmq, SignedHeaders=x-mq-date-time, Signature="+format, key, mac.Sum(nil))}
}

func TestOnlyWhoSignsGetsIn(t *testing.T) {
	t.Parallel()
	at := startGateway(t, withKeys)
	for name, try := range map[string]struct {
		headers []string
		code    v2.Code
	}{
		"lower case": {signed("c", "scada", "secret", "%x"), v2.Code_OK}, "upper case": {signed("c", "scada", "secret", "%X"), v2.Code_OK},
		"wrong": {signed("c", "scada", "wrong", "%x"), v2.Code_UNAUTHORIZED}, "unknown": {signed("c", "nobody", "secret", "%x"), v2.Code_UNAUTHORIZED},
		"none": {[]string{"x-mq-client-id", "c"}, v2.Code_UNAUTHORIZED},
	} {
		c := dial(t, at, try.headers...)
		route, err := c.QueryRoute(c.ctx, &v2.QueryRouteRequest{Topic: named("orders")})
		if err != nil || route.GetStatus().GetCode() != try.code {
			t.Errorf("%s: a route gives %v, %v, want %v", name, route.GetStatus(), err, try.code)
		}
		sent, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{message("orders", "x")}})
		if err != nil || sent.GetStatus().GetCode() != try.code {
			t.Errorf("%s: sending gives %v, %v, want %v", name, sent.GetStatus(), err, try.code)
		}
		stream, err := c.Telemetry(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		stream.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: producerOf("orders")}}) //nolint:errcheck // it may be over
		if told, err := stream.Recv(); err != nil || told.GetStatus().GetCode() != try.code {
			t.Errorf("%s: telemetry gives %v, %v, want %v", name, told.GetStatus(), err, try.code)
		}
	}
}

func TestAnAccountMayDoWhatItMay(t *testing.T) {
	t.Parallel()
	at := startGateway(t, withKeys)
	c := dial(t, at, signed("c", "scada", "secret", "%x")...)
	c.send(message("orders", "mine"))
	other, err := c.SendMessage(c.ctx, &v2.SendMessageRequest{Messages: []*v2.Message{message("wages", "x")}})
	want(t, "another topic", other.GetStatus(), err, v2.Code_FORBIDDEN)
	status, _ := c.receiveOnce(receiveRequest("payroll", "orders"))
	want(t, "another group", status, nil, v2.Code_FORBIDDEN)
	status, _ = c.receiveOnce(receiveRequest("scada-1", "wages"))
	want(t, "another topic", status, nil, v2.Code_FORBIDDEN)
	want(t, "another's messages", c.ack("payroll", "orders", &v2.Message{}).GetStatus(), nil, v2.Code_FORBIDDEN)
	end, err := c.EndTransaction(c.ctx, &v2.EndTransactionRequest{Topic: named("wages"), TransactionId: "1-1"})
	want(t, "another's transaction", end.GetStatus(), err, v2.Code_FORBIDDEN)
	for call, request := range map[string][]byte{
		"RecallMessage": marshal(t, &v2.QueryRouteRequest{Topic: named("wages")}),
		"GetOffset":     appendField(appendField(nil, 1, marshal(t, named("payroll"))), 2, marshal(t, &v2.MessageQueue{Topic: named("orders")})),
		"UpdateOffset":  appendField(appendField(nil, 1, marshal(t, named("payroll"))), 2, marshal(t, &v2.MessageQueue{Topic: named("orders")})),
		"QueryOffset":   appendField(nil, 1, marshal(t, &v2.MessageQueue{Topic: named("wages")})),
	} {
		want(t, call, statusIn(t, c.invoke(call, request)), nil, v2.Code_FORBIDDEN)
	}
	settings, err := c.Telemetry(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	settings.Send(&v2.TelemetryCommand{Command: &v2.TelemetryCommand_Settings{Settings: producerOf("wages")}}) //nolint:errcheck // its answer is looked at
	told, err := settings.Recv()
	want(t, "publishing to another topic", told.GetStatus(), err, v2.Code_FORBIDDEN)
	got := c.receive(1, receiveRequest("scada-1", "orders"))
	if strings.Join(bodies(got), "") != "mine" {
		t.Errorf("got %v", got)
	}
}

func TestNobodySpeaksForAnothersClient(t *testing.T) {
	t.Parallel()
	at := startGateway(t, withKeys+"    - {access_key: thief, secret_key: secret, groups: [\"*\"]}\n")
	owner, thief := dial(t, at, signed("c", "scada", "secret", "%x")...), dial(t, at, signed("c", "thief", "secret", "%x")...)
	owner.telemetry(producerOf("orders"))
	beat, err := thief.Heartbeat(thief.ctx, &v2.HeartbeatRequest{ClientType: v2.ClientType_PRODUCER})
	want(t, "a heartbeat in another's name", beat.GetStatus(), err, v2.Code_FORBIDDEN)
	if _, err := thief.NotifyClientTermination(thief.ctx, &v2.NotifyClientTerminationRequest{}); err != nil {
		t.Fatal(err)
	}
	beat, err = thief.Heartbeat(thief.ctx, &v2.HeartbeatRequest{ClientType: v2.ClientType_PRODUCER})
	want(t, "it is still there", beat.GetStatus(), err, v2.Code_FORBIDDEN)
}
