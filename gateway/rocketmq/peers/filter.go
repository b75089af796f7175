package main

import (
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func filterTags(p *play) {
	topic := p.topic(p.own("topic"), 2)
	c := p.producer()
	// The last two have one Java hash: the broker sends both, and the client tells them apart. It counts bytes
	// where Java counts UTF-16 units, so a filter on other letters finds what the broker cares to send.
	for i, tag := range []string{"a", "b", "c", "", "größe", "🌡", "AaAa", "BBBB"} {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "m%d:%s", i, tag))
		if tag != "" {
			m.WithTag(tag)
		}
		_, err := c.SendSync(background, m)
		p.must(err, "send")
	}
	for i, f := range []struct {
		expression string
		many       int
	}{{"*", 8}, {"a", 1}, {"a || c", 2}, {"  b||c  ||  nobody", 2}, {"AaAa", 1}, {"BBBB", 1}, {"nobody", 0}, {"", 8}} {
		b := newInbox()
		p.push(p.own(fmt.Sprint("consumers", i)), topic, consumer.MessageSelector{Type: consumer.TAG, Expression: f.expression}, into(b))
		p.saw("filter "+f.expression, bodies(b.await(f.many)))
	}
}

// filterSQL92 has a group for every expression, all at once.
func filterSQL92(p *play) {
	topic := p.topic(p.own("topic"), 2)
	c := p.producer()
	for i, props := range []map[string]string{
		{"n": "1", "s": "blue"}, {"n": "5", "s": "red", "flag": "TRUE"}, {"n": "10", "s": "it's", "flag": "false"},
		{"n": "2.5"}, {"n": "text", "s": ""}, {"s": "blueish"}, {"n": "-3", "s": "Blue"}, {},
	} {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i))
		m.WithProperties(props)
		m.WithTag(fmt.Sprint("t", i%2))
		_, err := c.SendSync(background, m)
		p.must(err, "send")
	}
	boxes := map[string]*inbox{}
	for i, expression := range []string{
		"n > 2", "n >= 5 AND s IS NOT NULL", "n BETWEEN 1 AND 5", "n NOT BETWEEN 1 AND 5", "s IN ('blue', 'red')", "s NOT IN ('blue', 'red')",
		"s IS NULL", "s = 'it''s'", "flag = TRUE", "flag <> TRUE", "NOT (n > 2)", "n > 2 OR s = 'blue'", "s CONTAINS 'lue'", "s STARTSWITH 'blue'",
		"s ENDSWITH 'ish'", "s NOT CONTAINS 'lue'", "TAGS = 't1'", "n = -3", "n < 1e1", "S = 'blue'", "true", "n >", "n > 2 AND (", "s LIKE 'b%'",
	} {
		b := newInbox()
		boxes[expression] = b
		p.push(p.own(fmt.Sprint("consumers", i)), topic, consumer.MessageSelector{Type: consumer.SQL92, Expression: expression}, into(b))
	}
	boxes["true"].awaitFor(8, 8*time.Second, 2*quiet)
	for expression, b := range boxes {
		p.saw("filter "+expression, bodies(b.awaitFor(8, 0, 0)))
	}
}
