package conformance

import (
	"strings"
	"testing"
)

// badStrings are no UTF-8 Encoded Strings.
var badStrings = map[string]string{
	"surrogate":    "a\xed\xa0\x80b",
	"overlong":     "a\xc0\xafb",
	"cut short":    "a\xe2\x82",
	"lone byte":    "a\x80b",
	"null":         "a\x00b",
	"past the end": "a\xf5\x80\x80\x80",
}

// A string anywhere in CONNECT that is no UTF-8 or has a U+0000 [MQTT-1.5.4-1, MQTT-1.5.4-2,
// MQTT-1.5.7-1]: the identifier [MQTT-3.1.3-4], the will topic [MQTT-3.1.3-11], the user name
// [MQTT-3.1.3-12].
func TestBadStringsInConnect(t *testing.T) {
	t.Parallel()
	for name, bad := range badStrings {
		for where, h := range map[string]hello{
			"client identifier":    {id: bad},
			"will topic":           {will: &testament{topic: bad}},
			"will content type":    {will: &testament{topic: "w", props: [][]byte{prop(pContentType, bad)}}},
			"user name":            {user: &bad},
			"user property":        {props: [][]byte{prop(pUser, [2]string{"a", bad})}},
			"user property's name": {props: [][]byte{prop(pUser, [2]string{bad, "a"})}},
		} {
			t.Run(name+" in the "+where, func(t *testing.T) {
				t.Parallel()
				try(t, h).refused(0x81, 0x82, 0x85, 0x86, 0x90)
			})
		}
	}
}

// The same in what follows: the topic [MQTT-3.3.2-1], response topic [MQTT-3.3.2-13], content type
// [MQTT-3.3.2-19], filters [MQTT-3.8.3-1, MQTT-3.10.3-1, MQTT-4.7.3-2], user properties
// [MQTT-1.5.7-1]; see [MQTT-1.5.4-1, MQTT-1.5.4-2].
func TestBadStringsAfterConnect(t *testing.T) {
	t.Parallel()
	for name, bad := range badStrings {
		for where, packet := range map[string][]byte{
			"topic":                post{topic: bad}.bytes(v5),
			"response topic":       post{topic: "a", props: [][]byte{prop(pResponseTopic, bad)}}.bytes(v5),
			"content type":         post{topic: "a", props: [][]byte{prop(pContentType, bad)}}.bytes(v5),
			"user property":        post{topic: "a", props: [][]byte{prop(pUser, [2]string{"a", bad})}}.bytes(v5),
			"filter":               raw(0x82, u16(1), props(), str(bad), u8(0)),
			"filter to leave":      raw(0xA2, u16(1), props(), str(bad)),
			"PUBACK's reason":      raw(0x40, u16(1), u8(0x80), props(prop(pReason, bad))),
			"DISCONNECT's reason":  raw(0xE0, u8(0), props(prop(pReason, bad))),
			"SUBSCRIBE's property": raw(0x82, u16(1), props(prop(pUser, [2]string{bad, "a"})), str("a"), u8(0)),
		} {
			t.Run(name+" in the "+where, func(t *testing.T) {
				t.Parallel()
				p := connect(t, hello{})
				p.send(packet)
				p.dropped(0x81, 0x82, 0x8F, 0x90)
			})
		}
	}
}

// U+FEFF stays where it is [MQTT-1.5.4-3], and so does every other character: nothing is normalised
// [MQTT-4.7.3-4].
func TestTopicsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	base := topicOf(t)
	composed, decomposed, marked := base+"/\u00e9", base+"/e\u0301", base+"/\ufeffx"
	p.subscribe(want{composed, 0}, want{marked, 0}, want{base + "/Case", 0})
	for _, topic := range []string{decomposed, base + "/x", base + "/case", base + "//x", base + "/ x", composed, marked} {
		p.begin(post{topic: topic, payload: topic})
	}
	p.expect(composed, marked)
	p.quietAt(0)
	if got := connect(t, hello{id: "\ufeff" + clientID()}); got.connack.code != 0 {
		t.Errorf("an identifier with U+FEFF: %v", got.connack)
	}
}

// Topics and filters may have 65,535 bytes [MQTT-4.7.3-3] and need one [MQTT-4.7.3-1].
func TestLengthOfTopics(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	long := topicOf(t) + "/"
	long += strings.Repeat("x", 65535-len(long))
	p.subscribe(want{long, 1})
	p.publish(post{topic: long, payload: "long", qos: 1})
	if got := p.receive(); got.topic != long || got.payload != "long" {
		t.Errorf("got a topic of %d bytes, want 65535", len(got.topic))
	}
	for name, packet := range map[string][]byte{
		"topic":       post{topic: ""}.bytes(v5),
		"filter":      raw(0x82, u16(1), props(), str(""), u8(0)),
		"unsubscribe": raw(0xA2, u16(1), props(), str("")),
	} {
		t.Run("no "+name, func(t *testing.T) {
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82, 0x8F, 0x90)
		})
	}
	try(t, hello{will: &testament{topic: ""}}).refused(0x81, 0x82, 0x90)
}

// A variable byte integer takes as few bytes as it can, the packet's length and those of properties
// alike [MQTT-1.5.5-1].
func TestLengthsInTooManyBytes(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"length in two":                    {0xC0, 0x80, 0x00},
		"length in five":                   {0x30, 0x80, 0x80, 0x80, 0x80, 0x01},
		"property length in two":           raw(0x30, str("a"), []byte{0x80, 0x00}),
		"subscription identifier in three": raw(0x82, u16(1), props([]byte{pSubscriptionID, 0x81, 0x80, 0x00}), str("a"), u8(0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}

// What the server writes has its own shortest lengths, zeroes for no properties [MQTT-1.5.5-1,
// MQTT-2.2.2-1] and its reserved flags as prescribed [MQTT-2.1.3-1]. readPacket checks it everywhere;
// here are the packets whose form leaves no choice.
func TestServersPacketsAreInTheirShortestForm(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	topic := topicOf(t)
	p.subscribe(want{topic, 2})
	p.begin(post{topic: topic, payload: "x", qos: 2, id: 77})
	rec := p.await(PUBREC)
	sameBytes(t, "PUBREC", rec.body[:2], u16(77))
	p.send(ack(PUBREL, 77))
	sameBytes(t, "PUBCOMP", p.await(PUBCOMP).body, u16(77))
	got := p.message()
	sameBytes(t, "PUBLISH", got.body, cat(str(topic), u16(got.id), u8(0), []byte("x")))
	p.send(ack(PUBREC, got.id))
	sameBytes(t, "PUBREL", p.await(PUBREL).body, u16(got.id))
	p.send(ack(PUBCOMP, got.id))
	id := p.nextID()
	p.send(p.subscribePacket(id, nil, want{topic, 1}))
	sameBytes(t, "SUBACK", p.await(SUBACK).body, cat(u16(id), u8(0), u8(1)))
	p.send(p.unsubscribePacket(id, topic))
	sameBytes(t, "UNSUBACK", p.await(UNSUBACK).body, cat(u16(id), u8(0), u8(0)))
}

// Reserved bits of the first byte are checked for every kind of packet [MQTT-2.1.3-1]: PUBREL's
// [MQTT-3.6.1-1], SUBSCRIBE's [MQTT-3.8.1-1], UNSUBSCRIBE's [MQTT-3.10.1-1], DISCONNECT's
// [MQTT-3.14.1-1], AUTH's [MQTT-3.15.1-1].
func TestReservedFlags(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"PUBACK":        raw(0x41, u16(1)),
		"PUBREC":        raw(0x54, u16(1)),
		"PUBREL 0":      raw(0x60, u16(1)),
		"PUBREL 3":      raw(0x63, u16(1)),
		"PUBREL 6":      raw(0x66, u16(1)),
		"PUBREL 10":     raw(0x6A, u16(1)),
		"PUBCOMP":       raw(0x72, u16(1)),
		"SUBSCRIBE 0":   raw(0x80, u16(1), u8(0), str("a"), u8(0)),
		"SUBSCRIBE 3":   raw(0x83, u16(1), u8(0), str("a"), u8(0)),
		"SUBSCRIBE 10":  raw(0x8A, u16(1), u8(0), str("a"), u8(0)),
		"UNSUBSCRIBE 0": raw(0xA0, u16(1), u8(0), str("a")),
		"UNSUBSCRIBE 6": raw(0xA6, u16(1), u8(0), str("a")),
		"PINGREQ":       raw(0xC1),
		"DISCONNECT":    raw(0xE1),
		"AUTH":          raw(0xF2, u8(0x19), props(prop(pAuthMethod, "m"))),
		"type 0":        raw(0x00),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
	p := dial(t)
	p.send(cat([]byte{0x11}, hello{id: "a"}.bytes()[1:]))
	p.refused(0x81, 0x82)
}

// What only a server may send ends the connection [MQTT-4.13.1-1].
func TestPacketsThatNoClientSends(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"CONNACK":  raw(0x20, u8(0), u8(0), u8(0)),
		"SUBACK":   raw(0x90, u16(1), u8(0), u8(0)),
		"UNSUBACK": raw(0xB0, u16(1), u8(0), u8(0)),
		"PINGRESP": raw(0xD0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}

// Packet identifiers are never 0 [MQTT-2.2.1-3].
func TestIdentifierZero(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"PUBLISH 1":   post{topic: "a", qos: 1}.bytes(v5),
		"PUBLISH 2":   post{topic: "a", qos: 2}.bytes(v5),
		"SUBSCRIBE":   raw(0x82, u16(0), u8(0), str("a"), u8(0)),
		"UNSUBSCRIBE": raw(0xA2, u16(0), u8(0), str("a")),
		"PUBREL":      ack(PUBREL, 0),
		"PUBACK":      ack(PUBACK, 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}

// What is cut short, too long or has too much in it is malformed [MQTT-4.13.1-1]; so are properties
// that a packet may not have, or not twice.
func TestMalformedPackets(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"empty PUBLISH":                raw(0x30),
		"topic past the end":           raw(0x30, u16(9), []byte("abc")),
		"no properties":                raw(0x30, str("a")),
		"properties too long":          raw(0x30, str("a"), u8(9)),
		"unknown property":             raw(0x30, str("a"), props([]byte{0x7f, 0})),
		"CONNECT's property":           raw(0x30, str("a"), props(prop(pSessionExpiry, 1))),
		"format twice":                 raw(0x30, str("a"), props(prop(pFormat, 1), prop(pFormat, 1))),
		"format 2":                     raw(0x30, str("a"), props(prop(pFormat, 2))),
		"PUBACK of one byte":           raw(0x40, u8(1)),
		"SUBSCRIBE, no options":        raw(0x82, u16(1), u8(0), str("a")),
		"PINGREQ with a body":          raw(0xC0, u8(0)),
		"empty SUBSCRIBE":              raw(0x82),
		"subscription identifier 0":    raw(0x82, u16(1), props(prop(pSubscriptionID, 0)), str("a"), u8(0)),
		"two subscription identifiers": raw(0x82, u16(1), props(prop(pSubscriptionID, 1), prop(pSubscriptionID, 2)), str("a"), u8(0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}
