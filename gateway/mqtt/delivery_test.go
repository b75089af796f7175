package mqtt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

func TestASubscriberGetsEachMessageOnceWithTheHighestQoS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a")
		c.subscribe("readings/#", 0)
		c.subscribe("readings/+/press", 1)
		c.subscribe("readings/line-3/press", 0)
		publisher := r.connect(t, "b")
		for _, test := range []struct {
			qos       byte
			topic     string
			delivered byte
		}{
			{1, "readings/line-3/press", 1}, // 3.1.1 [MQTT-3.3.5-1]
			{0, "readings/line-3/press", 0},
			{1, "readings/line-3/meter", 0},
			{1, "other", 255},
			{1, "readings", 0},
		} {
			publisher.publish(test.qos, 1, test.topic, "x")
			synctest.Wait()
			if test.delivered == 255 {
				c.expectNothing()
				continue
			}
			got := c.nextPublish()
			if got.QoS != test.delivered || string(got.Topic) != test.topic || string(got.Payload) != "x" || got.Retain || got.Dup {
				t.Errorf("%+v was delivered as %+v", test, got)
			}
			c.expectNothing()
		}
	})
}

func TestSubscribingAgainReplacesTheQoS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a")
		for _, qos := range []byte{1, 0, 1} {
			c.subscribe("t", qos)
			c.publish(1, 1, "t", "x")
			synctest.Wait()
			frames := map[packet.Type]packet.Frame{}
			for range 2 {
				f, _ := c.next()
				frames[f.Type] = f
			}
			if got := frames[packet.PUBLISH].Flags >> 1; got != qos {
				t.Errorf("delivered with QoS %d, want %d", got, qos)
			}
			c.expectNothing()
		}
	})
}

func TestUnsubscribeStopsDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.connect(t, "a")
		for i := range 2 * fewFilters {
			c.subscribe(fmt.Sprintf("t/%d", i), 0)
		}
		c.send("a207 0001 0003 742f31") // t/1
		c.expect("b0020001")
		for i := range 2 * fewFilters {
			c.publish(0, 0, fmt.Sprintf("t/%d", i), "x")
		}
		synctest.Wait()
		var got []string
		for range 2*fewFilters - 1 {
			p := c.nextPublish()
			got = append(got, string(p.Topic))
		}
		if want := "t/0 t/2 t/3 t/4 t/5 t/6 t/7"; strings.Join(got, " ") != want {
			t.Errorf("got %s, want %s", got, want)
		}
		c.expectNothing()
	})
}

func TestARecordOnItsWayWhenItsFilterGoesIsNotDelivered(t *testing.T) {
	var f filters
	m := message.Delivery{Record: message.Record{Message: message.Message{Topic: "t"}}}
	f.put(subscribed{filter: "t"})
	if !f.match(&m).any {
		t.Error("a subscribed topic does not match")
	}
	f.remove("", "t")
	if f.match(&m).any {
		t.Error("a topic matches after its filter was removed")
	}
}

func TestManyFiltersAndTopicsMatchAlike(t *testing.T) {
	var f filters
	for i := range 50 {
		f.put(subscribed{filter: fmt.Sprintf("+/%d", i), qos: byte(i % 2)})
	}
	for range 2 {
		for i := range 2 * maxMatches {
			got := f.match(&message.Delivery{Record: message.Record{Message: message.Message{Topic: fmt.Sprintf("t/%d", i)}}})
			if got.any != (i < 50) || got.any && got.qos != byte(i%2) {
				t.Fatalf("t/%d matches %+v", i, got)
			}
			if len(f.matches) > maxMatches {
				t.Fatalf("%d matches are remembered", len(f.matches))
			}
		}
	}
}

func TestTheWindowBoundsWhatIsUnderway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Window: 3})
		c := r.connect(t, "a")
		c.subscribe("t", 1)
		publisher := r.connect(t, "b")
		for i := range uint16(10) {
			publisher.publish(1, 1+i, "t", string('0'+rune(i)))
		}
		synctest.Wait()
		ids := map[uint16]bool{}
		var last uint16
		for i := range 3 {
			p := c.nextPublish()
			if string(p.Payload) != string('0'+rune(i)) || p.ID == 0 || ids[p.ID] {
				t.Errorf("message %d is %q with id %d", i, p.Payload, p.ID)
			}
			ids[p.ID], last = true, p.ID
		}
		c.expectNothing()
		c.send(fmt.Sprintf("4002%04x", last)) // out of order
		c.send("40020009 4002ffff")           // and of nothing
		if p := c.nextPublish(); ids[p.ID] || string(p.Payload) != "3" {
			t.Errorf("got %q with id %d, want 3 with one that none before it had", p.Payload, p.ID)
		}
		synctest.Wait()
		c.expectNothing()
	})
}

func TestASlowSubscriberHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		slow, quick, publisher := r.connect(t, "slow"), r.connect(t, "quick"), r.connect(t, "publisher")
		slow.subscribe("t", 0)
		quick.subscribe("t", 0)
		slow.stall()
		const all = 2000
		payload := strings.Repeat("x", 1000)
		for range all {
			publisher.publish(0, 0, "t", payload)
		}
		for range all {
			quick.nextPublish()
		}
		if got := r.Stats(); got.Delivered < all || got.Delivered > all+300 {
			t.Errorf("delivered %d messages, want %d and what fits into a buffer", got.Delivered, all)
		}
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if _, there := r.sessions["slow"]; there || len(r.sessions) != 2 {
			t.Errorf("a subscriber that takes nothing is still there: %v", r.sessions)
		}
	})
}

// TestAQoS0SubscriberTooSlowIsSkippedAhead reads a little every second: alive, but hopeless.
func TestAQoS0SubscriberTooSlowIsSkippedAhead(t *testing.T) {
	for qos, want := range []string{"skipped", "kept"} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				c, publisher := r.connect(t, "slow"), r.connect(t, "publisher")
				c.subscribe("t", byte(qos))
				c.stall()
				const all = 20_000
				for range all {
					publisher.publish(0, 0, "t", strings.Repeat("x", 1000))
				}
				for range 60 {
					c.socket.SetReadDeadline(time.Now().Add(time.Second))
					if _, err := io.CopyN(io.Discard, c.socket, 10_000); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				c.socket.SetReadDeadline(time.Time{})
				go io.Copy(io.Discard, c.socket)
				synctest.Wait()
				stats := r.Stats()
				if skipped := stats.Dropped > 0; skipped != (qos == 0) {
					t.Errorf("QoS %d: %d of %d were dropped", qos, stats.Dropped, all)
				}
				if stats.Delivered+stats.Dropped != all {
					t.Errorf("%d delivered and %d dropped are not %d", stats.Delivered, stats.Dropped, all)
				}
			})
		})
	}
}

func TestBacklog(t *testing.T) {
	begin := time.Unix(0, 0)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	for _, test := range []struct {
		name    string
		stalled bool
		upToNow int // when it was last up to date
		now     int
		want    bool
	}{
		{"behind for long, socket full", true, 0, 10, true},
		{"behind for long, socket never full", false, 0, 100, false},
		{"behind for a while", true, 0, 9, false},
		{"behind again", true, 5, 14, false},
	} {
		b := backlog{}
		b.hopeless(true, at(0))
		b.stalled = test.stalled
		if test.upToNow > 0 {
			b.hopeless(false, at(test.upToNow))
			b.hopeless(true, at(test.upToNow))
			b.stalled = test.stalled
		}
		if got := b.hopeless(true, at(test.now)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
