package conformance

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// The first packet is CONNECT [MQTT-3.1.0-1], and nothing comes before CONNACK [MQTT-3.2.0-1], above all
// no DISCONNECT [MQTT-3.14.0-1].
func TestAnythingBeforeConnectEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"PINGREQ":    raw(0xC0),
		"PUBLISH":    post{topic: "a"}.bytes(v5),
		"SUBSCRIBE":  raw(0x82, u16(1), u8(0), str("a"), u8(0)),
		"DISCONNECT": raw(0xE0),
		"AUTH":       raw(0xF0, u8(0x18), props(prop(pAuthMethod, "m"))),
		"CONNACK":    raw(0x20, u8(0), u8(0), u8(0)),
		"HTTP":       []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t)
			p.send(packet)
			p.ends()
		})
	}
}

// [MQTT-3.1.0-2]; CONNACK comes once [MQTT-3.2.0-2].
func TestASecondConnectIsAProtocolError(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version})
		p.send(hello{version: version, id: p.id}.bytes())
		p.dropped(0x82)
	}
}

// [MQTT-3.1.2-1, MQTT-3.1.2-2]
func TestOtherProtocolsAndVersionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, h := range []hello{
		{protocol: "hj"}, {protocol: "mqtt"}, {protocol: "MQTT "}, {protocol: "MQIsdp"},
		{version: 6}, {version: 0x85}, {version: 127},
	} {
		t.Run(fmt.Sprintf("%s %d", h.protocol, h.version), func(t *testing.T) {
			t.Parallel()
			h.id = clientID()
			b := h.bytes()
			p := dial(t)
			p.send(b)
			got, err := p.readWithin(patience)
			if got != nil && (got.kind != CONNACK || got.code != 0x84 && got.code != 1) {
				t.Fatalf("got %v, %v, want CONNACK with 0x84, or the end", got, err)
			}
			p.socket.SetReadDeadline(time.Now().Add(patience))
			if n, err := p.in.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Errorf("read %d bytes, %v; want the end", n, err)
			}
		})
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// [MQTT-3.1.2-3] the reserved flag; [MQTT-3.1.2-11, MQTT-3.1.2-12, MQTT-3.1.2-13] the will's flags;
// [MQTT-3.1.2-9, MQTT-3.1.2-16, MQTT-3.1.2-17, MQTT-3.1.2-18, MQTT-3.1.2-19] fields and flags agree;
// [MQTT-3.1.3-1, MQTT-3.1.3-3] the fields and their order; [MQTT-3.1.4-1] all of it is checked.
func TestMalformedConnects(t *testing.T) {
	t.Parallel()
	header := func(flags int, list ...[]byte) []byte {
		return cat(str("MQTT"), u8(5), u8(flags), u16(0), props(list...))
	}
	for name, packet := range map[string][]byte{
		"reserved flag":              raw(0x10, header(3), str("a")),
		"will QoS 1 without a will":  raw(0x10, header(2|8), str("a")),
		"will QoS 3":                 raw(0x10, header(2|4|24), str("a"), u8(0), str("w"), str("x")),
		"will retain without a will": raw(0x10, header(2|32), str("a")),
		"no client identifier":       raw(0x10, header(2)),
		"will without its fields":    raw(0x10, header(2|4), str("a")),
		"will without properties":    raw(0x10, header(2|4), str("a"), str("w"), str("x")),
		"will without a payload":     raw(0x10, header(2|4), str("a"), u8(0), str("w")),
		"user flag without a user":   raw(0x10, header(2|128), str("a")),
		"user without its flag":      raw(0x10, header(2), str("a"), str("user")),
		"password flag, no password": raw(0x10, header(2|128|64), str("a"), str("user")),
		"password without its flag":  raw(0x10, header(2|128), str("a"), str("user"), str("password")),
		"will fields without a will": raw(0x10, header(2), str("a"), u8(0), str("w"), str("x")),
		"bytes behind":               raw(0x10, header(2), str("a"), u8(0)),
		"no properties":              raw(0x10, str("MQTT"), u8(5), u8(2), u16(0)),
		"cut off in the header":      raw(0x10, str("MQTT"), u8(5)),
		"empty":                      raw(0x10),
		"receive maximum 0":          raw(0x10, header(2, prop(pReceiveMax, 0)), str("a")),
		"maximum packet size 0":      raw(0x10, header(2, prop(pMaxPacket, 0)), str("a")),
		"session expiry twice":       raw(0x10, header(2, prop(pSessionExpiry, 1), prop(pSessionExpiry, 1)), str("a")),
		"problem information 2":      raw(0x10, header(2, prop(pProblemInfo, 2)), str("a")),
		"response information 2":     raw(0x10, header(2, prop(pResponseInfo, 2)), str("a")),
		"a property of PUBLISH":      raw(0x10, header(2, prop(pAlias, 1)), str("a")),
		"authentication data alone":  raw(0x10, header(2, prop(pAuthData, "x")), str("a")),
		"will delay among CONNECT's": raw(0x10, header(2, prop(pWillDelay, 1)), str("a")),
		"alias in the will":          raw(0x10, header(2|4), str("a"), props(prop(pAlias, 1)), str("w"), str("x")),
		"wildcard in the will topic": raw(0x10, header(2|4), str("a"), props(), str("w/#"), str("x")),
		"will response topic with +": raw(0x10, header(2|4), str("a"), props(prop(pResponseTopic, "a/+")), str("w"), str("x")),
		"length in too many bytes":   {0x10, 0x8e, 0x80, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dial(t)
			p.send(packet)
			p.refused(0x81, 0x82, 0x90)
		})
	}
}

// [MQTT-3.1.4-5]; the flags [MQTT-3.2.2-1]; the code is one of CONNACK's [MQTT-3.2.2-8]; QoS 2 and
// retaining are there, so nothing says otherwise [MQTT-3.2.2-9]; with neither asked for, no response
// information [MQTT-3.1.2-28] and no authentication method [MQTT-4.12.0-6].
func TestConnackSaysWhatTheServerDoes(t *testing.T) {
	t.Parallel()
	for _, list := range [][][]byte{nil, {prop(pResponseInfo, 0)}} {
		p := connect(t, hello{props: list})
		got := p.connack
		if got.ackFlags != 0 || got.code != 0 {
			t.Errorf("got %v, want flags 0 and success", got)
		}
		for _, q := range got.props {
			switch q.id {
			case pResponse, pAuthMethod, pAuthData, pReference, pMaxQoS, pAssignedID:
				t.Errorf("CONNACK has property %d", q.id)
			case pRetainAvailable, pWildcards, pSubscriptionIDs, pShared:
				if q.n != 1 {
					t.Errorf("property %d is %d, want 1 or none", q.id, q.n)
				}
			case pReceiveMax, pMaxPacket:
				if q.n == 0 {
					t.Errorf("property %d is 0", q.id)
				}
			}
		}
	}
}

// A server with all QoS grants all of them [MQTT-3.2.2-10] and takes wills of QoS 2 that are retained
// [MQTT-3.2.2-12, MQTT-3.2.2-13].
func TestEveryQoSIsServed(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{will: &testament{topic: topicOf(t, "will"), qos: 2}})
	topic := topicOf(t)
	for qos := range 3 {
		p.subscribe(want{topic, qos})
		p.publish(post{topic: topic, payload: fmt.Sprint(qos), qos: qos})
		if got := p.receive(); got.qos() != qos || got.payload != fmt.Sprint(qos) {
			t.Errorf("got %v, want QoS %d", got, qos)
		}
	}
	p.leave()
	retained := connect(t, hello{will: &testament{topic: topicOf(t, "retained"), qos: 2, retain: true}})
	retained.leave()
}

// [MQTT-3.1.3-5]; longer ones and other characters are taken too.
func TestClientIdentifiers(t *testing.T) {
	t.Parallel()
	const all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, id := range []string{"z", all[:23], all[20:43], all[39:], strings.Repeat("long", 50), "two words", "a/b+#", "über"} {
		connect(t, hello{id: id}).leave()
		connect(t, hello{id: id, version: v311}).leave()
	}
}

// [MQTT-3.1.3-6, MQTT-3.1.3-7, MQTT-3.2.2-16]
func TestAnEmptyIdentifierIsReplaced(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 4 {
		p := dial(t)
		p.send(hello{resume: i%2 == 1, props: [][]byte{prop(pSessionExpiry, 60)}}.bytes())
		got := p.some()
		id, ok := got.text(pAssignedID)
		if got.kind != CONNACK || got.code != 0 || !ok || id == "" || seen[id] || got.ackFlags != 0 {
			t.Fatalf("got %v with the identifier %q, want a new one", got, id)
		}
		seen[id] = true
		p.vanish()
		again := connect(t, hello{id: id, resume: true}) // it names the session as if the client had chosen it
		if again.connack.ackFlags != 1 {
			t.Errorf("no session under the identifier %q that was given", id)
		}
	}
}

// 3.1.1 [MQTT-3.1.3-8, MQTT-3.1.3-9]: an empty identifier goes with a clean session only. In MQTT 5 a
// refused identifier would end the connection as well [MQTT-3.1.3-8]; the one that this server refuses
// is one that is no string.
func TestAnIdentifierThatIsRefused(t *testing.T) {
	t.Parallel()
	p := dialTo(t, address, v311)
	p.send(hello{version: v311, resume: true}.bytes())
	if got := p.next(); got == nil || got.kind != CONNACK || got.code != 2 {
		t.Errorf("got %v, want CONNACK with 2", got)
	}
	p.ends()
	clean := dialTo(t, address, v311)
	clean.send(hello{version: v311}.bytes())
	if got := clean.next(); got == nil || got.code != 0 {
		t.Errorf("got %v, want success", got)
	}
	bad := try(t, hello{id: "a\x00b"})
	bad.refused(0x85, 0x81, 0x82)
}

// [MQTT-3.1.4-3]: the first is told why and cut off; [MQTT-3.1.3-2]: it is the identifier that names
// the session.
func TestTakeover(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311, v5} {
		id := clientID()
		first := connect(t, hello{version: version, id: id})
		second := connect(t, hello{version: version, id: id})
		first.dropped(0x8E)
		second.ping()
		other := connect(t, hello{version: version})
		second.ping()
		other.ping()
	}
}

// A refusal ends the connection [MQTT-3.1.4-2, MQTT-3.2.2-7, MQTT-4.13.2-1], has no session present
// [MQTT-3.2.2-6], and nothing behind it is processed [MQTT-3.1.4-6].
func TestNothingBehindARefusedConnectIsProcessed(t *testing.T) {
	t.Parallel()
	watch := connect(t, hello{})
	topic := topicOf(t)
	watch.subscribe(want{topic, 1})
	id := clientID()
	connect(t, hello{id: id, props: [][]byte{prop(pSessionExpiry, 60)}}).leave() // there is a session
	p := dial(t)
	p.send(cat(hello{id: id, resume: true, props: [][]byte{prop(pAuthMethod, "NONE")}}.bytes(),
		post{topic: topic, payload: "smuggled", qos: 1, id: 1}.bytes(v5)))
	got := p.next()
	if got == nil || got.kind != CONNACK || got.code < 0x80 || got.ackFlags != 0 {
		t.Errorf("got %v, want a refusal without session present", got)
	}
	p.ends()
	watch.quiet()
}

// Packets may follow CONNECT at once and are answered behind CONNACK [MQTT-3.2.0-1].
func TestPacketsMayFollowConnectAtOnce(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p := dial(t)
	p.send(cat(hello{id: clientID()}.bytes(), p.subscribePacket(1, nil, want{topic, 1}),
		post{topic: topic, payload: "early", qos: 1, id: 2}.bytes(v5), raw(0xC0)))
	if got := p.some(); got.kind != CONNACK || got.code != 0 {
		t.Fatalf("first came %v, want CONNACK", got)
	}
	p.await(SUBACK)
	p.expect("early")
	p.acked(PUBACK, 2)
	p.await(PINGRESP)
	p.send(raw(0xE0))
	for got := p.next(); got != nil; got = p.next() {
		if got.kind == CONNACK {
			t.Error("a second CONNACK [MQTT-3.2.0-2]")
		}
	}
}

// The transport is TCP: a packet byte by byte is a packet [MQTT-4.2-1].
func TestPacketsByteByByte(t *testing.T) {
	t.Parallel()
	p := dial(t)
	topic := topicOf(t)
	for _, b := range cat(hello{id: clientID()}.bytes(), p.subscribePacket(1, nil, want{topic, 1}), post{topic: topic, payload: "slow", qos: 1, id: 2}.bytes(v5)) {
		p.send([]byte{b})
	}
	if got := p.some(); got.kind != CONNACK || got.code != 0 {
		t.Fatalf("got %v, want CONNACK", got)
	}
	p.expect("slow")
}

// [MQTT-3.12.4-1]
func TestPingIsAnswered(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311, v5} {
		p := connect(t, hello{version: version})
		p.send(raw(0xC0), raw(0xC0))
		for range 2 {
			if got := p.next(); got == nil || got.kind != PINGRESP || len(got.body) != 0 {
				t.Errorf("got %v, want PINGRESP", got)
			}
		}
	}
}

// [MQTT-3.1.2-22]: silence of one and a half keep alives ends the connection. The client's own keep
// alive counts where the server names none [MQTT-3.2.2-22].
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{version: version, alive: 2})
			if n, ok := p.connack.number(pServerKeepAlive); ok {
				t.Errorf("the server asks for %d s, want the client's 2", n)
			}
			time.Sleep(1900 * time.Millisecond)
			since := time.Now()
			p.ping()
			p.dropped(0x8D)
			if took := time.Since(since); took < 3*time.Second || took > 15*time.Second {
				t.Errorf("cut off after %v of silence, want 3 s", took)
			}
		})
	}
}

// The configuration's longest keep alive is told and used [MQTT-3.1.2-22]; within it the client's own
// stays [MQTT-3.2.2-22].
func TestServerKeepAlive(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ alive, want int }{{120, 60}, {0, 60}, {60, 0}, {59, 0}} {
		p := connect(t, hello{alive: test.alive})
		got, ok := p.connack.number(pServerKeepAlive)
		if ok != (test.want != 0) || got != test.want {
			t.Errorf("a keep alive of %d is answered with %d (%v), want %d", test.alive, got, ok, test.want)
		}
	}
	connect(t, hello{version: v311, alive: 0}).ping()
}

// [MQTT-3.2.2-19, MQTT-3.2.2-20, MQTT-3.1.2-24]: CONNACK fits into what the client takes, also when it
// refuses.
func TestConnackFitsIntoTheClientsMaximum(t *testing.T) {
	t.Parallel()
	for limit := 6; limit < 80; limit += 7 {
		for _, list := range [][][]byte{nil, {prop(pAuthMethod, "NONE")}} {
			p := try(t, hello{props: append(slices.Clone(list), prop(pMaxPacket, limit))})
			if got := p.connack; got != nil && got.size > limit {
				t.Errorf("CONNACK has %d bytes, the client takes %d", got.size, limit)
			}
		}
	}
}
