package mqtt5

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/bridge/uplinktest"
	"sluice/gateway/message"
)

// answer is what done was called with, and for which message.
type answer struct {
	message string
	err     error
}

// sender sends messages and collects the answers in their order.
type sender struct {
	t       *testing.T
	link    bridge.Link
	answers chan answer
}

func newSender(t *testing.T, l bridge.Link) *sender {
	return &sender{t, l, make(chan answer, 1000)}
}

func (s *sender) send(ctx context.Context, key, payload string) error {
	s.t.Helper()
	r := message.Record{Message: message.Message{Topic: key, Payload: []byte(payload)}}
	o := bridge.Outgoing{Topic: "plants/" + key, Key: key, Payload: r.Payload, QoS: 1, Record: &r}
	return s.link.Send(ctx, &o, func(err error) { s.answers <- answer{payload, err} })
}

func (s *sender) next() answer {
	s.t.Helper()
	select {
	case a := <-s.answers:
		return a
	case <-time.After(10 * time.Second):
		s.t.Fatal("a message was never answered")
		return answer{}
	}
}

func TestReasonCodesBecomeRefusals(t *testing.T) {
	var code byte
	var mu sync.Mutex
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Judge: func(string, []byte, *cloudsim.About) byte {
		mu.Lock()
		defer mu.Unlock()
		return code
	}})
	s := newSender(t, uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil)))
	for _, c := range []struct {
		code  byte
		says  string
		retry bool
	}{
		{0x80, "no reason", true},
		{0x83, "reason of its own", true},
		{0x87, "not authorised", true},
		{0x90, "topic", false},
		{0x97, "quota", true},
		{0x99, "payload", false},
		{0xf0, "0xf0", true},
	} {
		mu.Lock()
		code = c.code
		mu.Unlock()
		// Of a key of its own: what follows a refusal before the link has let its key go on is refused with it.
		if err := s.send(t.Context(), fmt.Sprintf("a%x", c.code), "x"); err != nil {
			t.Fatal(err)
		}
		err := s.next().err
		refused, ok := errors.AsType[*bridge.RefusedError](err)
		if !ok || !strings.Contains(refused.Reason, c.says) || refused.Retry != c.retry ||
			!strings.Contains(refused.Reason, "as was asked for") {
			t.Errorf("code 0x%x became %v, want something about %q with retry %v and the cloud's own words", c.code, err, c.says, c.retry)
		}
	}
	mu.Lock()
	code = 0x10 // nobody has subscribed: that is no refusal
	mu.Unlock()
	if err := s.send(t.Context(), "a", "x"); err != nil {
		t.Fatal(err)
	}
	if a := s.next(); a.err != nil {
		t.Errorf("a message that nobody has subscribed to was answered with %v", a.err)
	}
}

// TestNothingOvertakesARefusal: what was sent behind a refused message of the same key is answered
// with ErrHeld and was never on the line; other keys go on.
func TestNothingOvertakesARefusal(t *testing.T) {
	var taken uplinktest.Book
	decide := make(chan struct{})
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Taken: taken.Add, Judge: func(_ string, payload []byte, _ *cloudsim.About) byte {
		if string(payload) == "bad" {
			<-decide
			return 0x97
		}
		return 0
	}})
	s := newSender(t, uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil)))
	lane, refuse := context.WithCancel(t.Context())
	defer refuse()
	for _, payload := range []string{"bad", "behind 1", "behind 2"} {
		r := message.Record{Message: message.Message{Topic: "a", Payload: []byte(payload)}}
		o := bridge.Outgoing{Topic: "a", Key: "a", Payload: r.Payload, QoS: 1, Record: &r}
		err := s.link.Send(lane, &o, func(err error) {
			if _, ok := errors.AsType[*bridge.RefusedError](err); ok {
				refuse() // as a Forwarder does
				if err := s.send(lane, "a", "too late"); err == nil {
					t.Error("a message was taken although its context has ended")
				}
			}
			s.answers <- answer{payload, err}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.send(t.Context(), "b", "other"); err != nil {
		t.Fatal(err)
	}
	close(decide)
	got := make(map[string]error)
	for range 4 {
		a := s.next()
		got[a.message] = a.err
	}
	if _, ok := errors.AsType[*bridge.RefusedError](got["bad"]); !ok {
		t.Errorf("the refused message was answered with %v", got["bad"])
	}
	for _, m := range []string{"behind 1", "behind 2"} {
		if !errors.Is(got[m], bridge.ErrHeld) {
			t.Errorf("%s was answered with %v, want ErrHeld", m, got[m])
		}
	}
	if got["other"] != nil {
		t.Errorf("a message of another key was answered with %v", got["other"])
	}
	if err := s.send(t.Context(), "a", "again"); err != nil {
		t.Fatal(err)
	}
	if a := s.next(); a.err != nil || a.message != "again" {
		t.Errorf("after the refusal: %+v", a)
	}
	if got, want := taken.All(), []string{"other", "again"}; !slices.Equal(got, want) {
		t.Errorf("the cloud has %q, want %q", got, want)
	}
}

// TestAForwarderKeepsTheOrderThroughRefusals: a cloud that refuses every now and then, and some
// messages for ever, gets the rest without gaps and in order.
func TestAForwarderKeepsTheOrderThroughRefusals(t *testing.T) {
	var check cloudsim.Checker
	var mu sync.Mutex
	n := 0
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Checker: &check, Judge: func(string, []byte, *cloudsim.About) byte {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%50 == 0 {
			return 0x97
		}
		return 0
	}})
	var source uplinktest.Readings
	f := uplinktest.Forward(t, uplink(t, "tcp://"+cloud.Addr().String(), nil), &source, nil)
	source.Advance(t, 150)
	last := source.Finish(t)
	r := check.Report()
	if r.Gaps != 0 || r.Reordered != 0 || r.Duplicates != 0 || len(r.Streams) != 1 || r.Streams[0].Last != last {
		t.Errorf("the cloud has %+v, want 1 to %d in order, each once", r, last)
	}
	if cloud.Stats().Refused == 0 {
		t.Error("nothing was refused")
	}
	if s := f.State(); s.SetAside != 0 || s.Stalls != 0 {
		t.Errorf("at the end the state is %+v", s)
	}
}

func TestWhatTheCloudAllowsIsKept(t *testing.T) {
	var taken uplinktest.Book
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Taken: taken.Add, ReceiveMaximum: 3, MaximumPacket: 200, TopicAliases: 2})
	s := newSender(t, uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil)))
	// The simulated cloud ends the connection when one message more is unacknowledged, or an alias
	// or a packet is beyond what it has said.
	for i := range 300 {
		if err := s.send(t.Context(), fmt.Sprintf("device-%d", i%20), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		if a := s.next(); a.err != nil {
			t.Fatalf("message %s was answered with %v", a.message, a.err)
		}
	}
	if got := len(taken.All()); got != 300 {
		t.Errorf("the cloud has %d messages, want 300", got)
	}
	var sizes []int
	for size := range 220 {
		err := s.send(t.Context(), "sizes", strings.Repeat("x", size))
		if refused, ok := errors.AsType[*bridge.RefusedError](err); ok {
			if refused.Retry || !strings.Contains(refused.Reason, "200") {
				t.Fatalf("%d bytes: %+v", size, refused)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if a := s.next(); a.err != nil {
			t.Fatalf("%d bytes: %v", size, a.err)
		}
		sizes = append(sizes, size)
	}
	// 1 kind, 2 length, 2+12 topic, 2 id, 1 properties
	if got, want := len(sizes), 200-20+1; got != want {
		t.Errorf("%d sizes were taken, want %d", got, want)
	}
}

func TestPropertiesGoUpAndComeDown(t *testing.T) {
	var mu sync.Mutex
	var got *cloudsim.About
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Judge: func(_ string, _ []byte, about *cloudsim.About) byte {
		mu.Lock()
		defer mu.Unlock()
		got = about
		return 0
	}})
	l := uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	all := []message.Property{
		{Name: "batch", Value: "7"}, {Name: "batch", Value: "8"}, {Name: message.ContentType, Value: "application/json"},
		{Name: message.ResponseTopic, Value: "answers"}, {Name: message.CorrelationData, Value: "\x00\xff"},
		{Name: message.PayloadFormat, Value: "1"}, {Name: message.Expiry, Value: "60"}, {Name: message.FromUplink, Value: "secret"},
	}
	r := message.Record{Message: message.Message{Topic: "a", Time: time.Now().UnixMilli() - 10_000, Properties: all}}
	done := make(chan error, 1)
	o := bridge.Outgoing{Topic: "a", QoS: 1, Record: &r, Properties: r.Properties, Marks: []message.Property{{Name: bridge.OriginMark, Value: "line-3"}}}
	if err := l.Send(t.Context(), &o, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []message.Property{{Name: "batch", Value: "7"}, {Name: "batch", Value: "8"}, {Name: bridge.OriginMark, Value: "line-3"}}
	if !slices.Equal(got.User, want) || got.ContentType != "application/json" || got.ResponseTopic != "answers" ||
		string(got.Correlation) != "\x00\xff" || got.Format != 1 || got.Expiry < 45 || got.Expiry > 50 {
		t.Errorf("the cloud was told %+v", got)
	}

	down := make(chan []message.Property, 1)
	err := l.(bridge.Receiver).Receive(t.Context(), "commands/#", func(_ context.Context, m *bridge.Incoming) error {
		down <- m.Properties
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cloud.PublishAbout("commands/press", []byte("x"), 1, false, &cloudsim.About{ContentType: "text/plain", ResponseTopic: "r", Correlation: []byte{1, 0},
		Expiry: 30, Format: 1, User: []message.Property{{Name: "a", Value: "b"}, {Name: message.FromUplink, Value: "forged"}, {Name: "bad", Value: "\xff"}}})
	wantDown := []message.Property{{Name: "a", Value: "b"}, {Name: message.ContentType, Value: "text/plain"}, {Name: message.ResponseTopic, Value: "r"},
		{Name: message.CorrelationData, Value: "\x01\x00"}, {Name: message.PayloadFormat, Value: "1"}, {Name: message.Expiry, Value: "30"}}
	select {
	case got := <-down:
		if !slices.Equal(got, wantDown) {
			t.Errorf("came down with %q, want %q", got, wantDown)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came down")
	}
}

func TestWhatWouldEndTheConnectionIsRefused(t *testing.T) {
	cloud := uplinktest.StartCloud(t, cloudsim.Options{})
	l := uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil))
	for _, c := range []struct {
		name string
		o    bridge.Outgoing
	}{
		{"a wildcard", bridge.Outgoing{Topic: "a/+"}},
		{"a line break in the topic", bridge.Outgoing{Topic: "a\nb"}},
		{"a property that is no text", bridge.Outgoing{Topic: "a", Properties: []message.Property{{Name: "a", Value: "\xff"}}}},
		{"a property with a U+0000", bridge.Outgoing{Topic: "a", Properties: []message.Property{{Name: "a", Value: "b\x00"}}}},
		{"a property that paho would cut", bridge.Outgoing{Topic: "a", Properties: []message.Property{{Name: "a", Value: strings.Repeat("x", 65536)}}}},
		{"correlation data that paho would cut", bridge.Outgoing{Topic: "a", Properties: []message.Property{{Name: message.CorrelationData, Value: strings.Repeat("x", 65536)}}}},
		{"a response topic with a wildcard", bridge.Outgoing{Topic: "a", Properties: []message.Property{{Name: message.ResponseTopic, Value: "a/#"}}}},
	} {
		c.o.QoS = 1
		err := l.Send(t.Context(), &c.o, func(error) { t.Errorf("%s: done was called", c.name) })
		if refused, ok := errors.AsType[*bridge.RefusedError](err); !ok || refused.Retry {
			t.Errorf("%s gives %v, want a refusal for good", c.name, err)
		}
	}
	if err := l.Err(); err != nil {
		t.Errorf("the link was lost: %v", err)
	}
}

func TestTheCloudSaysWhyItEndsTheConnection(t *testing.T) {
	for code, want := range map[byte]string{0x8e: "same client id", 0x98: "administrator", 0x89: "busy", 0x9d: "another server"} {
		cloud := uplinktest.StartCloud(t, cloudsim.Options{})
		cloud.SetFaults(cloudsim.Faults{DropAt: 1, EndWith: code})
		s := newSender(t, uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil)))
		if err := s.send(t.Context(), "a", "x"); err != nil {
			t.Fatal(err)
		}
		if a := s.next(); a.err == nil || !strings.Contains(a.err.Error(), want) || !strings.Contains(a.err.Error(), "as was asked for") {
			t.Errorf("code 0x%x: answered with %v, want something about %q and the cloud's own words", code, a.err, want)
		}
		if err := s.link.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("code 0x%x: the link was lost because of %v", code, err)
		}
	}
}

func TestTopicAliasesShortenWhatIsSent(t *testing.T) {
	var mu sync.Mutex
	numbers := make(map[uint16]int)
	topics := make(map[string]int)
	cloud := uplinktest.StartCloud(t, cloudsim.Options{TopicAliases: 2, Judge: func(topic string, payload []byte, about *cloudsim.About) byte {
		mu.Lock()
		defer mu.Unlock()
		numbers[about.Alias]++
		topics[topic]++
		if string(payload) == "a0" {
			return 0x80 // what a refused message says of its alias need not be remembered
		}
		return 0
	}})
	s := newSender(t, uplinktest.Connect(t, uplink(t, "tcp://"+cloud.Addr().String(), nil)))
	for i := range 3 {
		for _, key := range []string{"a", "b", "c"} {
			if err := s.send(t.Context(), key, fmt.Sprint(key, i)); err != nil {
				t.Fatal(err)
			}
			s.next()
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if topics["plants/a"] != 3 || topics["plants/b"] != 3 || topics["plants/c"] != 3 {
		t.Errorf("the cloud has understood the topics as %v", topics)
	}
	if numbers[1] != 3 || numbers[2] != 3 || numbers[0] != 3 || len(numbers) != 3 {
		t.Errorf("aliases were used as %v, want two of them three times each", numbers)
	}
}

func TestProbeTellsEachStep(t *testing.T) {
	code := byte(0)
	cloud := uplinktest.StartCloud(t, cloudsim.Options{Judge: func(string, []byte, *cloudsim.About) byte { return code }})
	u := uplink(t, "tcp://"+cloud.Addr().String(), nil)
	probe := func() (names []string, err error) {
		err = u.Probe(t.Context(), func(s bridge.Step) { names = append(names, s.Name) })
		return names, err
	}
	want := []string{"port open", bridge.LoggedIn, bridge.Published, bridge.Acknowledged}
	if names, err := probe(); err != nil || !slices.Equal(names, want) {
		t.Errorf("a good cloud gives %q and %v, want %q", names, err, want)
	}
	code = 0x87
	if names, err := probe(); err == nil || !strings.Contains(err.Error(), "not authorised") || !slices.Equal(names, want) {
		t.Errorf("a cloud that refuses the message gives %q and %v", names, err)
	}
}
