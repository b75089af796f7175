package main

import (
	"context"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// keys sign every request when the environment has them.
var keys primitive.Credentials

func (p *play) producer(options ...producer.Option) rocketmq.Producer {
	c, err := rocketmq.NewProducer(append(p.producerOptions(), options...)...)
	p.must(err, "make a producer")
	p.must(c.Start(), "start a producer")
	p.atEnd = append(p.atEnd, func() { c.Shutdown() })
	return c
}

func (p *play) producerOptions() []producer.Option {
	return []producer.Option{
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{p.namesrv})), producer.WithInstanceName(p.instance()),
		producer.WithGroupName(p.own("producers")), producer.WithRetry(1), producer.WithCredentials(keys),
	}
}

// deliver is what a push consumer calls.
type deliver = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// into consumes what comes.
func into(b *inbox) deliver {
	return func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		b.add(messages...)
		return consumer.ConsumeSuccess, nil
	}
}

var everything = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

// push starts a push consumer that begins with the first message.
func (p *play) push(group, topic string, selector consumer.MessageSelector, f deliver, options ...consumer.Option) rocketmq.PushConsumer {
	c, err := rocketmq.NewPushConsumer(append(p.consumerOptions(group), options...)...)
	p.must(err, "make a push consumer")
	p.must(c.Subscribe(topic, selector, f), "subscribe")
	p.must(c.Start(), "start a push consumer")
	p.atEnd = append(p.atEnd, func() { c.Shutdown() })
	return c
}

func (p *play) consumerOptions(group string) []consumer.Option {
	return []consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{p.namesrv})), consumer.WithInstance(p.instance()),
		consumer.WithGroupName(group), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithCredentials(keys),
		consumer.WithConsumeMessageBatchMaxSize(1), consumer.WithPullBatchSize(32),
	}
}

// puller starts a pull consumer.
func (p *play) puller(group, topic string, selector consumer.MessageSelector, options ...consumer.Option) rocketmq.PullConsumer {
	c, err := rocketmq.NewPullConsumer(append(p.consumerOptions(group), options...)...)
	p.must(err, "make a pull consumer")
	p.must(c.Subscribe(topic, selector), "subscribe")
	p.must(c.Start(), "start a pull consumer")
	p.atEnd = append(p.atEnd, func() { c.Shutdown() })
	return c
}

// at reads messages from their place. It may only ask for what is there: a pull at the end of a queue is held.
func (p *play) at(c rocketmq.PullConsumer, queue *primitive.MessageQueue, offset int64, many int) []*primitive.MessageExt {
	var got []*primitive.MessageExt
	for len(got) < many {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		result, err := c.PullFrom(ctx, queue, offset+int64(len(got)), many-len(got))
		cancel()
		p.must(err, "pull")
		if result.Status != primitive.PullFound || len(result.GetMessageExts()) == 0 {
			p.fail("pull of %d at %d: status %d", queue.QueueId, offset, result.Status)
		}
		got = append(got, result.GetMessageExts()...)
	}
	return got
}

// broker finds where the broker listens, which the client tells its interceptors alone.
func (p *play) broker() string {
	if p.address != "" {
		return p.address
	}
	address := make(chan string, 10)
	// Not in the group of the scenario's producers: a broker asks any of a group about its half messages.
	c := p.producer(producer.WithGroupName(p.own("askers")), producer.WithInterceptor(func(ctx context.Context, req, reply any, next primitive.Invoker) error {
		err := next(ctx, req, reply)
		if sent, ok := primitive.GetProducerCtx(ctx); ok && err == nil {
			address <- sent.BrokerAddr
		}
		return err
	}))
	_, err := c.SendSync(context.Background(), primitive.NewMessage(p.own("where"), []byte("where are you?")))
	p.must(err, "send to a topic that does not exist")
	p.address = <-address
	return p.address
}

func (p *play) admin() admin.Admin {
	c, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{p.namesrv})), admin.WithCredentials(keys))
	p.must(err, "make an admin client")
	p.atEnd = append(p.atEnd, func() { c.Close() })
	return c
}

// topic creates one. The client is told nothing about the outcome, so it asks for the route.
func (p *play) topic(name string, queues int) string {
	a := p.admin()
	p.create(a, p.broker(), name, queues)
	return name
}

func (p *play) create(a admin.Admin, broker, name string, queues int) {
	if !keys.IsEmpty() {
		// This request alone makes the admin client sign, itself and what follows.
		_, err := a.GetAllSubscriptionGroup(context.Background(), broker, 5*time.Second)
		p.must(err, "list groups")
	}
	p.must(a.CreateTopic(context.Background(), admin.WithTopicCreate(name), admin.WithBrokerAddrCreate(broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues)), "create a topic")
	p.route(a, name)
}

// route waits until clients can find the topic, and gives its queues.
func (p *play) route(a admin.Admin, topic string) []*primitive.MessageQueue {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		queues, err := a.FetchPublishMessageQueues(context.Background(), topic)
		if err == nil && len(queues) > 0 {
			return queues
		}
		if time.Now().After(deadline) {
			p.fail("there is no route to %s: %v", topic, err)
		}
	}
}
