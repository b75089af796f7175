package rocketmq_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/gateway/remoting"
)

// TestAFullLogIsBusyUntilItsConsumersCatchUp fills a log that refuses for the sake of a group that has not read.
func TestAFullLogIsBusyUntilItsConsumersCatchUp(t *testing.T) {
	at := startGatewayOn(t, "{dir: ./data, limit: 64MiB, when_full: refuse}", "")
	topic, group := topicWith(t, at, 1), ownName("group")
	producer, consumer := call(t, at.broker), call(t, at.broker)
	consumer.must(beating("client-1", group, topic))
	consumer.must(committed(group, topic, "0", "0"))

	body := make([]byte, 512<<10)
	random := rand.NewChaCha8([32]byte{})
	taken, busy := 0, (*remoting.Command)(nil)
	for ; busy == nil && taken < 200; taken++ {
		random.Read(body) // so that it does not compress; it gives no error
		if answer := producer.ask(sending(topic, string(body))); answer.Code != remoting.Success {
			busy = answer
			break
		}
	}
	if busy == nil || busy.Code != remoting.SystemBusy || !strings.Contains(busy.Remark, "broker busy") {
		t.Fatalf("after %d messages: %+v, want code %d and a remark that clients know", taken, busy, remoting.SystemBusy)
	}
	if taken < 32 {
		t.Errorf("a log of 64 MiB took only %d MiB", taken)
	}
	if again := producer.ask(sending(topic, "small")); again.Code != remoting.SystemBusy {
		t.Errorf("a small message: code %d %s", again.Code, again.Remark)
	}
	for next := int64(0); next < int64(taken); { // consumers go on
		got := consumer.ask(pulling(group, topic, next))
		if got.Code != remoting.Success {
			t.Fatalf("pull at %d of %d: code %d %s", next, taken, got.Code, got.Remark)
		}
		var err error
		if next, err = strconv.ParseInt(got.Ext.Get("nextBeginOffset"), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	consumer.must(committed(group, topic, "0", strconv.Itoa(taken)))
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(100 * time.Millisecond) {
		answer := producer.ask(sending(topic, "again"))
		if answer.Code == remoting.Success {
			break
		}
		if answer.Code != remoting.SystemBusy || time.Now().After(deadline) {
			t.Fatalf("after all was read: code %d %s", answer.Code, answer.Remark)
		}
	}
	if got := consumer.ask(pulling(group, topic, int64(taken))); got.Code != remoting.Success || !strings.Contains(string(got.Body), "again") {
		t.Errorf("what was sent then: code %d %s", got.Code, got.Remark)
	}
}
