package conformance

import (
	"testing"
)

// Where 3.1.1 and 3.1 differ from MQTT 5, or say the same under another number.

// 3.1.1 [MQTT-3.1.4-1]: a malformed CONNECT just ends the connection; an unknown level is told with code 1:
// 3.1.1 [MQTT-3.1.2-2]; 3.1.1 [MQTT-3.1.2-3, MQTT-3.1.2-22] flags.
func TestMalformedConnectsBefore5(t *testing.T) {
	t.Parallel()
	header := func(flags int) []byte { return cat(str("MQTT"), u8(4), u8(flags), u16(0)) }
	for name, packet := range map[string][]byte{
		"reserved flag":            raw(0x10, header(3), str("a")),
		"will QoS without a will":  raw(0x10, header(2|8), str("a")),
		"will QoS 3":               raw(0x10, header(2|4|24), str("a"), str("w"), str("x")),
		"password without a user":  raw(0x10, header(2|64), str("a"), str("secret")),
		"will without a payload":   raw(0x10, header(2|4), str("a"), str("w")),
		"bytes behind":             raw(0x10, header(2), str("a"), str("b")),
		"no identifier":            raw(0x10, header(2)),
		"an identifier in Latin 1": raw(0x10, header(2), str("\xfc")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dialTo(t, address, v311)
			p.send(packet)
			p.refused(2)
		})
	}
	p := dialTo(t, address, v31)
	p.send(raw(0x10, str("MQIsdp"), u8(4), u8(2), u16(0), str("a")))
	if got := p.next(); got == nil || got.kind != CONNACK || got.code != 1 {
		t.Errorf("an unknown level: got %v, want CONNACK with 1", got)
	}
	p.ends()
}

// The bytes of CONNACK, PUBLISH and the acknowledgements before MQTT 5: no properties, no codes.
func TestPacketsBefore5(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311} {
		p := connect(t, hello{version: version})
		sameBytes(t, "CONNACK", p.connack.body, []byte{0, 0})
		topic := topicOf(t)
		p.send(p.subscribePacket(7, nil, want{topic, 2}))
		sameBytes(t, "SUBACK", p.await(SUBACK).body, []byte{0, 7, 2})
		p.begin(post{topic: topic, payload: "x", qos: 2, id: 258})
		sameBytes(t, "PUBREC", p.await(PUBREC).body, []byte{1, 2})
		p.send(ack(PUBREL, 258))
		sameBytes(t, "PUBCOMP", p.await(PUBCOMP).body, []byte{1, 2})
		got := p.message()
		sameBytes(t, "PUBLISH", got.body, cat(str(topic), u16(got.id), []byte("x")))
		p.acknowledge(got)
		p.send(p.unsubscribePacket(9, topic))
		sameBytes(t, "UNSUBACK", p.await(UNSUBACK).body, []byte{0, 9})
		p.publish(post{topic: topic, qos: 1})
		p.leave()
	}
}

// A session of 3.1.1 is kept without an end, and its messages of QoS 1 and 2 with it:
// 3.1.1 [MQTT-3.1.2-4, MQTT-3.1.2-5]. A clean one ends with its connection: 3.1.1 [MQTT-3.1.2-6]. What one
// version leaves, another finds.
func TestVersionsShareSessions(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	id := clientID()
	c := connect(t, hello{version: v31, id: id, resume: true})
	c.subscribe(want{topic, 2})
	c.leave()
	p := publisher(t)
	for i, version := range []int{v311, v5, v31, v5, v311} {
		p.publish(post{topic: topic, payload: "x", qos: 1 + i%2, props: [][]byte{prop(pContentType, "text"), prop(pUser, [2]string{"a", "b"})}})
		h := hello{version: version, id: id, resume: true}
		if version == v5 {
			h.props = [][]byte{prop(pSessionExpiry, 0xFFFFFFFF)}
		}
		c := connect(t, h)
		if got := c.connack.ackFlags; (got == 1) != (version != v31) {
			t.Errorf("version %d: session present is %d", version, got)
		}
		got := c.receive()
		if got.payload != "x" || got.qos() != 1+i%2 {
			t.Errorf("version %d: got %v", version, got)
		}
		if version == v5 {
			checkProperties(t, got, map[byte]any{pContentType: "text"})
		}
		c.leave()
	}
	connect(t, hello{version: v311, id: id}).leave()
	if again := connect(t, hello{version: v311, id: id, resume: true}); again.connack.ackFlags != 0 {
		t.Error("a clean session left one behind")
	}
}

// The properties of MQTT 5 do not stand in the way of older subscribers, nor do old publishers' missing
// ones of new subscribers.
func TestVersionsTalkToEachOther(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	all := map[int]*peer{}
	for _, version := range []int{v31, v311, v5} {
		all[version] = connect(t, hello{version: version})
		all[version].subscribe(want{topic, 2})
	}
	for _, version := range []int{v31, v311, v5} {
		for qos := range 3 {
			m := post{topic: topic, payload: "x", qos: qos}
			if version == v5 {
				m.props = [][]byte{prop(pFormat, 1), prop(pExpiry, 100), prop(pResponseTopic, "answers")}
			}
			all[version].publish(m)
			for _, c := range all {
				if got := c.receive(); got.qos() != qos || got.payload != "x" || version != v5 && len(got.props) != 0 {
					t.Errorf("from version %d to %d: got %v", version, c.version, got)
				}
			}
		}
	}
}

// Lengths in more bytes than they need are no mistake in 3.1.1, and some clients write them.
func TestPaddedLengthsBefore5(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{version: v311})
	p.send([]byte{0xC0, 0x80, 0x00})
	p.await(PINGRESP)
}
