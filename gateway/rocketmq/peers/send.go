package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var background = context.Background()

// kept says what the broker made of messages, by reading them back from where it said that they are.
func (p *play) kept(c rocketmq.PullConsumer, what string, r *primitive.SendResult, many int) {
	for i, m := range p.at(c, r.MessageQueue, r.QueueOffset, many) {
		p.saw(fmt.Sprintf("%s: kept %d", what, i), described(m))
	}
}

func sendSync(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer()
	reader := p.puller(p.own("readers"), topic, everything)
	for i := range 8 {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i)).WithTag("blue").WithKeys([]string{"k1", fmt.Sprint("k", i)})
		m.Flag = int32(i)
		m.WithProperty("colour", "blue")
		name := fmt.Sprintf("m%d", i)
		r, err := c.SendSync(background, m)
		p.saw(name, p.outcome(name, r, err))
		p.must(err, "send")
		p.kept(reader, name, r, 1)
	}
}

func sendAsync(p *play) {
	topic := p.topic(p.own("topic"), 1)
	c := p.producer()
	type answer struct {
		r   *primitive.SendResult
		err error
	}
	answers := make(chan answer, 20)
	for i := range 20 {
		p.must(c.SendAsync(background, func(_ context.Context, r *primitive.SendResult, err error) {
			answers <- answer{r, err}
		}, primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i))), "send")
	}
	offsets, statuses := map[int64]bool{}, map[string]int{}
	var first *primitive.SendResult
	for range 20 {
		select {
		case a := <-answers:
			p.must(a.err, "send")
			offsets[a.r.QueueOffset] = true
			statuses[fmt.Sprint(a.r.Status)]++
			if a.r.QueueOffset == 0 {
				first = a.r
			}
		case <-time.After(patience):
			p.fail("the answers did not all come")
		}
	}
	p.saw("statuses", statuses)
	p.saw("places", len(offsets))
	if first == nil {
		p.fail("nobody got the first place")
	}
	p.saw("kept", bodies(p.at(p.puller(p.own("readers"), topic, everything), first.MessageQueue, 0, 20)))
}

func sendOneway(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer()
	for i := range 20 {
		p.must(c.SendOneWay(background, primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i))), "send")
	}
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b))
	got := b.await(20)
	p.saw("consumed", bodies(got))
	p.saw("queues", queues(got))
}

func sendBatch(p *play) {
	topic := p.topic(p.own("topic"), 2)
	c := p.producer()
	reader := p.puller(p.own("readers"), topic, everything)
	for batch := range 3 {
		var messages []*primitive.Message
		for i := range 5 {
			m := primitive.NewMessage(topic, fmt.Appendf(nil, "b%dm%d", batch, i)).WithTag("t").WithKeys([]string{fmt.Sprint("k", i)})
			m.WithProperty("n", fmt.Sprint(i))
			messages = append(messages, m)
		}
		name := fmt.Sprintf("b%d", batch)
		r, err := c.SendSync(background, messages...)
		p.saw(name, p.outcome(name, r, err))
		p.must(err, "send")
		for i, m := range p.at(reader, r.MessageQueue, r.QueueOffset, 5) {
			d := described(m)
			_, d["has a unique key"] = m.GetProperties()["UNIQ_KEY"]
			p.saw(fmt.Sprintf("%s: kept %d", name, i), d)
		}
	}
}

func sendToQueue(p *play) {
	topic := p.topic(p.own("topic"), 3)
	broker := p.route(p.admin(), topic)[0].BrokerName
	c := p.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()), producer.WithRetry(0))
	for _, queue := range []int{2, 2, 0, 3, 1000, -1} {
		m := primitive.NewMessage(topic, []byte("x"))
		m.Queue = &primitive.MessageQueue{Topic: topic, BrokerName: broker, QueueId: queue}
		r, err := c.SendSync(background, m)
		d := p.outcome("x", r, err)
		if queue == -1 && err == nil {
			delete(d, "queue") // the broker chooses
			delete(d, "offset")
		}
		p.saw(fmt.Sprint("queue ", queue), d)
	}
}

func sendToNewTopic(p *play) {
	topic := p.own("topic")
	c := p.producer()
	for i := range 8 {
		r, err := c.SendSync(background, primitive.NewMessage(topic, []byte("x")))
		p.saw(fmt.Sprint("sent ", i), p.outcome(fmt.Sprint("m", i), r, err))
	}
	p.saw("queues of the route", len(p.route(p.admin(), topic)))

	wide := p.own("wide")
	c = p.producer(producer.WithDefaultTopicQueueNums(16), producer.WithGroupName(p.own("others")))
	r, err := c.SendSync(background, primitive.NewMessage(wide, []byte("x")))
	p.must(err, "send")
	p.call(r.MsgID, "id")
	p.saw("queues where the client wanted 16", len(p.route(p.admin(), wide)))
}

func sendRefused(p *play) {
	c := p.producer(producer.WithRetry(0))
	try := func(what, topic string, body []byte, edit ...func(*primitive.Message)) {
		m := primitive.NewMessage(topic, body)
		for _, e := range edit {
			e(m)
		}
		_, err := c.SendSync(background, m)
		if err != nil {
			p.saw(what, refusal(err))
			return
		}
		p.saw(what, "taken")
	}
	noise := make([]byte, 5<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	good := p.topic(p.own("topic"), 1)
	try("a blank in the topic", "a b", []byte("x"))
	try("a slash in the topic", "a/b", []byte("x"))
	try("letters of other scripts in the topic", "тема", []byte("x"))
	try("a topic of 127 letters", strings.Repeat("t", 127), []byte("x"))
	try("a topic of 128 letters", strings.Repeat("t", 128), []byte("x"))
	try("a body of 5 MiB", good, noise)
	try("a body of 4 MiB and a byte", good, noise[:4<<20+1])
	try("an empty body", good, nil)
	try("properties of 40,000 bytes", good, []byte("x"), func(m *primitive.Message) { m.WithProperty("big", strings.Repeat("p", 40000)) })
	try("properties of 20,000 bytes", good, []byte("x"), func(m *primitive.Message) { m.WithProperty("big", strings.Repeat("p", 20000)) })
	for _, topic := range []string{"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
		"SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "TBW102"} {
		try("the topic "+topic, topic, []byte("x"))
	}
	try("after all that", good, []byte("x"))
}

func sendLarge(p *play) {
	topic := p.topic(p.own("topic"), 1)
	reader := p.puller(p.own("readers"), topic, everything)
	noise := make([]byte, 3<<20)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	plain := p.producer(producer.WithCompressMsgBodyOverHowmuch(100 << 20))
	packed := p.producer(producer.WithGroupName(p.own("packers")))
	for _, s := range []struct {
		name string
		by   rocketmq.Producer
		body []byte
	}{
		{"3 MiB as they are", plain, noise}, {"100 KiB packed", packed, bytes.Repeat([]byte("reading "), 100<<10/8)},
		{"what is packed but not smaller", packed, noise[:8<<10]}, {"4095 bytes", packed, bytes.Repeat([]byte("x"), 4095)},
	} {
		r, err := s.by.SendSync(background, primitive.NewMessage(topic, s.body))
		p.saw(s.name, p.outcome(s.name, r, err))
		p.must(err, "send")
		p.kept(reader, s.name, r, 1)
	}
}

func sendProperties(p *play) {
	topic := p.topic(p.own("topic"), 1)
	reader := p.puller(p.own("readers"), topic, everything)
	c := p.producer()
	m := primitive.NewMessage(topic, []byte("Grüße, 世界 🌍\x00\x01\x02"))
	m.WithProperties(map[string]string{
		"maß": "20 °C", "🌍": "🌎", "quotes": `"'\`, "json": `{"a":[1,2]}`, "html": "<&>", "blank": " ", "line": "a\nb\tc", "zero": "a\x00b",
		"WAIT": "false", "INSTANCE_ID": "i", "BUYER_ID": "b", "__RMQ.TRANSIENT.x": "a transient one", "POP_CK": "a receipt", "MSG_REGION": "elsewhere",
		"CLUSTER": "elsewhere", "TRACE_ON": "false",
	})
	m.WithTag("größe 🌡").WithKeys([]string{"straße", "🔑", "a-b_c"}).WithShardingKey("shard")
	r, err := c.SendSync(background, m)
	p.saw("sent", p.outcome("m", r, err))
	p.must(err, "send")
	p.kept(reader, "m", r, 1)
}

func sendInNamespace(p *play) {
	topic := p.own("topic")
	p.topic("NS%"+topic, 2)
	c := p.producer(producer.WithNamespace("NS"))
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, into(b), consumer.WithNamespace("NS"))
	for i := range 4 {
		_, err := c.SendSync(background, primitive.NewMessage(topic, fmt.Appendf(nil, "m%d", i)))
		p.must(err, "send")
	}
	got := b.await(4)
	p.saw("consumed", bodies(got))
	for _, m := range got {
		if string(m.Body) == "m0" {
			p.call(m.MsgId, "id of m0")
			p.saw("as", wherever(m))
		}
	}
}

// requestReply has a client of its own for each part. A broker knows the requester by its heartbeat; the first
// goes out a second after the start, if a broker is known then, and the next half a minute later.
func requestReply(p *play) {
	topic := p.topic(p.own("topic"), 2)
	responder := p.producer(producer.WithGroupName(p.own("responders")))
	asked := newInbox()
	p.push(p.own("consumers"), topic, everything, p.answer(responder, asked))
	c := p.producer()
	_, err := c.SendSync(background, primitive.NewMessage(p.own("where"), []byte("x")))
	p.must(err, "send")
	time.Sleep(2500 * time.Millisecond)
	for i := range 3 {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "question %d", i))
		answer, err := c.Request(background, 10*time.Second, m)
		p.must(err, "ask")
		p.saw(fmt.Sprint("answer ", i), string(answer.Body))
		p.saw(fmt.Sprint("its properties ", i), properties(answer.GetProperties()))
	}
	answers := make(chan string, 1)
	p.must(c.RequestAsync(background, 10*time.Second, func(_ context.Context, m *primitive.Message, err error) {
		if err != nil {
			answers <- err.Error()
			return
		}
		answers <- string(m.Body)
	}, primitive.NewMessage(topic, []byte("later"))), "ask")
	select {
	case text := <-answers:
		p.saw("answer to a callback", text)
	case <-time.After(patience):
		p.fail("no answer to a callback")
	}
	for _, m := range asked.await(4) {
		p.call(m.MsgId, "id of "+string(m.Body))
		p.saw("was asked", wherever(m))
	}
	_, err = c.Request(background, 2*time.Second, primitive.NewMessage(p.topic(p.own("deaf"), 1), []byte("hello?")))
	p.saw("where nobody answers", err != nil && !errors.Is(err, context.Canceled))
}

// answer replies to what is asked.
func (p *play) answer(by rocketmq.Producer, asked *inbox) deliver {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		asked.add(messages...)
		for _, m := range messages {
			reply, err := consumer.CreateReplyMessage(m, nil)
			if err != nil {
				return consumer.ConsumeSuccess, err
			}
			reply.Body = []byte("answer to " + string(m.Body))
			reply.WithProperty("own", "kept")
			if r, err := by.SendSync(background, reply); err != nil || r.Status != primitive.SendOK {
				p.saw("a reply was not taken", fmt.Sprint(err))
			}
		}
		return consumer.ConsumeSuccess, nil
	}
}
