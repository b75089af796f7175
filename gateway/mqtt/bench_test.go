package mqtt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"sluice/gateway/message"
	"sluice/gateway/mqtt/packet"
)

// BenchmarkPublish is the way from a client's socket to the log, and for QoS 1 back.
func BenchmarkPublish(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprintf("QoS%d", qos), func(b *testing.B) {
			const batch = 100 // the window of a client
			socket := benchServer(b, forgetful{newMemoryLog()})
			var stream []byte
			for id := range uint16(batch) {
				p := packet.Publish{QoS: qos, ID: id + 1, Topic: []byte("readings/line-3/press"), Payload: make([]byte, 256)}
				stream = p.Append(stream, packet.V311)
			}
			answers := 4 * batch
			if qos == 0 {
				stream = (&packet.Ping{Type: packet.PINGREQ}).Append(stream, packet.V311)
				answers = 2
			}
			in := make([]byte, answers)
			b.ReportAllocs()
			b.SetBytes(int64(len(stream)))
			for b.Loop() {
				if _, err := socket.Write(stream); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(socket, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
		})
	}
}

// BenchmarkDelivery is the way from the log to a subscriber's socket.
func BenchmarkDelivery(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprintf("QoS%d", qos), func(b *testing.B) {
			socket := benchServer(b, endless{forgetful{newMemoryLog()}})
			p := packet.Subscribe{ID: 1, Filters: []packet.Filter{{Filter: []byte("readings/#"), QoS: qos}}}
			if _, err := socket.Write(p.Append(nil, packet.V311)); err != nil {
				b.Fatal(err)
			}
			in := packet.NewReader(socket, 1<<20)
			if _, err := in.Next(); err != nil { // SUBACK
				b.Fatal(err)
			}
			var got packet.Publish
			var pubacks []byte
			b.ReportAllocs()
			for b.Loop() {
				frame, err := in.Next()
				if err != nil || got.Decode(frame, packet.V311) != nil {
					b.Fatal(frame, err)
				}
				if qos == 0 {
					continue
				}
				pubacks = (&packet.Ack{Type: packet.PUBACK, ID: got.ID}).Append(pubacks, packet.V311)
				if !in.Ready() {
					if _, err := socket.Write(pubacks); err != nil {
						b.Fatal(err)
					}
					pubacks = pubacks[:0]
				}
			}
		})
	}
}

// endless is a Backend whose subscribers never run out of records.
type endless struct{ forgetful }

func (endless) Subscribe(message.Position) Subscription { return endlessSubscription{} }

type endlessSubscription struct{ Subscription }

var endlessPayload = bytes.Repeat([]byte{'x'}, 256)

func (endlessSubscription) Add(string) message.Position { return 0 }
func (endlessSubscription) Passed() message.Position    { return 0 }
func (endlessSubscription) Remove(string)               {}
func (endlessSubscription) Close()                      {}
func (endlessSubscription) Skip() uint64                { return 0 }
func (endlessSubscription) Next(_ context.Context, dst []message.Delivery, max int) ([]message.Delivery, error) {
	for range max {
		dst = append(dst, message.Delivery{Record: message.Record{Message: message.Message{Topic: "readings/line-3/press", Payload: endlessPayload, QoS: 1}}})
	}
	return dst, nil
}

func benchServer(b *testing.B, backend Backend) net.Conn {
	b.Helper()
	server := startServer(b, Options{Anonymous: true}, backend)
	socket, err := net.Dial("tcp", server.Addrs()[0].String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { socket.Close() })
	socket.SetDeadline(time.Now().Add(time.Minute))
	p := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: []byte("bench")}
	if _, err := socket.Write(p.Append(nil)); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(socket, make([]byte, 4)); err != nil {
		b.Fatal(err)
	}
	return socket
}
