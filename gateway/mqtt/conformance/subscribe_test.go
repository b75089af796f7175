package conformance

import (
	"fmt"
	"slices"
	"testing"
)

// [MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-2.2.1-6], a code for each filter [MQTT-3.8.4-6] in their order
// [MQTT-3.9.3-1], which is the QoS granted or a failure [MQTT-3.8.4-7, MQTT-3.9.3-2]; many filters in one
// packet [MQTT-3.8.4-5].
func TestSuback(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version})
		topic := topicOf(t, fmt.Sprint(version))
		for _, id := range []int{1, 0xff, 0x100, 0xffff} {
			p.send(p.subscribePacket(id, nil, want{topic, 2}, want{"test/nosubscribe", 1}, want{topic + "/0", 0}, want{topic + "/1", 1}))
			got := p.some()
			if got.kind != SUBACK || got.id != id || len(got.codes) != 4 {
				t.Fatalf("got %v, want SUBACK for %d with 4 codes", got, id)
			}
			if c := got.codes; c[0] != 2 || c[1] < 0x80 || version == v311 && c[1] != 0x80 || c[2] != 0 || c[3] != 1 {
				t.Errorf("the codes are %x, want 2, a failure, 0, 1", c)
			}
		}
		other := publisher(t)
		other.publish(post{topic: topic + "/0", payload: "0", qos: 2})
		other.publish(post{topic: "test/nosubscribe", payload: "never", qos: 2})
		other.publish(post{topic: topic + "/1", payload: "1", qos: 2})
		for i, got := range p.expect("0", "1") {
			if got.qos() != i {
				t.Errorf("%v has QoS %d, want %d", got, got.qos(), i)
			}
		}
	}
}

// [MQTT-3.8.3-2, MQTT-3.10.3-2]
func TestNoFilterAtAll(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		none := map[int][]byte{v311: nil, v5: u8(0)}[version]
		for _, first := range []int{0x82, 0xA2} {
			p := connect(t, hello{version: version})
			p.send(raw(first, u16(1), none))
			p.dropped(0x81, 0x82)
		}
	}
}

// [MQTT-3.8.3-5]: reserved bits; and values that the options do not have.
func TestReservedSubscriptionOptions(t *testing.T) {
	t.Parallel()
	for _, options := range []int{0x40, 0x80, 0xC1, 3, 0x30} {
		p := connect(t, hello{})
		p.send(p.subscribePacket(1, nil, want{"a", options}))
		p.dropped(0x81, 0x82)
	}
	for _, options := range []int{3, 4, 8, 0x10, 0x80} { // 3.1.1 [MQTT-3.8.3-4]
		p := connect(t, hello{version: v311})
		p.send(p.subscribePacket(1, nil, want{"a", options}))
		p.ends()
	}
}

// [MQTT-3.8.3-3]: a client's own messages do not come back, others' do; it is the identifier that
// counts, so not what the same client published before, on another connection.
func TestNoLocal(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	p := connect(t, h)
	p.subscribe(want{topic, 1 | noLocal})
	p.publish(post{topic: topic, payload: "own", qos: 1})
	other := publisher(t)
	other.publish(post{topic: topic, payload: "other's", qos: 1})
	p.expect("other's")
	p.leave()
	p = connect(t, h)
	p.publish(post{topic: topic, payload: "own, later", qos: 1})
	other.publish(post{topic: topic, payload: "again", qos: 1})
	p.expect("again")
	p.quiet()
	p.subscribe(want{topic, 1})
	p.publish(post{topic: topic, payload: "local", qos: 1})
	p.expect("local")
	p.discard(v5)
}

// An own message that another subscription of the client lets through comes for that one
// [MQTT-3.8.3-3].
func TestNoLocalBesideAnotherSubscription(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
	p.subscribeWith([][]byte{prop(pSubscriptionID, 1)}, want{topic, 2 | noLocal})
	p.subscribeWith([][]byte{prop(pSubscriptionID, 2)}, want{topic + "/#", 1})
	p.publish(post{topic: topic, payload: "own", qos: 2})
	if got := p.receive(); got.qos() != 1 || !slices.Equal(got.numbers(pSubscriptionID), []int{2}) {
		t.Errorf("got %v with %v, want it for the second subscription alone", got, got.numbers(pSubscriptionID))
	}
	p.quietAt(2)
}

// [MQTT-3.8.3-4]
func TestNoLocalOnASharedSubscription(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	p.send(p.subscribePacket(1, nil, want{"$share/g/a", noLocal}))
	p.dropped(0x82)
}

// [MQTT-3.8.4-3]: an equal filter replaces QoS and options; messages come once, and none is lost
// meanwhile [MQTT-3.8.4-4].
func TestAnEqualFilterReplaces(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c, p := connect(t, hello{}), connect(t, hello{})
	c.subscribeWith([][]byte{prop(pSubscriptionID, 100)}, want{topic, 2})
	for round := range 30 {
		c.send(c.subscribePacket(1000+round, [][]byte{prop(pSubscriptionID, round+1)}, want{topic, round % 3}))
		p.publish(post{topic: topic, payload: fmt.Sprint(round), qos: 2})
	}
	for range 30 {
		c.await(SUBACK)
	}
	p.publish(post{topic: topic, payload: "last", qos: 2})
	for round := range 30 {
		got := c.receive()
		if got.payload != fmt.Sprint(round) || len(got.numbers(pSubscriptionID)) != 1 {
			t.Fatalf("message %d came as %q with the identifiers %v", round, got.payload, got.numbers(pSubscriptionID))
		}
	}
	got := c.receive()
	if got.payload != "last" || got.qos() != 2 || !slices.Equal(got.numbers(pSubscriptionID), []int{30}) {
		t.Errorf("got %v with %v, want the last subscription's", got, got.numbers(pSubscriptionID))
	}
	c.quietAt(2)
}

// [MQTT-3.3.4-2] the highest QoS counts; [MQTT-3.3.4-3, MQTT-3.3.4-4] one copy has all identifiers, or
// each of several its own [MQTT-3.3.4-5].
func TestOverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		topic := topicOf(t, fmt.Sprint(version))
		c, p := connect(t, hello{version: version}), publisher(t)
		if version == v5 {
			c.subscribeWith([][]byte{prop(pSubscriptionID, 268435455)}, want{topic + "/#", 2})
			c.subscribeWith([][]byte{prop(pSubscriptionID, 128)}, want{topic + "/+", 0})
			c.subscribe(want{topic + "/x", 1})
		} else {
			c.subscribe(want{topic + "/#", 2}, want{topic + "/+", 0}, want{topic + "/x", 1})
		}
		p.publish(post{topic: topic + "/x", payload: "one", qos: 2})
		p.publish(post{topic: topic + "/x/y", payload: "end", qos: 2})
		var most int
		var ids []int
		for {
			got := c.receive()
			if got.payload == "end" {
				break
			}
			most = max(most, got.qos())
			ids = append(ids, got.numbers(pSubscriptionID)...)
		}
		slices.Sort(ids)
		if most != 2 || version == v5 && !slices.Equal(ids, []int{128, 268435455}) {
			t.Errorf("the highest QoS is %d and the identifiers %v, want 2 and both", most, ids)
		}
	}
}

// A subscription identifier survives with the session [MQTT-3.3.4-3] and goes when the subscription is
// replaced without one.
func TestSubscriptionIdentifierOfASession(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribeWith([][]byte{prop(pSubscriptionID, 99)}, want{topic, 1})
	c.leave()
	p.publish(post{topic: topic, payload: "1", qos: 1})
	c = connect(t, h)
	p.publish(post{topic: topic, payload: "2", qos: 1})
	for _, got := range c.expect("1", "2") {
		if ids := got.numbers(pSubscriptionID); !slices.Equal(ids, []int{99}) {
			t.Errorf("%q has the identifiers %v, want 99", got.payload, ids)
		}
	}
	c.subscribe(want{topic, 1})
	p.publish(post{topic: topic, payload: "3", qos: 1})
	if ids := c.expect("3")[0].numbers(pSubscriptionID); len(ids) != 0 {
		t.Errorf("identifiers %v, want none", ids)
	}
	c.discard(v5)
}

// [MQTT-3.10.4-4, MQTT-3.10.4-5] UNSUBACK with the identifier [MQTT-2.2.1-6], also when nothing goes; one
// for all filters [MQTT-3.10.4-6], with codes [MQTT-3.11.3-2] in their order [MQTT-3.11.3-1].
func TestUnsuback(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := connect(t, hello{})
	p.subscribe(want{topic + "/a", 1}, want{topic + "/b", 1})
	p.send(p.unsubscribePacket(0xfffe, topic+"/a", topic+"/never", topic+"/b", topic+"/a"))
	got := p.some()
	if got.kind != UNSUBACK || got.id != 0xfffe || !slices.Equal(got.codes, []byte{0, 0x11, 0, 0x11}) {
		t.Errorf("got %v, want UNSUBACK with 0, 0x11, 0, 0x11", got)
	}
	old := connect(t, hello{version: v311})
	old.send(old.unsubscribePacket(7, topic))
	if got := old.some(); got.kind != UNSUBACK || got.id != 7 || len(got.body) != 2 {
		t.Errorf("got %v, want UNSUBACK", got)
	}
}

// [MQTT-3.10.4-1] character by character: not what a filter would match; [MQTT-3.10.4-2] then nothing
// new comes, while the others go on.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c, p := connect(t, hello{}), publisher(t)
	c.subscribe(want{topic + "/#", 1}, want{topic + "/b/+", 0})
	for _, filter := range []string{topic + "/+", topic + "/a", topic + "/b/c", "#", topic + "/", topic} {
		if got := c.unsubscribe(filter); got.codes[0] != 0x11 {
			t.Errorf("unsubscribing from %s gave %x, want 0x11", filter, got.codes)
		}
	}
	p.publish(post{topic: topic + "/a", payload: "1", qos: 1})
	c.expect("1")
	if got := c.unsubscribe(topic + "/#"); got.codes[0] != 0 {
		t.Errorf("unsubscribing gave %x, want 0", got.codes)
	}
	p.publish(post{topic: topic + "/a", payload: "2", qos: 1})
	p.publish(post{topic: topic + "/b/c", payload: "3", qos: 1})
	if got := c.receive(); got.payload != "3" || got.qos() != 0 {
		t.Errorf("got %v, want the other subscription's with QoS 0", got)
	}
	c.quiet()
}

// [MQTT-3.10.4-3]: what was begun is completed, also over a new connection.
func TestUnsubscribeCompletesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: "1", qos: 1})
	p.publish(post{topic: topic, payload: "2", qos: 2})
	p.publish(post{topic: topic, payload: "3", qos: 2})
	one, two, three := c.message(), c.message(), c.message()
	c.unsubscribe(topic)
	c.send(ack(PUBREC, two.id))
	c.acked(PUBREL, two.id)
	c.send(ack(PUBCOMP, two.id))
	c.vanish()
	c = connect(t, h)
	for _, was := range []*packet{one, three} {
		if got := c.receive(); got.id != was.id || got.payload != was.payload || !got.dup() {
			t.Errorf("got %v, want %v again", got, was)
		}
	}
	c.quietAt(2)
	c.discard(v5)
}

// [MQTT-4.7.1-1, MQTT-4.7.1-2]: filters that are none are refused, by SUBACK or by ending the connection.
func TestFiltersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"a#", "#a", "#/", "a/#/b", "a/b#", "##", "+a", "a+", "a/+b/c", "a/b+", "++", "#/+"} {
		refusedFilter(t, filter)
	}
}

func refusedFilter(t *testing.T, filter string) {
	t.Helper()
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version})
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

// Wildcards match as the standard's examples say: # the level above too, + one level and empty ones
// [MQTT-4.7.1-1, MQTT-4.7.1-2], and a message's topic always matches the filter [MQTT-3.3.2-3].
func TestWildcardsMatch(t *testing.T) {
	t.Parallel()
	base := topicOf(t)
	topics := []string{"", "/", "/a", "/a/b", "/a/b/c", "//b", "/b", "b", "/A", "/a/", "/a/b/", "//"}
	for filter, matches := range map[string][]string{
		"/#":     {"", "/", "/a", "/a/b", "/a/b/c", "//b", "/b", "/A", "/a/", "/a/b/", "//"},
		"/+":     {"/", "/a", "/b", "/A"},
		"/+/+":   {"/a/b", "//b", "/a/", "//"},
		"/a/+":   {"/a/b", "/a/"},
		"/a/#":   {"/a", "/a/b", "/a/b/c", "/a/", "/a/b/"},
		"/+/b":   {"/a/b", "//b"},
		"/+/b/#": {"/a/b", "/a/b/c", "//b", "/a/b/"},
		"//+":    {"//b", "//"},
		"/a":     {"/a"},
		"/a/":    {"/a/"},
	} {
		t.Run(filter, func(t *testing.T) {
			t.Parallel()
			base := base + filter[:1] + fmt.Sprint(unique.Add(1))
			c, p := connect(t, hello{}), publisher(t)
			c.subscribe(want{base + filter, 1})
			for _, topic := range topics {
				p.begin(post{topic: base + topic, payload: topic, qos: 1})
			}
			for _, topic := range matches {
				if got := c.receive(); got.payload != topic || got.topic != base+topic {
					t.Fatalf("got %q on %s, want %q", got.payload, got.topic, topic)
				}
			}
			c.quiet()
		})
	}
}

// [MQTT-4.7.2-1]: neither live nor $SYS, which is there for who asks for it.
func TestDollarTopics(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"#", "+/broker/#", "+/#", "+/broker/uptime"} {
		c := connect(t, hello{})
		c.subscribe(want{filter, 0})
		mark := topicOf(t, fmt.Sprint(unique.Add(1)))
		c.subscribe(want{mark, 0})
		publisher(t).publish(post{topic: mark, payload: "mark"})
		for {
			got := c.receive()
			if got.topic[0] == '$' {
				t.Errorf("%s came under %s", got.topic, filter)
			}
			if got.topic == mark {
				break
			}
		}
		c.leave()
	}
	c := connect(t, hello{})
	c.subscribe(want{"$SYS/#", 0})
	if got := c.receive(); got.topic[:5] != "$SYS/" {
		t.Errorf("%s came under $SYS/#", got.topic)
	}
}

// [MQTT-4.5.0-1]: every session with a matching subscription gets the message, asleep or not.
func TestEverySubscriberGetsTheMessage(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	var sleeping []hello
	for range 5 {
		h := persistent(v5)
		sleeping = append(sleeping, h)
		c := connect(t, h)
		c.subscribe(want{topic, 1})
		c.leave()
	}
	var live []*peer
	for range 5 {
		c := connect(t, hello{})
		c.subscribe(want{topic, 1})
		live = append(live, c)
	}
	publisher(t).publish(post{topic: topic, payload: "all", qos: 1})
	for _, c := range live {
		c.expect("all")
	}
	for _, h := range sleeping {
		c := connect(t, h)
		c.expect("all")
		c.discard(v5)
	}
}
