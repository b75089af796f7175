package conformance

import (
	"fmt"
	"testing"
	"time"
)

// [MQTT-3.3.4-1]: QoS 0 is not answered, QoS 1 with PUBACK [MQTT-4.3.2-4], QoS 2 with PUBREC
// [MQTT-4.3.3-8] and, after PUBREL, PUBCOMP [MQTT-4.3.3-11], all with their identifier [MQTT-2.2.1-5] and
// one of their codes [MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.7.2-1]. PUBLISH with QoS 0 has no identifier
// [MQTT-2.2.1-2], and its payload may look like one.
func TestAnswersToAPublisher(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311, v5} {
		p := connect(t, hello{version: version})
		topic := topicOf(t)
		watch := connect(t, hello{version: version})
		watch.subscribe(want{topic, 0})
		p.send(post{topic: topic, payload: "\x00\x07"}.bytes(version), raw(0xC0))
		if got := p.some(); got.kind != PINGRESP {
			t.Errorf("QoS 0 was answered with %v", got)
		}
		if got := watch.receive(); got.payload != "\x00\x07" || got.qos() != 0 {
			t.Errorf("got %v, want the payload as it was", got)
		}
		p.begin(post{topic: topic, qos: 1, id: 65535})
		if got := p.some(); got.kind != PUBACK || got.id != 65535 || got.code != 0 {
			t.Errorf("QoS 1 was answered with %v, want PUBACK", got)
		}
		p.begin(post{topic: topic, qos: 2, id: 256})
		if got := p.some(); got.kind != PUBREC || got.id != 256 || got.code != 0 {
			t.Errorf("QoS 2 was answered with %v, want PUBREC", got)
		}
		p.send(ack(PUBREL, 256))
		if got := p.some(); got.kind != PUBCOMP || got.id != 256 || got.code != 0 {
			t.Errorf("PUBREL was answered with %v, want PUBCOMP", got)
		}
	}
}

// A message without subscribers is the server's all the same, and its answer one of the codes that
// PUBACK and PUBREC have [MQTT-3.4.2-1, MQTT-3.5.2-1].
func TestAnswersWithoutSubscribers(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	for kind, qos := range map[int]int{PUBACK: 1, PUBREC: 2} {
		p.begin(post{topic: topicOf(t, "nobody"), qos: qos, id: 5})
		if got := p.await(kind); got.id != 5 || got.code != 0 && got.code != 0x10 {
			t.Errorf("got %v, want success or no matching subscribers", got)
		}
	}
}

// [MQTT-4.3.2-5]: after PUBACK the identifier means a new message, DUP or not; DUP is not passed on
// [MQTT-3.3.1-3].
func TestQoS1IdentifierIsFreeAfterPuback(t *testing.T) {
	t.Parallel()
	p, watch := connect(t, hello{}), connect(t, hello{})
	topic := topicOf(t)
	watch.subscribe(want{topic, 1})
	for _, dup := range []bool{false, true, false, true} {
		p.publish(post{topic: topic, payload: "again", qos: 1, id: 3, dup: dup})
		if got := watch.receive(); got.dup() || got.payload != "again" {
			t.Errorf("got %v, want a new message without DUP", got)
		}
	}
	watch.quiet()
}

// [MQTT-4.3.3-10]: until PUBREL the identifier is answered with PUBREC and delivered no second time, also
// over a new connection; [MQTT-4.3.3-12] after PUBCOMP it means a new message.
func TestQoS2IsDeliveredOnce(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			watch := connect(t, hello{version: version})
			watch.subscribe(want{topic, 2})
			h := persistent(version)
			p := connect(t, h)
			m := post{topic: topic, payload: "once", qos: 2, id: 11}
			p.begin(m)
			p.acked(PUBREC, 11)
			m.dup = true
			p.begin(m)
			p.acked(PUBREC, 11)
			p.vanish()
			p = connect(t, h)
			p.begin(m)
			p.acked(PUBREC, 11)
			p.send(ack(PUBREL, 11))
			p.acked(PUBCOMP, 11)
			if got := watch.receive(); got.payload != "once" || got.dup() { // [MQTT-3.3.1-3]
				t.Errorf("got %v, want it without DUP", got)
			}
			watch.quietAt(2)
			m.payload = "new"
			p.publish(m)
			watch.expect("new")
			watch.quietAt(2)
			p.discard(version)
		})
	}
}

// persistent is a CONNECT whose session outlives the connection.
func persistent(version int) hello {
	h := hello{version: version, id: clientID(), resume: true}
	if version == v5 {
		h.props = [][]byte{prop(pSessionExpiry, 300)}
	}
	return h
}

// discard ends the client's session, so that it holds nothing for later.
func (p *peer) discard(version int) {
	p.t.Helper()
	p.socket.Close()
	connect(p.t, hello{version: version, id: p.id}).leave()
}

// PUBREL for an identifier that nobody knows is answered with PUBCOMP [MQTT-4.3.3-11], in MQTT 5 with
// 0x92 or as if it had been known [MQTT-3.7.2-1]; PUBREC and PUBACK for what was never sent do no harm:
// PUBREC is answered with PUBREL likewise [MQTT-3.6.2-1].
func TestUnknownIdentifiers(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		p := connect(t, hello{version: version})
		p.send(ack(PUBREL, 99))
		if got := p.some(); got.kind != PUBCOMP || got.id != 99 || got.code != 0 && got.code != 0x92 {
			t.Errorf("PUBREL of nothing was answered with %v", got)
		}
		p.send(ack(PUBACK, 98), ack(PUBCOMP, 97), raw(0xC0))
		if got := p.some(); got.kind != PINGRESP {
			t.Errorf("PUBACK and PUBCOMP of nothing were answered with %v", got)
		}
		p.send(ack(PUBREC, 96), raw(0xC0))
		if got := p.some(); got.kind == PUBREL && (got.id != 96 || got.code != 0 && got.code != 0x92) {
			t.Errorf("PUBREC of nothing was answered with %v", got)
		}
	}
}

// Codes that a packet does not have are protocol errors: PUBACK's [MQTT-3.4.2-1], PUBREC's
// [MQTT-3.5.2-1], PUBREL's [MQTT-3.6.2-1], PUBCOMP's [MQTT-3.7.2-1], DISCONNECT's [MQTT-3.14.2-1].
func TestCodesThatAPacketDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{
		"PUBACK 1":        raw(0x40, u16(1), u8(1)),
		"PUBACK 0x92":     raw(0x40, u16(1), u8(0x92)),
		"PUBREC 0xff":     raw(0x50, u16(1), u8(0xff)),
		"PUBREL 0x10":     raw(0x62, u16(1), u8(0x10)),
		"PUBCOMP 0x80":    raw(0x70, u16(1), u8(0x80)),
		"DISCONNECT 1":    raw(0xE0, u8(1)),
		"DISCONNECT 0x8c": raw(0xE0, u8(0x10)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, hello{})
			p.send(packet)
			p.dropped(0x81, 0x82)
		})
	}
}

// Acknowledgements of every length are understood: without code, with code, with empty properties, with
// properties. A delivery goes on through them [MQTT-4.3.3-4].
func TestAcknowledgementsOfEveryLength(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p, c := publisher(t), connect(t, hello{})
	c.subscribe(want{topic, 2})
	for _, tail := range [][]byte{nil, {0}, {0, 0}, cat(u8(0), props(prop(pReason, "fine"), prop(pUser, [2]string{"a", "b"})))} {
		p.publish(post{topic: topic, payload: "1", qos: 1})
		p.publish(post{topic: topic, payload: "2", qos: 2})
		one := c.message()
		c.send(raw(0x40, u16(one.id), tail))
		two := c.message()
		c.send(raw(0x50, u16(two.id), tail))
		c.acked(PUBREL, two.id)
		c.send(raw(0x70, u16(two.id), tail))
	}
	id := 100
	for _, tail := range [][]byte{nil, {0}, {0, 0}} {
		id++
		p.begin(post{topic: topic, payload: "3", qos: 2, id: id})
		p.acked(PUBREC, id)
		p.send(raw(0x62, u16(id), tail))
		p.acked(PUBCOMP, id)
		c.expect("3")
	}
	c.quiet()
}

// To a subscriber: no DUP the first time [MQTT-4.3.1-1, MQTT-4.3.2-2, MQTT-4.3.3-2], QoS 0 without
// identifier [MQTT-2.2.1-2, MQTT-3.3.1-2], the others with free ones that are not 0 [MQTT-2.2.1-4,
// MQTT-4.3.2-1, MQTT-4.3.3-1]; a good PUBREC brings PUBREL with the same identifier [MQTT-4.3.3-4,
// MQTT-2.2.1-5], and one of its codes [MQTT-3.6.2-1].
func TestDeliveryToASubscriber(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	p, c := publisher(t), connect(t, hello{})
	c.subscribe(want{topic, 2})
	under := map[int]*packet{}
	for i := range 10 {
		p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: i%2 + 1})
		got := c.message()
		if got.dup() || got.id == 0 || under[got.id] != nil || got.qos() != i%2+1 {
			t.Errorf("got %v (identifier %d, under way %d)", got, got.id, len(under))
		}
		under[got.id] = got
	}
	p.publish(post{topic: topic, payload: "zero"})
	if got := c.message(); got.qos() != 0 || got.dup() || got.payload != "zero" {
		t.Errorf("got %v, want QoS 0", got)
	}
	for id, m := range under {
		if m.qos() == 1 {
			c.send(ack(PUBACK, id))
			continue
		}
		c.send(ack(PUBREC, id))
		if got := c.await(PUBREL); got.id != id || got.code != 0 {
			t.Errorf("PUBREC %d was answered with %v", id, got)
		}
		c.send(ack(PUBCOMP, id))
	}
	c.quiet()
}

// Identifiers stay free of those under way when they wrap around [MQTT-2.2.1-4, MQTT-4.3.2-1].
func TestIdentifiersWrapAround(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes 70,000 messages")
	}
	wrapAround(t, 70_000, 20, 0)
}

// A client that never acknowledges its first message, and all others out of turn, may be kept waiting
// until it does, but never gets an identifier that is none [MQTT-2.2.1-4]; nothing is lost.
func TestAClientThatHoldsItsFirstMessageBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes 70,000 messages")
	}
	wrapAround(t, 70_000, 1, 1)
}

// wrapAround has a client take messages with a few of them under way at a time, and the first ones held
// back until the server waits for them or the end.
func wrapAround(t *testing.T, all, atOnce, held int) {
	topic := topicOf(t)
	c, p := connect(t, hello{}), publisher(t)
	c.subscribe(want{topic, 1})
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		for sent := 0; sent < all; sent += 500 {
			var batch []byte
			for i := sent; i < min(sent+500, all); i++ {
				batch = append(batch, post{topic: topic, payload: fmt.Sprint(i), qos: 1, id: p.nextID()}.bytes(v5)...)
			}
			p.socket.SetWriteDeadline(time.Now().Add(patience))
			if _, err := p.socket.Write(batch); err != nil {
				t.Error(err)
				return
			}
			for range 500 {
				if got, err := p.readWithin(patience); got == nil || got.kind != PUBACK {
					t.Errorf("the publisher got %v, %v; want PUBACK", got, err)
					return
				}
			}
		}
	}()
	under := map[int]bool{}
	var order []int // of those under way
	for i := range all {
		if held > 0 && !c.readable(2*time.Second) {
			c.send(ack(PUBACK, order[0])) // the server waits for it, and may
			delete(under, order[0])
			order, held = order[1:], 0
		}
		got := c.message()
		if got.id == 0 || under[got.id] || got.dup() || got.payload != fmt.Sprint(i) {
			t.Fatalf("message %d came as %v with identifier %d (under way: %v)", i, got, got.id, under[got.id])
		}
		under[got.id] = true
		order = append(order, got.id)
		if len(order) > atOnce {
			c.send(ack(PUBACK, order[held]))
			delete(under, order[held])
			order = append(order[:held], order[held+1:]...)
		}
	}
	for _, id := range order {
		c.send(ack(PUBACK, id))
	}
	<-sending
	c.quiet()
}

// With the session what is under way comes again, with DUP [MQTT-3.3.1-1] and its identifier
// [MQTT-4.4.0-1, MQTT-4.3.2-3, MQTT-4.3.3-3], in order [MQTT-4.6.0-5]; after PUBREC PUBREL instead
// [MQTT-4.3.3-5, MQTT-4.3.3-6].
func TestWhatIsUnderWayComesAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v311, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			h := persistent(version)
			c, p := connect(t, h), publisher(t)
			c.subscribe(want{topic, 2})
			for i, qos := range []int{1, 2, 1, 2, 2, 1} {
				p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: qos})
			}
			var first []*packet
			for range 6 {
				first = append(first, c.message())
			}
			c.send(ack(PUBACK, first[0].id)) // finished
			c.send(ack(PUBREC, first[1].id)) // half-way
			c.acked(PUBREL, first[1].id)
			c.send(ack(PUBREC, first[3].id)) // finished
			c.acked(PUBREL, first[3].id)
			c.send(ack(PUBCOMP, first[3].id))
			c.ping()
			for range 2 {
				c.vanish()
				c = connect(t, h)
				if c.connack.ackFlags != 1 {
					t.Fatal("there is no session")
				}
				var again []*packet
				for range 4 {
					again = append(again, c.some())
				}
				var messages []*packet
				for _, got := range again {
					switch {
					case got.kind == PUBREL && got.id == first[1].id:
					case got.kind == PUBLISH:
						messages = append(messages, got)
					default:
						t.Errorf("got %v again", got)
					}
				}
				if len(messages) != 3 {
					t.Fatalf("got %v again, want three messages and PUBREL", again)
				}
				for i, was := range []*packet{first[2], first[4], first[5]} {
					if got := messages[i]; got.id != was.id || got.payload != was.payload || !got.dup() || got.qos() != was.qos() {
						t.Errorf("got %v again, want %v with DUP", got, was)
					}
				}
			}
			for _, m := range []*packet{first[2], first[4], first[5]} {
				if m.qos() == 1 {
					c.send(ack(PUBACK, m.id))
				} else {
					c.send(ack(PUBREC, m.id))
					c.acked(PUBREL, m.id)
					c.send(ack(PUBCOMP, m.id))
				}
			}
			c.send(ack(PUBCOMP, first[1].id))
			c.quietAt(2)
			c.vanish()
			c = connect(t, h)
			c.quietAt(2)
			c.discard(version)
		})
	}
}

// Nothing is sent again while the connection lasts [MQTT-4.4.0-1].
func TestNothingIsSentAgainOnTheSameConnection(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c, p := connect(t, hello{}), publisher(t)
	c.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: "1", qos: 1})
	p.publish(post{topic: topic, payload: "2", qos: 2})
	one, two := c.message(), c.message()
	c.silentFor(2 * time.Second)
	c.send(ack(PUBACK, one.id), ack(PUBREC, two.id))
	c.acked(PUBREL, two.id)
	c.silentFor(time.Second)
	c.send(ack(PUBCOMP, two.id))
	c.quiet()
}

// A bad PUBACK or PUBREC ends the matter: nothing comes again [MQTT-4.4.0-2], no PUBREL follows
// [MQTT-4.3.3-4], and the identifier is free.
func TestBadAcknowledgementsEndTheMatter(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic, 2})
	p.publish(post{topic: topic, payload: "1", qos: 1})
	p.publish(post{topic: topic, payload: "2", qos: 2})
	c.send(raw(0x40, u16(c.message().id), u8(0x83)))
	c.send(raw(0x50, u16(c.message().id), u8(0x97), props(prop(pReason, "no room"))))
	c.send(raw(0xC0))
	if got := c.some(); got.kind != PINGRESP {
		t.Errorf("got %v, want nothing", got)
	}
	c.vanish()
	c = connect(t, h)
	c.quiet()
	c.discard(v5)
}

// After a bad PUBREC of the server the identifier means a new message [MQTT-4.3.3-9]. A topic that no
// client may publish on is such a case, if the server says so; else it drops and answers as ever.
func TestQoS2IdentifierAfterARefusal(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	watch, p := connect(t, hello{}), connect(t, hello{})
	watch.subscribe(want{topic, 2})
	p.begin(post{topic: "$SYS/broker/uptime", payload: "forged", qos: 2, id: 4})
	if got := p.await(PUBREC); got.code < 0x80 {
		p.send(ack(PUBREL, 4))
		p.acked(PUBCOMP, 4)
	}
	p.publish(post{topic: topic, payload: "new", qos: 2, id: 4})
	watch.expect("new")
}

// A publisher whose message expires at once finishes the exchange all the same [MQTT-4.3.3-13].
func TestExchangeOfAnExpiredMessage(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	p.begin(post{topic: topicOf(t), payload: "short", qos: 2, id: 6, props: [][]byte{prop(pExpiry, 1)}})
	p.acked(PUBREC, 6)
	time.Sleep(1200 * time.Millisecond)
	p.begin(post{topic: topicOf(t), payload: "short", qos: 2, id: 6, dup: true, props: [][]byte{prop(pExpiry, 1)}})
	p.acked(PUBREC, 6)
	p.send(ack(PUBREL, 6))
	p.acked(PUBCOMP, 6)
}

// [MQTT-3.8.4-8]: the lower of the message's QoS and the subscription's.
func TestQoSIsTheLowerOfBoth(t *testing.T) {
	t.Parallel()
	for _, version := range []int{v31, v311, v5} {
		topic := topicOf(t, fmt.Sprint(version))
		p := connect(t, hello{version: version})
		for granted := range 3 {
			c := connect(t, hello{version: version})
			c.subscribe(want{topic, granted})
			for published := range 3 {
				p.publish(post{topic: topic, payload: "x", qos: published})
				if got := c.receive(); got.qos() != min(granted, published) {
					t.Errorf("QoS %d to a subscription of %d came with %d", published, granted, got.qos())
				}
			}
		}
	}
}

// [MQTT-4.6.0-5, MQTT-4.6.0-6]: a publisher's messages keep their order, live and from a session, for
// each QoS on a topic.
func TestOrder(t *testing.T) {
	t.Parallel()
	for qos := range 3 {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			t.Parallel()
			topic := topicOf(t)
			h := persistent(v5)
			asleep := connect(t, h)
			asleep.subscribe(want{topic + "/+", qos})
			asleep.leave()
			live, p := connect(t, hello{}), publisher(t)
			live.subscribe(want{topic + "/#", qos})
			const all = 300
			for i := range all {
				p.begin(post{topic: fmt.Sprint(topic, "/", i%3), payload: fmt.Sprint(i), qos: qos})
				if i%20 == 19 { // within any receive maximum
					for range min(qos*20, 20) {
						got := p.await([]int{0, PUBACK, PUBREC}[qos])
						if qos == 2 {
							p.send(ack(PUBREL, got.id))
							p.await(PUBCOMP)
						}
					}
				}
			}
			check := func(c *peer) {
				t.Helper()
				last := [3]int{-1, -1, -1}
				for range all {
					var n int
					fmt.Sscan(c.receive().payload, &n)
					if n <= last[n%3] {
						t.Fatalf("%d came after %d", n, last[n%3])
					}
					last[n%3] = n
				}
			}
			check(live)
			live.quietAt(qos)
			if qos > 0 {
				asleep = connect(t, h)
				check(asleep)
				asleep.quietAt(qos)
			}
			asleep.discard(v5)
		})
	}
}

// [MQTT-3.3.4-9, MQTT-4.9.0-1, MQTT-4.9.0-2]: the server keeps to the client's receive maximum, from the
// first message on; [MQTT-3.3.4-10, MQTT-4.9.0-3] everything else goes on meanwhile.
func TestReceiveMaximumOfTheClient(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	c := connect(t, hello{props: [][]byte{prop(pReceiveMax, 2)}})
	control, p := connect(t, hello{}), publisher(t)
	c.subscribe(want{topic, 2})
	control.subscribe(want{topic, 2})
	for i := range 6 {
		p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: i%2 + 1})
	}
	control.expect("0", "1", "2", "3", "4", "5")
	zero, one := c.message(), c.message()
	c.silentFor(300 * time.Millisecond)
	c.ping()
	c.subscribe(want{topic + "/more", 1})
	c.unsubscribe(topic + "/more")
	c.publish(post{topic: topic + "/own", qos: 2})
	c.silentFor(100 * time.Millisecond)
	if zero.payload != "0" || one.payload != "1" || zero.qos() != 1 || one.qos() != 2 {
		t.Fatalf("got %v and %v first", zero, one)
	}
	c.send(ack(PUBREC, one.id)) // frees nothing before PUBCOMP
	c.acked(PUBREL, one.id)
	c.silentFor(100 * time.Millisecond)
	c.send(ack(PUBCOMP, one.id))
	two := c.message()
	c.silentFor(100 * time.Millisecond)
	c.send(ack(PUBACK, zero.id))
	three := c.message()
	c.silentFor(100 * time.Millisecond)
	c.send(raw(0x50, u16(three.id), u8(0x80))) // a bad PUBREC frees its place
	four := c.message()
	c.send(ack(PUBACK, two.id), ack(PUBACK, four.id))
	c.expect("5")
	for i, got := range []*packet{two, three, four} {
		if got.payload != fmt.Sprint(i+2) {
			t.Errorf("message %d is %q", i+2, got.payload)
		}
	}
	c.quiet()
}

// The same for what a session brings along [MQTT-3.3.4-9]: a smaller maximum counts for what is sent
// again too.
func TestReceiveMaximumAfterAReturn(t *testing.T) {
	t.Parallel()
	topic := topicOf(t)
	h := persistent(v5)
	c, p := connect(t, h), publisher(t)
	c.subscribe(want{topic, 1})
	for i := range 5 {
		p.publish(post{topic: topic, payload: fmt.Sprint(i), qos: 1})
	}
	for range 3 {
		c.message()
	}
	c.vanish()
	h.props = append(h.props, prop(pReceiveMax, 1))
	c = connect(t, h)
	for i := range 5 {
		got := c.message()
		if got.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got.payload)
		}
		c.silentFor(50 * time.Millisecond)
		c.send(ack(PUBACK, got.id))
	}
	c.quiet()
	c.discard(v5)
}

// [MQTT-3.3.4-7]: who sends more than the server takes at once is told 0x93. QoS 2 messages stay under
// way until their PUBREL.
func TestReceiveMaximumOfTheServer(t *testing.T) {
	t.Parallel()
	p := connect(t, hello{})
	most, ok := p.connack.number(pReceiveMax)
	if !ok {
		most = 65535
	}
	topic := topicOf(t)
	var all []byte
	for i := range most {
		all = append(all, post{topic: topic, payload: "x", qos: 2, id: i + 1}.bytes(v5)...)
	}
	go p.socket.Write(all)
	for range most {
		p.await(PUBREC)
	}
	p.ping() // all of them are taken
	if most < 65535 {
		p.begin(post{topic: topic, qos: 2, id: most + 1})
		p.dropped(0x93)
	}
}
