package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/message"
)

// ringLog is a log of messages that are all alike, for as long as one likes: it costs next to nothing, so that a
// benchmark measures what stands above it.
type ringLog struct {
	Log
	mu    sync.Mutex
	tail  message.Position
	grown chan struct{}
	made  message.Record
}

func newRingLog(topic string) *ringLog {
	return &ringLog{
		Log: newMemLog(), grown: make(chan struct{}),
		made: message.Record{Message: message.Message{Topic: topic, Payload: make([]byte, 256)}},
	}
}

func (l *ringLog) grow(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail += message.Position(by)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *ringLog) Tail() (message.Position, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail, l.grown
}

func (l *ringLog) Read(dst []message.Record, from message.Position, most int) ([]message.Record, error) {
	tail, _ := l.Tail()
	for ; from <= tail && most > 0; from, most = from+1, most-1 {
		dst = append(dst, l.made)
		dst[len(dst)-1].Position = from
	}
	return dst, nil
}

func (l *ringLog) ReadMatching(dst []message.Record, from message.Position, most int, wanted []string) ([]message.Record, message.Position, error) {
	if tail, _ := l.Tail(); !filters(wanted).match(l.made.Topic) {
		return dst, max(from, tail+1), nil
	}
	start := len(dst)
	dst, _ = l.Read(dst, from, most)
	return dst, from + message.Position(len(dst)-start), nil
}

const benchTopic = "readings/line-3/press"

// benchRouter commits messages in groups and waits until the matching ones of so many subscriptions
// have all of them. It lets the log run ahead by a bounded number, as a window does.
func benchRouter(b *testing.B, subscriptions, matching int) {
	const group = 64
	const ahead = 1024
	log := newRingLog(benchTopic)
	broker := New(log)
	ctx, cancel := context.WithCancel(b.Context())
	var parts sync.WaitGroup
	parts.Go(func() { broker.Run(ctx) })
	room := make([]chan struct{}, matching)
	var total sync.WaitGroup
	for n := range subscriptions {
		s := broker.Subscribe(FromNow)
		s.Add(fmt.Sprint("commands/line-3/", n))
		if n >= matching {
			parts.Go(func() {
				s.Next(ctx, nil, 64)
				s.Close()
			})
			continue
		}
		s.Add("readings/+/press")
		room[n] = make(chan struct{}, ahead/group)
		total.Go(func() {
			defer s.Close()
			var got []message.Delivery
			count, want := 0, (b.N+group-1)/group*group
			for count < want {
				var err error
				if got, err = s.Next(ctx, got[:0], 256); err != nil {
					b.Error(err)
					return
				}
				for range (count+len(got))/group - count/group {
					<-room[n]
				}
				count += len(got)
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += group {
		for _, r := range room {
			r <- struct{}{}
		}
		log.grow(group)
	}
	total.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*matching)/b.Elapsed().Seconds(), "deliveries/s")
	cancel()
	parts.Wait()
}

func BenchmarkRouter(b *testing.B) {
	for _, subscriptions := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("one-of-%d", subscriptions), func(b *testing.B) { benchRouter(b, subscriptions, 1) })
	}
	b.Run("all-of-50", func(b *testing.B) { benchRouter(b, 50, 50) })
}

// BenchmarkShare divides what comes among the members of a shared subscription.
func BenchmarkShare(b *testing.B) {
	for _, members := range []int{1, 4} {
		b.Run(fmt.Sprintf("members-%d", members), func(b *testing.B) {
			const group = 64
			log := newRingLog(benchTopic)
			broker := New(log)
			ctx, cancel := context.WithCancel(b.Context())
			var parts sync.WaitGroup
			parts.Go(func() { broker.Run(ctx) })
			got := make(chan int, members)
			for range members {
				s, number := join(b, broker, "g", "readings/#", true)
				parts.Go(func() {
					defer s.Close()
					var deliveries []message.Delivery
					for {
						var err error
						if deliveries, err = s.Next(ctx, deliveries[:0], 256); err != nil {
							return
						}
						for i := range deliveries {
							s.Done(number, deliveries[i].Position)
						}
						select {
						case got <- len(deliveries):
						case <-ctx.Done():
							return
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			sent, received := 0, 0
			for received < b.N {
				for ; sent < received+16*group && sent < b.N; sent += group {
					log.grow(group)
				}
				received += <-got
			}
			b.StopTimer()
			cancel()
			parts.Wait()
		})
	}
}

// BenchmarkBacklog drains what waited for a session.
func BenchmarkBacklog(b *testing.B) {
	log := newRingLog(benchTopic)
	log.grow(b.N)
	s := New(log).Subscribe(0)
	defer s.Close()
	s.Resume("readings/#", 0)
	var got []message.Delivery
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(got) {
		got, _ = s.Next(b.Context(), got[:0], 256)
	}
}

// BenchmarkHand is what a message with QoS 0 costs that the log does not hold.
func BenchmarkHand(b *testing.B) {
	broker := New(newMemLog())
	broker.KeepQoS0Matched(true)
	s := broker.Subscribe(FromNow)
	defer s.Close()
	s.Add("readings/#")
	m := &message.Message{Topic: strings.Clone(benchTopic), Payload: make([]byte, 256), Time: 1}
	var got []message.Delivery
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		broker.Publish(b.Context(), m, nil, 0)
		if n++; n%64 == 0 {
			got, _ = s.Next(b.Context(), got[:0], 256)
		}
	}
}
