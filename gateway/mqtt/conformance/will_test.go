package conformance

import (
	"slices"
	"testing"
	"time"
)

// [MQTT-3.1.2-7, MQTT-3.1.2-8]: a will is published when the connection ends without a goodbye, with all
// its properties [MQTT-3.1.2-9]; its user properties keep their order [MQTT-3.1.3-10]; without retain it
// is not retained [MQTT-3.1.2-14]. It goes once [MQTT-3.1.2-10].
func TestWillOfALostConnection(t *testing.T) {
	t.Parallel()
	for qos := range 3 {
		topic := topicOf(t, string(rune('0'+qos)))
		watch := connect(t, hello{})
		watch.subscribe(want{topic, 2 | asPublished})
		pairs := [][]byte{prop(pUser, [2]string{"b", "1"}), prop(pUser, [2]string{"a", "2"}), prop(pUser, [2]string{"b", "1"})}
		list := append(slices.Clone(pairs), prop(pFormat, 1), prop(pContentType, "text"), prop(pResponseTopic, "answer"), prop(pCorrelation, "\x00\xff"))
		p := connect(t, hello{will: &testament{topic: topic, payload: "gone", qos: qos, props: list}})
		p.vanish()
		got := watch.receive()
		if got.payload != "gone" || got.qos() != qos || got.retain() || !slices.Equal(got.user(), [][2]string{{"b", "1"}, {"a", "2"}, {"b", "1"}}) {
			t.Errorf("the will came as %v %q with %v", got, got.payload, got.user())
		}
		checkProperties(t, got, map[byte]any{pFormat: 1, pContentType: "text", pResponseTopic: "answer", pCorrelation: "\x00\xff"})
		connect(t, hello{id: p.id}).vanish() // without a will now
		watch.quiet()
		late := connect(t, hello{})
		late.subscribe(want{topic, 2})
		late.quiet()
	}
}

func checkProperties(t *testing.T, got *packet, list map[byte]any) {
	t.Helper()
	for id, value := range list {
		var have any
		var ok bool
		switch value.(type) {
		case int:
			have, ok = got.number(id)
		case string:
			have, ok = got.text(id)
		}
		if !ok || have != value {
			t.Errorf("property %d is %v (%v), want %v", id, have, ok, value)
		}
	}
}

// [MQTT-3.1.2-15]
func TestRetainedWill(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	connect(t, hello{will: &testament{topic: topic, payload: "kept", qos: 1, retain: true}}).vanish()
	watch.expect("kept")
	late := connect(t, hello{})
	late.subscribe(want{topic, 1})
	if got := late.receive(); got.payload != "kept" || !got.retain() {
		t.Errorf("got %v, want the retained will", got)
	}
	publisher(t).publish(post{topic: topic, retain: true})
}

// [MQTT-3.14.4-3, MQTT-3.1.2-10, MQTT-3.1.2-8]
func TestGoodbyeTakesTheWillBack(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	for _, version := range []int{v31, v311, v5} {
		connect(t, hello{version: version, will: &testament{topic: topic, payload: "never", qos: 1}}).leave()
	}
	connect(t, hello{will: &testament{topic: topic, payload: "never", qos: 1}}).leave(u8(0), props())
	watch.quiet()
}

// Any other code publishes it [MQTT-3.1.2-8]: with will (0x04), or an error. So do a protocol error, a
// malformed packet and a take-over.
func TestOtherEndingsPublishTheWill(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *peer){
		"disconnect with will": func(p *peer) { p.leave(u8(4)) },
		"an error":             func(p *peer) { p.leave(u8(0x80), props(prop(pReason, "hot"))) },
		"a protocol error":     func(p *peer) { p.send(raw(0x20, u16(0), u8(0))); p.gone() },
		"a malformed packet":   func(p *peer) { p.send(raw(0x36)); p.gone() },
		"a take-over":          func(p *peer) { connect(p.t, hello{id: p.id}); p.gone() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			watch := connect(t, hello{})
			watch.subscribe(want{topic, 1})
			end(connect(t, hello{will: &testament{topic: topic, payload: "gone", qos: 1}}))
			watch.expect("gone")
			watch.quiet()
		})
	}
}

// A client that says nothing for too long leaves its will [MQTT-3.1.2-22, MQTT-3.1.2-8].
func TestKeepAlivePublishesTheWill(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	connect(t, hello{alive: 1, will: &testament{topic: topic, payload: "silent", qos: 1}})
	connect(t, hello{version: v311, alive: 1, will: &testament{topic: topic, payload: "silent", qos: 1}})
	watch.expect("silent", "silent")
}

// [MQTT-3.1.2-8]: the delay is waited for when the session lives so long; the session's end comes first
// when it does not.
func TestWillDelay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ delay, expiry, from, to int }{
		"delay within the session": {1, 60, 900, 19000},
		"session ends first":       {60, 1, 900, 19000},
		"session ends at once":     {60, 0, 0, 19000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			watch := connect(t, hello{})
			watch.subscribe(want{topic, 1})
			p := connect(t, hello{
				will:  &testament{topic: topic, payload: "late", qos: 1, props: [][]byte{prop(pWillDelay, test.delay)}},
				props: [][]byte{prop(pSessionExpiry, test.expiry)},
			})
			since := time.Now()
			p.vanish()
			watch.expect("late")
			if took := time.Since(since).Milliseconds(); took < int64(test.from) || took > int64(test.to) {
				t.Errorf("the will came after %d ms, want %d to %d", took, test.from, test.to)
			}
			watch.quiet()
		})
	}
}

// [MQTT-3.1.3-9]: who is back in time leaves no will, and keeps the session or not; a fresh start ends
// the session and so publishes it at once.
func TestReturningWithinTheWillDelay(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	h := hello{
		id:    clientID(),
		will:  &testament{topic: topic, payload: "never", qos: 1, props: [][]byte{prop(pWillDelay, 2)}},
		props: [][]byte{prop(pSessionExpiry, 300)},
	}
	connect(t, h).vanish()
	back := connect(t, hello{id: h.id, resume: true, props: h.props})
	if back.connack.ackFlags != 1 {
		t.Error("the session is gone")
	}
	time.Sleep(3500 * time.Millisecond)
	watch.quiet()
	back.leave()

	h.will.payload = "fresh"
	h.will.props = [][]byte{prop(pWillDelay, 30)}
	connect(t, h).vanish()
	since := time.Now()
	connect(t, hello{id: h.id})
	watch.expect("fresh")
	if took := time.Since(since); took > 15*time.Second {
		t.Errorf("the will of an ended session came after %v, want at once", took)
	}
}

// A will expires like any message [MQTT-3.3.2-6]; what is left of its expiry is passed on.
func TestWillWithAnExpiry(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch := connect(t, hello{})
	watch.subscribe(want{topic, 1})
	connect(t, hello{will: &testament{topic: topic, payload: "x", qos: 1, props: [][]byte{prop(pExpiry, 100)}}}).vanish()
	if n, ok := watch.receive().number(pExpiry); !ok || n > 100 || n < 90 {
		t.Errorf("the expiry is %d (%v), want 100", n, ok)
	}
}
