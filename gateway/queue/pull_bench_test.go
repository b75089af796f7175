package queue_test

import (
	"fmt"
	"testing"

	"sluice/gateway/message"
	"sluice/gateway/queue"
)

// BenchmarkPull consumes a backlog as a client does: 32 messages of each of 8 queues in turn. An operation
// is one pull.
func BenchmarkPull(b *testing.B) {
	const n, queues = 64_000, 8
	p := plantOf(b, queue.Options{Queues: queues})
	heard := make(chan error, n)
	for i := range n {
		m := queue.Message{Topic: "backlog", Queue: i % queues, Body: make([]byte, 256), Properties: with(queue.UniqueKey, fmt.Sprintf("%032d", i), queue.Keys, fmt.Sprint("order-", i), queue.Tags, "odd")}
		if err := p.Send(b.Context(), &m, queues, func(_ queue.Sent, err error) { heard <- err }); err != nil {
			b.Fatal(err)
		}
	}
	for range n {
		if err := <-heard; err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		filter queue.Filter
	}{
		{"all", nil},
		{"tag", func(r *message.Record) bool { tag, _ := queue.PropertyOf(r, queue.Tags); return tag == "odd" }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var next [queues]uint64
			b.ReportAllocs()
			b.SetBytes(32 * 256)
			for i := 0; b.Loop(); i++ {
				at := &next[i%queues]
				got, err := p.Pull("backlog", i%queues, *at, 32, 256<<10, c.filter)
				if err != nil || len(got.Records) != min(32, int(got.Max-*at)) {
					b.Fatalf("%d messages from %d on, %v", len(got.Records), *at, err)
				}
				if *at = got.Next; *at == got.Max {
					*at = 0
				}
			}
		})
	}
}
