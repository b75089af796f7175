package rocketmqgrpc_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	paho "github.com/eclipse/paho.mqtt.golang"
	"google.golang.org/protobuf/types/known/durationpb"

	"sluice/gateway/remoting"
)

// remotingCall asks the listener for older clients.
func remotingCall(t testing.TB, at gatewayUnderTest, code int, body []byte, pairs ...string) *remoting.Command {
	t.Helper()
	conn, err := net.DialTimeout("tcp", at.remoting, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	request := &remoting.Command{Code: code, Language: remoting.LanguageJava, Version: 479, Opaque: 1, Body: body}
	for pair := range slices.Chunk(pairs, 2) {
		request.Ext.Set(pair[0], pair[1])
	}
	b, err := request.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	answer := new(remoting.Command)
	if err := remoting.Read(bufio.NewReader(conn), remoting.MaxFrame, answer); err != nil || answer.Code != remoting.Success {
		t.Fatalf("request %d: code %d, %s, %v", code, answer.Code, answer.Remark, err)
	}
	return answer
}

func TestWhatIsSentOverRemotingIsReceived(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	io.WriteString(z, "compressed by an older client") //nolint:errcheck // into memory
	z.Close()
	properties, err := remoting.AppendProperties(nil, []remoting.Property{
		{Name: "KEYS", Value: "k1 k2"}, {Name: "TAGS", Value: "red"}, {Name: "UNIQ_KEY", Value: "AC11"}, {Name: "__SHARDINGKEY", Value: "press"}, {Name: "line", Value: "nor\xffth"},
	})
	if err != nil {
		t.Fatal(err)
	}
	remotingCall(t, at, remoting.SendMessage, packed.Bytes(), "producerGroup", "p", "topic", "orders", "defaultTopic", "TBW102", "defaultTopicQueueNums", "4", "queueId", "1",
		"sysFlag", "1", "bornTimestamp", "1700000000000", "flag", "0", "properties", string(properties))
	got := dial(t, at).receive(1, receiveRequest("g", "orders"))[0]
	p := got.GetSystemProperties()
	if p.GetMessageId() != "AC11" || !slices.Equal(p.GetKeys(), []string{"k1", "k2"}) || p.GetTag() != "red" || p.GetMessageGroup() != "press" || p.GetQueueId() != 1 ||
		p.GetBornTimestamp().AsTime().UnixMilli() != 1700000000000 || got.GetUserProperties()["line"] != "nor?th" || len(got.GetUserProperties()) != 1 || p.GetBodyEncoding() != v2.Encoding_GZIP {
		t.Errorf("got %v", got)
	}
	r, err := gzip.NewReader(bytes.NewReader(got.GetBody()))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(r); err != nil || string(out) != "compressed by an older client" {
		t.Errorf("the body is %q, %v", out, err)
	}
}

// One group may have clients of both kinds: what one is given the other is not.
func TestWhatIsSentIsConsumedOverRemoting(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	c := dial(t, at)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, "compressed by a newer client") //nolint:errcheck // into memory
	z.Close()
	m := message("orders", packed.String(), func(p *v2.SystemProperties) {
		p.Tag, p.Keys, p.BodyEncoding, p.MessageGroup = new("red"), []string{"k1", "k2"}, v2.Encoding_GZIP, new("press")
	})
	m.UserProperties = map[string]string{"line": "north"}
	c.send(m)
	pop := remotingCall(t, at, remoting.PopMessage, nil, "consumerGroup", "g", "topic", "orders", "queueId", "-1", "maxMsgNums", "8", "invisibleTime", "60000", "pollTime", "0", "bornTime", "0", "initMode", "0")
	stored, rest, err := remoting.ParseStored(pop.Body)
	if err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	plain, err := remoting.Inflate(stored.Body, stored.SysFlag, 1<<20)
	if err != nil || string(plain) != "compressed by a newer client" {
		t.Errorf("the body is %q, %v", plain, err)
	}
	properties, err := remoting.ParseProperties(stored.Properties)
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []remoting.Property{
		{Name: "KEYS", Value: "k1 k2"}, {Name: "TAGS", Value: "red"}, {Name: "UNIQ_KEY", Value: m.GetSystemProperties().GetMessageId()},
		{Name: "__SHARDINGKEY", Value: "press"}, {Name: "line", Value: "north"}, {Name: "__BORNHOST", Value: "press-7"},
	} {
		if !slices.Contains(properties, expected) {
			t.Errorf("%v is missing in %v", expected, properties)
		}
	}
	if _, got := c.receiveOnce(receiveRequest("g", "orders")); len(got) > 0 {
		t.Errorf("what an older client has was given to a newer one: %v", got)
	}
}

func TestMQTTAndRocketMQ5ShareTopics(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	heard := make(chan string, 10)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + at.mqtt).SetClientID("press-1"))
	done := func(token paho.Token) {
		t.Helper()
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	done(client.Connect())
	defer client.Disconnect(100)
	done(client.Subscribe("orders/#", 1, func(_ paho.Client, m paho.Message) { heard <- m.Topic() + " " + string(m.Payload()) }))
	done(client.Publish("orders/press 1/in", 1, false, "from MQTT"))
	c := dial(t, at)
	got := c.receive(1, receiveRequest("g", "orders"))[0]
	if body(got) != "from MQTT" || got.GetUserProperties()["originMqttTopic"] != "orders/press 1/in" || got.GetSystemProperties().GetTag() != "MQTT_COMMON" || got.GetSystemProperties().GetMessageId() == "" {
		t.Errorf("got %v", got)
	}
	c.send(message("orders", "from RocketMQ 5"))
	for _, expected := range []string{"orders/press 1/in from MQTT", "orders from RocketMQ 5"} {
		select {
		case one := <-heard:
			if one != expected {
				t.Errorf("heard %q, want %q", one, expected)
			}
		case <-time.After(patience):
			t.Fatalf("%q is not heard", expected)
		}
	}
}

// In a group that wants its messages in order nothing overtakes; what it fails at too often makes room.
func TestAnOrderedGroupGoesOnBehindADeadLetter(t *testing.T) {
	t.Parallel()
	at := startGateway(t, "")
	remotingCall(t, at, remoting.UpdateAndCreateSubscriptionGroup, []byte(`{"groupName":"g","consumeEnable":true,"consumeMessageOrderly":true,"retryMaxTimes":1,"retryQueueNums":1}`))
	c := dial(t, at)
	c.send(message("orders", "bad", one), message("orders", "good", one))
	_, told := c.telemetry(consumerOf("g", "orders", v2.ClientType_PUSH_CONSUMER))
	assigned, err := c.QueryAssignment(c.ctx, &v2.QueryAssignmentRequest{Topic: named("orders"), Group: named("g")})
	if err != nil || !told.GetSubscription().GetFifo() || told.GetBackoffPolicy().GetMaxAttempts() != 2 || len(assigned.GetAssignments()) != 4 {
		t.Errorf("told %v, assigned %v, %v", told, assigned, err)
	}
	just := func(r *v2.ReceiveMessageRequest) { r.BatchSize = 1 }
	for attempt := range 2 {
		got := c.receive(1, receiveRequest("g", "orders", just))[0]
		p := got.GetSystemProperties()
		if body(got) != "bad" || int(p.GetDeliveryAttempt()) != attempt+1 {
			t.Fatalf("try %d is %v", attempt+1, got)
		}
		again, err := c.ChangeInvisibleDuration(c.ctx, &v2.ChangeInvisibleDurationRequest{
			Group: named("g"), Topic: named("orders"), ReceiptHandle: p.GetReceiptHandle(), InvisibleDuration: durationpb.New(0),
		})
		want(t, "give back", again.GetStatus(), err, v2.Code_OK)
	}
	if got := c.receive(1, receiveRequest("g", "orders", just)); body(got[0]) != "good" {
		t.Errorf("then comes %v", got)
	}
	if got := c.receive(1, receiveRequest("undertaker", "%DLQ%g")); body(got[0]) != "bad" {
		t.Errorf("the dead letter is %v", got)
	}
}
