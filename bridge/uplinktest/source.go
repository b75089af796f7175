package uplinktest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/bridge"
	"sluice/gateway/message"
)

// Readings is a log that grows, with readings of one device, and a cursor in memory.
type Readings struct {
	mu     sync.Mutex // guards what follows
	last   uint64     // seq of the newest
	next   uint64
	acked  uint64
	paused bool
}

// Next waits for readings.
func (r *Readings) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	for {
		r.mu.Lock()
		for ; max > 0 && r.next < r.last; max-- {
			r.next++
			reading := message.Reading{Gateway: "line-3", Device: "press", Epoch: 1, Seq: r.next}
			dst = append(dst, message.Record{Position: message.Position(r.next),
				Message: message.Message{Topic: "readings/line-3/press", Payload: reading.AppendJSON(nil)}})
		}
		if !r.paused {
			r.last += 5
		}
		r.mu.Unlock()
		if len(dst) > 0 {
			return dst, nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

// Ack moves the cursor.
func (r *Readings) Ack(upTo message.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = uint64(upTo)
}

// SetAside says that it should not have come to that.
func (r *Readings) SetAside(context.Context, message.Position, *message.Message) error {
	return errors.New("this cloud refuses nothing")
}

// Rewind goes back to the cursor.
func (r *Readings) Rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = r.acked
}

// Finish lets the log end and waits until all of it is acknowledged.
func (r *Readings) Finish(t testing.TB) (last uint64) {
	t.Helper()
	r.mu.Lock()
	r.paused = true
	last = r.last
	r.mu.Unlock()
	Eventually(t, fmt.Sprintf("all %d readings are acknowledged", last), func() bool { return r.seq() == last })
	return last
}

func (r *Readings) seq() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// Advance waits until n more are acknowledged.
func (r *Readings) Advance(t testing.TB, n uint64) {
	t.Helper()
	target := r.seq() + n
	Eventually(t, "more readings are acknowledged", func() bool { return r.seq() >= target })
}

// Forward runs a forwarder of readings until the test ends.
func Forward(t testing.TB, u bridge.Uplink, source bridge.Source, change func(*bridge.Forwarder)) *bridge.Forwarder {
	t.Helper()
	f := &bridge.Forwarder{Name: "cloud", Gateway: "line-3", Uplink: u, Window: 100, Log: Quiet(),
		Routes: []bridge.Route{{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: source}}}
	if change != nil {
		change(f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the forwarder ended with %v", err)
		}
	})
	return f
}

// Drain measures b.N messages of 256 bytes, on so many topics in turns, through a forwarder.
func Drain(b *testing.B, u bridge.Uplink, topics, window int) {
	source := &endless{payload: make([]byte, 256), n: b.N, reached: make(chan struct{})}
	for i := range topics {
		source.topics = append(source.topics, fmt.Sprintf("readings/line-3/press-%d", i))
	}
	b.ReportAllocs()
	b.SetBytes(256)
	b.ResetTimer()
	Forward(b, u, source, func(f *bridge.Forwarder) { f.Window = window })
	<-source.reached
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// endless is a log without end of which n messages are sent.
type endless struct {
	topics  []string
	payload []byte
	at, n   int
	reached chan struct{}
}

func (s *endless) Next(ctx context.Context, dst []message.Record, max int) ([]message.Record, error) {
	if s.at >= s.n {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	for range min(max, s.n-s.at) {
		s.at++
		dst = append(dst, message.Record{Position: message.Position(s.at),
			Message: message.Message{Topic: s.topics[s.at%len(s.topics)], Payload: s.payload}})
	}
	return dst, nil
}

func (s *endless) Ack(upTo message.Position) {
	if int(upTo) == s.n {
		close(s.reached)
	}
}

func (s *endless) Rewind() {}

func (s *endless) SetAside(context.Context, message.Position, *message.Message) error {
	return errors.New("nothing is refused here")
}
