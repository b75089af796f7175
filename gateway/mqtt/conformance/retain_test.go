package conformance

import (
	"fmt"
	"testing"
)

// clearRetained removes what a test retained.
func clearRetained(t *testing.T, topics ...string) {
	t.Helper()
	p := publisher(t)
	for _, topic := range topics {
		p.publish(post{topic: topic, retain: true})
	}
	p.leave()
}

// latecomer subscribes and gives the payload retained under a topic; "" when there is none.
func latecomer(t *testing.T, topic string) string {
	t.Helper()
	p := connect(t, hello{})
	mark := fmt.Sprintf("c/retained/mark/%d", unique.Add(1))
	other := publisher(t)
	other.publish(post{topic: mark, payload: "mark", qos: 1, retain: true})
	defer clearRetained(t, mark)
	p.subscribe(want{topic, 2}, want{mark, 1}) // as two SUBSCRIBEs, so the first's retained message comes first, or never
	var found string
	for {
		got := p.receive()
		if !got.retain() {
			t.Errorf("%v has no RETAIN", got)
		}
		if got.topic == mark {
			p.quiet()
			return found
		}
		found += got.payload
	}
}

// [MQTT-3.3.1-5] replaced; [MQTT-3.3.1-8] left alone without RETAIN; [MQTT-3.3.1-6, MQTT-3.3.1-7]
// removed by an empty payload, which is passed on to those who are there.
func TestRetainedMessageOfATopic(t *testing.T) {
	t.Parallel()
	for qos := range 3 {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			p := publisher(t)
			p.publish(post{topic: topic, payload: "first", qos: qos, retain: true})
			p.publish(post{topic: topic, payload: "second", qos: qos, retain: true})
			p.publish(post{topic: topic, payload: "passing", qos: qos})
			if got := latecomer(t, topic); got != "second" {
				t.Errorf("%q is retained, want the second", got)
			}
			p.publish(post{topic: topic, qos: qos})
			if got := latecomer(t, topic); got != "second" {
				t.Errorf("%q is retained after an empty message without RETAIN, want the second", got)
			}
			watch := connect(t, hello{})
			watch.subscribe(want{topic, 2 | withoutRetain})
			p.publish(post{topic: topic, qos: qos, retain: true})
			if got := watch.receive(); got.payload != "" || got.topic != topic {
				t.Errorf("got %v, want the empty message", got)
			}
			if got := latecomer(t, topic); got != "" {
				t.Errorf("%q is retained, want nothing", got)
			}
		})
	}
}

// A retained message comes with the lower of its QoS and the subscription's [MQTT-3.8.4-8], with its
// properties [MQTT-3.3.2-17] and RETAIN set.
func TestRetainedMessagesKeepQoSAndProperties(t *testing.T) {
	t.Parallel()
	base := topicOf(t)
	p := publisher(t)
	for qos := range 3 {
		p.publish(post{topic: fmt.Sprint(base, "/", qos), payload: fmt.Sprint(qos), qos: qos, retain: true,
			props: [][]byte{prop(pUser, [2]string{"a", "2"}), prop(pUser, [2]string{"c", "3"}), prop(pContentType, "text")}})
	}
	defer clearRetained(t, base+"/0", base+"/1", base+"/2")
	for most := range 3 {
		c := connect(t, hello{})
		c.subscribeWith([][]byte{prop(pSubscriptionID, 7)}, want{base + "/+", most})
		seen := map[string]bool{}
		for range 3 {
			got := c.receive()
			var qos int
			fmt.Sscan(got.payload, &qos)
			seen[got.payload] = true
			if got.qos() != min(qos, most) || !got.retain() || len(got.user()) != 2 || got.user()[0] != [2]string{"a", "2"} || got.user()[1] != [2]string{"c", "3"} {
				t.Errorf("QoS %d to a subscription of %d came as %v", qos, most, got)
			}
			if ids := got.numbers(pSubscriptionID); len(ids) != 1 || ids[0] != 7 { // [MQTT-3.3.4-3]
				t.Errorf("subscription identifiers %v, want 7", ids)
			}
		}
		if len(seen) != 3 {
			t.Errorf("got %v, want three messages", seen)
		}
		c.quiet()
	}
}

// [MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11, MQTT-3.8.4-4]
func TestRetainHandling(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	publisher(t).publish(post{topic: topic, payload: "kept", qos: 1, retain: true})
	defer clearRetained(t, topic)
	for name, test := range map[string]struct{ option, first, again int }{
		"0": {0, 1, 1}, "1": {onlyNew, 1, 0}, "2": {withoutRetain, 0, 0},
	} {
		c := connect(t, hello{})
		for round, count := range []int{test.first, test.again} {
			c.subscribe(want{topic, 1 | test.option})
			for range count {
				c.expect("kept")
			}
			c.quiet()
			if t.Failed() {
				t.Fatalf("retain handling %s, round %d", name, round)
			}
		}
		// An unsubscribed filter is new again.
		c.unsubscribe(topic)
		c.subscribe(want{topic, 1 | test.option})
		for range test.first {
			c.expect("kept")
		}
		c.quiet()
	}
}

// Retain handling 1 looks at the session, not at the connection [MQTT-3.3.1-10].
func TestRetainHandlingOverASession(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	publisher(t).publish(post{topic: topic, payload: "kept", qos: 1, retain: true})
	defer clearRetained(t, topic)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60)}}
	c := connect(t, h)
	c.subscribe(want{topic, 1 | onlyNew})
	c.expect("kept")
	c.leave()
	c = connect(t, h)
	c.quiet() // nothing comes for the connection alone
	c.subscribe(want{topic, 1 | onlyNew})
	c.quiet()
	c.subscribe(want{topic, 1})
	c.expect("kept")
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

// [MQTT-3.3.1-12, MQTT-3.3.1-13]; for 3.1.1 RETAIN is 0 on what passes: 3.1.1 [MQTT-3.3.1-9].
func TestRetainAsPublished(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	defer clearRetained(t, topic)
	with, without, old := connect(t, hello{}), connect(t, hello{}), connect(t, hello{version: v311})
	with.subscribe(want{topic, 1 | asPublished})
	without.subscribe(want{topic, 1})
	old.subscribe(want{topic, 1})
	p := publisher(t)
	p.publish(post{topic: topic, payload: "plain", qos: 1})
	p.publish(post{topic: topic, payload: "retained", qos: 1, retain: true})
	for c, flags := range map[*peer][2]bool{with: {false, true}, without: {false, false}, old: {false, false}} {
		for i, got := range c.expect("plain", "retained") {
			if got.retain() != flags[i] {
				t.Errorf("RETAIN of %q is %v, want %v", got.payload, got.retain(), flags[i])
			}
		}
	}
}

// Every matching topic sends its message, a wildcard's too, and none that does not match [MQTT-3.3.2-3,
// MQTT-3.3.1-9].
func TestRetainedMessagesUnderWildcards(t *testing.T) {
	t.Parallel()
	base := topicOf(t)
	topics := []string{base, base + "/a", base + "/a/b", base + "/b", base + "//", base + "b"}
	p := publisher(t)
	for _, topic := range topics {
		p.publish(post{topic: topic, payload: topic, qos: 1, retain: true})
	}
	defer clearRetained(t, topics...)
	for filter, count := range map[string]int{base + "/#": 5, base + "/+": 2, base + "/+/b": 1, base + "/a/#": 2, base: 1} {
		c := connect(t, hello{})
		c.subscribe(want{filter, 1})
		for range count {
			if got := c.receive(); got.payload != got.topic {
				t.Errorf("%q came on %s", got.payload, got.topic)
			}
		}
		c.quiet()
	}
}
