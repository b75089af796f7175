package conformance

import (
	"fmt"
	"testing"
	"time"
)

// [MQTT-3.1.2-5, MQTT-3.1.2-6, MQTT-3.2.2-3]: without Clean Start a session goes on or is made;
// [MQTT-3.1.2-23, MQTT-4.1.0-1] it is kept when it has an expiry; [MQTT-3.1.2-4, MQTT-3.2.2-2,
// MQTT-3.1.4-4] Clean Start discards it, subscriptions and what waits included.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			h := persistent(version)
			p := publisher(t)
			c := connect(t, h)
			if c.connack.ackFlags != 0 {
				t.Error("a session that nobody made is present")
			}
			c.subscribe(want{topic, 1})
			c.leave()
			p.publish(post{topic: topic, payload: "1", qos: 1})
			c = connect(t, h)
			if version != v31 && c.connack.ackFlags != 1 { // 3.1 has no such flag
				t.Error("the session is gone")
			}
			p.publish(post{topic: topic, payload: "2", qos: 1})
			c.expect("1", "2")
			c.vanish()
			p.publish(post{topic: topic, payload: "3", qos: 1})
			c = connect(t, h)
			c.expect("3")
			c.leave()
			p.publish(post{topic: topic, payload: "lost", qos: 1})

			fresh := h
			fresh.resume = false
			c = connect(t, fresh)
			if c.connack.ackFlags != 0 {
				t.Error("session present after a clean start")
			}
			p.publish(post{topic: topic, payload: "lost too", qos: 1})
			c.quiet()
			c.leave()
			c = connect(t, h)
			if was := c.connack.ackFlags == 1; was != (version == v5) { // MQTT 5: the clean one has its expiry too
				t.Errorf("session present is %v after the clean start's session", was)
			}
			c.quiet()
			c.discard(version)
		})
	}
}

// A session without an expiry ends with its connection [MQTT-4.1.0-2].
func TestSessionWithoutExpiry(t *testing.T) {
	t.Parallel()
	for _, list := range [][][]byte{nil, {prop(pSessionExpiry, 0)}} {
		topic := topicOf(t)
		h := hello{id: clientID(), resume: true, props: list}
		c := connect(t, h)
		c.subscribe(want{topic, 1})
		c.vanish()
		publisher(t).publish(post{topic: topic, payload: "lost", qos: 1})
		c = connect(t, h)
		if c.connack.ackFlags != 0 {
			t.Error("the session is still there")
		}
		c.quiet()
	}
}

// [MQTT-4.1.0-2]: a session goes when its expiry has passed, counted from the end of the connection and
// not before [MQTT-4.1.0-1].
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 4)}}
	c := connect(t, h)
	c.subscribe(want{topic, 1})
	time.Sleep(4500 * time.Millisecond) // connected: nothing expires
	publisher(t).publish(post{topic: topic, payload: "1", qos: 1})
	c.expect("1")
	c.vanish()
	time.Sleep(time.Second)
	c = connect(t, h)
	if c.connack.ackFlags != 1 {
		t.Error("the session is gone too early")
	}
	c.leave()
	time.Sleep(5500 * time.Millisecond)
	c = connect(t, h)
	if c.connack.ackFlags != 0 {
		t.Error("the session is still there")
	}
	publisher(t).publish(post{topic: topic, payload: "2", qos: 1})
	c.quiet()
}

// DISCONNECT may change the expiry, but not from 0 [MQTT-4.13.1-1], and 0 ends the session at once
// [MQTT-4.1.0-2]. The server's own never has one [MQTT-3.14.2-2].
func TestExpiryInDisconnect(t *testing.T) {
	t.Parallel()
	h := persistent(v5)
	connect(t, h).leave(u8(0), props(prop(pSessionExpiry, 0)))
	c := connect(t, h)
	if c.connack.ackFlags != 0 {
		t.Error("the session is still there")
	}
	h.props = [][]byte{prop(pSessionExpiry, 1)}
	c = connect(t, h)
	c.leave(u8(0), props(prop(pSessionExpiry, 100)))
	time.Sleep(2200 * time.Millisecond)
	c = connect(t, h)
	if c.connack.ackFlags != 1 {
		t.Error("the longer expiry was not taken")
	}
	c.discard(v5)

	c = connect(t, hello{})
	c.send(raw(0xE0, u8(0), props(prop(pSessionExpiry, 10))))
	got := c.dropped(0x82)
	if _, ok := got.number(pSessionExpiry); ok {
		t.Error("the server's DISCONNECT has a session expiry")
	}
}

// The session is the identifier's, whatever version it speaks [MQTT-3.1.3-2], and a take-over goes on
// with it [MQTT-3.1.2-5].
func TestTakeoverKeepsTheSession(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v311)
	p := publisher(t)
	first := connect(t, h)
	first.subscribe(want{topic, 1})
	p.publish(post{topic: topic, payload: "1", qos: 1})
	one := first.message()
	second := connect(t, hello{id: h.id, resume: true, props: [][]byte{prop(pSessionExpiry, 60)}})
	first.ends()
	if second.connack.ackFlags != 1 {
		t.Error("there is no session")
	}
	if got := second.receive(); got.id != one.id || got.payload != "1" || !got.dup() {
		t.Errorf("got %v, want the message again", got)
	}
	p.publish(post{topic: topic, payload: "2", qos: 1})
	second.expect("2")
	second.discard(v5)
}

// The state on disk outlives the gateway: sessions, what is under way in both directions, retained
// messages [MQTT-4.1.0-1, MQTT-3.1.2-23, MQTT-4.3.3-10, MQTT-4.4.0-1].
func TestSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	addresses, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	dir, text := t.TempDir(), configured(addresses[0], addresses[1])
	stop := ownGateway(t, dir, text)
	at := func(h hello) hello { h.address = addresses[0]; return h }
	h, sender := at(persistent(v5)), at(persistent(v5))
	c := connect(t, h)
	c.subscribeWith([][]byte{prop(pSubscriptionID, 5)}, want{"t/#", 2})
	p := connect(t, sender)
	p.publish(post{topic: "t/kept", payload: "kept", qos: 1, retain: true})
	p.publish(post{topic: "t/1", payload: "1", qos: 1})
	p.publish(post{topic: "t/2", payload: "2", qos: 2})
	p.begin(post{topic: "t/3", payload: "3", qos: 2, id: 500})
	p.acked(PUBREC, 500)
	c.expect("kept")
	one, two := c.message(), c.message()
	c.send(ack(PUBREC, two.id))
	c.acked(PUBREL, two.id)
	c.ping()
	stop()

	ownGateway(t, dir, text)
	p = connect(t, sender)
	if p.connack.ackFlags != 1 {
		t.Error("the publisher's session is gone")
	}
	p.begin(post{topic: "t/3", payload: "3", qos: 2, id: 500, dup: true})
	p.acked(PUBREC, 500)
	p.send(ack(PUBREL, 500))
	p.acked(PUBCOMP, 500)
	c = connect(t, h)
	if c.connack.ackFlags != 1 {
		t.Fatal("the session is gone")
	}
	c.acked(PUBREL, two.id)
	c.send(ack(PUBCOMP, two.id))
	if got := c.receive(); got.payload != "1" || got.id != one.id || !got.dup() {
		t.Errorf("got %v, want %v again", got, one)
	}
	if got := c.receive(); got.payload != "3" {
		t.Errorf("got %q, want 3, once", got.payload)
	}
	p.publish(post{topic: "t/4", payload: "4", qos: 2})
	if got := c.receive(); got.payload != "4" || len(got.numbers(pSubscriptionID)) != 1 {
		t.Errorf("got %v with %v, want 4", got, got.numbers(pSubscriptionID))
	}
	late := connect(t, at(hello{}))
	late.subscribe(want{"t/kept", 1})
	late.expect("kept")
}
