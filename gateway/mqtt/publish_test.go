package mqtt

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

func TestPubackComesWhenTheMessageIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		for id := range uint16(5) {
			c.publish(1, 100+id, "t", "x")
		}
		synctest.Wait()
		c.expectNothing()
		r.log.release(2, nil)
		synctest.Wait()
		c.expect("40020064 40020065")
		c.expectNothing()
		r.log.release(3, nil)
		c.expect("40020066 40020067 40020068")
	})
}

func TestPubacksOfDroppedMessagesKeepTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		c.publish(1, 1, "$SYS/x", "")
		c.publish(1, 2, "t", "")
		c.publish(1, 3, "$SYS/x", "")
		c.publish(1, 4, "t", "")
		c.expect("40020001")
		c.send("c000") // its answer does not wait for those that are still to come
		c.expect("d000")
		synctest.Wait()
		c.expectNothing()
		r.log.release(1, nil)
		c.expect("40020002 40020003")
		r.log.release(1, nil)
		c.expect("40020004")
		if got := len(r.log.messages()); got != 2 {
			t.Errorf("the log has %d messages, want 2", got)
		}
	})
}

func TestAFailedDiskAnswersNothingAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		for id := range uint16(3) {
			c.publish(1, 1+id, "t", "x")
		}
		synctest.Wait()
		r.log.release(1, nil)
		synctest.Wait()
		r.log.release(1, message.ErrFailed)
		r.log.release(1, nil) // a log must not say this, and it must not matter
		c.expect("40020001")
		c.expectEnd()
		synctest.Wait()
		if !strings.Contains(r.lines.String(), message.ErrFailed.Error()) {
			t.Errorf("logged %q", r.lines)
		}
	})
}

func TestAnAcknowledgementOfNothingIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		c.publish(1, 1, "t", "x")
		c.publish(1, 2, "t", "x")
		synctest.Wait()
		r.log.mu.Lock()
		second := r.log.waiting[1]
		r.log.mu.Unlock()
		second.ack.Acknowledge(second.token, second.at, nil)
		synctest.Wait()
		c.expectNothing() // it is not its turn [MQTT-4.6.0-2]
		second.ack.Acknowledge(second.token+1, second.at, nil)
		c.expectEnd()
	})
}

func TestWhatTheLogRefusesForGoodClosesTheConnection(t *testing.T) {
	for _, refusal := range []error{message.ErrTooLarge, message.ErrTopic, message.ErrClosed, message.ErrFailed} {
		for qos := range byte(2) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.log.refuse(refusal)
				c := r.connect(t, "a")
				c.publish(qos, 1, "t", "x")
				c.expectEnd()
				synctest.Wait()
				if !strings.Contains(r.lines.String(), refusal.Error()) {
					t.Errorf("logged %q, want %q", r.lines, refusal)
				}
			})
		}
	}
}

func TestAFullLogMakesPublishersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.refuse(message.ErrFull)
		c := r.connect(t, "a", func(p *packet.Connect) { p.KeepAlive = 60 })
		other := r.connect(t, "b")
		for range 7 {
			other.publish(0, 0, "t", "x")
		}
		c.publish(1, 1, "t", "x")
		go c.socket.Write([]byte{0xc0, 0}) // is not read
		time.Sleep(10 * time.Minute)       // waiting is not the client's silence
		synctest.Wait()
		c.expectNothing()
		if got := r.Stats(); got.Dropped != 7 || got.Received != 7 {
			t.Errorf("dropped %d of %d, want 7 of 7", got.Dropped, got.Received)
		}
		r.log.refuse(nil)
		first, _ := c.next()
		second, _ := c.next()
		if first.Type+second.Type != packet.PUBACK+packet.PINGRESP {
			t.Errorf("got %v and %v, want PUBACK and PINGRESP in some order", first.Type, second.Type)
		}
		if got := len(r.log.messages()); got != 1 {
			t.Errorf("the log has %d messages, want 1", got)
		}
		for _, line := range []string{"the log is full", "takes messages again"} {
			if got := strings.Count(r.lines.String(), line); got != 1 {
				t.Errorf("%d lines with %q, want 1:\n%s", got, line, r.lines)
			}
		}
	})
}

func TestAPublisherThatWaitsForAFullLogCanBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.refuse(message.ErrFull)
		old := r.connect(t, "a")
		old.publish(1, 1, "t", "x")
		synctest.Wait()
		c := r.connect(t, "a")
		old.expectEnd()
		c.send("c000")
		c.expect("d000")
	})
}

func TestUnacknowledgedPublishesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.log.hold()
		c := r.connect(t, "a")
		const all = maxUnanswered + 500
		var stream []byte
		var want string
		for id := uint16(1); id <= all; id++ {
			p := packet.Publish{QoS: 1, ID: id, Topic: []byte("t")}
			stream = p.Append(stream, packet.V311)
			want += fmt.Sprintf("4002%04x", id)
		}
		go c.socket.Write(stream)
		time.Sleep(time.Minute)
		if got := r.log.waitingAcks(); got != maxUnanswered {
			t.Fatalf("%d publishes wait for the log, want %d", got, maxUnanswered)
		}
		r.log.release(1, nil)
		synctest.Wait()
		if got := r.log.waitingAcks(); got != maxUnanswered {
			t.Errorf("%d publishes wait for the log after one was answered, want %d", got, maxUnanswered)
		}
		for r.log.waitingAcks() > 0 {
			r.log.release(r.log.waitingAcks(), nil)
			synctest.Wait()
		}
		c.expect(want)
	})
}

func TestAClientThatDoesNotReadItsPubacksIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a")
		c.stall()
		var stream []byte
		for id := range uint16(20_000) {
			p := packet.Publish{QoS: 1, ID: id + 1, Topic: []byte("t")}
			stream = p.Append(stream, packet.V311)
		}
		go c.socket.Write(stream)
		time.Sleep(writeTimeout / 2)
		if got := len(r.log.messages()); got > 3*maxUnanswered {
			t.Errorf("%d publishes were taken from a client that reads nothing", got)
		}
		time.Sleep(writeTimeout)
		synctest.Wait()
		if got := len(r.sessions); got != 0 {
			t.Errorf("%d sessions after the write time-out, want 0", got)
		}
	})
}

func TestTopicsAreRemembered(t *testing.T) {
	var known topics
	for i := range 3 * maxTopics {
		topic := fmt.Appendf(nil, "t/%d", i)
		got, err := known.find(topic, 5)
		if err != nil || got != string(topic) {
			t.Fatalf("%s became %q, %v", topic, got, err)
		}
		if len(known.known) > maxTopics {
			t.Fatalf("%d topics are remembered, want at most %d", len(known.known), maxTopics)
		}
	}
	long := []byte(strings.Repeat("x", maxTopicBytes+1))
	if got, err := known.find(long, 5); err != nil || got != string(long) || known.known[got] != "" {
		t.Errorf("a long topic is remembered, or lost: %v", err)
	}
	if _, err := known.find([]byte("1/2/3/4/5/6"), 5); err == nil {
		t.Error("six levels pass")
	}
	topic := []byte("t/767")
	if allocs := testing.AllocsPerRun(100, func() { known.find(topic, 5) }); allocs != 0 {
		t.Errorf("a known topic costs %v allocations", allocs)
	}
}

// TestAPublishCostsNoAllocation sends QoS 1 publishes through the whole listener to a log that keeps
// nothing. What the pipe and the test do for a batch of 1,000 is counted along.
func TestAPublishCostsNoAllocation(t *testing.T) {
	const batch = 1000
	r := newRig(t, Options{})
	r.backend = forgetful{r.log}
	socket, there := net.Pipe()
	defer socket.Close()
	r.conns.Go(func() { r.serve(r.ctx, there) })
	socket.SetDeadline(time.Now().Add(time.Minute))
	connect := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte("a")}
	if _, err := socket.Write(connect.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(socket, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	var stream []byte
	for id := range uint16(batch) {
		p := packet.Publish{QoS: 1, ID: id + 1, Topic: []byte("readings/line-3/press"), Payload: make([]byte, 256)}
		stream = p.Append(stream, packet.V311)
	}
	pubacks := make([]byte, 4*batch)
	sent := make(chan error)
	sends := make(chan struct{})
	go func() {
		for range sends {
			_, err := socket.Write(stream)
			sent <- err
		}
	}()
	defer close(sends)
	allocs := testing.AllocsPerRun(20, func() {
		sends <- struct{}{}
		for n := 0; n < len(pubacks); {
			m, err := socket.Read(pubacks[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
	if got := hex.EncodeToString(pubacks[len(pubacks)-4:]); got != "400203e8" {
		t.Errorf("the last PUBACK is %s", got)
	}
	if perMessage := allocs / batch; perMessage > 0.02 {
		t.Errorf("a publish costs %v allocations", perMessage)
	}
}
