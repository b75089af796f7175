package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/gateway/message"
)

// benchLog is a log that commits by itself.
func benchLog(b *testing.B) *Store {
	b.Helper()
	s, err := Open(Options{Dir: b.TempDir(), Inbound: inboundOf})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-ran
		s.Close()
	})
	return s
}

// BenchmarkCommitOffset is what a consumer's commit costs: coalesced, so memory only.
func BenchmarkCommitOffset(b *testing.B) {
	s := benchLog(b)
	b.ReportAllocs()
	next := int64(0)
	for b.Loop() {
		next++
		if err := s.CommitOffset("group", "topic", int(next%16), next); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDurableRelease is the rate at which many clients have releases of QoS 2 made durable, with
// one under way each.
func BenchmarkDurableRelease(b *testing.B) {
	for _, clients := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			s := benchLog(b)
			sessions := make([]*Session, clients)
			for i := range sessions {
				sessions[i] = openSession(b, s, fmt.Sprint("c", i), time.Hour)
			}
			var all sync.WaitGroup
			each := max(1, b.N/clients)
			b.ResetTimer()
			for _, x := range sessions {
				all.Go(func() {
					done := make(chan error, 1)
					for range each {
						s.small.mu.Lock()
						x.received.noteLocked(7, x.received.asOf+1)
						s.small.mu.Unlock()
						x.Release(7, func(err error) { done <- err })
						if err := <-done; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(each*clients)/b.Elapsed().Seconds(), "releases/s")
		})
	}
}

// BenchmarkRetainedNote is what a retained message costs the committer beside its append.
func BenchmarkRetainedNote(b *testing.B) {
	s := benchLog(b)
	topics := make([]string, 10_000)
	for i := range topics {
		topics[i] = fmt.Sprintf("plant/line-%d/machine-%d/state", i%100, i)
	}
	b.ReportAllocs()
	at := message.Position(0)
	for b.Loop() {
		at++
		s.small.hear([]note{{retain: true, topic: topics[int(at)%len(topics)]}}, at, 0)
	}
	s.small.mu.Lock()
	s.small.replay.touched = nil // they speak of positions that are not in the log
	s.small.mu.Unlock()
}

// BenchmarkRetainedLookUp is an exact look-up and one with a wildcard that matches 100 of 10,000.
func BenchmarkRetainedLookUp(b *testing.B) {
	var root retainedNode
	for i := range 10_000 {
		topic := fmt.Sprintf("plant/line-%d/machine-%d/state", i%100, i)
		root.put(topic, &retainedTopic{})
	}
	for _, filter := range []string{"plant/line-7/machine-107/state", "plant/line-7/+/state"} {
		b.Run(filter, func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				root.each(filter, func(*retainedTopic) { found++ })
			}
			if found == 0 {
				b.Error("nothing is found")
			}
		})
	}
}
