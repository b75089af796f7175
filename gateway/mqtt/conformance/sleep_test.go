package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Members of a group who all sleep find everything when they wake [MQTT-4.5.0-1]. What one of them was
// sent and did not acknowledge before it left may come to another (4.8.2): nothing else comes twice.
func TestSharedSubscriptionOfSleepers(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	filter := "$share/g/" + topic
	one, two := persistent(v5), persistent(v5)
	for _, h := range []hello{one, two} {
		c := connect(t, h)
		c.subscribe(want{filter, 1})
		c.leave()
	}
	p := publisher(t)
	const all = 40
	for i := range all {
		p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: 1})
	}
	seen := map[string]bool{}
	c := connect(t, one)
	for range 15 {
		seen[c.receive().payload] = true
	}
	c.ping() // the acknowledgements were taken
	c.discard(v5)
	c = connect(t, two)
	for deadline := time.Now().Add(patience); len(seen) < all && time.Now().Before(deadline); {
		if c.readable(50 * time.Millisecond) {
			if got := c.receive(); seen[got.payload] {
				t.Errorf("%q came twice", got.payload)
			} else {
				seen[got.payload] = true
			}
		}
	}
	if len(seen) != all {
		t.Errorf("%d messages came, want %d", len(seen), all)
	}
	c.quiet()
	c.discard(v5)
}

// A filter that is added when a session wakes sees what comes from then on; the others go on with what
// waited, and in the same order as if the client had been there [MQTT-3.8.4-3, MQTT-4.6.0-5].
func TestSubscriptionsThatChangeOverASleep(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic + "/a", 1}, want{topic + "/gone", 1})
	c.unsubscribe(topic + "/gone")
	c.leave()
	for i := range 5 {
		for _, level := range []string{"/a", "/b", "/gone"} {
			p.publish(post{topic: topic + level, payload: fmt.Sprint(level, i), qos: 1})
		}
	}
	c = connect(t, h)
	c.subscribe(want{topic + "/b", 1})
	p.publish(post{topic: topic + "/b", payload: "/b5", qos: 1})
	p.publish(post{topic: topic + "/a", payload: "/a5", qos: 1})
	c.expect("/a0", "/a1", "/a2", "/a3", "/a4", "/b5", "/a5")
	c.quiet()
	c.discard(v5)
}

// What waits keeps the QoS of the subscription under which it waits; a replaced one counts from then on
// [MQTT-3.8.4-3, MQTT-3.8.4-8].
func TestQoSOfASubscriptionThatChanges(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic, 1})
	c.leave()
	p.publish(post{topic: topic, payload: "before", qos: 2})
	c = connect(t, h)
	if got := c.receive(); got.payload != "before" || got.qos() != 1 {
		t.Errorf("got %v, want QoS 1", got)
	}
	c.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: "after", qos: 2})
	if got := c.receive(); got.payload != "after" || got.qos() != 2 {
		t.Errorf("got %v, want QoS 2", got)
	}
	c.discard(v5)
}

// Many connections fight for one identifier; one is left, the session lives through it, and nothing is
// lost or out of order [MQTT-3.1.4-3, MQTT-3.1.2-5].
func TestTakeoversAtOnce(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c := connect(t, h)
	c.subscribe(want{topic, 1})
	var all, answered sync.WaitGroup
	answered.Add(30)
	for range 30 {
		p := dial(t)
		all.Go(func() {
			p.socket.Write(h.bytes())
			heard := sync.OnceFunc(answered.Done)
			defer heard()
			for got, err := p.readWithin(patience); got != nil && err == nil; got, err = p.readWithin(patience) {
				heard() // the CONNACK: it cannot take anything over later
				if got.kind == DISCONNECT {
					break
				}
			}
		})
	}
	answered.Wait()
	p := publisher(t)
	p.publish(post{topic: topic, payload: "1", qos: 1})
	c.gone()
	last := connect(t, h)
	if last.connack.ackFlags != 1 {
		t.Error("the session is gone")
	}
	p.publish(post{topic: topic, payload: "2", qos: 1})
	last.expect("1", "2")
	all.Wait()
	last.quiet()
	last.discard(v5)
}

// A client's own end, its reconnection and its publishes may come at any time: what was acknowledged
// arrives, QoS 2 once, in order (the delivery contract over [MQTT-4.4.0-1]).
func TestMessagesOverRestlessConnections(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	reader, writer := persistent(v5), persistent(v5)
	c := connect(t, reader)
	c.subscribe(want{topic, 2})
	const all = 120
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range all {
			p := connectQuietly(writer)
			if p == nil {
				t.Error("the publisher cannot connect")
				return
			}
			m := post{topic: topic, payload: fmt.Sprint(i), qos: 2, id: i + 1}
			p.socket.Write(m.bytes(v5))
			if i%3 == 0 { // the first try is cut off somewhere
				p.socket.Close()
				if p = connectQuietly(writer); p == nil {
					t.Error("the publisher cannot come back")
					return
				}
				m.dup = true
				p.socket.Write(m.bytes(v5))
			}
			for _, step := range [][]byte{ack(PUBREL, i+1), nil} {
				for {
					got, err := p.readWithin(patience)
					if got == nil {
						t.Errorf("the publisher lost its connection at %d: %v", i, err)
						return
					}
					if got.kind == PUBREC && step != nil || got.kind == PUBCOMP && step == nil {
						break
					}
				}
				p.socket.Write(step)
			}
			p.socket.Close()
		}
	})
	seen := map[int]bool{} // identifiers of messages that were recorded, not completed
	next := 0
	for turn := 0; next < all || len(seen) > 0; turn++ {
		if turn%7 == 6 {
			c.socket.Close()
			c = connect(t, reader)
		}
		got := c.next()
		switch {
		case got == nil:
			t.Fatal("the connection ended")
		case got.kind == PUBLISH && !seen[got.id]:
			if got.payload != fmt.Sprint(next) && !(got.dup() && got.payload == fmt.Sprint(next-1)) {
				t.Fatalf("got %q, want %d", got.payload, next)
			}
			var n int
			fmt.Sscan(got.payload, &n)
			next = n + 1
			seen[got.id] = true
			c.socket.Write(ack(PUBREC, got.id))
		case got.kind == PUBLISH:
			c.socket.Write(ack(PUBREC, got.id))
		case got.kind == PUBREL:
			delete(seen, got.id)
			c.socket.Write(ack(PUBCOMP, got.id))
		}
	}
	sending.Wait()
	c.quietAt(2)
	c.discard(v5)
}

// connectQuietly is connect for another goroutine than the test's.
func connectQuietly(h hello) *peer {
	p, err := dialQuietly(h)
	if err != nil {
		return nil
	}
	if got, err := p.readWithin(patience); err != nil || got == nil || got.kind != CONNACK || got.code != 0 {
		return nil
	}
	return p
}

// Properties of any size are carried as far as packets are [MQTT-3.3.2-17, MQTT-3.3.2-18].
func TestManyAndLongProperties(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic, 1})
	var list [][]byte
	var pairs [][2]string
	for i := range 500 {
		pair := [2]string{fmt.Sprint("name ", i%7), strings.Repeat("v", i)}
		pairs = append(pairs, pair)
		list = append(list, prop(pUser, pair))
	}
	long := [2]string{strings.Repeat("n", 65535), strings.Repeat("v", 65535)}
	pairs, list = append(pairs, long, [2]string{}), append(list, prop(pUser, long), prop(pUser, [2]string{}))
	list = append(list, prop(pCorrelation, strings.Repeat("\xff", 65535)), prop(pResponseTopic, strings.Repeat("r", 65535)))
	for _, asleep := range []bool{false, true} {
		if asleep {
			c.leave()
		}
		p.publish(post{topic: topic, payload: "x", qos: 1, props: list})
		if asleep {
			c = connect(t, h)
		}
		got := c.receive()
		if !slices.Equal(got.user(), pairs) {
			t.Errorf("asleep: %v: %d user properties came, want %d as they were", asleep, len(got.user()), len(pairs))
		}
		checkProperties(t, got, map[byte]any{pCorrelation: strings.Repeat("\xff", 65535), pResponseTopic: strings.Repeat("r", 65535)})
	}
	c.discard(v5)
}

// An empty will with RETAIN takes a retained message away [MQTT-3.3.1-6, MQTT-3.1.2-15].
func TestAnEmptyWillClearsWhatIsRetained(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	publisher(t).publish(post{topic: topic, payload: "online", qos: 1, retain: true})
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	watch.expect("online")
	connect(t, hello{will: &testament{topic: topic, qos: 1, retain: true}}).vanish()
	watch.expect("")
	if got := latecomer(t, topic); got != "" {
		t.Errorf("%q is still retained", got)
	}
}

// One who does not read holds up nobody else, and a subscriber with a durable session misses nothing
// [MQTT-4.5.0-1].
func TestASubscriberWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	lazy, h := connect(t, hello{}), persistent(v5)
	slow, eager := connect(t, h), connect(t, hello{})
	for _, c := range []*peer{lazy, slow, eager} {
		c.subscribe(want{topic, 1})
	}
	p := publisher(t)
	payload := strings.Repeat("x", 20_000)
	for i := range 400 {
		p.publish(post{topic: topic, payload: fmt.Sprint(i, " ", payload), qos: 1})
		if got := eager.receive(); !strings.HasPrefix(got.payload, fmt.Sprint(i, " ")) {
			t.Fatalf("message %d came as %.10q", i, got.payload)
		}
	}
	lazy.socket.Close()
	for i := range 400 {
		if got := slow.receive(); !strings.HasPrefix(got.payload, fmt.Sprint(i, " ")) {
			t.Fatalf("message %d came late as %.10q", i, got.payload)
		}
	}
	slow.quiet()
	slow.discard(v5)
}
