package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/queue"
	"sluice/gateway/queue/durable"
	"sluice/store"
	"sluice/store/storetest"
)

// popBench is an engine that runs over a real log, in simulated time.
type popBench struct {
	*queue.Queues
	t    *testing.T
	log  *storetest.Log
	full atomic.Bool // the log takes nothing
	stop func()
}

// fullLog is the log when it is full.
type fullLog struct {
	durable.Log
	full *atomic.Bool
}

func (l fullLog) Publish(ctx context.Context, m *message.Message, ack message.Acknowledger, token uint64) (uint64, error) {
	if l.full.Load() {
		return 0, message.ErrFull
	}
	return l.Log.Publish(ctx, m, ack, token)
}

// inBubble runs a test with an engine in simulated time.
func inBubble(t *testing.T, test func(t *testing.T, b *popBench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &popBench{t: t, log: storetest.Open(t, storetest.In(dir), func(o *store.Options) { o.Limit = 64 << 20 })}
		b.start()
		t.Cleanup(func() { b.stop() })
		test(t, b)
	})
}

func (b *popBench) start() {
	b.Queues = queue.New(fullLog{durable.Log{Store: b.log.Store}, &b.full}, queue.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	b.stop = func() {
		cancel()
		running.Wait()
	}
}

// reopen is what a kill leaves, but for what the log had in memory for less than its 200 ms.
func (b *popBench) reopen() {
	b.stop()
	b.log.Reopen()
	b.start()
}

// fill sends messages "0", "1", … to one queue.
func (b *popBench) fill(topic string, queueNumber, from, to int) {
	b.t.Helper()
	for i := from; i < to; i++ {
		send(b.t, b.Queues, queue.Message{Topic: topic, Queue: queueNumber, Body: fmt.Append(nil, i)})
	}
}

func (b *popBench) pop(r queue.PopRequest) queue.Popped {
	b.t.Helper()
	if r.Group == "" {
		r.Group = "g"
	}
	if r.Invisible == 0 {
		r.Invisible = 30 * time.Second
	}
	popped, err := b.Pop(r)
	if err != nil {
		b.t.Fatalf("pop %+v: %v", r, err)
	}
	return popped
}

// bodies gives what was popped, in its order.
func bodies(p queue.Popped) (all []string) {
	for _, batch := range p.Batches {
		for _, r := range batch.Records {
			all = append(all, string(r.Payload))
		}
	}
	return all
}

// ackAll acknowledges a pop.
func (b *popBench) ackAll(group string, p queue.Popped) {
	b.t.Helper()
	for _, batch := range p.Batches {
		for _, r := range batch.Records {
			if err := b.AckPopped(group, batch.Topic, batch.Queue, r.QueueOffset, p.Time); err != nil {
				b.t.Fatalf("acknowledge offset %d of %s: %v", r.QueueOffset, batch.Topic, err)
			}
		}
	}
}

func (b *popBench) wantFloor(group, topic string, number int, want int64) {
	b.t.Helper()
	if got, _ := b.Offset(group, topic, number); got != want {
		b.t.Errorf("the group is at %d in queue %d of %s, want %d", got, number, topic, want)
	}
}

func want(t *testing.T, p queue.Popped, bodiesWanted ...string) {
	t.Helper()
	if got := bodies(p); !slices.Equal(got, bodiesWanted) {
		t.Errorf("popped %v, want %v", got, bodiesWanted)
	}
}

func TestWhatIsAcknowledgedMovesTheGroup(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 5)
		p := b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3})
		want(t, p, "0", "1", "2")
		if p.Rest != 2 {
			t.Errorf("%d rest, want 2", p.Rest)
		}
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3}), "3", "4")
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 3}))
		if n, err := b.AckManyPopped("g", "orders", 0, []uint64{1, 2}, p.Time); n != 2 || err != nil {
			t.Errorf("acknowledged %d, %v", n, err)
		}
		b.wantFloor("g", "orders", 0, 0) // message 0 is missing
		if err := b.AckPopped("g", "orders", 0, 0, p.Time); err != nil {
			t.Error(err)
		}
		b.wantFloor("g", "orders", 0, 3)
		if err := b.AckPopped("g", "orders", 0, 1, p.Time); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("acknowledging twice: %v", err)
		}
		if err := b.AckPopped("g", "orders", 0, 3, p.Time); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("acknowledging with the pop time of another: %v", err)
		}
		if err := b.AckPopped("g", "orders", 0, 5, p.Time); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("acknowledging what never was: %v", err)
		}
		if err := b.AckPopped("g", "orders", 99, 5, p.Time); !errors.Is(err, queue.ErrNoQueue) {
			t.Errorf("acknowledging in no queue: %v", err)
		}
	})
}

func TestWhatIsNotAcknowledgedIsRetriedAndDiesAtLast(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		if err := b.PutGroup(t.Context(), "g", queue.GroupSettings{MaxRetries: 2}); err != nil {
			t.Fatal(err)
		}
		send(t, b.Queues, queue.Message{Topic: "orders", Queue: 1, Flag: 9, BornTime: 77, Body: []byte("x"),
			Properties: []message.Property{{Name: queue.UniqueKey, Value: "id-1"}, {Name: queue.Tags, Value: "red"}}})
		first := int64(0)
		for try := range 3 {
			p := b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 8, Invisible: 10 * time.Second})
			want(t, p, "x")
			if try == 0 {
				first = p.Time
			}
			batch := p.Batches[0]
			m := queue.FromRecord(&batch.Records[0])
			if int(m.Reconsumed) != try || batch.Retry != (try > 0) || m.Flag != 9 || m.BornTime != 77 || m.Property(queue.Tags) != "red" {
				t.Errorf("try %d is %+v of %+v", try, m, batch)
			}
			if try > 0 && (batch.Topic != "%RETRY%g_orders" || m.Property(queue.RetryTopicName) != "orders" || m.Property("1ST_POP_TIME") != fmt.Sprint(first)) {
				t.Errorf("try %d lies in %s with %v", try, batch.Topic, m.Properties)
			}
			time.Sleep(9900 * time.Millisecond)
			synctest.Wait()
			want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 8}))
			time.Sleep(200 * time.Millisecond)
			if err := b.AckPopped("g", batch.Topic, batch.Queue, batch.Start, p.Time); !errors.Is(err, queue.ErrExpired) {
				t.Errorf("acknowledging too late: %v", err)
			}
		}
		b.wantFloor("g", "orders", 1, 1)
		b.wantFloor("g", "%RETRY%g_orders", 0, 2)
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 8}))
		dead, err := b.Pull("%DLQ%g", 0, 0, 8, 1<<20, nil)
		if err != nil || len(dead.Records) != 1 {
			t.Fatalf("dead letters: %+v, %v", dead, err)
		}
		m := queue.FromRecord(&dead.Records[0])
		if m.Property(queue.RetryTopicName) != "orders" || m.Property(queue.OriginID) != "id-1" || string(m.Body) != "x" {
			t.Errorf("the dead letter is %+v", m)
		}
		if _, known := b.Offset("g", "%DLQ%g", 0); known {
			t.Error("the dead letters hold the log for the group that gave them up")
		}
	})
}

func TestAFullLogDoesNotKeepMessagesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 3)
		r := queue.PopRequest{Group: "g", Topic: "orders", Queue: 0, Most: 9, Invisible: time.Second}
		p := b.pop(r)
		if err := b.AckPopped("g", "orders", 0, 1, p.Time); err != nil {
			t.Error(err)
		}
		b.full.Store(true)
		woken := make(chan bool, 1)
		if _, err := b.WaitPop(r, func() { woken <- true }); err != nil {
			t.Fatal(err)
		}
		<-woken
		synctest.Wait() // both came back in the same moment, one after the other; each wakes
		p = b.pop(r)
		want(t, p, "0", "2")
		if batch := p.Batches[0]; batch.Retry || !slices.Equal(batch.Times, []int{1, 1}) {
			t.Errorf("the batch is %+v", batch)
		}
		b.ackAll("g", p)
		b.wantFloor("g", "orders", 0, 3)
	})
}

func TestAChangedHandleIsAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 2)
		p := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 2, Invisible: 10 * time.Second})
		renewed, err := b.ChangeInvisible("g", "orders", 0, 0, p.Time, time.Minute)
		if err != nil || renewed <= p.Time {
			t.Fatalf("changed to %d from %d, %v", renewed, p.Time, err)
		}
		if err := b.AckPopped("g", "orders", 0, 0, p.Time); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("the old handle: %v", err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 9}), "1")
		b.wantFloor("g", "orders", 0, 0)
		if err := b.AckPopped("g", "orders", 0, 0, renewed); err != nil {
			t.Error(err)
		}
		b.wantFloor("g", "orders", 0, 2)
		b.fill("orders", 0, 2, 3)
		p = b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 1})
		if _, err := b.ChangeInvisible("g", p.Batches[0].Topic, 0, p.Batches[0].Start, p.Time, 0); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond)
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 9}), "2")
	})
}

func TestOrderedMessagesBlockTheirQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 4)
		ask := func(attempt string) queue.Popped {
			return b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 2, Invisible: 10 * time.Second, Ordered: true, AttemptID: attempt})
		}
		p := ask("a")
		want(t, p, "0", "1")
		want(t, ask("b"))
		again := ask("a") // the answer was lost
		want(t, again, "0", "1")
		if err := b.AckPopped("g", "orders", 0, 0, p.Time); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("the handle of the lost answer: %v", err)
		}
		if err := b.AckPopped("g", "orders", 0, 0, again.Time); err != nil {
			t.Error(err)
		}
		want(t, ask("c"))
		time.Sleep(11 * time.Second)
		p = ask("d") // 1 is visible where it is, and comes before what is behind
		want(t, p, "1", "2")
		if times := p.Batches[0].Times; !slices.Equal(times, []int{1, 0}) || p.Batches[0].Retry {
			t.Errorf("handed out %v times before, retry %v", times, p.Batches[0].Retry)
		}
		b.wantFloor("g", "orders", 0, 1)
		b.ackAll("g", p)
		want(t, ask("e"), "3")
		if _, known := b.Topic("%RETRY%g_orders"); known {
			t.Error("ordered messages have gone to a retry topic")
		}
	})
}

func TestConsumersShareATopicEvenly(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		for i := range 4 {
			b.fill("orders", i, 0, 50)
		}
		var taken [2][4]int
		for i := range 100 {
			p := b.pop(queue.PopRequest{Topic: "orders", Queue: -1, Most: 2})
			for _, batch := range p.Batches {
				taken[i%2][batch.Queue] += len(batch.Records)
			}
		}
		sums := [2]int{}
		for who := range taken {
			for _, n := range taken[who] {
				sums[who] += n
			}
		}
		if sums != [2]int{100, 100} {
			t.Errorf("two consumers took %v, by queue %v", sums, taken)
		}
	})
}

func TestTheWindowIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		const bound = 4096
		var sent sync.WaitGroup
		for range bound + 10 {
			sent.Add(1)
			err := b.Send(t.Context(), &queue.Message{Topic: "orders", Queue: 0, Body: []byte("x")}, 0, func(queue.Sent, error) { sent.Done() })
			if err != nil {
				t.Fatal(err)
			}
		}
		sent.Wait()
		r := queue.PopRequest{Topic: "orders", Group: "g", Queue: 0, Most: 256, Invisible: time.Hour}
		all := 0
		var first queue.Popped
		for i := 0; ; i++ {
			p := b.pop(r)
			if len(p.Batches) == 0 {
				break
			}
			if i == 0 {
				first = p
			}
			all += len(p.Batches[0].Records)
		}
		if all != bound {
			t.Fatalf("%d messages are in flight, want %d", all, bound)
		}
		woken := make(chan bool, 1)
		if _, err := b.WaitPop(r, func() { woken <- true }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(woken) > 0 {
			t.Error("a pop of a full window is woken for what it cannot have")
		}
		b.ackAll("g", first)
		<-woken
		if p := b.pop(r); len(p.Batches) != 1 || len(p.Batches[0].Records) != 10 {
			t.Errorf("popped %d batches after an acknowledgement", len(p.Batches))
		}
	})
}

func TestAMessageThatIsHeldStopsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		const all = 10_000
		var sent sync.WaitGroup
		for range all {
			sent.Add(1)
			err := b.Send(t.Context(), &queue.Message{Topic: "orders", Queue: 0, Body: []byte("x")}, 0, func(queue.Sent, error) { sent.Done() })
			if err != nil {
				t.Fatal(err)
			}
		}
		sent.Wait()
		held := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 1, Invisible: 12 * time.Hour})
		acked := 1
		for {
			p := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 256})
			if len(p.Batches) == 0 {
				break
			}
			b.ackAll("g", p)
			acked += len(p.Batches[0].Records)
		}
		if acked != all {
			t.Errorf("%d messages were handed out, want %d", acked, all)
		}
		b.wantFloor("g", "orders", 0, 0)
		b.ackAll("g", held)
		b.wantFloor("g", "orders", 0, all)
	})
}

func TestAFilterPassesOverWhatItDoesNotWant(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 20)
		odd := func(r *message.Record) bool { return (r.Payload[len(r.Payload)-1]-'0')%2 == 1 }
		p := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 3, Filter: odd})
		want(t, p, "1", "3", "5")
		b.ackAll("g", p)
		b.wantFloor("g", "orders", 0, 6)
		p = b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 30, Filter: odd})
		b.ackAll("g", p)
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 30, Filter: odd}))
		b.wantFloor("g", "orders", 0, 20)
	})
}

func TestAGroupThatIsSetElsewhereGoesOnThere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 6)
		p := b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 3})
		if err := b.Commit("g", "orders", 0, 5); err != nil {
			t.Fatal(err)
		}
		if err := b.AckPopped("g", "orders", 0, 0, p.Time); !errors.Is(err, queue.ErrExpired) {
			t.Errorf("a handle from before: %v", err)
		}
		b.wantFloor("g", "orders", 0, 5)
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 9}), "5")
		if err := b.Commit("g", "orders", 0, 1); err != nil {
			t.Fatal(err)
		}
		want(t, b.pop(queue.PopRequest{Topic: "orders", Queue: 0, Most: 2}), "1", "2")
	})
}

func TestAPopWaitsForAnyQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 1)
		r := queue.PopRequest{Group: "g", Topic: "orders", Queue: -1, Most: 9, Invisible: 5 * time.Second}
		b.pop(r)
		wait := func() (*queue.PopWaiter, chan bool) {
			t.Helper()
			woken := make(chan bool, 2)
			w, err := b.WaitPop(r, func() { woken <- true })
			if err != nil {
				t.Fatal(err)
			}
			return w, woken
		}
		_, woken := wait()
		stopped, silent := wait()
		if !stopped.Stop() {
			t.Error("a waiter was woken by nothing")
		}
		began := time.Now()
		<-woken // the message that is not acknowledged comes back on a topic that is made for it
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("woken after %v, want 5 s", took)
		}
		p := b.pop(r)
		want(t, p, "0")
		b.ackAll("g", p)
		_, woken = wait()
		b.fill("orders", 3, 1, 2)
		<-woken
		p = b.pop(r)
		want(t, p, "1")
		b.ackAll("g", p)
		synctest.Wait()
		if len(silent) > 0 || len(woken) > 0 {
			t.Error("a waiter was woken after it was stopped, or twice")
		}
	})
}

func TestAnOrderedPopWaitsForTheAcknowledgement(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 2)
		r := queue.PopRequest{Group: "g", Topic: "orders", Queue: 0, Most: 1, Invisible: 5 * time.Second, Ordered: true}
		for _, ack := range []bool{true, false} {
			p := b.pop(r)
			woken := make(chan time.Time, 1)
			if _, err := b.WaitPop(r, func() { woken <- time.Now() }); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if ack {
				b.ackAll("g", p)
			}
			if took := (<-woken).Sub(began); ack != (took == 0) || took > 6*time.Second {
				t.Errorf("acknowledged %v: woken after %v", ack, took)
			}
		}
	})
}

func TestANewGroupBeginsAtTheEndIfItWants(t *testing.T) {
	inBubble(t, func(t *testing.T, b *popBench) {
		b.fill("orders", 0, 0, 3)
		r := queue.PopRequest{Topic: "orders", Queue: 0, Most: 9, FromLast: true}
		want(t, b.pop(r), "0", "1", "2") // the queue is all new
		b.fill("old", 0, 0, 1)
		b.log.Append(slices.Repeat([]message.Message{{Topic: "another"}}, 100_000)...)
		r.Topic = "old"
		want(t, b.pop(r))
		b.fill("old", 0, 1, 2)
		want(t, b.pop(r), "1")
		r.Group, r.FromLast = "other", false
		want(t, b.pop(r), "0", "1")
	})
}

func FuzzHandle(f *testing.F) {
	f.Add("0 1700000000000 30000 0 1 broker-a 3 17")
	f.Add("5 1 60000 999 0 b 0 5 12345")
	f.Add("5 1 60000 999 0 b 0")
	f.Add("-1 a  ")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := queue.ParseHandle(text)
		if err != nil {
			if !errors.Is(err, queue.ErrExpired) {
				t.Errorf("%q is refused with %v", text, err)
			}
			return
		}
		if again, err := queue.ParseHandle(h.String()); err != nil || again != h {
			t.Errorf("%q became %q: %+v, %+v, %v", text, h.String(), h, again, err)
		}
	})
}
