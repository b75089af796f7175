package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// BenchmarkFollow is one producer that waits for nothing while a reader follows the tail, as the
// broker's router does, and the index is kept. Nothing in the payloads compresses.
func BenchmarkFollow(b *testing.B) {
	for _, profile := range []store.Profile{store.Normal, store.Small} {
		b.Run(string(profile), func(b *testing.B) {
			l := storetest.Open(b, func(o *store.Options) { o.Profile, o.FileSize, o.RetentionSize = profile, 0, 256<<20 })
			random := rand.NewChaCha8([32]byte{})
			list := make([]message.Message, 1000)
			for i := range list {
				payload := make([]byte, 256)
				random.Read(payload)
				list[i] = message.Message{Topic: fmt.Sprintf("bench/line-%d", i%20), Time: 1795345665221 + int64(i), Payload: payload}
			}
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			end, follower := make(chan message.Position, 1), make(chan error, 1)
			go func() { follower <- follow(ctx, l.Store, end) }()
			b.ReportAllocs()
			b.SetBytes(256)
			i, before := 0, spend()
			for b.Loop() {
				if err := l.Store.Append(ctx, &list[i%len(list)], nil, 0); err != nil {
					b.Fatal(err)
				}
				i++
			}
			end <- message.Position(i)
			if err := <-follower; err != nil {
				b.Fatal(err)
			}
			// What the reader still did behind the loop belongs to it.
			after, n := spend(), float64(i)
			b.ReportMetric(n/after.at.Sub(before.at).Seconds(), "messages/s")
			b.ReportMetric(float64(after.cpu-before.cpu)/n, "cpu-ns/op")
			b.ReportMetric(float64(after.bytes-before.bytes)/n, "B/op")
		})
	}
}

// follow reads whatever the log gets until it has read the position that end tells.
func follow(ctx context.Context, log *store.Store, end <-chan message.Position) error {
	const most = 512
	var records []message.Record
	var err error
	next, until := message.Position(1), ^message.Position(0)
	for next <= until {
		tail, grown := log.Tail()
		if tail < next {
			select {
			case until = <-end:
			case <-grown:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if records, err = log.Read(records[:0], next, most); err != nil || len(records) == 0 {
			return fmt.Errorf("read %d records at %d: %w", len(records), next, err)
		}
		next = records[len(records)-1].Position + 1
	}
	return nil
}

// spent is what the process has used so far.
type spent struct {
	at    time.Time
	cpu   time.Duration
	bytes uint64 // allocated
}

func spend() spent {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return spent{time.Now(), time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), memory.TotalAlloc}
}
