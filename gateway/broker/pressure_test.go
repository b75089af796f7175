package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/message"
)

// A publisher of what the log does not hold goes as fast as its readers; one that does not read at all
// holds it up once, for a moment.
func TestAPublisherWaitsForAReaderButNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(newMemLog())
		b.KeepQoS0Matched(true)
		quick, stuck := b.Subscribe(FromNow), b.Subscribe(FromNow)
		defer quick.Close()
		defer stuck.Close()
		quick.Add("t")
		stuck.Add("t")
		const all = 5 * maxInbox
		got := make(chan int)
		go func() {
			n := 0
			var batch []message.Delivery
			for n < all {
				var err error
				if batch, err = quick.Next(t.Context(), batch[:0], 100); err != nil {
					break
				}
				n += len(batch)
				time.Sleep(time.Millisecond)
			}
			got <- n
		}()
		began := time.Now()
		for range all {
			if err := b.Publish(t.Context(), &message.Message{Topic: "t", Payload: []byte("x")}, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		if n := <-got; n != all {
			t.Errorf("the quick reader got %d of %d", n, all)
		}
		if took := time.Since(began); took > 2*patience {
			t.Errorf("publishing took %v", took)
		}
		if stats := b.Stats(); stats.Dropped != all-maxInbox {
			t.Errorf("%d were dropped, want what the stuck reader has no room for, %d", stats.Dropped, all-maxInbox)
		}
	})
}
