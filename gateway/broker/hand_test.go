package broker

import (
	"slices"
	"testing"
	"testing/synctest"

	"sluice/gateway/message"
)

func TestHandReachesThoseWhoListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("$SYS/#")
		s.Add("$SYS/uptime")
		s.Add("a")
		m, number := join(t, b, "g", "$SYS/uptime", false)
		defer m.Close()
		payload := []byte("1 second")
		handed := &message.Message{Topic: "$SYS/uptime", Payload: payload, Properties: []message.Property{{Name: "a", Value: "b"}}}
		log.add("a")
		synctest.Wait()
		if got := b.Hand(handed); got != 2 {
			t.Errorf("it reached %d, want the subscription and the share", got)
		}
		if got := b.Hand(&message.Message{Topic: "$SYS/other"}); got != 1 {
			t.Errorf("it reached %d, want the subscription", got)
		}
		if got := b.Hand(&message.Message{Topic: "b"}); got != 0 {
			t.Errorf("it reached %d, want nobody", got)
		}
		copy(payload, "2 sec")
		log.add("a")
		synctest.Wait()
		got := receive(t, s, 10)
		if want := []message.Position{1, 0, 0, 2}; !slices.Equal(places(got), want) || string(got[1].Payload) != "1 second" || got[1].Properties[0].Value != "b" {
			t.Errorf("got %+v, want %v", got, want)
		}
		if got := s.Passed(); got != 2 {
			t.Errorf("it has passed %d, want 2", got)
		}
		if got := receive(t, m, 10); len(got) != 1 || got[0].Share != number || got[0].Position != 0 {
			t.Errorf("the member got %+v", got)
		}
		if len(log.records) != 2 {
			t.Errorf("the log holds %d messages, want 2", len(log.records))
		}
		b.Hand(handed)
		s.Remove("$SYS/#")
		s.Remove("$SYS/uptime")
		if s.inbox.n != 0 {
			t.Error("what is not wanted any more stays")
		}
	})
}

func TestHandDropsWhatHasNoRoom(t *testing.T) {
	b := New(newMemLog())
	s := b.Subscribe(FromNow)
	defer s.Close()
	s.Add("a")
	m, _ := join(t, b, "g", "a", false)
	defer m.Close()
	const all = maxInbox + shareWindow
	for range all + 5 {
		b.Hand(&message.Message{Topic: "a"})
	}
	if stats := b.Stats(); stats.Handed != maxInbox+shareWindow || stats.Dropped != shareWindow+5+5 {
		t.Errorf("%+v, want %d handed, and the rest dropped", stats, maxInbox+shareWindow)
	}
	if got := s.Skip(); got != maxInbox {
		t.Errorf("skipped %d, want %d", got, maxInbox)
	}
	if got := b.Hand(&message.Message{Topic: "a"}); got != 1 {
		t.Errorf("it reached %d after the skip, want the subscription", got)
	}
	got := 0
	for got < all {
		got += len(receive(t, m, 100))
	}
	if got != all {
		t.Errorf("the member got %d, want %d", got, all)
	}
}

// TestHandKeepsNobodyFromReadingOn: a reader that is behind gets both.
func TestHandKeepsNobodyFromReadingOn(t *testing.T) {
	log := newMemLog()
	for range 10 {
		log.add("a")
	}
	b := New(log)
	s := b.Subscribe(0)
	defer s.Close()
	s.Resume("a", 0)
	got := 0
	for range 20 {
		b.Hand(&message.Message{Topic: "a"})
		for _, d := range receive(t, s, 1) {
			if d.Position != 0 {
				got++
			}
		}
	}
	if got != 10 {
		t.Errorf("it got %d records of 10 beside what was handed", got)
	}
}

func TestQoS0ThatNobodyKeepsStaysOutOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		route(t, b)
		s := b.Subscribe(FromNow)
		defer s.Close()
		s.Add("#")
		var answers []message.Position
		ack := message.AcknowledgeFunc(func(token uint64, at message.Position, err error) {
			if token != 7 || err != nil {
				t.Errorf("token %d is answered with %v", token, err)
			}
			answers = append(answers, at)
		})
		publish := func(m message.Message) {
			t.Helper()
			if err := b.Publish(t.Context(), &m, ack, 7); err != nil {
				t.Fatal(err)
			}
		}
		publish(message.Message{Topic: "a"})
		if len(log.records) != 1 {
			t.Fatalf("the log holds %d messages, want all unless it is told otherwise", len(log.records))
		}
		log.sync()
		synctest.Wait()
		b.KeepQoS0Matched(true)
		publish(message.Message{Topic: "a"})
		if len(log.records) != 1 || len(answers) != 2 || answers[1] != 0 {
			t.Errorf("the log holds %d messages and answered %v", len(log.records), answers)
		}
		consumer, err := b.Consumer("c", []string{"wanted/#", "wanted/a"}, Now)
		if err != nil {
			t.Fatal(err)
		}
		publish(message.Message{Topic: "a", QoS: 1})
		publish(message.Message{Topic: "b", Retain: true})
		publish(message.Message{Topic: "c", Device: "c"})
		publish(message.Message{Topic: "wanted/a"})
		if len(log.records) != 5 {
			t.Errorf("the log holds %d messages, want five", len(log.records))
		}
		publish(message.Message{Topic: "b"}) // behind one that is on its way
		publish(message.Message{Topic: "d"})
		if len(log.records) != 6 {
			t.Errorf("the log holds %d messages, want six: none may overtake another", len(log.records))
		}
		log.sync()
		synctest.Wait()
		consumer.Close()
		consumer.Close()
		publish(message.Message{Topic: "b"})
		publish(message.Message{Topic: "wanted/a"})
		if len(log.records) != 6 || len(answers) != 10 {
			t.Errorf("the log holds %d messages, %d were answered, want 6 and 10", len(log.records), len(answers))
		}
		if got, want := places(receive(t, s, 100)), []message.Position{1, 0, 0, 2, 3, 4, 5, 6, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for range 3 {
			if err := b.Publish(t.Context(), &message.Message{Topic: "b", Retain: true}, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		log.sync()
		synctest.Wait()
		publish(message.Message{Topic: "b"})
		if len(log.records) != 9 {
			t.Errorf("the log holds %d messages, want nine", len(log.records))
		}
	})
}

func TestQoS0IsNotForgottenWhenTheLogRefuses(t *testing.T) {
	log := fullLog{newMemLog()}
	b := New(log)
	b.KeepQoS0Matched(true)
	if err := b.Publish(t.Context(), &message.Message{Topic: "a", Retain: true}, nil, 0); err == nil {
		t.Fatal("a full log took a message")
	}
	if b.recent.wait("a", 0) {
		t.Error("a message that was refused is on its way")
	}
}

func TestQoS0OvertakesNothingThatTheRouterHasNotHandedOver(t *testing.T) {
	log := newMemLog()
	b := New(log) // it does not run
	b.KeepQoS0Matched(true)
	publish := func(m message.Message) {
		t.Helper()
		if err := b.Publish(t.Context(), &m, nil, 0); err != nil {
			t.Fatal(err)
		}
		log.sync()
	}
	publish(message.Message{Topic: "a", Retain: true})
	publish(message.Message{Topic: "a"})
	if len(log.records) != 2 {
		t.Errorf("the log holds %d messages, want both", len(log.records))
	}
}
