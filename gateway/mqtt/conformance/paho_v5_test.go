package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The scenarios that the Eclipse Paho interoperability suite plays with MQTT 5, each as a test of our own.

var twoPairs = [][2]string{{"a", "2"}, {"c", "3"}}

func pairs() [][]byte { return [][]byte{prop(pUser, twoPairs[0]), prop(pUser, twoPairs[1])} }

func TestPaho5Basic(t *testing.T) {
	t.Parallel()
	id, topic := clientID(), topicOf(t)
	connect(t, hello{id: id}).leave()
	p := connect(t, hello{id: id})
	p.subscribe(want{topic, 2})
	for qos := range 3 {
		p.publish(post{topic: topic, payload: fmt.Sprint("qos ", qos), qos: qos})
	}
	p.expect("qos 0", "qos 1", "qos 2")
	p.leave()
	p = connect(t, hello{id: id})
	p.send(hello{id: id}.bytes())
	p.dropped(0x82)
	if wrong := try(t, hello{protocol: "hj"}); wrong.connack != nil && wrong.connack.code == 0 {
		t.Error("another protocol was accepted")
	}
}

// Retained messages keep their user properties and QoS.
func TestPaho5RetainedMessage(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
	var topics []string
	for qos := range 3 {
		topics = append(topics, fmt.Sprint(topic, "/", qos))
		p.publish(post{topic: topics[qos], payload: "x", qos: qos, retain: true, props: pairs()})
	}
	defer clearRetained(t, topics...)
	p.subscribe(want{topic + "/+", 2})
	seen := map[int]bool{}
	for range 3 {
		got := p.receive()
		seen[got.qos()] = true
		if !slices.Equal(got.user(), twoPairs) {
			t.Errorf("user properties %v, want %v", got.user(), twoPairs)
		}
	}
	if len(seen) != 3 {
		t.Errorf("got QoS %v, want all three", seen)
	}
}

// A client that says nothing for too long leaves its will, with its user properties.
func TestPaho5WillMessage(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 2})
	connect(t, hello{alive: 2, will: &testament{topic: topic, payload: "will message", props: append(pairs(), prop(pWillDelay, 0))}})
	if got := watch.receive(); got.payload != "will message" || !slices.Equal(got.user(), twoPairs) {
		t.Errorf("got %v with %v, want the will", got, got.user())
	}
}

// An empty identifier is taken with and without Clean Start.
func TestPaho5ZeroLengthIdentifier(t *testing.T) {
	t.Parallel()
	for _, resume := range []bool{true, false} {
		p := dial(t)
		p.send(hello{resume: resume}.bytes())
		if got := p.next(); got == nil || got.kind != CONNACK || got.code != 0 {
			t.Errorf("got %v, want success", got)
		}
	}
}

func TestPaho5OfflineQueueing(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	id := clientID()
	c := connect(t, hello{id: id, props: [][]byte{prop(pSessionExpiry, 99999)}})
	c.subscribe(want{topic + "/+", 2})
	c.leave()
	p := connect(t, hello{})
	for qos := range 3 {
		p.publish(post{topic: fmt.Sprint(topic, "/", qos), payload: fmt.Sprint(qos), qos: qos})
	}
	p.leave()
	c = connect(t, hello{id: id, resume: true}) // without an expiry: the session ends with this connection
	got := c.receive()
	if got.payload == "0" {
		got = c.receive()
	}
	if got.payload != "1" {
		t.Errorf("got %q, want QoS 1's", got.payload)
	}
	c.expect("2")
	c.quietAt(2)
	c.vanish()
	if again := connect(t, hello{id: id, resume: true}); again.connack.ackFlags != 0 {
		t.Error("the session outlived a connection without an expiry")
	}
}

func TestPaho5OverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
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

func TestPaho5KeepAlive(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 2})
	p := connect(t, hello{alive: 2, will: &testament{topic: topic, payload: "keepalive expiry"}})
	watch.expect("keepalive expiry")
	p.dropped(0x8D)
}

func TestPaho5RedeliveryOnReconnect(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 99999)}}
	c := connect(t, h)
	c.subscribe(want{topic + "/#", 2})
	c.publish(post{topic: topic + "/1", payload: "", qos: 1})
	c.publish(post{topic: topic + "/2", payload: "", qos: 2})
	c.message()
	c.message()
	c.leave()
	c = connect(t, h)
	for i := range 2 {
		if got := c.receive(); got.topic != fmt.Sprint(topic, "/", i+1) || !got.dup() {
			t.Errorf("got %v on %s, want it again", got, got.topic)
		}
	}
	c.quietAt(2)
	c.discard(v5)
}

func TestPaho5SubscribeFailure(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	if got := p.ask(nil, want{"test/nosubscribe", 2}); got.codes[0] < 0x80 {
		t.Errorf("the code is %x, want a failure", got.codes)
	}
}

func TestPaho5DollarTopics(t *testing.T) {
	t.Parallel()
	level := fmt.Sprint(unique.Add(1))
	p := connect(t, hello{})
	p.subscribe(want{"+/" + level, 2})
	p.begin(post{topic: "$c/" + level, payload: "hidden", qos: 1})
	p.await(PUBACK) // whatever it says
	p.quiet()
}

func TestPaho5Unsubscribe(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c, p := connect(t, hello{}), connect(t, hello{})
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

// Expiry 0 ends with the connection; a positive one lasts as long, also when DISCONNECT sets it; and
// DISCONNECT may end it.
func TestPaho5SessionExpiry(t *testing.T) {
	t.Parallel()
	h := hello{id: clientID()}
	round := func(expiry int, resume bool, wait time.Duration, present byte, bye ...[]byte) {
		t.Helper()
		h.resume, h.props = resume, [][]byte{prop(pSessionExpiry, expiry)}
		time.Sleep(wait)
		c := connect(t, h)
		if c.connack.ackFlags != present {
			t.Errorf("session present is %d, want %d", c.connack.ackFlags, present)
		}
		if present == 0 {
			c.subscribe(want{topicOf(t), 2})
		}
		c.leave(bye...)
	}
	set := func(expiry int) []byte { return cat(u8(0), props(prop(pSessionExpiry, expiry))) }
	round(0, false, 0, 0)
	round(0, true, 0, 0)
	round(4, false, 0, 0)
	round(4, true, time.Second, 1)
	round(1, true, 5200*time.Millisecond, 0, set(6))
	round(1, true, 2200*time.Millisecond, 1, set(0))
	round(0, true, 0, 0)
}

func TestPaho5UserProperties(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	topic := topicOf(t)
	p.subscribe(want{topic, 2})
	for qos := range 3 {
		p.publish(post{topic: topic, qos: qos, props: pairs()})
		if got := p.receive(); got.qos() != qos || !slices.Equal(got.user(), twoPairs) {
			t.Errorf("got %v with %v, want %v", got, got.user(), twoPairs)
		}
	}
}

func TestPaho5PayloadFormat(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	topic := topicOf(t)
	p.subscribe(want{topic, 2})
	for qos := range 3 {
		p.publish(post{topic: topic, qos: qos, props: [][]byte{prop(pFormat, 1), prop(pContentType, "My name")}})
		checkProperties(t, p.receive(), map[byte]any{pFormat: 1, pContentType: "My name"})
	}
}

// Of what waits for a sleeping session only the unexpired comes, with less of its expiry left.
func TestPaho5PublicationExpiry(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 99999)}}
	c := connect(t, h)
	c.subscribe(want{topic, 2})
	c.leave(u8(0), props(prop(pSessionExpiry, 999999999)))
	p := connect(t, hello{})
	for _, expiry := range []int{1, 60} {
		for qos := 1; qos <= 2; qos++ {
			p.publish(post{topic: topic, payload: fmt.Sprint(expiry), qos: qos, props: [][]byte{prop(pExpiry, expiry)}})
		}
	}
	time.Sleep(2500 * time.Millisecond)
	c = connect(t, hello{id: h.id, resume: true})
	for _, got := range c.expect("60", "60") {
		if n, ok := got.number(pExpiry); !ok || n >= 60 || n < 30 {
			t.Errorf("the expiry is %d (%v), want less than 60", n, ok)
		}
	}
	c.quietAt(2)
}

// No local, retain as published and the three ways of retain handling.
func TestPaho5SubscribeOptions(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	a, b := connect(t, hello{}), connect(t, hello{})
	a.subscribe(want{topic, 2 | noLocal})
	b.subscribe(want{topic, 2 | noLocal})
	a.publish(post{topic: topic, payload: "no local", qos: 1})
	b.expect("no local")
	a.quiet()
	a.subscribe(want{topic, 2 | asPublished})
	a.publish(post{topic: topic, payload: "false", qos: 1})
	a.publish(post{topic: topic, payload: "true", qos: 1, retain: true})
	for _, got := range a.expect("false", "true") {
		if fmt.Sprint(got.retain()) != got.payload {
			t.Errorf("RETAIN of %q is %v", got.payload, got.retain())
		}
	}
	topics := []string{topic}
	for qos := range 3 {
		topics = append(topics, fmt.Sprint(topic, "/r/", qos))
		b.publish(post{topic: topics[qos+1], payload: "x", qos: qos, retain: true})
	}
	defer clearRetained(t, topics...)
	for option, counts := range map[int][2]int{onlyNew: {3, 0}, withoutRetain: {0, 0}, 0: {3, 3}} {
		c := connect(t, hello{})
		for _, count := range counts {
			c.subscribe(want{topic + "/r/+", 2 | option})
			seen := map[int]bool{}
			for range count {
				seen[c.receive().qos()] = true
			}
			if len(seen) != count {
				t.Errorf("retain handling %d: QoS %v, want all", option>>4, seen)
			}
			c.quiet()
		}
	}
}

func TestPaho5AssignedIdentifier(t *testing.T) {
	t.Parallel()
	p := dial(t)
	p.send(hello{}.bytes())
	if id, ok := p.some().text(pAssignedID); !ok || id == "" {
		t.Error("no identifier was assigned")
	}
}

// One message for two matching subscriptions carries both identifiers; another client's carries its own.
func TestPaho5SubscribeIdentifiers(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	a, b := connect(t, hello{}), connect(t, hello{})
	a.subscribeWith([][]byte{prop(pSubscriptionID, 456789)}, want{topic, 2})
	b.subscribeWith([][]byte{prop(pSubscriptionID, 2)}, want{topic, 2})
	b.subscribeWith([][]byte{prop(pSubscriptionID, 3)}, want{topic + "/#", 2})
	b.publish(post{topic: topic, payload: "x", qos: 1})
	if ids := a.receive().numbers(pSubscriptionID); !slices.Equal(ids, []int{456789}) {
		t.Errorf("identifiers %v, want 456789", ids)
	}
	ids := b.receive().numbers(pSubscriptionID)
	slices.Sort(ids)
	if !slices.Equal(ids, []int{2, 3}) {
		t.Errorf("identifiers %v, want 2 and 3 with one message", ids)
	}
	b.quiet()
}

func TestPaho5RequestResponse(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	a, b := connect(t, hello{}), connect(t, hello{})
	a.subscribe(want{topic, 2 | noLocal})
	b.subscribe(want{topic, 2 | noLocal})
	a.publish(post{topic: topic, payload: "request", qos: 1, props: [][]byte{prop(pResponseTopic, topic), prop(pCorrelation, "334")}})
	got := b.expect("request")[0]
	checkProperties(t, got, map[byte]any{pResponseTopic: topic, pCorrelation: "334"})
	to, _ := got.text(pResponseTopic)
	b.publish(post{topic: to, payload: "response", qos: 1, props: [][]byte{prop(pCorrelation, "334")}})
	checkProperties(t, a.expect("response")[0], map[byte]any{pCorrelation: "334"})
}

// Alias 0 ends the connection; an alias stands for its topic until the connection ends, not after.
func TestPaho5ClientTopicAlias(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
	p.begin(post{topic: topic, qos: 1, props: [][]byte{prop(pAlias, 0)}})
	p.dropped(0x94)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pAliasMax, 0), prop(pSessionExpiry, 99999)}}
	p = connect(t, h)
	p.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: "1", qos: 1, props: [][]byte{prop(pAlias, 1)}})
	p.publish(post{payload: "2", qos: 1, props: [][]byte{prop(pAlias, 1)}})
	p.expect("1", "2")
	p.leave()
	p = connect(t, hello{id: h.id, resume: true})
	p.publish(post{topic: topic, payload: "3", qos: 1})
	p.expect("3")
	p.begin(post{payload: "4", qos: 1, props: [][]byte{prop(pAlias, 1)}})
	p.dropped(0x82, 0x94)
}

// With one alias allowed the server sets it with the first message and uses it with the next two; with
// none allowed it uses none.
func TestPaho5ServerTopicAlias(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	for _, most := range []int{1, 0} {
		p := connect(t, hello{props: [][]byte{prop(pAliasMax, most)}})
		p.subscribe(want{topic, 2})
		for qos := range 3 {
			p.publish(post{topic: topic, payload: "x", qos: qos})
		}
		for i := range 3 {
			got := p.receive()
			alias, ok := got.number(pAlias)
			switch {
			case most == 0 && (ok || got.topic != topic):
				t.Errorf("message %d came with alias %d, though none is allowed", i, alias)
			case most == 1 && (alias != 1 || (got.topic == topic) != (i == 0)):
				t.Errorf("message %d came on %q with alias %d", i, got.topic, alias)
			}
		}
		p.leave()
	}
}

func TestPaho5MaximumPacketSize(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
	if most, ok := p.connack.number(pMaxPacket); ok && most < 65535 {
		p.begin(post{topic: topic, payload: strings.Repeat(".", most)})
		p.dropped(0x95)
	}
	p = connect(t, hello{props: [][]byte{prop(pMaxPacket, 128)}})
	p.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: strings.Repeat(".", 32)})
	p.publish(post{topic: topic, payload: strings.Repeat(".", 128), qos: 1})
	p.expect(strings.Repeat(".", 32))
	p.quiet()
}

func TestPaho5ServerKeepAlive(t *testing.T) {
	t.Parallel()
	if n, ok := connect(t, hello{alive: 120}).connack.number(pServerKeepAlive); !ok || n != 60 {
		t.Errorf("the server's keep alive is %d (%v), want 60", n, ok)
	}
}

// A client that takes two at a time gets a third only after an acknowledgement.
func TestPaho5FlowControlOfTheClient(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{props: [][]byte{prop(pReceiveMax, 2), prop(pSessionExpiry, 0)}})
	p.subscribe(want{topic, 2})
	for i := range 3 {
		p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: 1})
	}
	one, two := p.message(), p.message()
	p.silentFor(500 * time.Millisecond)
	p.send(ack(PUBACK, one.id))
	three := p.message()
	p.send(ack(PUBACK, two.id), ack(PUBACK, three.id))
	if one.payload+two.payload+three.payload != "012" {
		t.Errorf("got %q, %q, %q", one.payload, two.payload, three.payload)
	}
	p.quiet()
}

// A client that sends one more than the server takes at a time, and never releases any, is told 0x93.
func TestPaho5FlowControlOfTheServer(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	most, ok := p.connack.number(pReceiveMax)
	if !ok {
		t.Skip("the server has no receive maximum of its own")
	}
	var all []byte
	for i := range most + 1 {
		all = append(all, post{topic: topicOf(t), payload: "x", qos: 2, id: i + 1}.bytes(v5)...)
	}
	go p.socket.Write(all)
	p.dropped(0x93)
}

func TestPaho5WillDelay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ delay, expiry, least, most int }{
		"3 within 60": {3, 60, 2900, 19000},
		"60 within 0": {60, 0, 0, 19000},
		"60 within 2": {60, 2, 1900, 19000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			watch := connect(t, hello{})
			watch.subscribe(want{topic, 2})
			p := connect(t, hello{props: [][]byte{prop(pSessionExpiry, test.expiry)},
				will: &testament{topic: topic, payload: "will", qos: 2, props: [][]byte{prop(pWillDelay, test.delay)}}})
			p.socket.Close()
			since := time.Now()
			watch.expect("will")
			if took := int(time.Since(since).Milliseconds()); took < test.least || took > test.most {
				t.Errorf("the will came after %d ms, want %d to %d", took, test.least, test.most)
			}
		})
	}
}

// A shared subscription gets a message once, an ordinary one beside it each time.
func TestPaho5SharedSubscriptions(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	a, b := connect(t, hello{}), connect(t, hello{})
	for _, c := range []*peer{a, b} {
		c.subscribe(want{"$share/sharename/" + topic + "/x", 2}, want{topic, 2})
	}
	b.publish(post{topic: topic, payload: "both"})
	a.expect("both")
	b.expect("both")
	b.publish(post{topic: topic + "/x", payload: "one of them"})
	count := 0
	for deadline := time.Now().Add(patience); count == 0 && time.Now().Before(deadline); {
		for _, c := range []*peer{a, b} {
			if c.readable(20 * time.Millisecond) {
				c.expect("one of them")
				count++
			}
		}
	}
	a.quietAt(0)
	b.quietAt(0)
	if count != 1 {
		t.Errorf("it came %d times, want once", count)
	}
}
