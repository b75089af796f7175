package conformance

import (
	"fmt"
	"testing"
	"time"
)

// The scenarios that the Eclipse Paho interoperability suite plays with 3.1.1, each as a test of our own.

// A connection comes and goes; another one takes a message of each QoS back to its publisher; CONNECT
// twice on one connection fails, and so does another protocol's name.
func TestPaho3Basic(t *testing.T) {
	t.Parallel()
	id, topic := clientID(), topicOf(t)
	connect(t, hello{version: v311, id: id}).leave()
	p := connect(t, hello{version: v311, id: id})
	if p.connack.ackFlags != 0 {
		t.Error("session present without a session")
	}
	p.subscribe(want{topic, 2})
	for qos := range 3 {
		p.publish(post{topic: topic, payload: fmt.Sprint("qos ", qos), qos: qos})
	}
	for qos, got := range p.expect("qos 0", "qos 1", "qos 2") {
		if got.qos() != qos {
			t.Errorf("%q has QoS %d", got.payload, got.qos())
		}
	}
	p.leave()
	p = connect(t, hello{version: v311, id: id})
	p.send(hello{version: v311, id: id}.bytes())
	p.ends()
	wrong := try(t, hello{version: v311, protocol: "hj"})
	if wrong.connack != nil && wrong.connack.code == 0 {
		t.Error("another protocol was accepted")
	}
}

// Retained messages of each QoS come under a wildcard, and none once they were cleared.
func TestPaho3RetainedMessages(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	for _, payload := range []string{"there", ""} {
		p := connect(t, hello{version: v311})
		for qos := range 3 {
			p.publish(post{topic: fmt.Sprint(topic, "/", qos), payload: payload, qos: qos, retain: true})
		}
		p.subscribe(want{topic + "/+", 2})
		for range 3 * min(len(payload), 1) {
			if got := p.receive(); !got.retain() || got.payload != payload {
				t.Errorf("got %v, want a retained message", got)
			}
		}
		p.quiet()
		p.leave()
	}
}

// Somebody who vanishes leaves a will to somebody with a session. (The suite has this scenario, but
// does not run it.)
func TestPaho3WillMessage(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, persistent(v311))
	watch.subscribe(want{topic, 2})
	connect(t, hello{version: v311, alive: 2, will: &testament{topic: topic, payload: "client not disconnected"}}).vanish()
	watch.expect("client not disconnected")
	watch.discard(v311)
}

// An empty identifier: refused with a session, taken without.
func TestPaho3ZeroLengthIdentifier(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{true, false} {
		p := dialTo(t, address, v311)
		p.send(hello{version: v311, resume: resume}.bytes())
		if got := p.next(); got == nil || (got.code == 0) == resume {
			t.Errorf("with a session: %v, got %v", resume, got)
		}
	}
}

// What is published while a session sleeps is there when it wakes: QoS 1 and 2 at least.
func TestPaho3OfflineQueueing(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v311)
	c := connect(t, h)
	c.subscribe(want{topic + "/+", 2})
	c.leave()
	p := connect(t, hello{version: v311})
	for qos := range 3 {
		p.publish(post{topic: fmt.Sprint(topic, "/", qos), payload: fmt.Sprint(qos), qos: qos})
	}
	p.leave()
	c = connect(t, h)
	if c.connack.ackFlags != 1 {
		t.Error("the session is gone")
	}
	got := c.receive()
	if got.payload == "0" {
		got = c.receive()
	}
	if got.payload != "1" || got.qos() != 1 {
		t.Errorf("got %v, want QoS 1", got)
	}
	c.expect("2")
	c.quietAt(2)
	c.discard(v311)
}

// Two filters match: one copy with the higher QoS, or one for each.
func TestPaho3OverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{version: v311})
	p.subscribe(want{topic + "/#", 2}, want{topic + "/+", 1})
	p.publish(post{topic: topic + "/c", payload: "both", qos: 2})
	p.publish(post{topic: topic, payload: "end", qos: 2})
	seen := map[int]int{}
	for got := p.receive(); got.payload != "end"; got = p.receive() {
		seen[got.qos()]++
	}
	if seen[2] != 1 || seen[1] > 1 || seen[0] != 0 {
		t.Errorf("got copies %v by QoS, want one of QoS 2, perhaps another of 1", seen)
	}
}

// Who says nothing for too long is cut off, and leaves a will.
func TestPaho3KeepAlive(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{version: v311})
	watch.subscribe(want{topic, 2})
	connect(t, hello{version: v311, alive: 2, will: &testament{topic: topic, payload: "keepalive expiry"}})
	since := time.Now()
	watch.expect("keepalive expiry")
	if took := time.Since(since); took < 2*time.Second || took > 15*time.Second {
		t.Errorf("it took %v, want 3 s", took)
	}
}

// What a client did not acknowledge comes again when it is back.
func TestPaho3RedeliveryOnReconnect(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v311)
	c := connect(t, h)
	c.subscribe(want{topic + "/#", 2})
	c.publish(post{topic: topic + "/1", payload: "1", qos: 1})
	c.publish(post{topic: topic + "/2", payload: "2", qos: 2})
	c.message()
	c.message()
	c.leave()
	c = connect(t, h)
	for _, got := range c.expect("1", "2") {
		if !got.dup() {
			t.Errorf("%v came again without DUP", got)
		}
	}
	c.discard(v311)
}

// A filter that may not be subscribed to is answered with 0x80.
func TestPaho3SubscribeFailure(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{version: v311})
	if got := p.ask(nil, want{"test/nosubscribe", 2}); got.codes[0] != 0x80 {
		t.Errorf("the code is %x, want 0x80", got.codes)
	}
}

// A wildcard at the front does not match topics that begin with $.
func TestPaho3DollarTopics(t *testing.T) {
	t.Parallel()
	level := fmt.Sprint(unique.Add(1))
	p := connect(t, hello{version: v311})
	p.subscribe(want{"+/" + level, 2})
	p.publish(post{topic: "$c/" + level, payload: "hidden", qos: 1})
	p.quiet()
}

// Unsubscribing from one of three filters leaves the two others.
func TestPaho3Unsubscribe(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c, p := connect(t, hello{version: v311}), connect(t, hello{version: v311})
	for i := range 3 {
		c.subscribe(want{fmt.Sprint(topic, "/", i), 2})
	}
	c.unsubscribe(topic + "/0")
	for i := range 3 {
		p.publish(post{topic: fmt.Sprint(topic, "/", i), payload: fmt.Sprint(i), qos: 1})
	}
	c.expect("1", "2")
	c.quiet()
}
