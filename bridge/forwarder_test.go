package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func forwarder(c *fakeCloud, window int, sources ...*fakeSource) *Forwarder {
	f := &Forwarder{Name: "cloud", Gateway: "line-3", Uplink: c, Window: window, Log: quiet()}
	for _, s := range sources {
		f.Routes = append(f.Routes, Route{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: s})
	}
	return f
}

func positions(messages []sentMessage) []message.Position {
	var p []message.Position
	for _, m := range messages {
		p = append(p, m.at)
	}
	return p
}

func TestForwarderSendsInOrderUnderTheTemplatesTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 10, 3, 250)
		cloud := &fakeCloud{latency: 20 * time.Millisecond}
		f := forwarder(cloud, 16, source)
		start(t, f)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sent := cloud.messages()
		if got := positions(sent); len(got) != 250 || !slices.IsSorted(got) {
			t.Errorf("cloud got %d messages, sorted %t; want 250 in order", len(got), slices.IsSorted(got))
		}
		if got, want := sent[0].topic, "plants/readings/line-3/press"; got != want || sent[0].qos != 1 {
			t.Errorf("first message went to %q with QoS %d, want %q with 1", got, sent[0].qos, want)
		}
		if got, want := source.Acked(), message.Position(10+3*249); got != want {
			t.Errorf("acknowledged up to %d, want %d", got, want)
		}
		if cloud.maxOut != 16 {
			t.Errorf("at most %d were in flight, want the window of 16", cloud.maxOut)
		}
		s := f.State()
		if s.State != Online || s.Sent != 250 || s.Repeated != 0 || s.InFlight != 0 || s.LastError != "" {
			t.Errorf("state is %+v", s)
		}
	})
}

func TestForwarderWaitsOutAnOutageOfHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 100)
		cloud := &fakeCloud{latency: 10 * time.Millisecond}
		f := forwarder(cloud, 10, source)
		start(t, f)
		time.Sleep(time.Second)
		synctest.Wait()
		cloud.mu.Lock()
		cloud.downUntil = time.Now().Add(6 * time.Hour)
		cloud.mu.Unlock()
		cloud.lose(errors.New("line cut"))
		time.Sleep(time.Hour)
		synctest.Wait()
		for i := range 1000 {
			source.add("readings/line-3/press", message.Position(101+i))
		}
		if s := f.State(); s.LastError != "nobody listens there" || s.State == Online {
			t.Errorf("during the outage the state is %+v", s)
		}
		time.Sleep(5*time.Hour + 2*backoffCap)
		synctest.Wait()
		if got := source.Acked(); got != 1100 {
			t.Errorf("acknowledged up to %d, want 1100", got)
		}
		if s := f.State(); s.State != Online || s.LastError != "" || s.Sent != 1100 {
			t.Errorf("after the outage the state is %+v", s)
		}
		checkWaits(t, cloud.connects[1:])
	})
}

// checkWaits holds the times of tries after a loss against full jitter with base and cap.
func checkWaits(t *testing.T, tries []time.Time) {
	t.Helper()
	var longest time.Duration
	for i := 1; i < len(tries); i++ {
		wait := tries[i].Sub(tries[i-1])
		if wait < 0 || wait > backoffCap {
			t.Errorf("waited %s before a try, want at most %s", wait, backoffCap)
		}
		longest = max(longest, wait)
	}
	// 6 h of waits up to 30 s: about 1,440 tries. Fewer than 1,000 would be no full jitter.
	if len(tries) < 1000 || len(tries) > 2200 {
		t.Errorf("%d tries in 6 hours", len(tries))
	}
	if longest < backoffCap*9/10 {
		t.Errorf("the longest wait was %s, want close to %s", longest, backoffCap)
	}
}

func TestBackoffDoublesToItsCapAndResets(t *testing.T) {
	b := backoff{random: func(ceiling time.Duration) time.Duration { return ceiling }}
	want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 30 * time.Second, 30 * time.Second}
	for i, w := range want {
		if got := b.next(); got != w {
			t.Errorf("ceiling %d is %s, want %s", i, got, w)
		}
	}
	for range 100 {
		if got := b.next(); got != backoffCap {
			t.Fatalf("ceiling is %s after many tries, want %s", got, backoffCap)
		}
	}
	b.reset()
	if got := b.next(); got != backoffBase {
		t.Errorf("ceiling after a reset is %s, want %s", got, backoffBase)
	}
}

func TestBackoffStaysBelowTheConfiguredWait(t *testing.T) {
	var ceilings []time.Duration
	b := backoff{cap: 3 * time.Second, random: func(ceiling time.Duration) time.Duration {
		ceilings = append(ceilings, ceiling)
		return ceiling
	}}
	for range 20 {
		b.next()
	}
	if got, want := slices.Max(ceilings), 3*time.Second; got != want {
		t.Errorf("the longest wait is %v, want %v", got, want)
	}
}

func TestForwarderResetsItsWaitsOnlyAfterAnAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 1)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		f.random = func(ceiling time.Duration) time.Duration { return ceiling }
		f.Stall = time.Hour
		start(t, f)
		cut := func() time.Duration { // cuts the link and tells how long the next one took
			synctest.Wait()
			before := len(cloud.connects)
			from := time.Now()
			cloud.lose(errors.New("line cut"))
			time.Sleep(backoffCap + time.Second)
			synctest.Wait()
			if len(cloud.connects) != before+1 {
				t.Fatalf("%d connections after the cut, want one", len(cloud.connects)-before)
			}
			return cloud.connects[before].Sub(from)
		}
		for _, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
			if got := cut(); got != want {
				t.Errorf("waited %s without an acknowledgement, want %s", got, want)
			}
		}
		sent := cloud.messages()
		sent[len(sent)-1].done(nil)
		if got, want := cut(), 500*time.Millisecond; got != want {
			t.Errorf("waited %s after an acknowledgement, want %s", got, want)
		}
	})
}

func TestForwarderNeverAcknowledgesOverAHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 20)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 8, source)
		start(t, f)
		synctest.Wait()
		sent := cloud.messages()
		if len(sent) != 8 {
			t.Fatalf("%d messages in flight, want 8", len(sent))
		}
		steps := []struct {
			answer int
			acked  message.Position
			sent   int
		}{
			{3, 0, 8}, {1, 0, 8}, {0, 2, 10}, {7, 2, 10}, {2, 4, 12}, {6, 4, 12}, {5, 4, 12}, {4, 8, 16},
		}
		for _, step := range steps {
			sent[step.answer].done(nil)
			synctest.Wait()
			if got := source.Acked(); got != step.acked {
				t.Errorf("after the answer to message %d: acknowledged up to %d, want %d", step.answer+1, got, step.acked)
			}
			if got := len(cloud.messages()); got != step.sent {
				t.Errorf("after the answer to message %d: %d sent, want %d", step.answer+1, got, step.sent)
			}
		}
		if got := f.State().InFlight; got != 8 {
			t.Errorf("%d in flight, want 8", got)
		}
	})
}

func TestForwarderRepeatsWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 6)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		start(t, f)
		synctest.Wait()
		sent := cloud.messages()
		for _, i := range []int{0, 1, 3} { // 4 is acknowledged behind the hole 3
			sent[i].done(nil)
		}
		cloud.lose(errors.New("line cut"))
		time.Sleep(time.Second)
		synctest.Wait()
		want := []message.Position{1, 2, 3, 4, 5, 6, 3, 4, 5, 6}
		if got := positions(cloud.messages()); !slices.Equal(got, want) {
			t.Errorf("sent %v, want %v", got, want)
		}
		if s := f.State(); s.Repeated != 4 || s.Sent != 2 {
			t.Errorf("repeated %d and sent %d, want 4 and 2", s.Repeated, s.Sent)
		}
		sent[2].done(nil) // a late answer of the old link must not move the new one
		synctest.Wait()
		if got := source.Acked(); got != 2 {
			t.Errorf("acknowledged up to %d, want 2", got)
		}
	})
}

func TestForwarderGivesUpALinkThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 3)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		start(t, f)
		synctest.Wait()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		cloud.messages()[0].done(nil) // an answer starts the clock again
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if s := f.State(); s.State != Online || s.Stalls != 0 {
			t.Errorf("29 s after an answer the state is %+v, want online", s)
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if s := f.State(); s.Stalls != 1 || !strings.Contains(s.LastError, "acknowledges nothing") {
			t.Errorf("30 s after the last answer the state is %+v, want one stall", s)
		}
		if !cloud.links[0].closed {
			t.Error("the stalled link was not closed")
		}
		cloud.mu.Lock()
		cloud.hold = false
		cloud.mu.Unlock()
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if s := f.State(); source.Acked() != 3 || s.LastError != "" {
			t.Errorf("acknowledged up to %d, want 3; state %+v", source.Acked(), s)
		}
		time.Sleep(time.Hour) // nothing in flight is no stall
		synctest.Wait()
		if s := f.State(); s.Stalls > 2 || s.State != Online {
			t.Errorf("after an idle hour the state is %+v", s)
		}
	})
}

func TestForwarderEndsWithinTheFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 50)
		cloud := &fakeCloud{latency: time.Second}
		f := forwarder(cloud, 10, source)
		stop := start(t, f)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		stop() // 10 are acknowledged, 10 are in flight for another half second
		if got := source.Acked(); got != 20 {
			t.Errorf("acknowledged up to %d, want 20: the answers on their way count", got)
		}
		if got := len(cloud.messages()); got != 20 {
			t.Errorf("%d sent, want 20: nothing new goes out", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		cloud := &fakeCloud{hold: true}
		stop := start(t, forwarder(cloud, 10, newSource(t, "a", 1, 1, 50)))
		synctest.Wait()
		from := time.Now()
		stop()
		if took := time.Since(from); took != farewell {
			t.Errorf("stopping took %s with a cloud that is silent, want %s", took, farewell)
		}
	})
}

func TestForwarderSurvivesALossWhileSendBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 5)
		cloud := &fakeCloud{block: true}
		f := forwarder(cloud, 10, source)
		stop := start(t, f)
		time.Sleep(time.Second)
		synctest.Wait()
		cloud.mu.Lock()
		cloud.block = false
		cloud.mu.Unlock()
		cloud.lose(errors.New("line cut"))
		time.Sleep(time.Second)
		synctest.Wait()
		if s := f.State(); source.Acked() != 5 || s.Repeated != 0 {
			t.Errorf("acknowledged up to %d, repeated %d; want 5 and 0", source.Acked(), s.Repeated)
		}
		cloud.mu.Lock()
		cloud.block = true
		cloud.mu.Unlock()
		source.add("readings/line-3/press", 6)
		synctest.Wait()
		stop() // while Send blocks
	})
}

func TestForwarderSharesTheWindowFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		readings := newSource(t, "readings/line-3/press", 1, 2, 2000)
		replies := newSource(t, "replies/line-3/press", 2, 2, 2000)
		cloud := &fakeCloud{latency: 100 * time.Millisecond}
		start(t, forwarder(cloud, 20, readings, replies))
		time.Sleep(5050 * time.Millisecond)
		synctest.Wait()
		if cloud.maxOut != 20 {
			t.Errorf("at most %d were in flight, want 20 over both routes", cloud.maxOut)
		}
		a, b := int(readings.Acked()), int(replies.Acked())
		if a+b < 1900 || a-b > 200 || b-a > 200 {
			t.Errorf("one route got to %d, the other to %d: not fair", a, b)
		}
	})
}

func TestForwarderKeepsARefusedMessageAndTheOtherRoutesGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusing := newSource(t, "readings/line-3/press", 1, 1, 10)
		going := newSource(t, "status/line-3/press", 100, 1, 10)
		cloud := &fakeCloud{latency: 10 * time.Millisecond}
		refuse := true
		cloud.refuse = func(r message.Record) error {
			if refuse && r.Position == 4 {
				return &RefusedError{Reason: "not authorised", Retry: true}
			}
			return nil
		}
		f := forwarder(cloud, 10, refusing, going)
		f.Tries = 1000
		start(t, f)
		time.Sleep(time.Minute)
		synctest.Wait()
		if refusing.Acked() != 3 || going.Acked() != 109 {
			t.Errorf("routes got to %d and %d, want 3 and 109", refusing.Acked(), going.Acked())
		}
		if s := f.State(); s.State != Online || !strings.Contains(s.LastError, "not authorised") {
			t.Errorf("state is %+v", s)
		}
		if len(cloud.connects) != 1 {
			t.Errorf("%d connections, want 1: the link is not at fault", len(cloud.connects))
		}
		cloud.mu.Lock()
		refuse = false
		cloud.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := f.State(); refusing.Acked() != 10 || s.LastError != "" {
			t.Errorf("acknowledged up to %d, want 10; state %+v", refusing.Acked(), s)
		}
	})
}

func TestForwarderRetriesAMessageRefusedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 4)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		start(t, f)
		synctest.Wait()
		sent := cloud.messages()
		sent[2].done(nil)
		sent[1].done(&RefusedError{Reason: "quota", Retry: true})
		sent[0].done(nil)
		synctest.Wait()
		if got := source.Acked(); got != 1 {
			t.Errorf("acknowledged up to %d, want 1", got)
		}
		cloud.mu.Lock()
		cloud.hold = false
		cloud.mu.Unlock()
		sent[3].done(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		want := []message.Position{1, 2, 3, 4, 2, 3, 4}
		if got := positions(cloud.messages()); !slices.Equal(got, want) || source.Acked() != 4 {
			t.Errorf("sent %v, acknowledged up to %d; want %v and 4", got, source.Acked(), want)
		}
	})
}

func TestForwarderBringsCommandsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &fakeCloud{}
		var delivered []string
		f := forwarder(cloud, 10)
		f.Receive = []ReceiveRoute{{From: "plants/commands/{gateway}/+", To: "commands/{gateway}/{device}"}}
		f.Deliver = func(_ context.Context, topic string, m *Incoming) error {
			if string(m.Payload) == "fail" {
				return message.ErrFull
			}
			delivered = append(delivered, fmt.Sprintf("%s %s %v", topic, m.Payload, m.Retained))
			return nil
		}
		start(t, f)
		synctest.Wait()
		if want := []string{"plants/commands/line-3/+"}; !slices.Equal(cloud.filters, want) {
			t.Fatalf("asked for %q, want %q", cloud.filters, want)
		}
		topic := "plants/commands/line-3/press"
		if err := cloud.deliver(t.Context(), &Incoming{Topic: topic, Payload: []byte("a")}); err != nil {
			t.Errorf("a command was not taken: %v", err)
		}
		if err := cloud.deliver(t.Context(), &Incoming{Topic: topic, Payload: []byte("b"), Retained: true}); err != nil {
			t.Errorf("a retained message was not taken: %v", err)
		}
		if err := cloud.deliver(t.Context(), &Incoming{Topic: "elsewhere", Payload: []byte("c")}); err != nil {
			t.Errorf("a message that nobody asked for is not ignored but fails: %v", err)
		}
		if err := cloud.deliver(t.Context(), &Incoming{Topic: topic, Payload: []byte("fail")}); !errors.Is(err, message.ErrFull) {
			t.Errorf("a command that the log cannot take gives %v, want ErrFull: it must not be acknowledged", err)
		}
		round := Incoming{Topic: topic, Payload: []byte("d"), Properties: []message.Property{
			{Name: OriginMark, Value: "line-4"}, {Name: OriginMark, Value: "line-3"}}}
		if err := cloud.deliver(t.Context(), &round); err != nil || f.State().Looped != 1 {
			t.Errorf("a message that was here before gives %v and is counted %d times", err, f.State().Looped)
		}
		if want := []string{"commands/line-3/press a false", "commands/line-3/press b true"}; !slices.Equal(delivered, want) {
			t.Errorf("delivered %q, want %q", delivered, want)
		}
		cloud.lose(errors.New("line cut"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(cloud.filters) != 2 {
			t.Errorf("asked %d times, want again on the new connection", len(cloud.filters))
		}
	})
}

func TestForwarderForwardsAlsoWhenItMayNotReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 4)
		cloud := &fakeCloud{denied: errors.New("not authorised")}
		f := forwarder(cloud, 10, source)
		f.Receive = []ReceiveRoute{{From: "c/+", To: "commands/{gateway}/{device}"}}
		f.Deliver = func(context.Context, string, *Incoming) error { return nil }
		start(t, f)
		time.Sleep(time.Second)
		synctest.Wait()
		s := f.State()
		if source.Acked() != 4 || s.State != Online || !strings.Contains(s.LastError, "not authorised") {
			t.Errorf("acknowledged up to %d, want 4; state %+v", source.Acked(), s)
		}
	})
}

func TestRunRefusesRoutesThatMakeNoSense(t *testing.T) {
	for _, f := range []*Forwarder{
		{Routes: []Route{{To: "plants/{tpoic}"}}},
		{Receive: []ReceiveRoute{{From: "a/{device}", To: "b"}}, Deliver: func(context.Context, string, *Incoming) error { return nil }},
		{Receive: []ReceiveRoute{{From: "a/+", To: "b"}}},
	} {
		if err := f.Run(t.Context()); err == nil {
			t.Errorf("Run accepts %+v and %+v", f.Routes, f.Receive)
		}
	}
}

func TestRateIsTakenOverTheLastSeconds(t *testing.T) {
	var m meter
	now := time.Unix(1000, 0)
	if got := m.perSecond(now); got != 0 {
		t.Errorf("rate before anything is %g", got)
	}
	for range 10 { // 100 a second for ten seconds
		for range 100 {
			m.add(1, now)
		}
		now = now.Add(time.Second)
	}
	if got := m.perSecond(now); got != 100 {
		t.Errorf("rate is %g, want 100", got)
	}
	if got := m.perSecond(now.Add(3 * time.Second)); got != 40 {
		t.Errorf("rate 3 s after the end is %g, want 40", got)
	}
	if got := m.perSecond(now.Add(time.Minute)); got != 0 {
		t.Errorf("rate a minute after the end is %g, want 0", got)
	}
	var young meter
	young.add(50, now)
	if got := young.perSecond(now.Add(2 * time.Second)); got != 25 {
		t.Errorf("rate after two seconds is %g, want 25", got)
	}
}

func TestStateOfAForwarderThatHasNotBegun(t *testing.T) {
	if s := new(Forwarder).State(); s.State != Connecting || s.InFlight != 0 {
		t.Errorf("state is %+v", s)
	}
}

func BenchmarkForwarder(b *testing.B) {
	// What the forwarder itself costs a message, with a link that acknowledges at once.
	b.ReportAllocs()
	payload := []byte(fmt.Sprintf("%0256d", 1))
	records := make([]message.Record, 1000)
	for i := range records {
		records[i].Message = message.Message{Topic: "readings/line-3/press", Payload: payload}
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(b.Context())
	source := &endless{records: records, n: b.N, reached: done}
	f := &Forwarder{Uplink: instant{}, Log: quiet(), Routes: []Route{{To: "plants/{topic}", QoS: 1, Source: source}}}
	ended := make(chan error)
	b.ResetTimer()
	go func() { ended <- f.Run(ctx) }()
	<-done
	b.StopTimer()
	cancel()
	<-ended
}

type endless struct {
	records []message.Record
	at, n   int
	reached chan struct{}
}

func (s *endless) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	if s.at >= s.n {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	for range min(max, s.n-s.at) {
		s.at++
		r := s.records[s.at%len(s.records)]
		r.Position = message.Position(s.at)
		dst = append(dst, r)
	}
	return dst, nil
}

func (s *endless) Ack(upTo message.Position) {
	if int(upTo) == s.n {
		close(s.reached)
	}
}
func (s *endless) Rewind() {}
func (s *endless) SetAside(context.Context, message.Position, *message.Message) error {
	return errors.New("nothing is refused here")
}

type instant struct{}

func (instant) Connect(context.Context) (Link, error) { return instant{}, nil }
func (instant) Send(_ context.Context, _ *Outgoing, done func(error)) error {
	done(nil)
	return nil
}
func (instant) Lost() <-chan struct{} { return nil }
func (instant) Err() error            { return nil }
func (instant) Close() error          { return nil }

func TestForwarderNeverAcknowledgesOverAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 4)
		cloud := &fakeCloud{hold: true}
		start(t, forwarder(cloud, 10, source))
		synctest.Wait()
		sent := cloud.messages()
		sent[0].done(nil)
		sent[1].done(errors.New("broken")) // not said to be a refusal: the link is given up
		sent[2].done(nil)
		if got := source.Acked(); got != 1 {
			t.Errorf("acknowledged up to %d, want 1", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := positions(cloud.messages()), []message.Position{1, 2, 3, 4, 2, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("sent %v, want %v", got, want)
		}
	})
}

// forgetful is a link that breaks its contract: Close does not answer what is open.
type forgetful struct{ *fakeLink }

func (l forgetful) Close() error {
	l.lose(errors.New("closed"))
	return nil
}

type forgetfulCloud struct{ *fakeCloud }

func (c forgetfulCloud) Connect(ctx context.Context) (Link, error) {
	l, err := c.fakeCloud.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return forgetful{l.(*fakeLink)}, nil
}

func TestAnAnswerAfterTheEndOfALinkDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newSource(t, "readings/line-3/press", 1, 1, 2)
		cloud := &fakeCloud{hold: true}
		f := forwarder(cloud, 10, source)
		f.Uplink = forgetfulCloud{cloud}
		f.random = func(ceiling time.Duration) time.Duration { return ceiling }
		start(t, f)
		synctest.Wait()
		old := cloud.links[0]
		done := old.out[0]
		cloud.lose(errors.New("line cut"))
		time.Sleep(time.Second)
		synctest.Wait()
		done(nil) // message 1, but by a link that has been given up
		if got := source.Acked(); got != 0 {
			t.Errorf("acknowledged up to %d, want 0", got)
		}
	})
}

func TestTheStateTellsOfTriesToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &fakeCloud{downUntil: time.Now().Add(2 * time.Minute)}
		f := forwarder(cloud, 10, newSource(t, "a", 1, 1, 3))
		f.random = func(ceiling time.Duration) time.Duration { return ceiling }
		begun := time.Now()
		start(t, f)
		time.Sleep(4 * time.Second) // tries at 0, 0.5, 1.5 and 3.5 s
		synctest.Wait()
		if s := f.State(); s.State != Waiting || s.Tries != 4 || s.Failed != 4 || time.Until(s.NextTry) != 3500*time.Millisecond || !s.Since.Equal(begun) {
			t.Errorf("while the cloud is away: %+v, the next try is in %s; want 4 tries since %s, all failed, and 3.5 s", s, time.Until(s.NextTry), begun)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		s := f.State()
		if s.State != Online || s.Tries != uint64(len(cloud.connects)) || s.Failed != 0 || !s.NextTry.IsZero() {
			t.Errorf("when it is back: %+v, want %d tries, none failed since, and no next one", s, len(cloud.connects))
		}
		tries := s.Tries
		cloud.lose(errors.New("gone"))
		synctest.Wait()
		if s := f.State(); s.State != Waiting || s.Tries != tries || s.Failed != 0 || s.NextTry.IsZero() {
			t.Errorf("when the connection is lost: %+v, want a next try and none failed yet", s)
		}
	})
}
