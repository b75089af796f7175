package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// useCluster sends to a topic that several brokers have, TOPIC in the environment, and consumes it from all.
func useCluster(p *play) {
	topic := os.Getenv("TOPIC")
	c := p.producer()
	written, read := map[string]bool{}, map[string]bool{}
	for i := range 12 {
		r, err := c.SendSync(background, primitive.NewMessage(topic, fmt.Appendf(nil, "m%02d", i)))
		p.must(err, "send")
		written[r.MessageQueue.BrokerName] = true
	}
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b))
	got := b.await(12)
	for _, m := range got {
		read[m.Queue.BrokerName] = true
	}
	p.saw("sent to", slices.Sorted(maps.Keys(written)))
	p.saw("consumed from", slices.Sorted(maps.Keys(read)))
	p.saw("consumed", bodies(got))
}
