package main

import (
	"slices"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// traceMessages has producer and consumer write down what they do, and reads it.
func traceMessages(p *play) {
	topic := p.topic(p.own("topic"), 1)
	traced := newInbox()
	p.push(p.own("auditors"), "RMQ_SYS_TRACE_TOPIC", everything, into(traced), consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset))
	config := &primitive.TraceConfig{GroupName: p.own("tracers"), Access: primitive.Local, NamesrvAddrs: []string{p.namesrv}, Credentials: keys}
	c := p.producer(producer.WithTrace(config))
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b), consumer.WithTrace(config))
	r, err := c.SendSync(background, primitive.NewMessage(topic, []byte("followed")).WithTag("t").WithKeys([]string{"k"}))
	p.saw("sent", p.outcome("m", r, err))
	p.must(err, "send")
	p.saw("consumed", bodies(b.await(1)))

	// Pub, SubBefore and SubAfter come in any order and in one message or three.
	steps := map[string]string{}
	for more := 1; len(steps) < 3 && more < 200; more++ {
		for _, m := range traced.awaitFor(more, quiet, 0) {
			for record := range strings.SplitSeq(string(m.Body), "\x02") {
				if fields := strings.Split(record, "\x01"); strings.Contains(record, r.MsgID) {
					steps[fields[0]] = strings.Join(timeless(fields, r.MsgID), " | ")
					p.saw("keys of "+fields[0], strings.Contains(m.GetKeys(), r.MsgID))
				}
			}
		}
	}
	for step, text := range steps {
		p.saw("trace "+step, text)
	}
}

// timeless leaves out what is a time, a duration, an address or a random id of the client.
func timeless(fields []string, id string) []string {
	fields = slices.Clone(fields)
	drop := map[string][]int{"Pub": {1, 8, 10, 14}, "SubBefore": {1, 4, 8}, "SubAfter": {1, 3, 7}}[fields[0]]
	for _, i := range drop {
		if i < len(fields) && fields[i] != id {
			fields[i] = "…"
		}
	}
	return fields
}
