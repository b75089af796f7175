package conformance

import "testing"

// [MQTT-4.12.0-1, MQTT-4.12.0-4]: the server knows no authentication method: it says so, with a code of
// CONNACK [MQTT-3.2.2-8], and hangs up [MQTT-4.13.2-1]. It asks for nothing, so there is no AUTH to carry
// a wrong code [MQTT-4.12.0-2, MQTT-3.15.2-1] or too much text [MQTT-3.15.2-2, MQTT-3.15.2-3], and no
// success without the method [MQTT-4.12.0-5].
func TestAuthenticationMethodsAreRefused(t *testing.T) {
	t.Parallel()
	for _, list := range [][][]byte{
		{prop(pAuthMethod, "SCRAM-SHA-256"), prop(pAuthData, "n,,n=user")},
		{prop(pAuthMethod, "PLAIN")},
		{prop(pAuthMethod, "")},
	} {
		p := try(t, hello{props: list})
		got := p.connack
		if got == nil || got.kind != CONNACK || got.code != 0x8C && got.code != 0x87 || got.ackFlags != 0 {
			t.Fatalf("got %v, want CONNACK with 0x8C", got)
		}
		p.ends()
	}
}

// [MQTT-4.12.0-7, MQTT-4.12.1-2]: AUTH from a client that named no method is a protocol error, of which
// it is told; the server sends none itself [MQTT-4.12.0-6]. Codes that AUTH has not are an error too
// [MQTT-3.15.2-1], and so are its reserved flags [MQTT-3.15.1-1].
func TestAuthWithoutAMethod(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"short":           raw(0xF0),
		"success":         raw(0xF0, u8(0), props()),
		"continue":        raw(0xF0, u8(0x18), props(prop(pAuthMethod, "PLAIN"))),
		"re-authenticate": raw(0xF0, u8(0x19), props(prop(pAuthMethod, "PLAIN"), prop(pAuthData, "x"))),
		"an unknown code": raw(0xF0, u8(0x80), props(prop(pAuthMethod, "PLAIN"))),
		"flags":           raw(0xF1, u8(0x19), props(prop(pAuthMethod, "PLAIN"))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			if _, ok := p.connack.text(pAuthMethod); ok {
				t.Error("CONNACK names an authentication method")
			}
			p.send(packet)
			p.dropped(0x81, 0x82, 0x8C)
		})
	}
	old := connect(t, hello{version: v311})
	old.send(raw(0xF0))
	old.ends()
}

// Authentication data without a method is a protocol error [MQTT-3.1.4-1, MQTT-3.1.4-2].
func TestAuthenticationDataAlone(t *testing.T) {
	t.Parallel()
	try(t, hello{props: [][]byte{prop(pAuthData, "x")}}).refused(0x81, 0x82, 0x8C)
}
