package conformance

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// [MQTT-4.8.2-1, MQTT-4.8.2-2]
func TestSharedSubscriptionsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"$share/g", "$share/", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a", "$share/+/a", "$share/g/a#", "$share/g/a/#/b"} {
		p := connect(t, hello{})
		p.send(p.subscribePacket(1, nil, want{filter, 1}))
		got := p.next()
		switch {
		case got == nil:
		case got.kind == DISCONNECT && got.code >= 0x80:
			p.ends()
		case got.kind == SUBACK && len(got.codes) == 1 && got.codes[0] >= 0x80:
		default:
			t.Errorf("%q: got %v, want a refusal", filter, got)
		}
	}
}

// Each message goes to one of a group, to each group, and to ordinary subscribers beside them
// [MQTT-4.8.2-1]; with the QoS granted to the one that was chosen [MQTT-4.8.2-3].
func TestSharedSubscription(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	group := func(name string) string { return "$share/" + name + "/" + topic + "/+" }
	var first []*peer
	for qos := range 3 {
		c := connect(t, hello{})
		c.subscribeWith([][]byte{prop(pSubscriptionID, qos+1)}, want{group("first"), qos})
		first = append(first, c)
	}
	second, plain, p := connect(t, hello{}), connect(t, hello{}), publisher(t)
	second.subscribe(want{group("second"), 2})
	plain.subscribe(want{topic + "/#", 2})
	const all = 60
	var every []string
	for i := range all {
		p.publish(post{topic: topic + "/a", payload: fmt.Sprint(i), qos: 2})
		every = append(every, fmt.Sprint(i))
	}
	plain.expect(every...)
	second.expect(every...)
	var got []string
	for deadline := time.Now().Add(patience); len(got) < all && time.Now().Before(deadline); {
		for qos, c := range first {
			if !c.readable(20 * time.Millisecond) {
				continue
			}
			m := c.receive()
			got = append(got, m.payload)
			if m.qos() != qos || !slices.Equal(m.numbers(pSubscriptionID), []int{qos + 1}) {
				t.Errorf("%v came with QoS %d and %v, want %d and its identifier", m, m.qos(), m.numbers(pSubscriptionID), qos)
			}
		}
	}
	for _, c := range first {
		c.unsubscribe(group("first"))
	}
	slices.Sort(got)
	slices.Sort(every)
	if !slices.Equal(got, every) {
		t.Errorf("the group got %d messages, want each of %d once", len(got), all)
	}
	p.publish(post{topic: topic + "/a", payload: "after", qos: 1})
	for _, c := range first {
		c.quiet()
	}
}

// A retained message is not sent to a shared subscription (4.8.2), and $share/… is a topic filter in
// SUBSCRIBE alone: unsubscribing takes the same characters [MQTT-3.10.4-1].
func TestSharedSubscriptionAndRetained(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p, c := publisher(t), connect(t, hello{})
	p.publish(post{topic: topic, payload: "kept", qos: 1, retain: true})
	defer clearRetained(t, topic)
	c.subscribe(want{"$share/g/" + topic, 1})
	c.quiet()
	if got := c.unsubscribe(topic, "$share/other/"+topic, "$share/g/"+topic); !slices.Equal(got.codes, []byte{0x11, 0x11, 0}) {
		t.Errorf("UNSUBACK has %x, want 0x11, 0x11, 0", got.codes)
	}
}

// [MQTT-4.8.2-4]: a QoS 2 delivery that was begun is completed with the same client when it is back.
func TestSharedQoS2IsCompletedWithTheSameClient(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	filter := "$share/g/" + topic
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{filter, 2})
	p.publish(post{topic: topic, payload: "1", qos: 2})
	p.publish(post{topic: topic, payload: "2", qos: 2})
	one, two := c.message(), c.message()
	c.send(ack(PUBREC, one.id))
	c.acked(PUBREL, one.id)
	other := connect(t, hello{})
	other.subscribe(want{filter, 2})
	c.vanish()
	c = connect(t, h)
	c.acked(PUBREL, one.id)
	c.send(ack(PUBCOMP, one.id))
	if got := c.receive(); got.payload != "2" || got.id != two.id || !got.dup() {
		t.Errorf("got %v, want the second message again", got)
	}
	c.unsubscribe(filter)
	other.quietAt(2)
	c.discard(v5)
}

// [MQTT-4.8.2-5]: if the session ends first, nobody gets it.
func TestSharedQoS2OfASessionThatEnds(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	filter := "$share/g/" + topic
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{filter, 2})
	p.publish(post{topic: topic, payload: "1", qos: 2})
	one := c.message()
	c.send(ack(PUBREC, one.id))
	c.acked(PUBREL, one.id)
	other := connect(t, hello{})
	other.subscribe(want{filter, 2})
	c.discard(v5)
	other.quietAt(2)
}

// [MQTT-4.8.2-6]: what the chosen client refuses goes to nobody else.
func TestSharedMessageThatIsRefused(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	filter := "$share/g/" + topic
	c, p := connect(t, hello{}), publisher(t)
	c.subscribe(want{filter, 2})
	p.publish(post{topic: topic, payload: "1", qos: 1})
	p.publish(post{topic: topic, payload: "2", qos: 2})
	one, two := c.message(), c.message()
	other := connect(t, hello{})
	other.subscribe(want{filter, 2})
	c.send(raw(0x40, u16(one.id), u8(0x80)), raw(0x50, u16(two.id), u8(0x97)))
	c.ping()
	c.leave()
	time.Sleep(100 * time.Millisecond)
	other.quietAt(2)
}
