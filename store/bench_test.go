package store_test

import (
	"fmt"
	"sync"
	"testing"

	"sluice/gateway/message"
	"sluice/store"
	"sluice/store/storetest"
)

// readings are payloads of about 256 bytes that differ as real ones do.
func readings() []message.Message {
	list := make([]message.Message, 1000)
	for i := range list {
		list[i] = message.Message{
			Topic: fmt.Sprintf("readings/line-3/press-%d", i%20), QoS: 1, Time: 1795345665221 + int64(i)*50,
			Device: fmt.Sprintf("press-%d", i%20), Seq: uint64(i),
			Payload: fmt.Appendf(nil, `{"gateway":"line-3","device":"press-%d","epoch":1,"seq":%d,"ts":%d,"values":{"counter":%d,"temperature":%.2f,"pressure":%.3f,"speed":%d,"torque":%.1f,"running":true,"mode":"automatic","batch":"A-%06d","energy":%.3f}}`,
				i%20, i, 1795345665221+int64(i)*50, i*7, 20+float64(i%37)/7, 1+float64(i%91)/13, 900+i%50, 40+float64(i%23)/3, i*31%1000000, float64(i)*1.37),
		}
	}
	return list
}

// window holds producers back when too many messages are not acknowledged yet.
type window struct {
	mu   sync.Mutex
	free *sync.Cond
	open int
}

func newWindow(n int) *window {
	w := &window{open: n}
	w.free = sync.NewCond(&w.mu)
	return w
}

func (w *window) take() {
	w.mu.Lock()
	for w.open == 0 {
		w.free.Wait()
	}
	w.open--
	w.mu.Unlock()
}

func (w *window) Acknowledge(uint64, message.Position, error) {
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	w.free.Signal()
}

// BenchmarkAppend is one producer that keeps a window of messages in flight; all are synced.
func BenchmarkAppend(b *testing.B) {
	for _, inFlight := range []int{1, 100, 20000} {
		b.Run(fmt.Sprintf("window=%d", inFlight), func(b *testing.B) {
			l := storetest.Open(b, func(o *store.Options) { o.FileSize, o.RetentionSize = 0, 64<<20 })
			list := readings()
			w := newWindow(inFlight)
			b.ReportAllocs()
			b.SetBytes(int64(len(list[0].Payload)))
			i := 0
			for b.Loop() {
				w.take()
				if err := l.Store.Append(b.Context(), &list[i%len(list)], w, 0); err != nil {
					b.Fatal(err)
				}
				i++
			}
			for range inFlight {
				w.take()
			}
		})
	}
}

// BenchmarkRead reads a log of blocks back from its beginning.
func BenchmarkRead(b *testing.B) {
	l := storetest.Open(b, func(o *store.Options) { o.FileSize = 0 })
	list := readings()
	const total = 200_000
	w := newWindow(20000)
	for i := range total {
		w.take()
		if err := l.Store.Append(b.Context(), &list[i%len(list)], w, 0); err != nil {
			b.Fatal(err)
		}
	}
	l.Reopen()
	b.ReportAllocs()
	b.SetBytes(int64(len(list[0].Payload)))
	var records []message.Record
	at, next := 0, message.Position(1)
	for b.Loop() {
		if at == len(records) {
			var err error
			if records, err = l.Read(records[:0], next, 500); err != nil {
				b.Fatal(err)
			}
			if at = 0; len(records) == 0 {
				next, at = 1, 0
				records, _ = l.Read(records[:0], next, 500)
			}
			next = records[len(records)-1].Position + 1
		}
		at++
	}
}
