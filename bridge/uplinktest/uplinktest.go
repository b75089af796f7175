// Package uplinktest is the contract that every uplink passes: nothing is counted as delivered that
// the cloud does not have, order is kept, and every message gets exactly one answer.
package uplinktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
)

// Harness is one uplink with the cloud that it leads to. Each test opens one of its own.
type Harness struct {
	Uplink bridge.Uplink
	// Received gives the payloads that the cloud has, in the order of their arrival.
	Received func() []string
	// Mute makes the cloud take messages without answering.
	Mute func(mute bool)
	// SetUp cuts the line, also under connections that are open, or restores it.
	SetUp func(up bool)
	// Refuse makes the cloud refuse every message with that payload, and with "" none any more. It
	// is nil for a cloud that cannot refuse a message.
	Refuse func(payload string)
}

// patience bounds every wait for something that must happen.
const patience = 10 * time.Second

// Run holds what open gives against the contract.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("KeepsOrder", func(t *testing.T) { keepsOrder(t, open(t)) })
	t.Run("LossAnswersEverything", func(t *testing.T) {
		answersEverything(t, open(t), func(h Harness, _ bridge.Link) { h.SetUp(false) })
	})
	t.Run("CloseAnswersEverything", func(t *testing.T) {
		answersEverything(t, open(t), func(_ Harness, l bridge.Link) { l.Close() })
	})
	t.Run("NeverClaimsWhatIsNotThere", func(t *testing.T) { neverClaims(t, open(t)) })
	t.Run("RefusesATopicThatCannotBe", func(t *testing.T) { refusesTopic(t, open(t)) })
	t.Run("ARefusalHoldsBackWhatIsBehind", func(t *testing.T) { holdsBack(t, open(t)) })
	t.Run("ConnectSaysWhyNot", func(t *testing.T) { connectFails(t, open(t)) })
	t.Run("ConnectHonoursItsContext", func(t *testing.T) { connectCancelled(t, open(t)) })
}

func connect(t *testing.T, h Harness) bridge.Link {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	link, err := h.Uplink.Connect(ctx)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return link
}

// answers collects what done was called with.
type answers struct {
	mu   sync.Mutex // guards what follows
	got  map[int][]error
	came chan struct{}
}

func newAnswers() *answers {
	return &answers{got: make(map[int][]error), came: make(chan struct{}, 100_000)}
}

func (a *answers) done(i int) func(error) {
	return func(err error) {
		a.mu.Lock()
		a.got[i] = append(a.got[i], err)
		a.mu.Unlock()
		a.came <- struct{}{}
	}
}

func (a *answers) wait(t *testing.T, n int) {
	t.Helper()
	limit := time.After(patience)
	for i := range n {
		select {
		case <-a.came:
		case <-limit:
			t.Fatalf("%d of %d messages were answered within %s", i, n, patience)
		}
	}
}

func send(ctx context.Context, link bridge.Link, a *answers, i int) error {
	return sendWith(ctx, link, i, a.done(i))
}

func sendWith(ctx context.Context, link bridge.Link, i int, done func(error)) error {
	r := message.Record{Position: message.Position(i), Message: message.Message{
		Topic: "readings/line-3/press", Payload: fmt.Appendf(nil, "message %d", i)}}
	o := bridge.Outgoing{Topic: "plants/readings/line-3/press", Key: r.Topic, Origin: "line-3-1",
		Payload: r.Payload, QoS: 1, Record: &r}
	err := link.Send(ctx, &o, done)
	o = bridge.Outgoing{} // the link may not look at it any more
	return err
}

func keepsOrder(t *testing.T, h Harness) {
	link := connect(t, h)
	a := newAnswers()
	const n, window = 2000, 100
	for i := range n {
		if i >= window {
			a.wait(t, 1)
		}
		if err := send(t.Context(), link, a, i); err != nil {
			t.Fatalf("send message %d: %v", i, err)
		}
	}
	a.wait(t, window)
	if err := link.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	received := h.Received()
	if len(received) != n {
		t.Errorf("the cloud has %d messages, want %d", len(received), n)
	}
	for i, got := range received {
		if want := fmt.Sprintf("message %d", i); got != want {
			t.Fatalf("message %d at the cloud is %q, want %q", i, got, want)
		}
	}
	for i := range n {
		if got := a.got[i]; len(got) != 1 || got[0] != nil {
			t.Fatalf("message %d was answered with %v, want one nil", i, got)
		}
	}
}

func answersEverything(t *testing.T, h Harness, end func(Harness, bridge.Link)) {
	h.Mute(true)
	link := connect(t, h)
	select {
	case <-link.Lost():
		t.Fatalf("lost at once: %v", link.Err())
	default:
	}
	a := newAnswers()
	const n = 50
	for i := range n {
		if err := send(t.Context(), link, a, i); err != nil {
			t.Fatalf("send message %d: %v", i, err)
		}
	}
	end(h, link)
	select {
	case <-link.Lost():
	case <-time.After(patience):
		t.Fatal("the link is not lost")
	}
	a.wait(t, n)
	if link.Err() == nil {
		t.Error("a lost link does not say why")
	}
	if err := send(t.Context(), link, a, n); err == nil {
		t.Error("a lost link takes a message")
	}
	link.Close()
	link.Close() // is allowed, and does nothing
	for i := range n {
		if got := a.got[i]; len(got) != 1 || got[0] == nil {
			t.Errorf("message %d was answered with %v, want one error", i, got)
		}
	}
	if got := a.got[n]; len(got) != 0 {
		t.Errorf("the message that was not taken was answered with %v", got)
	}
}

// neverClaims cuts the line at random moments under full load.
func neverClaims(t *testing.T, h Harness) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	claimed := make(map[string]bool)
	next := 0
	for range 25 {
		h.SetUp(true)
		link := connect(t, h)
		a := newAnswers()
		var sender sync.WaitGroup
		first, taken := next, 0
		sender.Go(func() {
			for next < first+20_000 && send(t.Context(), link, a, next) == nil {
				next++
				taken++
				for taken-len(a.came) > 200 { // a window that nobody looks at twice
					select {
					case <-link.Lost():
						return
					case <-time.After(100 * time.Microsecond):
					}
				}
			}
		})
		cut := time.NewTimer(time.Duration(random.IntN(8000)) * time.Microsecond)
		<-cut.C
		h.SetUp(false)
		sender.Wait()
		link.Close()
		a.wait(t, taken)
		for i, got := range a.got {
			if len(got) != 1 {
				t.Errorf("message %d was answered %d times", i, len(got))
			}
			if got[0] == nil {
				claimed[fmt.Sprintf("message %d", i)] = true
			}
		}
		next++ // one that was refused at the end may be there nevertheless: no number is used twice
	}
	for _, m := range h.Received() {
		delete(claimed, m)
	}
	for m := range claimed {
		t.Errorf("%s is counted as delivered, but the cloud does not have it", m)
	}
}

func refusesTopic(t *testing.T, h Harness) {
	link := connect(t, h)
	defer link.Close()
	a := newAnswers()
	r := message.Record{Message: message.Message{Topic: "a", Payload: []byte("x")}}
	if err := link.Send(t.Context(), &bridge.Outgoing{Topic: "a/+/b", Key: "a", Payload: r.Payload, QoS: 1, Record: &r}, a.done(0)); err == nil {
		t.Error("a topic with a wildcard is taken")
	}
	if err := send(t.Context(), link, a, 1); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	a.wait(t, 1)
	if err := link.Err(); err != nil {
		t.Errorf("the link was lost over a bad topic: %v", err)
	}
}

func connectFails(t *testing.T, h Harness) {
	h.SetUp(false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	link, err := h.Uplink.Connect(ctx)
	if err == nil {
		link.Close()
		t.Fatal("connected to a cloud that is cut off")
	}
	if ctx.Err() != nil {
		t.Errorf("it took the whole of %s to find that out", patience)
	}
}

func connectCancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if link, err := h.Uplink.Connect(ctx); err == nil {
		link.Close()
		t.Error("connected although ctx had ended")
	}
}
