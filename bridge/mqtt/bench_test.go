package mqtt

import (
	"context"
	"errors"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"sluice/bridge"
	"sluice/bridge/cloudsim"
	"sluice/gateway/message"
)

const benchWindow = 100

func benchCloud(b *testing.B) string {
	s, err := cloudsim.Listen("127.0.0.1:0", cloudsim.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	return "tcp://" + s.Addr().String()
}

// BenchmarkBarePaho is the yardstick: paho as it comes, with a window of tokens.
func BenchmarkBarePaho(b *testing.B) {
	o := paho.NewClientOptions().AddBroker(benchCloud(b)).SetClientID("bare").SetAutoReconnect(false)
	client := paho.NewClient(o)
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	payload := make([]byte, 256)
	tokens := make(chan paho.Token, benchWindow)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t := range tokens {
			t.Wait()
		}
	}()
	b.ReportAllocs()
	b.SetBytes(256)
	for b.Loop() {
		tokens <- client.Publish("plants/readings/line-3/press", 1, false, payload)
	}
	close(tokens)
	<-done
	client.Disconnect(100)
}

// BenchmarkForwarder is the same through a Forwarder and an Uplink.
func BenchmarkForwarder(b *testing.B) {
	o := DefaultOptions()
	o.Address = benchCloud(b)
	u, err := New(o, "line-3", quiet())
	if err != nil {
		b.Fatal(err)
	}
	source := &endless{payload: make([]byte, 256), n: b.N, reached: make(chan struct{})}
	f := &bridge.Forwarder{Name: "cloud", Uplink: u, Window: benchWindow, Log: quiet(),
		Routes: []bridge.Route{{From: "readings/#", To: "plants/{topic}", QoS: 1, Source: source}}}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.SetBytes(256)
	b.ResetTimer()
	go func() { ended <- f.Run(ctx) }()
	<-source.reached
	b.StopTimer()
	cancel()
	<-ended
}

// endless is a log without end of which n messages are sent.
type endless struct {
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
			Message: message.Message{Topic: "readings/line-3/press", Payload: s.payload}})
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
