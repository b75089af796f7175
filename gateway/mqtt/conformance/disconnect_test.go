package conformance

import (
	"fmt"
	"testing"
	"time"
)

// [MQTT-3.14.4-1, MQTT-3.14.4-2, MQTT-4.13.2-1]: the server closes behind its DISCONNECT and sends no
// more; its code is one of DISCONNECT's [MQTT-3.14.2-1], and it has no session expiry [MQTT-3.14.2-2].
// Malformed packets and protocol errors are such ends [MQTT-4.13.1-1].
func TestServersDisconnect(t *testing.T) {
	t.Parallel()
	codes := map[byte]bool{0: true, 0x80: true, 0x81: true, 0x82: true, 0x83: true, 0x87: true, 0x89: true, 0x8B: true, 0x8D: true,
		0x8E: true, 0x8F: true, 0x90: true, 0x93: true, 0x94: true, 0x95: true, 0x96: true, 0x97: true, 0x98: true, 0x99: true,
		0x9A: true, 0x9B: true, 0x9C: true, 0x9D: true, 0x9E: true, 0x9F: true, 0xA0: true, 0xA1: true, 0xA2: true}
	for name, packets := range map[string][]byte{
		"malformed":      raw(0x36, str("a"), u16(1), u8(0)),
		"protocol error": raw(0x82, u16(1), u8(0)),
		"topic alias":    post{topic: "a", props: [][]byte{prop(pAlias, 0)}}.bytes(v5),
		"too large":      cat([]byte{0x30}, varint(200<<20), str("a")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{props: [][]byte{prop(pSessionExpiry, 5)}})
			p.send(cat(packets, raw(0xC0))) // the ping behind it is not answered
			got := p.next()
			if got == nil || got.kind != DISCONNECT || got.code < 0x80 || !codes[got.code] {
				t.Fatalf("got %v, want DISCONNECT with an error", got)
			}
			if _, ok := got.number(pSessionExpiry); ok {
				t.Error("it has a session expiry")
			}
			p.ends()
		})
	}
}

// Before MQTT 5 there is no DISCONNECT of a server: the connection ends, nothing else [MQTT-4.13.1-1].
func TestProtocolErrorsBefore5(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311} {
		for _, packet := range [][]byte{raw(0x36, str("a"), u16(1)), raw(0x20, u16(0)), raw(0xF0), raw(0x81, u16(1), str("a"), u8(0)), raw(0x32, str("a"), u16(0))} {
			p := connect(t, hello{version: version})
			p.send(packet)
			p.ends()
		}
	}
}

// Nothing behind a client's DISCONNECT is processed, and the server closes the connection if the client
// does not [MQTT-3.14.4-2].
func TestNothingBehindAClientsDisconnectIsProcessed(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		topic := topicOf(t, fmt.Sprint(version))
		watch := connect(t, hello{})
		watch.subscribe(want{topic, 1})
		p := connect(t, hello{version: version})
		p.send(cat(raw(0xE0), post{topic: topic, payload: "late", qos: 1, id: 1}.bytes(version), raw(0xC0)))
		p.ends()
		watch.quiet()
	}
}

// A DISCONNECT may have a code, a reason, user properties; what it may not have is a protocol error
// [MQTT-3.14.2-1, MQTT-3.14.1-1].
func TestClientsDisconnect(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{nil, {0}, {4}, {0, 0}, {0x80, 0}, cat(u8(0), props(prop(pReason, "done"), prop(pUser, [2]string{"a", "b"})))} {
		p := connect(t, hello{})
		p.send(raw(0xE0, body))
		p.ends()
	}
	for name, packet := range map[string][]byte{
		"flags":              raw(0xE2, u8(0)),
		"a foreign property": raw(0xE0, u8(0), props(prop(pReceiveMax, 1))),
		"an unknown code":    raw(0xE0, u8(0x77)),
		"bytes behind":       raw(0xE0, u8(0), props(), u8(1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}

// A client that is still sending when the server ends the connection reads why, a little later: closing
// both ways at once would destroy what is on its way to it (4.13.1).
func TestAClientInTheMiddleOfSendingReadsWhy(t *testing.T) {
	t.Parallel()
	for range 30 {
		p := connect(t, hello{})
		p.send(raw(0xD0)) // no client sends PINGRESP
		for range 2 {
			time.Sleep(10 * time.Millisecond)
			p.send(raw(0xC0))
		}
		p.dropped(0x81, 0x82)
	}
}
