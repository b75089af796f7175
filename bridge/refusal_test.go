package bridge

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func TestWhatIsRefusedForGoodIsSetAsideAndTheRouteGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 10)
		cloud := &fakeCloud{latency: 10 * time.Millisecond}
		cloud.refuse = func(r message.Record) error {
			switch r.Position {
			case 4, 5:
				return &RefusedError{Reason: "it is too large"}
			case 8:
				return &RefusedError{Reason: "not authorised", Retry: true}
			}
			return nil
		}
		f := forwarder(cloud, 10, source)
		f.Tries = 3
		start(t, f)
		time.Sleep(time.Minute)
		synctest.Wait()
		if source.Acked() != 10 || len(source.aside) != 3 {
			t.Fatalf("acknowledged up to %d with %d set aside, want 10 and 3", source.Acked(), len(source.aside))
		}
		for i, want := range []struct{ payload, reason, tries string }{
			{"4", "it is too large", "1"}, {"5", "it is too large", "1"}, {"8", "not authorised", "3"},
		} {
			m := source.aside[i]
			if m.Topic != "$dead/cloud/readings/line-3/press" || string(m.Payload) != want.payload ||
				!slices.Contains(m.Properties, message.Property{Name: AsideReason, Value: want.reason}) ||
				!slices.Contains(m.Properties, message.Property{Name: AsideTries, Value: want.tries}) {
				t.Errorf("set aside: %+v, want %+v", m, want)
			}
		}
		s := f.State()
		if s.SetAside != 3 || s.State != Online || !strings.Contains(s.LastError, "3 messages were set aside") {
			t.Errorf("state is %+v", s)
		}
		if got := positions(cloud.messages()); !slices.Equal(got, []message.Position{1, 2, 3, 6, 7, 9, 10}) {
			t.Errorf("the cloud has %v: every other message once and in order", got)
		}
	})
}

// What the cloud has taken of other devices while one's message was refused is not sent again; what
// was sent of the same device is.
func TestARefusalRepeatsOnlyWhatIsOfItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "a", 1, 1, 1)
		for i, topic := range []string{"b", "a", "b", "a", "b"} {
			source.add(topic, message.Position(i+2))
		}
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		start(t, f)
		synctest.Wait()
		sent := cloud.messages()
		sent[1].done(nil)
		sent[5].done(nil)
		sent[0].done(&RefusedError{Reason: "busy", Retry: true})
		sent[2].done(ErrHeld)
		sent[4].done(ErrHeld)
		sent[3].done(nil)
		time.Sleep(20 * time.Second) // less than what is taken for a stall
		synctest.Wait()
		if got := positions(cloud.messages()[6:]); !slices.Equal(got, []message.Position{1, 3, 5}) {
			t.Fatalf("sent again: %v, want 1, 3, 5", got)
		}
		cloud.lose(errors.New("line cut")) // what was acknowledged is remembered over this, too
		time.Sleep(20 * time.Second)       // less than what is taken for a stall
		synctest.Wait()
		if got := positions(cloud.messages()[9:]); !slices.Equal(got, []message.Position{1, 3, 5}) {
			t.Fatalf("sent on the next connection: %v, want 1, 3, 5", got)
		}
		for _, m := range cloud.messages()[9:] {
			m.done(nil)
		}
		if source.Acked() != 6 {
			t.Errorf("acknowledged up to %d, want 6", source.Acked())
		}
	})
}

// maker makes two messages of each record, none of those in without, and fails for those in broken.
type maker struct{ without, broken message.Position }

func (m maker) Make(dst []Made, r *message.Record) ([]Made, error) {
	switch r.Position {
	case m.without:
		return dst, nil
	case m.broken:
		return dst, errors.New("there is no field of that name")
	}
	return append(dst, Made{"x", []byte("1")}, Made{"y", []byte("2")}), nil
}

func TestARecordIsAcknowledgedWithTheLastMessageMadeOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 4)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		f.Routes[0].To = "{device}/{point}"
		f.Routes[0].Payload = maker{without: 2, broken: 3}
		start(t, f)
		time.Sleep(time.Second)
		synctest.Wait()
		var topics []string
		for _, m := range cloud.messages() {
			topics = append(topics, m.topic)
		}
		if want := []string{"press/x", "press/y"}; !slices.Equal(topics, want) {
			t.Fatalf("sent to %q, want %q and then to wait for the answers, since message 3 can not be made", topics, want)
		}
		sent := cloud.messages()
		sent[1].done(nil)
		if source.Acked() != 0 {
			t.Errorf("acknowledged up to %d with half of the first record at the cloud", source.Acked())
		}
		sent[0].done(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, m := range cloud.messages()[2:] {
			m.done(nil)
		}
		if source.Acked() != 4 || len(source.aside) != 1 || string(source.aside[0].Payload) != "3" {
			t.Errorf("acknowledged up to %d, set aside %v; want 4, and message 3", source.Acked(), source.aside)
		}
	})
}

func TestTopicsOfWhatWasSetAsideAreTakenApart(t *testing.T) {
	if uplink, origin, aside := AsideOrigin(AsideTopic("cloud", "readings/line-3/press")); uplink != "cloud" || origin != "readings/line-3/press" || !aside {
		t.Errorf("got %q, %q, %v", uplink, origin, aside)
	}
	for _, other := range []string{"", "$dead", "$dead/cloud", "$dead/cloud/", "$dead//a", "dead/cloud/a", "readings/$dead/cloud/a"} {
		if uplink, origin, aside := AsideOrigin(other); aside || uplink != "" || origin != "" {
			t.Errorf("%q gives %q, %q, %v", other, uplink, origin, aside)
		}
	}
}
