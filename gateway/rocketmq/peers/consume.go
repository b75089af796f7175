package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// fill sends messages of which bodies say their number, and returns where they are.
func (p *play) fill(c rocketmq.Producer, topic string, from, to int) []*primitive.SendResult {
	var all []*primitive.SendResult
	for i := from; i < to; i++ {
		name := fmt.Sprintf("m%03d", i)
		r, err := c.SendSync(background, primitive.NewMessage(topic, []byte(name)))
		p.must(err, "send")
		p.outcome(name, r, nil)
		all = append(all, r)
	}
	return all
}

func consumePush(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer()
	group := p.own("consumers")
	p.fill(c, topic, 0, 40)
	b := newInbox()
	first := p.push(group, topic, everything, into(b))
	p.fill(c, topic, 40, 60)
	got := b.await(60)
	p.saw("consumed", bodies(got))
	for _, m := range got {
		p.saw("as", described(m))
	}
	p.must(first.Shutdown(), "shut down")

	p.fill(c, topic, 60, 64)
	again := newInbox()
	p.push(group, topic, everything, into(again))
	p.saw("consumed by the next of the group", bodies(again.await(4)))
	other := newInbox()
	p.push(p.own("others"), topic, everything, into(other))
	p.saw("consumed by another group", bodies(other.await(64)))
}

// consumeOrderly refuses a message a few times; its queue waits for it and the others do not.
func consumeOrderly(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	for i := range 60 {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "%c%02d", 'a'+i%6, i/6)).WithShardingKey(fmt.Sprintf("key %c", 'a'+i%6))
		_, err := c.SendSync(background, m)
		p.must(err, "send")
	}
	var mu sync.Mutex
	order, refusals := map[string][]string{}, map[string]int{}
	b := newInbox()
	p.push(p.own("consumers"), topic, everything, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range messages {
			body := string(m.Body)
			if body[1:] == "04" && refusals[body] < 2 {
				refusals[body]++
				return consumer.SuspendCurrentQueueAMoment, nil
			}
			order[body[:1]] = append(order[body[:1]], fmt.Sprintf("%s:%d", body[1:], m.ReconsumeTimes))
		}
		b.add(messages...)
		return consumer.ConsumeSuccess, nil
	}, consumer.WithConsumerOrder(true), consumer.WithSuspendCurrentQueueTimeMillis(10*time.Millisecond))
	b.await(60)
	mu.Lock()
	defer mu.Unlock()
	p.saw("order of each key", order)
	p.saw("refused", refusals)
}

func consumeBroadcast(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer()
	group := p.own("consumers")
	boxes := []*inbox{newInbox(), newInbox(), newInbox()}
	for _, b := range boxes {
		p.push(group, topic, everything, into(b), consumer.WithConsumerModel(consumer.BroadCasting))
	}
	p.fill(c, topic, 0, 12)
	for i, b := range boxes {
		p.saw(fmt.Sprint("consumer ", i), bodies(b.await(12)))
	}
}

// shareQueues has two consumers of a group, and then one of them.
func shareQueues(p *play) {
	topic := p.topic(p.own("topic"), 4)
	c := p.producer()
	group := p.own("consumers")
	one, two := newInbox(), newInbox()
	leaving := p.push(group, topic, everything, into(one))
	p.push(group, topic, everything, into(two))
	// How the queues are dealt out becomes known step by step, and while it does a message may come to both.
	sent := 0
	round := func() (a, b []*primitive.MessageExt) {
		before1, _ := one.look()
		before2, _ := two.look()
		p.fill(c, topic, sent, sent+8)
		sent += 8
		b = two.awaitFor(len(before2)+8, 2*time.Second, quiet)[len(before2):]
		a, _ = one.look()
		return a[len(before1):], b
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if a, b := round(); len(queues(a)) == 2 && len(queues(b)) == 2 {
			break
		}
	}
	a, b := round()
	p.saw("queues of each", []int{len(queues(a)), len(queues(b))})
	p.saw("messages of each", []int{len(a), len(b)})
	p.saw("together", len(unique(a, b)))
	p.must(leaving.Shutdown(), "shut down")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, b = round(); len(queues(b)) == 4 {
			break
		}
	}
	_, b = round()
	p.saw("queues of the one that stayed", queues(b))
	p.saw("its messages", len(b))
	all1, _ := one.look()
	all2, _ := two.look()
	p.saw("none was lost", len(unique(all1, all2)) == sent)
}

func unique(lists ...[]*primitive.MessageExt) map[string]bool {
	set := map[string]bool{}
	for _, list := range lists {
		for _, m := range list {
			set[string(m.Body)] = true
		}
	}
	return set
}

// consumePull asks for every message, keeps its place at the broker and finds it again.
func consumePull(p *play) {
	topic := p.topic(p.own("topic"), 2)
	c := p.producer()
	p.fill(c, topic, 0, 20)
	group := p.own("consumers")
	reader := p.puller(group, topic, everything)
	var got []*primitive.MessageExt
	for queue := range 2 {
		place := p.route(p.admin(), topic)[0]
		place.QueueId = queue
		result, err := reader.PullFrom(background, place, 0, 6)
		p.must(err, "pull")
		p.saw(fmt.Sprint("first pull of queue ", queue), p.pulled(result))
		got = append(got, result.GetMessageExts()...)
		result, err = reader.PullFrom(background, place, result.NextBeginOffset, 32)
		p.must(err, "pull")
		p.saw(fmt.Sprint("second pull of queue ", queue), p.pulled(result))
		got = append(got, result.GetMessageExts()...)
		result, err = reader.PullFrom(background, place, 1000, 32)
		p.must(err, "pull")
		p.saw(fmt.Sprint("a pull behind the end of queue ", queue), p.pulled(result))

		// Until it has been given its queues, the client forgets a place instead of persisting it.
		var offset int64
		for deadline := time.Now().Add(patience); offset != 7 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			p.must(reader.UpdateOffset(place, 7), "update an offset")
			p.must(reader.PersistOffset(background, topic), "persist")
			offset, err = reader.CurrentOffset(place)
			p.must(err, "ask for an offset")
		}
		p.saw(fmt.Sprint("place in queue ", queue), offset)
	}
	p.saw("all", bodies(got))
	p.must(reader.Shutdown(), "shut down")

	again := p.puller(group, topic, everything)
	for queue := range 2 {
		place := p.route(p.admin(), topic)[0]
		place.QueueId = queue
		offset, err := again.CurrentOffset(place)
		p.must(err, "ask for an offset")
		p.saw(fmt.Sprint("place that the next finds in queue ", queue), offset)
	}

	// Pull chooses the queue itself, and begins where the group is.
	single := p.topic(p.own("single"), 1)
	p.fill(c, single, 0, 5)
	result, err := p.puller(p.own("others"), single, everything).Pull(background, 32)
	p.must(err, "pull")
	p.saw("a pull where the client chooses", p.pulled(result))
}

func (p *play) pulled(r *primitive.PullResult) map[string]any {
	return map[string]any{"status": int(r.Status), "next": r.NextBeginOffset, "min": r.MinOffset, "max": r.MaxOffset, "messages": bodies(r.GetMessageExts())}
}

// consumePoll is the pull consumer with a queue in the client, and acknowledgements.
func consumePoll(p *play) {
	topic := p.topic(p.own("topic"), 1)
	c := p.producer()
	group := p.own("consumers")
	p.fill(c, topic, 0, 20)
	poll := func(many int, result consumer.ConsumeResult) (got []*primitive.MessageExt) {
		reader := p.puller(group, topic, everything, consumer.WithPullThresholdForQueue(1000), consumer.WithPullThresholdSizeForQueue(100), consumer.WithConsumeConcurrentlyMaxSpan(1000))
		for deadline := time.Now().Add(patience); len(got) < many && time.Now().Before(deadline); {
			request, err := reader.Poll(background, time.Second)
			if consumer.IsNoNewMsgError(err) {
				continue
			}
			p.must(err, "poll")
			got = append(got, request.GetMsgList()...)
			reader.ACK(background, request, result)
		}
		p.must(reader.PersistOffset(background, topic), "persist")
		time.Sleep(quiet) // it went out one way
		p.must(reader.Shutdown(), "shut down")
		time.Sleep(quiet) // a member of the group less
		return got
	}
	p.saw("polled", bodies(poll(20, consumer.ConsumeSuccess)))
	p.fill(c, topic, 20, 28)
	p.saw("polled by the next", bodies(poll(8, consumer.ConsumeSuccess)))
}

// consumeFromWhere has new groups begin at the first message, the last, and a time. All three depend on what
// the broker says of a group that it does not know.
func consumeFromWhere(p *play) {
	topic := p.topic(p.own("topic"), 1)
	c := p.producer()
	p.fill(c, topic, 0, 5)
	time.Sleep(2 * time.Second)
	between := time.Now()
	time.Sleep(2 * time.Second)
	p.fill(c, topic, 5, 10)
	for _, from := range []struct {
		name    string
		options []consumer.Option
	}{
		{"first", []consumer.Option{consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}},
		{"last", []consumer.Option{consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset)}},
		{"a time", []consumer.Option{consumer.WithConsumeFromWhere(consumer.ConsumeFromTimestamp), consumer.WithConsumeTimestamp(between.UTC().Format("20060102150405"))}},
	} {
		b := newInbox()
		p.push(p.own(from.name[:1]), topic, everything, into(b), from.options...)
		p.saw("from "+from.name, bodies(b.awaitFor(10, 5*time.Second, quiet)))
	}
}
