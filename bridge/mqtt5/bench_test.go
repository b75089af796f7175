package mqtt5

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"sluice/bridge"
	"sluice/gateway/message"
)

// BenchmarkDrain sends readings of so many devices to mosquitto, with one message of a topic under
// way, which keeps the order whatever the broker refuses, and with the whole window.
func BenchmarkDrain(b *testing.B) {
	const window = 1000
	cloud := newMosquitto(b, "max_topic_alias 0\n")
	shortening := newMosquitto(b, fmt.Sprintf("max_topic_alias %d\n", maxAliases))
	for _, devices := range []int{1, 10, 1000} {
		for _, perTopic := range []int{1, window} {
			for _, m := range []*mosquitto{cloud, shortening} {
				name := fmt.Sprintf("devices=%d/in_flight_per_topic=%d/aliases=%v", devices, perTopic, m == shortening)
				b.Run(name, func(b *testing.B) { drain(b, m, devices, perTopic, window) })
			}
		}
	}
}

func drain(b *testing.B, m *mosquitto, devices, perTopic, window int) {
	o := DefaultOptions()
	o.Address, o.PerTopic = fmt.Sprintf("tcp://127.0.0.1:%d", m.port), perTopic
	u, err := New(o, "line-3", quiet())
	if err != nil {
		b.Fatal(err)
	}
	source := &endless{payload: make([]byte, 256), n: b.N, reached: make(chan struct{})}
	for i := range devices {
		source.topics = append(source.topics, fmt.Sprintf("readings/line-3/press-%d", i))
	}
	f := &bridge.Forwarder{Name: "cloud", Gateway: "line-3", Uplink: u, Window: window, Log: quiet(),
		Routes: []bridge.Route{{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: source}}}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.SetBytes(256)
	b.ResetTimer()
	go func() { ended <- f.Run(ctx) }()
	<-source.reached
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	cancel()
	<-ended
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
