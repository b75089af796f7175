package rocketmq

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/gateway/message"
)

// BenchmarkEncode writes the 32 messages of one answer to a pull.
func BenchmarkEncode(b *testing.B) {
	s := &Server{options: Options{Cluster: "DefaultCluster"}}
	c := &conn{server: s, local: netip.MustParseAddrPort("127.0.0.1:10911")}
	records := make([]message.Record, 32)
	for i := range records {
		records[i] = message.Record{Position: message.Position(1000 + i), QueueOffset: uint64(i), Message: message.Message{
			Topic: "backlog", Queue: 3, Payload: make([]byte, 256), Time: 1795345665221,
			Properties: []message.Property{
				{Name: "KEYS", Value: fmt.Sprint("order-", i)}, {Name: "TAGS", Value: "press"}, {Name: "UNIQ_KEY", Value: fmt.Sprintf("7F0000010000%020X", i)},
				{Name: "WAIT", Value: "true"}, {Name: "\x00rocketmq", Value: "0 0 1795345665221 0 0 127.0.0.1:40512"},
			},
		}}
	}
	var body []byte
	var err error
	b.ReportAllocs()
	b.SetBytes(32 * 256)
	for b.Loop() {
		if body, err = s.encode(body[:0], c, records); err != nil || len(body) < 32*256 {
			b.Fatalf("%d bytes, %v", len(body), err)
		}
	}
}
