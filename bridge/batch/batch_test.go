package batch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cloud is a receiver that is told how to answer. It keeps every batch that it was posted.
type cloud struct {
	mu      sync.Mutex // guards what follows
	posted  []string   // payloads, separated by blanks
	latency time.Duration
	judge   func(items []Item) error // nil: everything is taken
}

func (c *cloud) post(ctx context.Context, _ int, items []Item) error {
	c.mu.Lock()
	c.posted = append(c.posted, payloads(items))
	latency, judge := c.latency, c.judge
	c.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return ctx.Err()
	}
	if judge == nil {
		return nil
	}
	return judge(items)
}

func (c *cloud) batches() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.posted)
}

func payloads(items []Item) string {
	var all []string
	for _, item := range items {
		all = append(all, string(item.Payload))
	}
	return strings.Join(all, " ")
}

// run runs b until the test ends.
func run(t *testing.T, b *Batcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { b.Run(ctx) })
	stop = func() { cancel(); ended.Wait() }
	t.Cleanup(stop)
	return stop
}

// answers collects what done was called with, by payload, in the order of the calls.
type answers struct {
	mu  sync.Mutex // guards got
	got []string
}

func (a *answers) done(payload string) func(error) {
	return func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		text := "taken"
		if _, refused := errors.AsType[*bridge.RefusedError](err); refused {
			text = "refused"
		} else if errors.Is(err, bridge.ErrHeld) {
			text = "held"
		} else if err != nil {
			text = "lost"
		}
		a.got = append(a.got, payload+" "+text)
	}
}

func (a *answers) all() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.got, ", ")
}

func send(t *testing.T, b *Batcher, a *answers, key string, payloads ...string) {
	t.Helper()
	for _, payload := range payloads {
		if err := offer(t.Context(), b, a, key, payload); err != nil {
			t.Errorf("send %s: %v", payload, err)
		}
	}
}

func offer(ctx context.Context, b *Batcher, a *answers, key, payload string) error {
	r := message.Record{Message: message.Message{Topic: key, Payload: []byte(payload)}}
	o := bridge.Outgoing{Topic: key, Key: key, Payload: r.Payload, Record: &r}
	err := b.Send(ctx, &o, a.done(payload))
	o = bridge.Outgoing{} // it may not be looked at any more
	return err
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
}

func TestAnIdleLineCarriesTheFirstMessageAtOnceAndGathersBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{latency: time.Second}
		b, a := New(Options{Count: 3}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "a", "1")
		synctest.Wait()
		expect(t, "at once", strings.Join(c.batches(), "; "), "1")
		send(t, b, a, "a", "2", "3", "4")
		synctest.Wait()
		expect(t, "one in flight", strings.Join(c.batches(), "; "), "1")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "behind it", strings.Join(c.batches(), "; "), "1; 2 3 4")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "answers", a.all(), "1 taken, 2 taken, 3 taken, 4 taken")
	})
}

func TestLingerGathersForSoLongAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{}
		b, a := New(Options{Count: 3, Linger: time.Second}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "a", "1")
		time.Sleep(900 * time.Millisecond)
		send(t, b, a, "a", "2")
		synctest.Wait()
		expect(t, "before", strings.Join(c.batches(), "; "), "")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		expect(t, "after the oldest has waited", strings.Join(c.batches(), "; "), "1 2")
		send(t, b, a, "a", "3", "4", "5")
		synctest.Wait()
		expect(t, "a full batch does not wait", strings.Join(c.batches(), "; "), "1 2; 3 4 5")
	})
}

func TestBytesBoundABatchAndALargerMessageGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{latency: time.Second}
		b, a := New(Options{Count: 100, Bytes: 10, Behind: 10}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "k", "1", "22222222222222", "333", "444", "555")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		expect(t, "batches", strings.Join(c.batches(), "; "), "1; 22222222222222; 333 444; 555")
	})
}

func TestSendWaitsWhileItsShardIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{latency: time.Hour}
		b, a := New(Options{Count: 2}, c.post), &answers{}
		stop := run(t, b)
		send(t, b, a, "a", "1")
		synctest.Wait()
		send(t, b, a, "a", "2", "3")
		brief, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := offer(brief, b, a, "a", "4"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a full shard answers %v, want that it waits until ctx ends", err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() { send(t, b, a, "a", "5") })
		synctest.Wait()
		time.Sleep(time.Hour)
		waiting.Wait()
		stop()
		expect(t, "batches", strings.Join(c.batches(), "; "), "1; 2 3")
		expect(t, "answers", a.all(), "1 taken, 2 lost, 3 lost, 5 lost")
		if err := offer(t.Context(), b, a, "a", "6"); err == nil {
			t.Error("a batcher that has ended takes a message")
		}
	})
}

// refusing refuses every batch with the message, as a receiver does that looks at all before it takes any.
func refusing(payload string) func([]Item) error {
	return func(items []Item) error {
		for _, item := range items {
			if string(item.Payload) == payload {
				return &bridge.RefusedError{Reason: "not that one"}
			}
		}
		return nil
	}
}

func TestARefusedBatchIsSplitUntilTheMessageAtFaultIsFound(t *testing.T) {
	for at := range 7 {
		synctest.Test(t, func(t *testing.T) {
			fault := fmt.Sprint(at)
			c := &cloud{latency: time.Second, judge: refusing(fault)}
			b, a := New(Options{Count: 7, Linger: time.Second}, c.post), &answers{}
			run(t, b)
			send(t, b, a, "a", "0", "1", "2", "3", "4", "5", "6")
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			send(t, b, a, "b", "next")
			time.Sleep(time.Minute)
			synctest.Wait()
			var want []string
			for i := range 7 {
				outcome := "taken"
				if i == at {
					outcome = "refused"
				} else if i > at {
					outcome = "held"
				}
				want = append(want, fmt.Sprint(i, " ", outcome))
			}
			expect(t, "answers", a.all(), strings.Join(append(want, "next held"), ", "))
			if n := len(c.batches()); n > 7 {
				t.Errorf("%d posts to find one of 7: %q", n, c.batches())
			}
		})
	}
}

func TestAPartialAnswerIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{judge: func(items []Item) error {
			if len(items) < 4 {
				return nil
			}
			return &PartialError{Taken: 2, Err: &bridge.RefusedError{Reason: "the third is too large"}}
		}}
		b, a := New(Options{Count: 4, Linger: time.Second}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "a", "1", "2", "3", "4")
		synctest.Wait()
		expect(t, "answers", a.all(), "1 taken, 2 taken, 3 refused, 4 held")
		if b.Err() != nil {
			t.Errorf("the link was lost: %v", b.Err())
		}
	})
}

// A message that is sent while a refusal before it is being answered must not slip in: its sender
// learns of the refusal only in that answer.
func TestNothingSlipsInWhileARefusalIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{latency: time.Second, judge: refusing("1")}
		b, a := New(Options{Count: 4}, c.post), &answers{}
		run(t, b)
		lane, end := context.WithCancel(t.Context())
		var late sync.WaitGroup
		note := a.done("1")
		r := message.Record{Message: message.Message{Topic: "a", Payload: []byte("1")}}
		refused := func(err error) {
			late.Go(func() {
				if err := offer(lane, b, a, "a", "2"); err == nil {
					t.Error("a message was taken behind one that is being refused")
				}
			})
			time.Sleep(time.Second) // the forwarder takes its time
			note(err)
			end()
		}
		if err := b.Send(lane, &bridge.Outgoing{Key: "a", Payload: r.Payload, Record: &r}, refused); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		late.Wait()
		if err := offer(lane, b, a, "a", "2"); err == nil {
			t.Error("a message whose context has ended was taken")
		}
		send(t, b, a, "a", "3")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		expect(t, "batches", strings.Join(c.batches(), "; "), "1; 3")
		expect(t, "answers", a.all(), "1 refused, 3 taken")
	})
}

func TestABrokenLineAnswersEverythingAndIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("line cut")
		c := &cloud{latency: time.Second, judge: func([]Item) error { return broken }}
		b, a := New(Options{Count: 2, Shards: 4}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "a", "1")
		synctest.Wait()
		send(t, b, a, "a", "2", "3")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "answers", a.all(), "1 lost, 2 lost, 3 lost")
		select {
		case <-b.Lost():
		default:
			t.Error("the batcher is not lost")
		}
		if b.Err() != broken {
			t.Errorf("it says %v, want why", b.Err())
		}
	})
}

func TestOnlyAGroupSharesABatchAndKeysKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{latency: time.Second}
		group := func(o *bridge.Outgoing) string { return string(o.Payload[:1]) }
		b, a := New(Options{Count: 10, Linger: time.Second, Group: group}, c.post), &answers{}
		run(t, b)
		send(t, b, a, "a", "x1", "x2")
		send(t, b, a, "b", "y1", "x3") // x3 must not overtake y1
		send(t, b, a, "a", "x4")
		send(t, b, a, "c", "y2")
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, "batches", strings.Join(c.batches(), "; "), "x1 x2 x4; y1 y2; x3")
	})
}
