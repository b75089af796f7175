package queue_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sluice/gateway/queue"
)

// sendMany sends messages of 256 bytes without waiting in between, and returns when all are durable.
func (p *plant) sendMany(n int, properties ...string) {
	p.t.Helper()
	heard := make(chan error, n)
	for i := range n {
		m := queue.Message{Topic: "later", Queue: 0, Body: make([]byte, 256), Properties: with(append([]string{queue.UniqueKey, fmt.Sprintf("%032d", i)}, properties...)...)}
		if err := p.Send(p.t.Context(), &m, 0, func(_ queue.Sent, err error) { heard <- err }); err != nil {
			p.t.Fatal(err)
		}
	}
	for range n {
		if err := <-heard; err != nil {
			p.t.Fatal(err)
		}
	}
}

func BenchmarkSendDelayed(b *testing.B) {
	p := plantOf(b, queue.Options{Waiting: 1 << 30})
	b.ReportAllocs()
	b.SetBytes(256)
	b.ResetTimer()
	p.sendMany(b.N, queue.Delay, "18")
}

// How fast what is due at the same time comes: all of it waits at first.
func BenchmarkDeliverDelayed(b *testing.B) {
	p := plantOf(b, queue.Options{Waiting: 1 << 30})
	b.ReportAllocs()
	b.SetBytes(256)
	until := fmt.Sprint(time.Now().Add(time.Duration(b.N)*10*time.Microsecond + 2*time.Second).UnixMilli())
	p.sendMany(b.N, queue.TimerDeliverMs, until)
	for p.Pending().Delayed == b.N {
		time.Sleep(time.Millisecond)
	}
	b.ResetTimer()
	for p.Pending().Delayed > 0 {
		time.Sleep(100 * time.Microsecond)
	}
}

// What a start costs with 100,000 messages waiting, and what memory each of them takes.
func BenchmarkLoadDelayed(b *testing.B) {
	const waiting = 100_000
	p := plantOf(b, queue.Options{})
	p.sendMany(waiting, queue.Delay, "18")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var with, without uint64
	for b.Loop() {
		b.StopTimer()
		p.stop()
		p.Queues = nil
		p.passed.Store(nil)
		without = heap()
		b.StartTimer()
		p.start()
		for p.Pending().Delayed < waiting {
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		with = heap()
		b.StartTimer()
	}
	b.ReportMetric(float64(with-without)/waiting, "B/message")
}
