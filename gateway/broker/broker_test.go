package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"sluice/gateway/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func next(t *testing.T, c *Consumer, most int) []message.Position {
	t.Helper()
	records, err := c.Next(t.Context(), nil, most)
	if err != nil {
		t.Fatal(err)
	}
	return positions(records)
}

func positions(records []message.Record) (at []message.Position) {
	for _, r := range records {
		at = append(at, r.Position)
	}
	return at
}

func mustConsumer(t *testing.T, b *Broker, name string, filter string, start Start) *Consumer {
	t.Helper()
	c, err := b.Consumer(name, []string{filter}, start)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func backlog(t *testing.T, c *Consumer) uint64 {
	t.Helper()
	got, err := c.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got.Messages
}

func TestPublishRefusesWhatIsNoTopic(t *testing.T) {
	b := New(newMemLog())
	for _, topic := range []string{"", "a/+", "a/#", "a\x00"} {
		err := b.Publish(t.Context(), &message.Message{Topic: topic}, nil, 0)
		if !errors.Is(err, message.ErrTopic) {
			t.Errorf("Publish to %q: %v, want %v", topic, err, message.ErrTopic)
		}
	}
}

func TestPublishChoosesTheQueueByTheTopic(t *testing.T) {
	log := newMemLog()
	b := New(log)
	for i := range 20 {
		topic := fmt.Sprintf("readings/line-3/press-%d", i%10)
		if err := b.Publish(t.Context(), &message.Message{Topic: topic, Queue: 9}, nil, 0); err != nil {
			t.Fatal(err)
		}
		if got, want := log.records[i].Queue, message.QueueOf(topic, message.DefaultQueues); got != want {
			t.Errorf("%s goes to queue %d, want %d", topic, got, want)
		}
	}
}

func TestAcknowledgedOnlyOnceDurable(t *testing.T) {
	log := newMemLog()
	b := New(log)
	var acked []uint64
	ack := message.AcknowledgeFunc(func(token uint64, _ message.Position, err error) { acked = append(acked, token) })
	for token := range uint64(3) {
		if err := b.Publish(t.Context(), &message.Message{Topic: "a"}, ack, token); err != nil {
			t.Fatal(err)
		}
	}
	if len(acked) != 0 {
		t.Fatalf("%v acknowledged before the sync", acked)
	}
	log.sync()
	if want := []uint64{0, 1, 2}; !slices.Equal(acked, want) {
		t.Errorf("acknowledged %v, want %v", acked, want)
	}
}

func TestConsumerSeesOnlyWhatIsDurableAndMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		b := New(log)
		c := mustConsumer(t, b, "c", "readings/#", Oldest)
		var got []message.Position
		go func() { got = next(t, c, 10) }()
		b.Publish(t.Context(), &message.Message{Topic: "other"}, nil, 0)
		b.Publish(t.Context(), &message.Message{Topic: "readings/a"}, nil, 0)
		synctest.Wait()
		if got != nil {
			t.Fatalf("Next returned %v before the sync", got)
		}
		log.sync()
		synctest.Wait()
		if want := []message.Position{2}; !slices.Equal(got, want) {
			t.Errorf("Next returned %v, want %v", got, want)
		}
	})
}

func TestConsumerContinuesBehindItsCursor(t *testing.T) {
	log := newMemLog()
	b := New(log)
	log.add("a", "a", "a", "a")
	c := mustConsumer(t, b, "c", "#", Oldest)
	next(t, c, 3)
	c.Ack(2)
	again := mustConsumer(t, b, "c", "#", Oldest)
	if got, want := next(t, again, 10), []message.Position{3, 4}; !slices.Equal(got, want) {
		t.Errorf("after a restart Next returned %v, want %v", got, want)
	}
	later := mustConsumer(t, b, "later", "#", Now)
	log.add("a")
	if got, want := next(t, later, 10), []message.Position{5}; !slices.Equal(got, want) {
		t.Errorf("a consumer that starts now got %v, want %v", got, want)
	}
}

func TestRewindReturnsWhatWasNotAcknowledged(t *testing.T) {
	log := newMemLog()
	c := mustConsumer(t, New(log), "c", "x", Oldest)
	log.add("x", "y", "x", "x", "y")
	if got, want := next(t, c, 10), []message.Position{1, 3, 4}; !slices.Equal(got, want) {
		t.Fatalf("Next returned %v, want %v", got, want)
	}
	c.Ack(1)
	c.Rewind()
	if got := backlog(t, c); got != 2 {
		t.Errorf("backlog after a rewind is %d, want 2", got)
	}
	if got, want := next(t, c, 10), []message.Position{3, 4}; !slices.Equal(got, want) {
		t.Errorf("after a rewind Next returned %v, want %v", got, want)
	}
	c.Ack(4)
	if got, want := c.cursor.Position(), message.Position(5); got != want {
		t.Errorf("the cursor stands at %d, want %d: what does not match must not pin the log", got, want)
	}
}

func TestCursorPassesWhatNeverMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemLog()
		c := mustConsumer(t, New(log), "c", "x", Oldest)
		ctx, cancel := context.WithCancel(t.Context())
		go c.Next(ctx, nil, 10)
		log.add("y", "y", "y")
		synctest.Wait()
		if got := c.cursor.Position(); got != 3 {
			t.Errorf("the cursor stands at %d, want 3", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestNextHoldsBackUntilTheCursorIsDurable(t *testing.T) {
	log := newMemLog()
	c := mustConsumer(t, New(log), "c", "#", Oldest)
	for range 3 * MaxUnsynced {
		log.add("a")
	}
	for range 2*MaxUnsynced + 1 {
		at := next(t, c, 1)
		c.Ack(at[0])
		if unsynced := int(c.cursor.Position() - c.cursor.Durable()); unsynced > MaxUnsynced {
			t.Fatalf("%d acknowledgements are not durable, at most %d may be", unsynced, MaxUnsynced)
		}
	}
	cursor := c.cursor.(*memCursor)
	if cursor.syncs != 2 || cursor.flushes == 0 {
		t.Errorf("%d syncs and %d flushes, want 2 syncs, each announced by flushes", cursor.syncs, cursor.flushes)
	}
}

func TestBacklogCountsOnlyWhatMatches(t *testing.T) {
	log := newMemLog()
	c := mustConsumer(t, New(log), "c", "x", Oldest)
	log.add("y", "x", "x", "y", "x")
	got, err := c.Backlog(t.Context())
	if err != nil || got.Messages != 3 || !got.Oldest.Equal(time.UnixMilli(2)) {
		t.Errorf("backlog %+v, %v; want 3 messages, the oldest at 2 ms", got, err)
	}
	next(t, c, 2)
	if got := backlog(t, c); got != 3 {
		t.Errorf("backlog with one in flight is %d, want 3", got)
	}
	c.Ack(2)
	if got := backlog(t, c); got != 2 {
		t.Errorf("backlog after one acknowledgement is %d, want 2", got)
	}
	log.trim(5)
	log.add("x")
	if got, want := next(t, c, 10), []message.Position{5, 6}; !slices.Equal(got, want) {
		t.Errorf("Next returned %v, want %v", got, want)
	}
}

// TestBacklogAgainstAModel compares the count with a plain one over random steps.
func TestBacklogAgainstAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	log := newMemLog()
	c := mustConsumer(t, New(log), "c", "x", Oldest)
	var matching []message.Position
	var out []message.Position // in flight
	acked := 0
	for step := range 3000 {
		switch random.IntN(6) {
		case 0, 1:
			for range random.IntN(20) {
				topic := []string{"x", "y"}[random.IntN(2)]
				log.add(topic)
				if topic == "x" {
					matching = append(matching, log.durable)
				}
			}
		case 2, 3:
			if want := matching[acked+len(out):]; len(want) > 0 {
				records, err := c.Next(t.Context(), nil, 1+random.IntN(10))
				if err != nil {
					t.Fatal(err)
				}
				got := positions(records)
				if !slices.Equal(got, want[:len(got)]) {
					t.Fatalf("step %d: Next returned %v, want the beginning of %v", step, got, want)
				}
				out = append(out, got...)
			}
		case 4:
			if len(out) > 0 {
				n := 1 + random.IntN(len(out))
				c.Ack(out[n-1])
				out = out[n:]
				acked += n
			}
		case 5:
			if random.IntN(4) == 0 {
				c.Rewind()
				out = nil
			}
		}
		if random.IntN(3) == 0 {
			if got, want := backlog(t, c), uint64(len(matching)-acked); got != want {
				t.Fatalf("step %d: backlog %d, want %d", step, got, want)
			}
		}
	}
}

func ExampleConsumer() {
	log := newMemLog()
	c, err := New(log).Consumer("uplink/cloud", []string{"readings/#"}, Oldest)
	if err != nil {
		panic(err)
	}
	log.add("readings/line-3/press", "status/line-3/press")
	records, err := c.Next(context.Background(), nil, 100)
	fmt.Println(len(records), records[0].Topic, err)
	c.Ack(records[0].Position)
	// Output: 1 readings/line-3/press <nil>
}
