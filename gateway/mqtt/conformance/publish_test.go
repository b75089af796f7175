package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// [MQTT-3.3.1-4]
func TestQoS3IsMalformed(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version})
		body := cat(str("a"), u16(1))
		if version == v5 {
			body = cat(body, props())
		}
		p.send(raw(0x36, body))
		p.dropped(0x81)
		p = connect(t, hello{version: version})
		p.send(p.subscribePacket(1, nil, want{"a", 3}))
		p.dropped(0x81, 0x82)
	}
}

// [MQTT-3.3.1-2]: DUP with QoS 0 is malformed.
func TestDupWithQoS0(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	p.send(post{topic: "a", dup: true}.bytes(v5))
	p.dropped(0x81, 0x82)
}

// [MQTT-3.3.2-2, MQTT-4.7.0-1]
func TestWildcardsInATopic(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"a/#", "#", "+", "a/+/b", "a+", "a#b"} {
		for _, version := range []int{v311, v5} {
			p := connect(t, hello{version: version})
			p.send(post{topic: topic, qos: 1, id: 1}.bytes(version))
			p.dropped(0x90, 0x81, 0x82)
		}
	}
}

// [MQTT-3.3.2-14]
func TestWildcardsInAResponseTopic(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"a/#", "+", "a/+/b"} {
		p := connect(t, hello{})
		p.send(post{topic: "a", props: [][]byte{prop(pResponseTopic, topic)}}.bytes(v5))
		p.dropped(0x81, 0x82, 0x90)
	}
}

// [MQTT-3.3.4-6]
func TestSubscriptionIdentifierFromAClient(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	p.send(post{topic: "a", props: [][]byte{prop(pSubscriptionID, 1)}}.bytes(v5))
	p.dropped(0x82, 0x81)
}

// [MQTT-3.3.2-4, MQTT-3.3.2-15, MQTT-3.3.2-16, MQTT-3.3.2-17, MQTT-3.3.2-18, MQTT-3.3.2-20]; the topic
// itself [MQTT-3.3.2-1, MQTT-3.3.2-3]. Live, replayed to a session, and retained.
func TestPropertiesArePassedOn(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	defer clearRetained(t, topic)
	var list [][]byte
	var pairs [][2]string
	for i := range 20 {
		pair := [2]string{fmt.Sprint("k", i%3), strings.Repeat("ü", i)}
		list, pairs = append(list, prop(pUser, pair)), append(pairs, pair)
	}
	list = append(list, prop(pFormat, 1), prop(pContentType, "text/плаин"), prop(pResponseTopic, "answers/to/me"), prop(pCorrelation, "\x00\x01\xfe\xff"))
	asleep := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60)}}
	c := connect(t, asleep)
	c.subscribe(want{topic, 2})
	c.leave()
	live := connect(t, hello{})
	live.subscribe(want{topic, 2})
	p := publisher(t)
	for qos := range 3 {
		p.publish(post{topic: topic, payload: "payload", qos: qos, retain: true, props: list})
	}
	check := func(c *peer, what string) {
		t.Helper()
		got := c.receive()
		if got.topic != topic || got.payload != "payload" || !slices.Equal(got.user(), pairs) {
			t.Errorf("%s: got %q on %s with %v", what, got.payload, got.topic, got.user())
		}
		checkProperties(t, got, map[byte]any{pFormat: 1, pContentType: "text/плаин", pResponseTopic: "answers/to/me", pCorrelation: "\x00\x01\xfe\xff"})
		if _, ok := got.number(pExpiry); ok {
			t.Errorf("%s: an expiry that nobody set", what)
		}
	}
	for range 3 {
		check(live, "live")
	}
	c = connect(t, asleep)
	for range 2 { // QoS 1 and 2; QoS 0 may wait for a session or not
		if got := c.message(); got.qos() != 0 {
			c.queued = append([]*packet{got}, c.queued...)
		}
		check(c, "replayed")
	}
	late := connect(t, hello{})
	late.subscribe(want{topic, 2})
	check(late, "retained")
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

// No property is invented for a message that has none, and one of 0 stays one [MQTT-3.3.2-4].
func TestPayloadFormatZeroAndNone(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	topic := topicOf(t)
	p.subscribe(want{topic, 1})
	p.publish(post{topic: topic, qos: 1})
	p.publish(post{topic: topic, qos: 1, props: [][]byte{prop(pFormat, 0)}})
	if got := p.receive(); len(got.props) != 0 {
		t.Errorf("got properties %v, want none", got.props)
	}
	if n, ok := p.receive().number(pFormat); ok && n != 0 {
		t.Errorf("the payload format is %d, want 0", n)
	}
}

// [MQTT-3.3.2-5] what has expired does not come; [MQTT-3.3.2-6] of the others' expiry comes what is
// left. The exchange with the publisher is the same as ever [MQTT-4.3.3-13].
func TestMessageExpiry(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60)}}
	c := connect(t, h)
	c.subscribe(want{topic, 2})
	c.leave()
	live := connect(t, hello{})
	live.subscribe(want{topic, 2})
	p := publisher(t)
	for qos := 1; qos <= 2; qos++ {
		p.publish(post{topic: topic, payload: "short", qos: qos, props: [][]byte{prop(pExpiry, 3)}})
		p.publish(post{topic: topic, payload: "long", qos: qos, props: [][]byte{prop(pExpiry, 60)}})
		p.publish(post{topic: topic, payload: "ever", qos: qos})
	}
	for range 2 {
		for i, got := range live.expect("short", "long", "ever") {
			n, ok := got.number(pExpiry)
			if limit := []int{3, 60, 0}[i]; ok != (limit > 0) || n > limit || limit == 60 && n < 50 {
				t.Errorf("live %q has an expiry of %d (%v), want %d", got.payload, n, ok, limit)
			}
		}
	}
	time.Sleep(4100 * time.Millisecond)
	c = connect(t, h)
	for range 2 {
		for i, got := range c.expect("long", "ever") {
			n, ok := got.number(pExpiry)
			if ok != (i == 0) || i == 0 && (n > 56 || n < 30) {
				t.Errorf("%q has an expiry of %d (%v), want 56", got.payload, n, ok)
			}
		}
	}
	c.quiet()
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

// A retained message expires too [MQTT-3.3.2-5, MQTT-3.3.2-6].
func TestRetainedMessageExpires(t *testing.T) {
	t.Parallel()
	short, long := topicOf(t, "short"), topicOf(t, "long")
	p := publisher(t)
	p.publish(post{topic: short, payload: "short", qos: 1, retain: true, props: [][]byte{prop(pExpiry, 1)}})
	p.publish(post{topic: long, payload: "long", qos: 1, retain: true, props: [][]byte{prop(pExpiry, 60)}})
	defer clearRetained(t, long)
	time.Sleep(2100 * time.Millisecond)
	c := connect(t, hello{})
	c.subscribe(want{short, 1}, want{long, 1})
	if n, ok := c.expect("long")[0].number(pExpiry); !ok || n > 58 || n < 30 {
		t.Errorf("the expiry is %d (%v), want 58", n, ok)
	}
	c.quiet()
}

// A QoS 2 message that was sent does not expire before it is finished [MQTT-4.3.3-7]; nor does one of
// QoS 1 that waits for its PUBACK [MQTT-4.3.2-3].
func TestWhatWasSentDoesNotExpire(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60)}}
	c := connect(t, h)
	c.subscribe(want{topic, 2})
	publisher(t).publish(post{topic: topic, payload: "sent", qos: 2, props: [][]byte{prop(pExpiry, 2)}})
	first := c.message()
	c.vanish()
	time.Sleep(2500 * time.Millisecond)
	c = connect(t, h)
	if got := c.receive(); got.payload != "sent" || got.id != first.id || !got.dup() {
		t.Errorf("got %v, want the message again", got)
	}
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

// [MQTT-3.3.2-12] every alias up to the maximum; [MQTT-3.3.2-7] none after the connection.
func TestAliasesOfAClient(t *testing.T) {
	t.Parallel()
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60)}}
	p := connect(t, h)
	most, ok := p.connack.number(pAliasMax)
	if !ok || most == 0 {
		t.Fatalf("the server takes no aliases: %v", p.connack.props)
	}
	base := topicOf(t)
	p.subscribe(want{base + "/#", 1})
	for _, alias := range []int{1, most, most/2 + 1} {
		topic := fmt.Sprint(base, "/", alias)
		p.publish(post{topic: topic, payload: "set", qos: 1, props: [][]byte{prop(pAlias, alias)}})
		p.publish(post{payload: "used", qos: 1, props: [][]byte{prop(pAlias, alias)}})
		p.publish(post{topic: topic + "/new", payload: "changed", qos: 1, props: [][]byte{prop(pAlias, alias)}})
		p.publish(post{payload: "used again", qos: 1, props: [][]byte{prop(pAlias, alias)}})
		for i, got := range p.expect("set", "used", "changed", "used again") {
			if w := topic + []string{"", "", "/new", "/new"}[i]; got.topic != w {
				t.Errorf("%q came on %s, want %s", got.payload, got.topic, w)
			}
			if _, ok := got.number(pAlias); ok { // [MQTT-3.1.2-27]: this client takes none
				t.Errorf("an alias for a client that takes none: %v", got)
			}
		}
	}
	p.vanish()
	p = connect(t, h)
	p.begin(post{payload: "stale", qos: 1, props: [][]byte{prop(pAlias, 1)}})
	p.dropped(0x82, 0x94)
}

// [MQTT-3.3.2-8] there is no alias 0; [MQTT-3.3.2-9, MQTT-3.2.2-17, MQTT-3.2.2-18] none above the
// maximum; none that was never set.
func TestAliasesThatAreNot(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	p.send(post{topic: "a", qos: 1, id: 1, props: [][]byte{prop(pAlias, 0)}}.bytes(v5))
	p.dropped(0x94)
	p = connect(t, hello{})
	if most, _ := p.connack.number(pAliasMax); most < 65535 {
		p.send(post{topic: "a", qos: 1, id: 1, props: [][]byte{prop(pAlias, most+1)}}.bytes(v5))
		p.dropped(0x94)
	}
	p = connect(t, hello{})
	p.send(post{qos: 1, id: 1, props: [][]byte{prop(pAlias, 1)}}.bytes(v5))
	p.dropped(0x82, 0x94)
}

// [MQTT-3.1.2-26, MQTT-3.3.2-11]: at most as many aliases as the client takes, used as they were set.
func TestAliasesOfTheServer(t *testing.T) {
	t.Parallel()
	base := topicOf(t)
	c := connect(t, hello{props: [][]byte{prop(pAliasMax, 2)}})
	c.subscribe(want{base + "/#", 2})
	p := publisher(t)
	known := map[int]string{}
	used := 0
	for round := range 3 {
		for i := range 4 {
			topic := fmt.Sprint(base, "/", i)
			p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: round})
			got := c.receive()
			alias, ok := got.number(pAlias)
			if ok && (alias < 1 || alias > 2) {
				t.Fatalf("alias %d, the client takes 2", alias)
			}
			if ok && got.topic != "" {
				known[alias] = got.topic
			}
			if got.topic == "" {
				used++
				got.topic = known[alias]
			}
			if got.topic != topic {
				t.Errorf("%q came on %q (alias %d), want %s", got.payload, got.topic, alias, topic)
			}
		}
	}
	if used == 0 {
		t.Error("the server never used an alias that it had set")
	}
	// They are not carried over [MQTT-3.3.2-7].
	c = connect(t, hello{id: c.id, props: [][]byte{prop(pAliasMax, 2)}})
	c.subscribe(want{base + "/#", 2})
	p.publish(post{topic: base + "/0", payload: "new", qos: 1})
	if got := c.receive(); got.topic != base+"/0" {
		t.Errorf("the first message of a connection came on %q, want its topic", got.topic)
	}
}

// What waits for a session when its connection breaks is sent again with its topic, not with an alias of
// the connection before [MQTT-3.3.2-7, MQTT-4.4.0-1].
func TestAliasesAreNotResent(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60), prop(pAliasMax, 5)}}
	c := connect(t, h)
	c.subscribe(want{topic, 1})
	p := publisher(t)
	p.publish(post{topic: topic, payload: "1", qos: 1})
	p.publish(post{topic: topic, payload: "2", qos: 1})
	c.message()
	c.message()
	c.vanish()
	h.props = h.props[:1]
	c = connect(t, h)
	for _, got := range c.expect("1", "2") {
		if got.topic != topic || !got.dup() {
			t.Errorf("got %v, want it again on its topic", got)
		}
	}
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

// [MQTT-3.2.2-15]: a packet that is too long is told with 0x95.
func TestPacketLongerThanTheServersMaximum(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	most, ok := p.connack.number(pMaxPacket)
	if !ok {
		t.Fatal("the server names no maximum")
	}
	topic := topicOf(t)
	p.subscribe(want{topic, 1})
	fits := post{topic: topic, qos: 1, id: 9}
	fits.payload = strings.Repeat("x", most-len(fits.bytes(v5))-3) // the length takes three bytes more
	if n := len(fits.bytes(v5)); n > most || n < most-3 {
		t.Fatalf("the test's packet has %d bytes, want %d", n, most)
	}
	p.send(fits.bytes(v5))
	if got := p.receive(); got.payload != fits.payload {
		t.Errorf("got %d bytes, want %d", len(got.payload), len(fits.payload))
	}
	p.acked(PUBACK, 9)
	p.send([]byte{0x30}, varint(most), str(topic))
	p.dropped(0x95)
}

// [MQTT-3.1.2-24] nothing longer than the client takes; [MQTT-3.1.2-25] what is too long counts as sent,
// so that what follows comes, live and from a session.
func TestPacketLongerThanTheClientsMaximum(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := hello{id: clientID(), resume: true, props: [][]byte{prop(pSessionExpiry, 60), prop(pMaxPacket, 200)}}
	p := publisher(t)
	exact := post{topic: topic, qos: 1, id: 1}
	exact.payload = strings.Repeat("x", 200-len(exact.bytes(v5))-1) // the length has two bytes then
	if n := len(exact.bytes(v5)); n != 200 {
		t.Fatalf("the test's packet has %d bytes, want 200", n)
	}
	send := func() {
		for qos := range 3 {
			p.publish(post{topic: topic, payload: strings.Repeat("y", 200), qos: qos})
			p.publish(post{topic: topic, payload: "small", qos: qos})
		}
		p.publish(exact.again())
		p.publish(post{topic: topic, payload: exact.payload + "x", qos: 1})
	}
	c := connect(t, h)
	c.subscribe(want{topic, 2})
	send()
	c.expect("small", "small", "small", exact.payload)
	c.quiet()
	c.leave()
	send()
	c = connect(t, h)
	if got := c.receive(); got.qos() == 0 {
		c.expect("small")
	}
	c.expect("small", exact.payload)
	c.quiet()
	c.leave(u8(0), props(prop(pSessionExpiry, 0)))
}

func (m post) again() post { m.id = 0; return m }

// With and without problem information nothing but PUBLISH, CONNACK and DISCONNECT carries a reason
// or a user property [MQTT-3.1.2-29] that was not asked for; the answers also fit into the client's
// maximum: PUBACK [MQTT-3.4.2-2, MQTT-3.4.2-3], PUBREC [MQTT-3.5.2-2, MQTT-3.5.2-3], PUBREL
// [MQTT-3.6.2-2, MQTT-3.6.2-3], PUBCOMP [MQTT-3.7.2-2, MQTT-3.7.2-3], SUBACK [MQTT-3.9.2-1, MQTT-3.9.2-2],
// UNSUBACK [MQTT-3.11.2-1, MQTT-3.11.2-2], DISCONNECT [MQTT-3.14.2-3, MQTT-3.14.2-4].
func TestReasonsFitAndAreOnlySaidWhenAsked(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 24, 60} {
		for _, info := range []int{0, 1} {
			t.Run(fmt.Sprintf("%d bytes, problem information %d", limit, info), func(t *testing.T) {
				t.Parallel()
				list := [][]byte{prop(pProblemInfo, info)}
				if limit > 0 {
					list = append(list, prop(pMaxPacket, limit))
				}
				p := connect(t, hello{props: list})
				p.send(
					p.subscribePacket(1, nil, want{"test/nosubscribe", 1}, want{"ok/" + p.id, 2}),
					p.unsubscribePacket(2, "never", "was/there"),
					post{topic: "$SYS/mine", qos: 1, id: 3}.bytes(v5),
					post{topic: "$SYS/mine", qos: 2, id: 5}.bytes(v5),
					ack(PUBREL, 6),
					ack(PUBREC, 7), // of nothing
					post{topic: "ok/" + p.id, payload: "x", qos: 2, id: 8}.bytes(v5),
					raw(0xC0),
					raw(0xD0), // ends it
				)
				kinds := map[int]int{}
				for got := p.next(); got != nil; got = p.next() {
					kinds[got.kind]++
					if limit > 0 && got.size > limit {
						t.Errorf("%v has %d bytes, the client takes %d", got, got.size, limit)
					}
					_, reason := got.text(pReason)
					if info == 0 && got.kind != DISCONNECT && got.kind != PUBLISH && (reason || len(got.user()) > 0) {
						t.Errorf("%v says why, unasked", got)
					}
				}
				for _, kind := range []int{SUBACK, UNSUBACK, PUBREC, PUBCOMP, PUBREL, PINGRESP, DISCONNECT} {
					if kinds[kind] == 0 {
						t.Errorf("no %s among %v", kindNames[kind], kinds)
					}
				}
			})
		}
	}
}
